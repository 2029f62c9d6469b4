"""Exact data, and the one comparison the exact tests make.

Small integers: every sum of products is exact in every dtype and every order, so that two correct
implementations agree in each bit, for values and for derivatives.
"""

from collections.abc import Callable
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

import refconv
from support.doubles import cupy as cupy_double
from support.doubles import numpy_like
from torch_ext._bridge import cuda

Draw = Callable[..., Tensor]
Operator = Callable[..., Tensor]


@pytest.fixture
def integers() -> Draw:
    """Draw integer values from -most to most, in both parts if complex."""
    generator = torch.Generator().manual_seed(8)

    def draw(shape: tuple[int, ...], dtype: torch.dtype = torch.float64, most: int = 2) -> Tensor:
        if dtype.is_complex:
            return torch.complex(*(draw(shape, dtype.to_real(), most) for _ in range(2)))
        return torch.randint(-most, most + 1, shape, generator=generator).to(dtype)

    return draw


@pytest.fixture
def agree(integers: Draw) -> Callable[..., None]:
    """Assert that two operators have the same bits: values, first and second derivatives.

    With y = f(a, ...) and random gy, va, ...: the gradients ga, ... of <gy, y>, and those of
    <ga, va> + ... for a, ... and gy. `times` is a factor of gy, `most` the size of its integers.
    """

    def check(
        ours: Operator, torchs: Operator, *tensors: Tensor, times: int = 1, most: int = 2
    ) -> None:
        inputs = [each.detach().requires_grad_() for each in tensors]
        values = [f(*inputs) for f in (ours, torchs)]
        assert values[0].shape == values[1].shape
        dtype = values[1].dtype
        gy = (times * integers(values[1].shape, dtype, most)).requires_grad_()
        directions = [integers(each.shape, dtype, most) for each in inputs]

        found = []
        for y in values:
            first = torch.autograd.grad(y, inputs, gy, create_graph=True)
            second = torch.autograd.grad(
                first, (*inputs, gy), directions, allow_unused=True, materialize_grads=True
            )
            # a comparison of zeros would prove nothing (an empty batch has nothing else)
            assert all(each.any() for each in (y, *first, second[-1])) or y.numel() == 0
            found.append([y, *first, *second])
        for one, other in zip(*found, strict=True):
            assert one.dtype == other.dtype
            assert torch.equal(one, other)

    return check


WATCHED = (
    "conv", "conv_grad_input", "conv_grad_weight", "conv_transpose", "unfold", "fold", "avg_pool",
    "avg_pool_grad", "lp_pool", "adaptive_avg_pool", "max_pool", "adaptive_max_pool",
    "fractional_max_pool", "max_pool_scatter", "max_unpool",
)  # fmt: skip


@pytest.fixture
def calls(monkeypatch):
    """List the operators of refconv as they are called."""
    made = []

    def spy(name, operator, *args, **options):
        made.append(name)
        return operator(*args, **options)

    for name in WATCHED:
        monkeypatch.setattr(refconv, name, partial(spy, name, getattr(refconv, name)))
    return made


@pytest.fixture
def cupy(monkeypatch):
    """Put the double in CuPy's place, and the CPU in the GPU's."""
    double = cupy_double.CuPy()
    monkeypatch.setattr(cuda, "library", lambda: double)
    monkeypatch.setattr(cuda, "DEVICE", "cpu")
    stream = SimpleNamespace(__cuda_stream__=lambda: (0, 1234))
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: stream)
    monkeypatch.setattr(numpy_like, "_call", double.call)
    monkeypatch.setattr(numpy_like.ndarray, "data", property(double.data), raising=False)
    yield double
    assert not cuda._blocks, "memory that no array has"
