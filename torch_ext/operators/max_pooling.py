"""Max pooling as a torch operator, and the two linear maps its derivatives are made of."""

from collections.abc import Sequence

import torch
from torch import Tensor

import refconv
from refconv import geometry
from refconv.fast.max_pooling import winners
from refconv.geometry.sizes import pool_output_size
from torch_ext._bridge import to_array, to_tensor
from torch_ext.operators import strides
from torch_ext.operators.registration import operator

Sizes = Sequence[int]
Pair = tuple[Tensor, Tensor]

# --------------------------------------------------------------------------- shapes


def fake_max_pool(x: Tensor, k: Sizes, s: Sizes, p: Sizes, d: Sizes, ceil_mode: bool) -> Pair:
    """Return two of (N, C, *o)."""
    sizes = zip(x.shape[2:], k, s, p, d, strict=True)
    y, indices = fake_pair(x, [pool_output_size(*each, ceil_mode) for each in sizes])
    return strides.like(y, x), strides.like(indices, x)


def fake_pair(x: Tensor, output_size: Sizes) -> Pair:
    """Return two of (N, C, *O), the second int64."""
    shape = (*x.shape[:2], *output_size)
    return x.new_empty(shape), x.new_empty(shape, dtype=torch.int64)


def fake_select(x: Tensor, indices: Tensor, rank: int) -> Tensor:
    """Return (N, C, *o)."""
    return strides.like(x.new_empty(indices.shape), indices)


def fake_scatter(input_shape: Sizes, indices: Tensor, grad_output: Tensor, rank: int) -> Tensor:
    """Return (N, C, *i)."""
    return strides.like(grad_output.new_empty(input_shape), indices)


# --------------------------------------------------------------------------- operators


@operator(
    "max_pool(Tensor x, SymInt[] kernel_size, SymInt[] stride, SymInt[] padding, "
    "SymInt[] dilation, bool ceil_mode) -> (Tensor, Tensor)",
    fake_max_pool,
)
def max_pool(x: Tensor, k: Sizes, s: Sizes, p: Sizes, d: Sizes, ceil_mode: bool) -> Pair:
    """The largest x of every window, and where it was: -1 where the window holds no element."""
    array = to_array(x)
    geo = geometry.pool(array.shape, k, s, p, d, ceil_mode)
    if geometry.every_window_holds(geo):
        best, at = refconv.max_pool(array, k, s, p, d, ceil_mode, return_indices=True)
    else:
        best, at = (each.reshape(geo.y_shape) for each in winners(geo, array))
    y, indices = pair(best, at, x)
    return strides.like(y, x), strides.like(indices, x)


def pair(y: geometry.Array, indices: geometry.Array, x: Tensor) -> Pair:
    """Return maxima and indices as tensors."""
    return to_tensor(y, like=x), to_tensor(indices, like=x)


@operator("max_pool_select(Tensor x, Tensor indices, int rank) -> Tensor", fake_select)
def max_pool_select(x: Tensor, indices: Tensor, rank: int) -> Tensor:
    """y[n, c, o] = x[n, c, indices[n, c, o]]."""
    y = to_tensor(refconv.max_pool_select(to_array(x), to_array(indices), rank), like=x)
    return strides.like(y, indices)


@operator(
    "max_pool_scatter(SymInt[] input_shape, Tensor indices, Tensor grad_output, int rank) "
    "-> Tensor",
    fake_scatter,
)
def max_pool_scatter(input_shape: Sizes, indices: Tensor, grad_output: Tensor, rank: int) -> Tensor:
    """gx[n, c, i] = sum of gy[n, c, o] where indices[n, c, o] = i."""
    gx = refconv.max_pool_scatter(input_shape, to_array(indices), to_array(grad_output), rank)
    return strides.like(to_tensor(gx, like=grad_output), indices)
