"""swap and restore: in place, exact, and undone without a trace."""

import copy
import inspect
import io

import pytest
import torch
from torch import nn
from torch.nn.modules import conv, fold, pooling
from torch.nn.utils import parametrizations

import torch_ext
from support.networks import (
    OfNoKind,
    Standardised,
    image,
    integers_of,
    kinds,
    network,
    snapshot,
)
from torch_ext.swap import Row


def test_training_has_the_same_bits():
    swapped, native = network(), network()
    report = torch_ext.swap(swapped)
    assert len(report.changed) == 5
    results = []
    for model in (swapped, native):
        optimizer = torch.optim.SGD(model.parameters(), lr=2.0**-4, momentum=0.5)
        losses = []
        for _ in range(2):
            optimizer.zero_grad()
            loss = model(image()).sum()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        results.append((losses, model.state_dict()))
    (losses, state), (expected_losses, expected_state) = results
    assert losses == expected_losses
    assert losses[0] != losses[1]
    assert state.keys() == expected_state.keys()
    assert all(torch.equal(state[name], expected_state[name]) for name in state)


def test_what_a_swap_keeps_and_what_restore_gives_back():
    model = network()
    before, keys, text = snapshot(model), list(model.state_dict()), repr(model)
    parameters = [id(parameter) for parameter in model.parameters()]
    expected = model(image())

    torch_ext.swap(model)
    assert [module for module, _, _ in snapshot(model)] == [module for module, _, _ in before]
    assert list(model.state_dict()) == keys
    assert [id(parameter) for parameter in model.parameters()] == parameters
    assert repr(model) == text
    assert type(model[0]) is torch_ext.nn.Conv2d
    assert type(model[2]) is torch_ext.nn.MaxPool2d
    assert type(model[3].conv2) is torch_ext.nn.Conv2d
    assert type(model[4]) is torch_ext.nn.AvgPool2d
    assert torch.equal(model(image()), expected)

    torch_ext.restore(model)
    assert snapshot(model) == before
    assert torch.equal(model(image()), expected)


@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature:UserWarning")  # from torch
def test_every_layer_there_is():
    names = [name for module in (conv, fold, pooling) for name in module.__all__]
    model = nn.ModuleList(getattr(nn, name)(*[2] * required(getattr(nn, name))) for name in names)
    report = torch_ext.swap(model)
    assert kinds(model)[1:] == [getattr(torch_ext.nn, name) for name in names]
    assert [row.to for row in report.rows] == [f"torch_ext.nn.{name}" for name in names]
    torch_ext.restore(model)
    assert kinds(model)[1:] == [getattr(nn, name) for name in names]


def required(kind):
    """Return how many arguments a layer cannot be without."""
    if kind in (nn.FractionalMaxPool2d, nn.FractionalMaxPool3d):
        return 2  # it asks for an output size or ratio later
    parameters = inspect.signature(kind).parameters.values()
    return sum(parameter.default is parameter.empty for parameter in parameters)


def test_the_model_may_be_the_layer():
    model = nn.MaxPool1d(2)
    report = torch_ext.swap(model)
    assert report.rows == (Row("", "MaxPool1d", to="torch_ext.nn.MaxPool1d"),)
    assert type(model) is torch_ext.nn.MaxPool1d
    torch_ext.restore(model)
    assert type(model) is nn.MaxPool1d


def test_hooks_and_the_training_flag_stay():
    model = network().eval()
    seen = []
    model[0].register_forward_hook(lambda module, *_: seen.append(type(module)))
    model[0].register_forward_pre_hook(lambda module, *_: seen.append("pre"))
    model[0].register_full_backward_hook(lambda *_: seen.append("backward"))
    torch_ext.swap(model)
    model(image().requires_grad_()).sum().backward()
    assert seen == ["pre", torch_ext.nn.Conv2d, "backward"]
    assert not any(module.training for module in model.modules())


def test_a_shared_module_is_one_row_and_stays_shared():
    pool, conv = nn.MaxPool2d(2), nn.Conv2d(1, 1, 3)
    model = nn.ModuleDict({"a": pool, "b": nn.Sequential(conv, pool), "c": conv})
    report = torch_ext.swap(model)
    assert [row.name for row in report.rows] == ["a", "b.0"]
    assert model["a"] is model["b"][1] is pool
    assert model["c"] is model["b"][0] is conv
    assert type(pool) is torch_ext.nn.MaxPool2d


class Hourglass(nn.Module):
    """A network down and up again, with layers whose forward takes or gives more than an image."""

    def __init__(self):
        super().__init__()
        self.down = nn.ModuleList([nn.Conv2d(1, 4, 3), nn.MaxPool2d(2, return_indices=True)])
        self.up = nn.ModuleDict(
            {"unpool": nn.MaxUnpool2d(2), "conv": nn.ConvTranspose2d(4, 1, 2, 2)}
        )
        self.tail = nn.Sequential(nn.Unfold(2), nn.Fold((25, 25), 2), nn.AdaptiveMaxPool2d((5, 4)))

    def forward(self, x):
        x = self.down[0](x)
        y, indices = self.down[1](x)
        y = self.up["unpool"](y, indices, output_size=x.shape)
        return self.tail(self.up["conv"](y, output_size=[25, 25]))


def test_an_hourglass_has_the_same_bits():
    swapped, native = integers_of(Hourglass()), integers_of(Hourglass())
    report = torch_ext.swap(swapped)
    assert [row.name for row in report.changed] == [
        *("down.0", "down.1", "up.unpool", "up.conv", "tail.0", "tail.1", "tail.2")
    ]
    results = []
    for model in (swapped, native):
        x = image().requires_grad_()
        y = model(x)
        y.square().sum().backward()
        results.append([y, x.grad, *(parameter.grad for parameter in model.parameters())])
    assert all(each.any() for each in results[0])
    assert all(map(torch.equal, *results))


