"""The max pools as torch operators, and the two linear maps their derivatives are made of."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

import refconv
from refconv import shapes
from refconv.pooling.fractional import windows
from refconv.pooling.layout import largest
from refconv.pooling.max import winners
from torch_ext._bridge import to_array, to_tensor
from torch_ext.library import batches, strides
from torch_ext.library.registration import define

Sizes = Sequence[int]
Pair = tuple[Tensor, Tensor]


# --------------------------------------------------------------------------- kernels


def max_pool(x: Tensor, k: Sizes, s: Sizes, p: Sizes, d: Sizes, ceil_mode: bool) -> Pair:
    """The largest x of every window, and where it was: -1 where the window holds no element."""
    array = to_array(x)
    f, _ = refconv.checks.pool(array.shape, k, s, p, d, ceil_mode)
    if refconv.checks.every_window_holds(f):
        best, at = refconv.max_pool(array, k, s, p, d, ceil_mode, return_indices=True)
    else:
        best, at = (each.reshape(f.y_shape) for each in winners(f, array))
    y, indices = pair(best, at, x)
    return strides.like(y, x), strides.like(indices, x)


def adaptive_max_pool(x: Tensor, output_size: Sizes) -> Pair:
    """The same with windows that share the input out evenly."""
    y, indices = pair(*refconv.adaptive_max_pool(to_array(x), output_size, return_indices=True), x)
    return strides.like_image(y, x), strides.like_image(indices, x)


def fractional_max_pool(x: Tensor, samples: Tensor, k: Sizes, output_size: Sizes) -> Pair:
    """The same with windows at places that the samples choose, in arithmetic of their dtype."""
    if x.dtype is torch.bfloat16 and min(output_size):
        n, c, *i = x.shape
        maps = refconv.checks.Maps(n, c, tuple(i), tuple(output_size))
        u = to_array(samples)
        xp = refconv.checks.library(samples=u)
        refconv.checks.samples(u, maps, tuple(k), np.dtype(np.float32), xp)
        firsts = [to_array(at.flatten(0, 1)) for at in places(i, samples, k, output_size)]
        planes = to_array(x).reshape(n * c, *i)
        y, indices = largest(planes, windows(firsts, tuple(k)))
        return pair(y.reshape(maps.y_shape), indices.reshape(maps.y_shape), x)
    pooled = refconv.fractional_max_pool(
        to_array(x), k, output_size, return_indices=True, random_samples=to_array(samples)
    )
    return pair(*pooled, x)


def places(i: Sizes, samples: Tensor, k: Sizes, output_size: Sizes) -> Iterator[Tensor]:
    """Yield where the windows of every axis start, (N, C, O): refconv's equation in torch's dtypes.

    start[o] = trunc((o + u) alpha) - trunc(u alpha), alpha = (i - k) / (O - 1); the last is i - k.
    """
    u = samples.flip(-1) if len(k) == 2 else samples  # as in torch
    for axis, (i_, k_, o_) in enumerate(zip(i, k, output_size, strict=True)):
        alpha = u.new_tensor(i_ - k_) / u.new_tensor(max(o_ - 1, 1))
        at = u[..., axis, None]
        first = ((u.new_tensor(range(o_)) + at) * alpha).long() - (at * alpha).long()
        first[..., -1:] = i_ - k_
        yield first.clamp(0, i_ - k_)  # rounding may lead beyond


def pair(y: refconv.checks.Array, indices: refconv.checks.Array, x: Tensor) -> Pair:
    """Return maxima and indices as tensors."""
    return to_tensor(y, like=x), to_tensor(indices, like=x)


def max_pool_select(x: Tensor, indices: Tensor, rank: int) -> Tensor:
    """y[n, c, o] = x[n, c, indices[n, c, o]]."""
    y = to_tensor(refconv.max_pool_select(to_array(x), to_array(indices), rank), like=x)
    return strides.like(y, indices)


def max_pool_scatter(input_shape: Sizes, indices: Tensor, grad_output: Tensor, rank: int) -> Tensor:
    """gx[n, c, i] = sum of gy[n, c, o] where indices[n, c, o] = i."""
    gx = refconv.max_pool_scatter(input_shape, to_array(indices), to_array(grad_output), rank)
    return strides.like(to_tensor(gx, like=grad_output), indices)


def max_unpool(
    x: Tensor, indices: Tensor, k: Sizes, s: Sizes, p: Sizes, output_size: Sizes
) -> Tensor:
    """y[n, c, indices[n, c, i]] = x[n, c, i]."""
    y = refconv.max_unpool(to_array(x), to_array(indices), k, s, p, output_size)
    return strides.like_image(to_tensor(y, like=x), x)


# --------------------------------------------------------------------------- shapes


def fake_max_pool(x: Tensor, k: Sizes, s: Sizes, p: Sizes, d: Sizes, ceil_mode: bool) -> Pair:
    """Return two of (N, C, *o)."""
    sizes = zip(x.shape[2:], k, s, p, d, strict=True)
    y, indices = fake_pair(x, [shapes.pool_output_size(*each, ceil_mode) for each in sizes])
    return strides.like(y, x), strides.like(indices, x)


def fake_adaptive_max_pool(x: Tensor, output_size: Sizes) -> Pair:
    """Return two of (N, C, *O)."""
    y, indices = fake_pair(x, output_size)
    return strides.like_image(y, x), strides.like_image(indices, x)


def fake_pair(x: Tensor, output_size: Sizes) -> Pair:
    """Return two of (N, C, *O), the second int64."""
    shape = (*x.shape[:2], *output_size)
    return x.new_empty(shape), x.new_empty(shape, dtype=torch.int64)


def fake_fractional_max_pool(x: Tensor, samples: Tensor, k: Sizes, output_size: Sizes) -> Pair:
    """Return two of (N, C, *O)."""
    return fake_pair(x, output_size)


def fake_select(x: Tensor, indices: Tensor, rank: int) -> Tensor:
    """Return (N, C, *o)."""
    return strides.like(x.new_empty(indices.shape), indices)


def fake_scatter(input_shape: Sizes, indices: Tensor, grad_output: Tensor, rank: int) -> Tensor:
    """Return (N, C, *i)."""
    return strides.like(grad_output.new_empty(input_shape), indices)


def fake_unpool(
    x: Tensor, indices: Tensor, k: Sizes, s: Sizes, p: Sizes, output_size: Sizes
) -> Tensor:
    """Return (N, C, *o)."""
    return strides.like_image(x.new_empty((*x.shape[:2], *output_size)), x)


# --------------------------------------------------------------------------- operators

MAX_POOL = define(
    "max_pool(Tensor x, SymInt[] kernel_size, SymInt[] stride, SymInt[] padding, "
    "SymInt[] dilation, bool ceil_mode) -> (Tensor, Tensor)",
    max_pool, fake_max_pool, batches.by_images("max_pool"),
)  # fmt: skip
ADAPTIVE_MAX_POOL = define(
    "adaptive_max_pool(Tensor x, SymInt[] output_size) -> (Tensor, Tensor)",
    adaptive_max_pool, fake_adaptive_max_pool, batches.by_images("adaptive_max_pool"),
)  # fmt: skip
FRACTIONAL_MAX_POOL = define(
    "fractional_max_pool(Tensor x, Tensor samples, SymInt[] kernel_size, SymInt[] output_size) "
    "-> (Tensor, Tensor)",
    fractional_max_pool, fake_fractional_max_pool, batches.by_images("fractional_max_pool"),
)  # fmt: skip
SELECT = define(
    "max_pool_select(Tensor x, Tensor indices, int rank) -> Tensor",
    max_pool_select, fake_select, batches.by_images("max_pool_select"),
)  # fmt: skip
SCATTER = define(
    "max_pool_scatter(SymInt[] input_shape, Tensor indices, Tensor grad_output, int rank) "
    "-> Tensor",
    max_pool_scatter, fake_scatter, batches.by_images("max_pool_scatter"),
)  # fmt: skip
MAX_UNPOOL = define(
    "max_unpool(Tensor x, Tensor indices, SymInt[] kernel_size, SymInt[] stride, "
    "SymInt[] padding, SymInt[] output_size) -> Tensor",
    max_unpool, fake_unpool, batches.by_images("max_unpool"),
)  # fmt: skip
