"""The lazy layers: whose they are before, in and after the first call."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import torch_ext
from support.layers import LAZY, ROWS, LayerPair, counterpart, pickled

pytestmark = pytest.mark.filterwarnings("ignore:Lazy modules are a new feature:UserWarning")
every_lazy = pytest.mark.parametrize("name", LAZY)


def build(kind, name):
    """Return a lazy layer with options of its own, and whether or not there is a bias."""
    args, options = ROWS[name][0]
    return kind(*args, **options)


def image(name, channels=4):
    return torch.ones(2, channels, *[7] * int(name[-2]))


def first_call(kind, name, monkeypatch):
    """Assert that a lazy layer is the reference's in its first forward, and from then on."""
    torch.manual_seed(1)
    original = build(getattr(nn, name), name)
    original(image(name))
    torch.manual_seed(1)
    ours = build(kind, name)
    assert repr(ours) == repr(build(getattr(nn, name), name))
    with monkeypatch.context() as patch:
        patch.delattr(F, counterpart(name))  # what torch's own forward calls
        ours(image(name))
    assert type(ours) is getattr(torch_ext.nn, name.removeprefix("Lazy"))
    assert vars(ours).keys() == vars(original).keys()
    assert not ours._forward_pre_hooks
    for one, other in zip(ours.parameters(), original.parameters(), strict=True):
        assert torch.equal(one, other)


@every_lazy
def test_the_first_call_is_the_references(monkeypatch, name):
    first_call(getattr(torch_ext.nn, name), name, monkeypatch)


class BecomesTorchs(torch_ext.nn.LazyConv2d):
    cls_to_become = nn.Conv2d


class CallsTorchsFirst(nn.LazyConvTranspose2d):
    cls_to_become = torch_ext.nn.ConvTranspose2d


class StaysLazy(torch_ext.nn.LazyConv2d):
    cls_to_become = None


@pytest.mark.parametrize("planted", [BecomesTorchs, CallsTorchsFirst, StaysLazy])
def test_a_lazy_layer_that_is_not_the_references_is_seen(monkeypatch, planted):
    name = "LazyConvTranspose2d" if issubclass(planted, nn.ConvTranspose2d) else "LazyConv2d"
    with pytest.raises((AssertionError, AttributeError)):
        first_call(planted, name, monkeypatch)


@every_lazy
def test_copies_made_before_the_first_call(name):
    layer = build(getattr(torch_ext.nn, name), name)
    for twin in (copy.deepcopy(layer), pickled(layer)):
        assert type(twin) is type(layer)
        twin(image(name))
        assert type(twin) is getattr(torch_ext.nn, name.removeprefix("Lazy"))
        assert twin.in_channels == 4
    assert layer.has_uninitialized_params()


@every_lazy
def test_a_state_from_the_original_is_taken_before_the_first_call(integers, name):
    case = LayerPair(integers, name, 0)
    case.ours = build(getattr(torch_ext.nn, name), name)
    case.ours.load_state_dict(case.original.state_dict())
    assert type(case.ours) is getattr(torch_ext.nn, name)
    case.check()
    assert type(case.ours) is getattr(torch_ext.nn, name.removeprefix("Lazy"))


# --------------------------------------------------------------------------- swap


@every_lazy
@pytest.mark.parametrize("twin", [lambda model: model, copy.deepcopy, pickled])
def test_swap_and_restore_before_and_after_the_first_call(integers, name, twin):
    case = LayerPair(integers, name, 0)
    ready = name.removeprefix("Lazy")
    lazy, layer = (getattr(nn, each) for each in (name, ready))
    ours, our_layer = (getattr(torch_ext.nn, each) for each in (name, ready))
    model = nn.Sequential(build(lazy, name))
    attributes = set(vars(model[0]))

    assert torch_ext.swap(model).rows[0].to == f"torch_ext.nn.{name}"
    model = twin(model)
    assert type(model[0]) is ours
    assert torch_ext.restore(model).rows[0].to == f"torch.nn.{name}"
    assert type(model[0]) is lazy
    assert set(vars(model[0])) == attributes

    torch_ext.swap(model)
    model = twin(model)
    model(*case.inputs)
    assert type(model[0]) is our_layer
    model[0].load_state_dict(case.original.state_dict())
    case.ours = model[0]
    case.check()
    model = twin(model)
    assert torch_ext.restore(model).rows[0].to == f"torch.nn.{ready}"
    assert type(model[0]) is layer
    assert vars(model[0]).keys() == vars(case.original).keys()


@every_lazy
def test_a_lazy_layer_given_back_becomes_torchs(name):
    model = build(getattr(nn, name), name)
    torch_ext.swap(model)
    torch_ext.restore(model)
    model(image(name))
    assert type(model) is getattr(nn, name.removeprefix("Lazy"))
    assert torch_ext.swap(model).changed


def test_a_lazy_layer_of_another_make_is_left_alone():
    model = BecomesTorchs(1, 1)
    (row,) = torch_ext.swap(model).rows
    assert "subclass" in row.reason
    assert type(model) is BecomesTorchs
