"""swap and restore of layers whose parameters are computed, by parametrizations or by hooks."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune

import torch_ext
from support.layers import assert_same_tensors, pickled

pytestmark = pytest.mark.filterwarnings(
    "ignore:`torch.nn.utils.weight_norm` is deprecated:FutureWarning"
)


class Doubled(nn.Module):
    """A parametrization that keeps integers."""

    def forward(self, x):
        return 2 * x

    def right_inverse(self, y):
        return y / 2


def doubled(layer):
    return parametrize.register_parametrization(layer, "weight", Doubled())


def pruned(layer):
    return prune.l1_unstructured(layer, "weight", amount=5)


PARAMETRIZED = [parametrizations.weight_norm, parametrizations.spectral_norm, doubled]
HOOKED = [nn.utils.weight_norm, nn.utils.spectral_norm, pruned]
parametrized = pytest.mark.parametrize("wrap", PARAMETRIZED)


@pytest.fixture
def single(integers):
    """Build a layer and an image for which no product of weight and input is added to another.

    So the layer is exact, whatever weights the normalisation makes of those set here: one tap of
    each filter, which has a channel of its own.
    """

    def build(kind=nn.Conv2d):
        torch.manual_seed(0)  # the vectors of spectral_norm
        layer = kind(4, 4, 3, groups=4, bias=False).double()
        weight = torch.zeros_like(layer.weight)
        weight[range(4), 0, [0, 2, 1, 1], [1, 1, 0, 2]] = torch.tensor(
            [3.0, -5.0, 7.0, 1.0]
        ).double()
        layer.weight.data = weight
        return layer, integers((2, 4, 6, 5))

    return build


def results(model, x):
    """Return the output and all gradients, of sums weighted by the positions."""
    x = x.clone().requires_grad_()
    y = model(x)
    gy = torch.arange(y.numel(), dtype=y.dtype).view(y.shape)
    return [y, *torch.autograd.grad(y, (x, *model.parameters()), gy)]


def below(layer):
    """Return the class that torch generated the layer's from."""
    return parametrize.type_before_parametrizations(layer)


@pytest.mark.parametrize("wrap", PARAMETRIZED + HOOKED)
@pytest.mark.parametrize("kind", [nn.Conv2d, nn.ConvTranspose2d])
def test_values_and_gradients_keep_their_bits(single, wrap, kind):
    native, swapped, restored = (nn.Sequential(wrap(single(kind)[0])) for _ in range(3))
    _, x = single(kind)
    assert torch_ext.swap(swapped).rows[0].to == f"torch_ext.nn.{kind.__name__}"
    torch_ext.swap(restored)
    assert torch_ext.restore(restored).rows[0].to == f"torch.nn.{kind.__name__}"
    for _ in range(2):  # spectral_norm iterates in training
        expected = results(native, x)
        assert_same_tensors(results(swapped, x), expected)
        assert_same_tensors(results(restored, x), expected)
    native.eval()
    assert_same_tensors(results(swapped.eval(), x), results(native, x))
    assert swapped.state_dict().keys() == native.state_dict().keys()
    assert_same_tensors(swapped.state_dict().values(), native.state_dict().values())
    assert repr(swapped) == repr(native)


@parametrized
def test_the_forward_becomes_the_references_and_torchs_again(single, wrap):
    layer, x = single()
    wrap(layer)
    parameters = list(map(id, layer.parameters()))
    attributes = list(vars(layer))
    kind = type(layer)
    for _ in range(2):
        torch_ext.swap(layer)
        assert below(layer) is torch_ext.nn.Conv2d
        assert layer(x).grad_fn.name() == "ConvolutionBackward"
        assert not torch_ext.swap(layer).changed
        assert list(map(id, layer.parameters())) == parameters
        torch_ext.restore(layer)
        assert below(layer) is nn.Conv2d
        assert vars(type(layer)) == vars(kind)
        assert layer(x).grad_fn.name() == "ConvolutionBackward0"
        assert list(vars(layer)) == attributes
        assert not torch_ext.restore(layer).changed


@parametrized
def test_a_copy_from_before_the_swap_stays_torchs(single, wrap):
    layer, x = single()
    twin = copy.deepcopy(wrap(layer))
    assert type(twin) is type(layer)
    torch_ext.swap(layer)
    assert below(twin) is nn.Conv2d
    parametrize.remove_parametrizations(layer, "weight")
    assert twin(x).grad_fn.name() == "ConvolutionBackward0"
    assert below(parametrize.remove_parametrizations(twin, "weight")) is nn.Conv2d


