"""Pooling and its gradients in exact arithmetic."""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from refconv import direct, geometry
from refconv.direct.max_pooling import window
from refconv.exact.sums import Exact, exactly, scaled, total
from refconv.geometry import Array, Ints, Pool


@lru_cache(maxsize=64)
def taps(geo: Pool) -> tuple[Array, Array]:
    """Return the flat positions in x and y of every tap of every window, kept for the next use."""
    found = [(i, o) for o in np.ndindex(geo.o) for i in window(geo, o)]
    x, y = (np.array(at, np.int64).reshape(len(found), -1) for at in zip(*found, strict=True))
    maps = np.arange(geo.n * geo.c).reshape(-1, 1)  # every map of every image has the same windows
    at_x = maps * math.prod(geo.i) + np.ravel_multi_index(tuple(x.T), geo.i)
    at_y = maps * math.prod(geo.o) + np.ravel_multi_index(tuple(y.T), geo.o)
    return at_x.ravel(), at_y.ravel()


# --------------------------------------------------------------------------- maximum


def max_pool(
    x: Array,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """y[o] = the largest x of window o: a choice, which rounds nothing."""
    scaled("x", x)  # raises unless x is finite
    geometry.flag("return_indices", return_indices)
    y, indices = direct.max_pool(x, kernel_size, stride, padding, dilation, ceil_mode, True)
    return (exactly("x", y), indices) if return_indices else exactly("x", y)


def max_pool_grad(
    input_shape: Sequence[int],
    indices: Array,
    grad_output: Array,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
) -> Exact:
    """gx[i] = sum of gy over the windows that i won, exactly."""
    geo = geometry.pool(
        input_shape, kernel_size, stride, padding, dilation, ceil_mode, "input_shape"
    )
    geometry.array("grad_output", grad_output, geometry.ORDERED)
    geometry.matches("grad_output", grad_output, geo.y_shape[geo.unbatched :])
    return max_pool_scatter(geo.x_shape[geo.unbatched :], indices, grad_output, len(geo.i))


def max_pool_select(x: Array, indices: Array, rank: int) -> Exact:
    """y[n, c, o] = x[n, c, indices[n, c, o]]: a choice, which rounds nothing."""
    return exactly("x", direct.max_pool_select(x, indices, rank))


def max_pool_scatter(
    input_shape: Sequence[int], indices: Array, grad_output: Array, rank: int
) -> Exact:
    """gx[n, c, indices[n, c, o]] += gy[n, c, o], exactly."""
    gy, e = scaled("grad_output", grad_output)
    shape = geometry.integers("input_shape", input_shape)
    rank = geometry.integer("rank", rank)
    at = geometry.selection(shape, indices, rank)
    geometry.matches("grad_output", grad_output, at.shape)
    planes, size = math.prod(shape[:-rank]), math.prod(shape[-rank:])
    each = np.arange(planes).reshape(*shape[:-rank], *(1,) * rank) * size
    return total(gy.ravel(), e, (at + each).ravel(), shape)
