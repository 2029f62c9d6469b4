"""Pooling and its gradients by definition: visit every window, then every tap of the window."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from refconv import geometry
from refconv.geometry import Array, Ints, Maps, Pool, accumulator, as_x, as_y
from refconv.geometry.max_pooling import (
    max_pool_call,
    max_pool_grad_call,
    max_pool_scatter_call,
    max_pool_select_call,
)
from refconv.geometry.sizes import Shape

NUMBERS = geometry.NUMBERS + "O"  # object arrays (fractions, big integers) run here too
ORDERED = geometry.ORDERED + "O"


def window(geo: Pool, o: Shape) -> Iterator[Shape]:
    """Yield the input positions o s + k d - p of one window, in order of k, that lie inside x."""
    for k in np.ndindex(geo.k):
        i = tuple(
            o_ * s + k_ * d - before
            for o_, s, k_, d, before in zip(o, geo.s, k, geo.d, geo.p, strict=True)
        )
        if all(0 <= i_ < size for i_, size in zip(i, geo.i, strict=True)):
            yield i


# --------------------------------------------------------------------------- maximum


def largest(x: Array, inside: Iterator[Shape]) -> Shape:
    """Return where x is largest among these positions: the first of equals, the last NaN."""
    winner = next(inside)
    for i in inside:
        if x[i] > x[winner] or x[i] != x[i]:
            winner = i
    return winner


def lowest(dtype: np.dtype[Any]) -> Any:
    """Return the value below all others: what the maximum of nothing is."""
    return -np.inf if dtype.kind == "f" else np.iinfo(dtype).min


def with_indices(geo: Pool | Maps, y: Array, indices: Array, asked: bool) -> Any:
    """Return the maxima as the caller gave x, with their indices if these are asked for."""
    y, indices = as_y(geo, y), indices.reshape(geo.y_shape[geo.unbatched :])
    return (y, indices) if asked else y


def max_pool(
    x: Array,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """y[o] = the largest x of window o, first of equals, last NaN; see `refconv.max_pool`."""
    geo, x = max_pool_call(
        x, kernel_size, stride, padding, dilation, ceil_mode, return_indices, ORDERED
    )
    y, indices = np.empty(geo.y_shape, x.dtype), np.empty(geo.y_shape, np.int64)
    for n, c in np.ndindex(geo.n, geo.c):
        for o in np.ndindex(geo.o):
            inside = list(window(geo, o))
            if not inside:
                y[(n, c, *o)], indices[(n, c, *o)] = lowest(x.dtype), -1
                continue
            winner = largest(x[n, c], iter(inside))
            y[(n, c, *o)] = x[(n, c, *winner)]
            indices[(n, c, *o)] = np.ravel_multi_index(winner, geo.i)
    return with_indices(geo, y, indices, return_indices)


def max_pool_grad(
    input_shape: Sequence[int],
    indices: Array,
    grad_output: Array,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
) -> Array:
    """gx[i] = sum of gy over the windows that i won; see `refconv.max_pool_grad`."""
    geo, at, gy = max_pool_grad_call(
        input_shape, indices, grad_output, kernel_size, stride, padding, dilation, ceil_mode,
        NUMBERS,
    )  # fmt: skip
    return as_x(geo, scatter(at, gy, geo.i))


@np.errstate(all="ignore")
def scatter(indices: Array, values: Array, i: Shape) -> Array:
    """Return maps of shape i, zero but for the values (..., *o) added at flat positions.

    A position of -1 is none.
    """
    lead = indices.shape[: -len(i)]
    maps = np.zeros((*lead, math.prod(i)), accumulator(values.dtype))
    for o in np.ndindex(indices.shape):
        if indices[o] >= 0:
            maps[(*o[: len(lead)], indices[o])] += values[o]
    return maps.reshape(*lead, *i).astype(values.dtype)


def max_pool_select(x: Array, indices: Array, rank: int) -> Array:
    """y[n, c, o] = x[n, c, indices[n, c, o]]; see `refconv.max_pool_select`."""
    x, indices, rank = max_pool_select_call(x, indices, rank, NUMBERS)
    y = np.zeros(indices.shape, x.dtype)
    for o in np.ndindex(indices.shape):
        if indices[o] >= 0:
            y[o] = x[o[:-rank]].reshape(-1)[indices[o]]
    return y


def max_pool_scatter(
    input_shape: Sequence[int], indices: Array, grad_output: Array, rank: int
) -> Array:
    """gx[n, c, indices[n, c, o]] += gy[n, c, o]; see `refconv.max_pool_scatter`."""
    shape, indices, gy, rank = max_pool_scatter_call(
        input_shape, indices, grad_output, rank, NUMBERS
    )
    return scatter(indices, gy, shape[-rank:])