@parametrized
def test_removed_while_swapped(single, wrap):
    layer, x = single()
    expected = wrap(layer)(x)
    torch_ext.swap(layer.eval())
    parametrize.remove_parametrizations(layer, "weight")
    assert type(layer) is torch_ext.nn.Conv2d
    if wrap is not parametrizations.spectral_norm:  # whose eval mode skips an iteration
        assert torch.equal(layer(x), expected)
    twins = [copy.deepcopy(layer), layer]
    if wrap is not parametrizations.weight_norm:  # whose hook stays, and is a local function
        twins.append(pickled(layer))
    for twin in twins:
        torch_ext.restore(twin)
        assert type(twin) is nn.Conv2d


@parametrized
def test_parametrized_while_swapped(single, wrap):
    layer, x = single()
    expected = results(wrap(copy.deepcopy(layer)), x)
    torch_ext.swap(layer)
    torch.manual_seed(0)
    wrap(layer)
    assert below(layer) is torch_ext.nn.Conv2d
    if wrap is not parametrizations.spectral_norm:  # which drew other vectors
        assert_same_tensors(results(layer, x), expected)
    assert torch_ext.restore(layer).changed
    assert below(layer) is nn.Conv2d
    parametrize.remove_parametrizations(layer, "weight")
    assert type(layer) is nn.Conv2d


def test_one_more_parametrization_while_swapped(integers):
    layer = doubled(nn.Conv1d(2, 2, 2).double())
    twin = copy.deepcopy(layer)
    torch_ext.swap(layer)
    parametrize.register_parametrization(layer, "bias", Doubled())
    assert not hasattr(type(twin), "bias")
    torch_ext.restore(layer)
    assert below(layer) is nn.Conv1d
    for name in ("weight", "bias"):
        assert parametrize.is_parametrized(layer, name)
        parametrize.remove_parametrizations(layer, name)
    assert type(layer) is nn.Conv1d


@parametrized
def test_copies_of_a_swapped_layer(single, wrap):
    layer, x = single()
    torch_ext.swap(wrap(layer))
    twin = copy.deepcopy(layer)
    assert_same_tensors(results(twin, x), results(copy.deepcopy(layer), x))
    assert below(twin) is torch_ext.nn.Conv2d
    torch_ext.restore(twin)
    assert (below(twin), below(layer)) == (nn.Conv2d, torch_ext.nn.Conv2d)
    with pytest.raises(RuntimeError, match="only supported through state_dict"):  # torch's words
        pickled(layer)


@parametrized
def test_a_state_loads_both_ways(single, wrap):
    layer, x = single()
    native = wrap(layer)
    swapped = copy.deepcopy(native)
    torch_ext.swap(swapped)
    for source, target in ((native, swapped), (swapped, native)):
        for parameter in source.parameters():
            parameter.data.mul_(2)
        target.load_state_dict(source.state_dict())
        assert_same_tensors(results(swapped.eval(), x), results(native.eval(), x))


def test_a_layer_built_as_the_references_stays(single):
    layer = doubled(single(torch_ext.nn.Conv2d)[0])
    kind = type(layer)
    assert "already a reference layer" in torch_ext.swap(layer).rows[0].reason
    assert "built as a reference layer" in torch_ext.restore(layer).rows[0].reason
    assert type(layer) is kind


def test_a_shared_layer_and_the_cache():
    layer = doubled(nn.Conv1d(1, 1, 1))
    model = nn.ModuleList([layer, layer])
    assert [row.name for row in torch_ext.swap(model).rows] == ["0"]
    with parametrize.cached():
        assert layer.weight is model[1].weight
        layer(torch.ones(1, 1, 1))
    assert layer.weight is not layer.weight


def test_old_hooks_removed_while_swapped(single):
    for wrap, remove in (
        (nn.utils.weight_norm, nn.utils.remove_weight_norm),
        (nn.utils.spectral_norm, nn.utils.remove_spectral_norm),
        (pruned, lambda layer: prune.remove(layer, "weight")),
    ):
        layer, x = single()
        wrap(layer).eval()
        expected = layer(x)
        torch_ext.swap(layer)
        remove(layer)
        assert torch.equal(layer(x), expected)
        torch_ext.restore(layer)
        assert type(layer) is nn.Conv2d
        assert torch.equal(layer(x), expected)


class Named(nn.Conv2d):
    """A subclass with an attribute of that name, which is no parametrization."""

    def __init__(self, *args):
        super().__init__(*args)
        self.parametrizations = nn.ModuleDict({"weight": nn.Identity()})

    def forward(self, input):
        return input


def test_a_subclass_that_looks_parametrized_is_left_alone():
    model = Named(1, 1, 1)
    assert parametrize.is_parametrized(model)
    (row,) = torch_ext.swap(model).rows
    assert "subclass" in row.reason
    assert type(model) is Named
