"""Pooling and its gradients by definition: visit every window, then every tap of the window."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from refconv import geometry
from refconv.geometry import Array, Ints, Pool
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
    x = geometry.array("x", x, ORDERED)
    geometry.flag("return_indices", return_indices)
    geo, unbatched = geometry.pool(x.shape, kernel_size, stride, padding, dilation, ceil_mode)
    if return_indices:
        geometry.every_window_has_an_index(geo)

    xs = x.reshape(geo.x_shape)
    y = np.empty(geo.y_shape, x.dtype)
    indices = np.empty(geo.y_shape, np.int64)
    for n, c in np.ndindex(geo.n, geo.c):
        for o in np.ndindex(geo.o):
            if next(window(geo, o), None) is None:
                y[(n, c, *o)] = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
                continue
            winner = largest(xs[n, c], window(geo, o))
            y[(n, c, *o)] = xs[(n, c, *winner)]
            indices[(n, c, *o)] = np.ravel_multi_index(winner, geo.i)
    y, indices = (y[0], indices[0]) if unbatched else (y, indices)
    return (y, indices) if return_indices else y


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
    grad_output = geometry.array("grad_output", grad_output, NUMBERS)
    geo, unbatched = geometry.pool(
        input_shape, kernel_size, stride, padding, dilation, ceil_mode, "input_shape"
    )
    geometry.matches("grad_output", grad_output, geo.y_shape[unbatched:])
    at = geometry.indices("indices", indices, grad_output.shape, geo.i, least=-1).reshape(
        geo.y_shape
    )
    gx = scatter(at, grad_output.reshape(geo.y_shape), geo.i)
    return gx.reshape(geo.x_shape[unbatched:])


@np.errstate(all="ignore")
def scatter(indices: Array, values: Array, i: Shape) -> Array:
    """Return maps of shape i, zero but for the values (..., *o) added at flat positions.

    A position of -1 is none.
    """
    lead = indices.shape[: -len(i)]
    acc = geometry.accumulator(values.dtype)
    maps = np.zeros((*lead, math.prod(i)), acc)
    v = values.astype(acc)
    for o in np.ndindex(indices.shape):
        if indices[o] >= 0:
            maps[(*o[: len(lead)], indices[o])] += v[o]
    return maps.reshape(*lead, *i).astype(values.dtype)


def max_pool_select(x: Array, indices: Array, rank: int) -> Array:
    """y[n, c, o] = x[n, c, indices[n, c, o]]; see `refconv.max_pool_select`."""
    x = geometry.array("x", x, NUMBERS)
    rank = geometry.integer("rank", rank)
    at = geometry.selection(x.shape, indices, rank)
    y = np.empty(at.shape, x.dtype)
    for o in np.ndindex(at.shape):
        lead = o[:-rank]
        y[o] = x[lead].reshape(-1)[at[o]] if at[o] >= 0 else 0
    return y


def max_pool_scatter(
    input_shape: Sequence[int], indices: Array, grad_output: Array, rank: int
) -> Array:
    """gx[n, c, indices[n, c, o]] += gy[n, c, o]; see `refconv.max_pool_scatter`."""
    grad_output = geometry.array("grad_output", grad_output, NUMBERS)
    shape = geometry.integers("input_shape", input_shape)
    rank = geometry.integer("rank", rank)
    at = geometry.selection(shape, indices, rank)
    geometry.matches("grad_output", grad_output, at.shape)
    return scatter(at, grad_output, shape[-rank:])