def test_tied_weights_stay_tied():
    model = nn.Sequential(nn.Conv1d(2, 2, 1), nn.Conv1d(2, 2, 1))
    model[1].weight = model[0].weight
    torch_ext.swap(model)
    assert model[0].weight is model[1].weight
    torch_ext.restore(model)
    assert model[0].weight is model[1].weight


# --------------------------------------------------------------------------- left alone


def patched():
    layer = nn.Conv2d(1, 1, 1)
    layer.forward = lambda input: input
    return layer


def patched_below():
    layer = nn.Conv2d(1, 1, 1)
    layer._conv_forward = lambda input, weight, bias: input
    return layer


def scripted():
    return torch.jit.script(nn.Conv2d(1, 1, 1))


def traced():
    return torch.jit.trace(nn.MaxPool2d(1), torch.ones(1, 1, 1))


def quantized():
    return torch.ao.nn.quantized.Conv2d(1, 1, 1)


def quantized_and_fused():
    return torch.ao.nn.intrinsic.quantized.ConvReLU2d(1, 1, 1)


def quantization_aware():
    config = torch.ao.quantization.get_default_qat_qconfig()
    return torch.ao.nn.qat.Conv2d(1, 1, 1, qconfig=config)


@pytest.mark.filterwarnings("ignore:`torch.jit.[a-z_]*` is deprecated:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor:UserWarning")
@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (lambda: Standardised(1, 1, 1), "subclass"),
        (lambda: parametrizations.weight_norm(Standardised(1, 1, 1)), "subclass"),
        (lambda: parametrizations.weight_norm(torch_ext.nn.Conv2d(1, 1, 1)), "already a reference"),
        (patched, "forward set on the instance"),
        (patched_below, "forward set on the instance"),
        (scripted, "scripted"),
        (traced, "scripted"),
        (quantized, "quantized"),
        (quantized_and_fused, "quantized"),
        (quantization_aware, "quantized"),
        (lambda: OfNoKind(2), "no such reference layer"),
        (lambda: torch_ext.nn.Conv2d(1, 1, 1), "already a reference layer"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_left_alone_with_a_reason(build, reason):
    model = nn.Sequential(build(), nn.MaxPool2d(1))
    before = type(model[0])
    row, other = torch_ext.swap(model).rows
    assert row.to is None
    assert reason in row.reason
    assert type(model[0]) is before
    assert other.to == "torch_ext.nn.MaxPool2d"


def test_override_reaches_what_swap_leaves_alone():
    model = Standardised(1, 2, 3).double()
    expected = model(image())
    torch_ext.swap(model)
    with torch_ext.override():
        assert model(image()).grad_fn.name() == "ConvolutionBackward"
        torch.testing.assert_close(model(image()), expected)


# --------------------------------------------------------------------------- selection


@pytest.mark.parametrize("function", [torch_ext.swap, torch_ext.restore])
def test_no_model(function):
    with pytest.raises(TypeError, match=r"model must be a torch.nn.Module, got function"):
        function(lambda x: x)


# --------------------------------------------------------------------------- restore


def test_restore_undoes_swap_and_nothing_else():
    own = torch_ext.nn.MaxPool2d(2)
    model = nn.Sequential(nn.Conv2d(1, 1, 1), own, nn.ReLU())
    torch_ext.swap(model)
    report = torch_ext.restore(model)
    assert report.rows == (
        Row("0", "Conv2d", to="torch.nn.Conv2d"),
        Row("1", "MaxPool2d", reason="built as a reference layer"),
    )
    assert kinds(model)[1:] == [nn.Conv2d, torch_ext.nn.MaxPool2d, nn.ReLU]
    assert not torch_ext.restore(model).changed


def test_swapping_twice_is_undone_once():
    model = network()
    before = snapshot(model)
    assert len(torch_ext.swap(model).changed) == 5
    assert len(torch_ext.swap(model).changed) == 0
    torch_ext.restore(model)
    assert snapshot(model) == before


def test_copies_of_a_swapped_model_can_be_restored():
    model = network()
    torch_ext.swap(model)
    buffer = io.BytesIO()
    torch.save(model, buffer)
    buffer.seek(0)
    for twin in (copy.deepcopy(model), torch.load(buffer, weights_only=False)):
        assert torch.equal(twin(image()), model(image()))
        torch_ext.restore(twin)
        assert kinds(twin) == kinds(network())
    assert type(model[0]) is torch_ext.nn.Conv2d


def test_a_layer_whose_class_was_changed_since_is_left_as_it_is():
    model = nn.Sequential(nn.Conv2d(1, 1, 1))
    torch_ext.swap(model)
    model[0].__class__ = Standardised
    (row,) = torch_ext.restore(model).rows
    assert "changed after the swap" in row.reason
    assert type(model[0]) is Standardised


# --------------------------------------------------------------------------- report


def test_the_report_prints_as_a_table():
    report = torch_ext.swap(network(), skip=["3.conv2", "4"])
    assert str(report).splitlines() == [
        "layer    from       to",
        "0        Conv2d     torch_ext.nn.Conv2d",
        "2        MaxPool2d  torch_ext.nn.MaxPool2d",
        "3.conv1  Conv2d     torch_ext.nn.Conv2d",
        "3.conv2  Conv2d     - skipped",
        "4        AvgPool2d  - skipped",
        "3 changed, 2 left alone",
    ]
    assert "(model)  MaxPool1d  torch_ext.nn.MaxPool1d" in str(torch_ext.swap(nn.MaxPool1d(2)))
