"""What reaches beyond the input or holds nothing: values and gradients are torch's, at every door.

The functions, a swapped layer, and torch's own functions under either level of override.
"""

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import torch_ext
from torch_ext import functional

inf = float("inf")
DOORS: dict[str, Callable[[], Any]] = {
    "functional": contextlib.nullcontext,
    "override": torch_ext.override,
    "override aten": lambda: torch_ext.override(level="aten"),
}


def both(door: str, name: str, *tensors: Tensor, **options: Any) -> list[list[Tensor]]:
    """Return value and gradients by the reference, through a door, and by torch."""
    found = []
    for module in (functional if door == "functional" else F, F):
        leaves = [t.clone().requires_grad_(t.is_floating_point()) for t in tensors]
        with contextlib.nullcontext() if found else DOORS[door]():
            y = getattr(module, name)(*leaves, **options)
            wanted = [t for t in leaves if t.requires_grad]
            found.append([y, *torch.autograd.grad(y.sum(), wanted)] if wanted else [y])
    return found


def alike(door: str, name: str, *tensors: Tensor, **options: Any) -> bool:
    ours, theirs = both(door, name, *tensors, **options)
    return all(
        a.shape == b.shape and torch.equal(a.nan_to_num(7.5), b.nan_to_num(7.5))
        for a, b in zip(ours, theirs, strict=True)
    )


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_no_input_channels(door: str, rank: int) -> None:
    x, w, b = torch.zeros(2, 0, *(6,) * rank), torch.zeros(4, 0, *(3,) * rank), torch.ones(4)
    assert alike(door, f"conv{rank}d", x, w, b)
    assert alike(door, f"conv{rank}d", x, w)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_a_window_without_any_element(door: str, rank: int) -> None:
    window = {"kernel_size": 2, "stride": 2, "padding": 1, "dilation": 2}
    x = torch.randn(2, 3, *(1,) * rank, requires_grad=True)
    module = functional if door == "functional" else F
    with DOORS[door]():
        y = getattr(module, f"max_pool{rank}d")(x, **window)
        (gx,) = torch.autograd.grad(y.sum(), x)  # torch's own would write outside of its memory
    assert torch.equal(y, getattr(F, f"max_pool{rank}d")(x, **window))
    assert (y == -inf).all()
    assert not gx.any()
    if rank == 2:
        numbers = torch.randint(0, 9, x.shape)
        with DOORS[door]():
            y = module.max_pool2d(numbers, **window)
        assert torch.equal(y, F.max_pool2d(numbers, **window))
    with pytest.raises(RuntimeError, match="it has no index"):
        getattr(functional, f"max_pool{rank}d")(x, 2, 2, 1, 2, return_indices=True)


@pytest.mark.parametrize("door", DOORS)
def test_an_infinite_weight_beside_inserted_zeros(door: str) -> None:
    x, w = torch.tensor([[[1.0]]]), torch.tensor([[[1.0, inf]]])
    assert alike(door, "conv_transpose1d", x, w)
    x, w = torch.ones(1, 1, 4, 4), torch.ones(1, 1, 3, 3)
    w[0, 0, 0, 0] = inf
    ours, theirs = both(door, "conv2d", x, w)
    assert torch.equal(ours[1], theirs[1])  # the gradient of the input


def test_conv_tbc_pads_beside_an_infinite_weight() -> None:
    """Where no product with the padding exists, none is made: torch makes none either."""
    x, w, b = torch.ones(3, 1, 1), torch.tensor([1.0, inf]).view(2, 1, 1), torch.zeros(1)
    ours, theirs = functional.conv_tbc(x, w, b, 1), torch.conv_tbc(x, w, b, 1)
    assert ours.tolist() == theirs.tolist()


@pytest.mark.parametrize("door", DOORS)
def test_a_widely_used_global_pool(door: str) -> None:
    """A window of 1280 on maps of 7 x 7: a matter of milliseconds, and torch's values."""
    x = torch.randint(-9, 9, (1, 64, 7, 7)).float() * 49
    assert alike(door, "avg_pool2d", x, kernel_size=1280, ceil_mode=True)
    assert alike(door, "max_pool2d", x, kernel_size=1280, ceil_mode=True)
    layer = nn.AvgPool2d(np.int64(1280), ceil_mode=True)
    expected = layer(x)
    model = nn.Sequential(layer)
    torch_ext.swap(model)
    assert torch.equal(model(x), expected)


@pytest.mark.parametrize("stride", [2**31, 2**33, 2**61])
def test_strides_of_64_bits(stride: int) -> None:
    """Where torch takes them: conv1d, max_pool1d and unfold."""
    x, w = torch.arange(5.0).view(1, 1, 5), torch.tensor([1.0, 10.0]).view(1, 1, 2)
    assert alike("functional", "conv1d", x, w, stride=stride)
    assert functional.max_pool1d(x, 2, stride).tolist() == F.max_pool1d(x, 2, stride).tolist()
    if stride < 2**61:
        image = x.view(1, 1, 1, 5)
        assert alike("functional", "unfold", image, kernel_size=(1, 2), stride=stride)


def test_exponents_at_the_edges() -> None:
    for dtype in (torch.float32, torch.float64):
        for p in (1e300, 1e-300, -1e300, -1e-300, 5e-324):
            for values in ([1.0, 2.0], [2.0, 0.0], [0.0, 4.0], [inf, 0.5], [-1.0, -1.0]):
                x = torch.tensor(values, dtype=dtype).view(1, 1, 2)
                assert alike("functional", "lp_pool1d", x, norm_type=p, kernel_size=2), (dtype, p)
    for values in ([-inf, 1.0], [inf, -inf], [1.0, 4.0], [-1.0, 2.0]):
        x = torch.tensor(values, dtype=torch.float16).view(1, 1, 2)
        for p in (0.5, -0.5):
            assert alike("functional", "lp_pool1d", x, norm_type=p, kernel_size=2), (values, p)
