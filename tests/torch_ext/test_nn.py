"""The layers: torch's in all but the forward."""

import copy
import io

import pytest
import torch
from torch import nn

import torch_ext

LAYERS = [
    ("Conv1d", (4, 6, 3), {"stride": 2, "padding": 1, "groups": 2}),
    ("Conv2d", (4, 6, (3, 2)), {"dilation": 2, "padding": "same", "bias": False}),
    ("Conv3d", (4, 6, 2), {"stride": (2, 1, 1), "padding": "valid"}),
    ("MaxPool1d", (3, 2), {"padding": 1, "dilation": 2}),
    ("MaxPool2d", ((3, 2),), {"ceil_mode": True}),
    ("MaxPool3d", (2, 1), {"return_indices": True}),
    ("AvgPool1d", (3, 2), {"padding": 1, "count_include_pad": False}),
    ("AvgPool2d", ((2, 4),), {"ceil_mode": True}),
    ("AvgPool3d", (2, 1), {"divisor_override": 4}),
]
SIZES = {"1": (9,), "2": (8, 7), "3": (5, 6, 4)}

layers = pytest.mark.parametrize(
    ("name", "args", "options"), LAYERS, ids=[row[0] for row in LAYERS]
)
pytestmark = pytest.mark.filterwarnings(
    "ignore:Using padding='same' with even kernel lengths:UserWarning"  # from torch
)


@pytest.fixture
def both(integers):
    """Build a layer and its original, with the same integer-valued parameters, and an input."""

    def build(name, args, options):
        ours, original = (getattr(module, name)(*args, **options) for module in (torch_ext.nn, nn))
        for parameter in original.parameters():
            parameter.data = integers(parameter.shape, parameter.dtype)
        ours.load_state_dict(original.state_dict())
        return ours, original, integers((2, 4, *SIZES[name[-2]]), torch.float32)

    return build


def same(values, expected):
    """Assert that results, tensors or tuples of them, have the same bits."""
    values, expected = ([v] if isinstance(v, torch.Tensor) else v for v in (values, expected))
    for one, other in zip(values, expected, strict=True):
        assert other.any()
        assert torch.equal(one, other)


@layers
def test_values_and_gradients(both, name, args, options):
    ours, original, x = both(name, args, options)
    results = []
    for layer in (ours, original):
        leaf = x.clone().requires_grad_()
        y = layer(leaf)
        value = y[0] if isinstance(y, tuple) else y
        value.mul(12).sum().backward()
        results.append([value, leaf.grad, *(p.grad for p in layer.parameters())])
    same(*results)
    same(ours(x), original(x))


@layers
def test_a_layer_is_its_original_in_all_else(both, name, args, options):
    ours, original, _ = both(name, args, options)
    assert isinstance(ours, type(original))
    assert repr(ours) == repr(original)
    assert list(ours.state_dict()) == list(original.state_dict())
    original.load_state_dict(ours.state_dict())
    assert vars(ours).keys() == vars(original).keys()


@layers
def test_copies(both, name, args, options):
    ours, original, x = both(name, args, options)
    buffer = io.BytesIO()
    torch.save(ours, buffer)
    buffer.seek(0)
    for twin in (copy.deepcopy(ours), torch.load(buffer, weights_only=False)):
        assert type(twin) is type(ours)
        same(twin(x), original(x))


@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("padding", [1, "same"])
def test_padding_modes(both, rank, mode, padding):
    ours, original, x = both(f"Conv{rank}d", (4, 2, 3), {"padding": padding, "padding_mode": mode})
    same(ours(x), original(x))


def test_a_forward_comes_from_the_reference(both, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("torch's own function was called")

    for kind in ("conv", "max_pool", "avg_pool"):
        for rank in (1, 2, 3):
            monkeypatch.setattr(nn.functional, f"{kind}{rank}d", refuse)
    for row in LAYERS:
        ours, original, x = both(*row)
        ours(x)
        with pytest.raises(AssertionError, match="torch's own"):
            original(x)
