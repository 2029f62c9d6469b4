"""Adaptive pooling and its gradients by definition: visit every window, then its every element."""

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from refconv.direct.average_pooling import divide
from refconv.direct.max_pooling import (
    NUMBERS,
    ORDERED,
    largest,
    scatter,
    with_indices,
)
from refconv.geometry import Array, Maps, as_x, as_y
from refconv.geometry.adaptive_pooling import (
    adaptive_avg_pool_call,
    adaptive_avg_pool_grad_call,
    adaptive_max_pool_call,
    adaptive_max_pool_grad_call,
)
from refconv.geometry.sizes import Shape


def sides(geo: Maps, o: Shape) -> list[range]:
    """Return the inputs m of window o along each axis: o i / O - 1 < m < (o + 1) i / O."""
    return [
        range(o_ * i // size, ((o_ + 1) * i + size - 1) // size)
        for o_, i, size in zip(o, geo.i, geo.o, strict=True)
    ]


def window(geo: Maps, o: Shape) -> Iterator[Shape]:
    """Yield the input positions of one window."""
    return itertools.product(*sides(geo, o))


def average(total: Any, geo: Maps, o: Shape) -> Any:
    """Return total / the size of window o: axis after axis, at once if there is one window."""
    sizes = [len(side) for side in sides(geo, o)]
    at_once = math.prod(geo.o) == 1 or isinstance(total, np.integer)  # truncation is the same
    for size in [math.prod(sizes)] if at_once else sizes:
        total = 0 + divide(total, size)  # a zero is +0, as in torch
    return total


@np.errstate(all="ignore")
def adaptive_avg_pool(x: Array, output_size: Any) -> Array:
    """y[o] = (sum of x over window o) / its size; see `refconv.adaptive_avg_pool`."""
    geo, x = adaptive_avg_pool_call(x, output_size, NUMBERS)
    y = np.zeros(geo.y_shape, geo.acc)
    for n, c in np.ndindex(geo.n, geo.c):
        for o in np.ndindex(geo.o):
            for i in window(geo, o):
                y[(n, c, *o)] += x[(n, c, *i)]
            y[(n, c, *o)] = average(y[(n, c, *o)], geo, o)
    return as_y(geo, y)


@np.errstate(all="ignore")
def adaptive_avg_pool_grad(
    input_shape: Sequence[int], grad_output: Array, output_size: Any
) -> Array:
    """gx[i] = sum of gy / size over windows with i; see `refconv.adaptive_avg_pool_grad`."""
    geo, gy = adaptive_avg_pool_grad_call(input_shape, grad_output, output_size, NUMBERS)
    gx, gy = np.zeros(geo.x_shape, geo.acc), gy.astype(geo.acc)
    for n, c in np.ndindex(geo.n, geo.c):
        for o in np.ndindex(geo.o):
            share = average(gy[(n, c, *o)], geo, o)
            for i in window(geo, o):
                gx[(n, c, *i)] += share
    return as_x(geo, gx)


def adaptive_max_pool(x: Array, output_size: Any, return_indices: bool = False) -> Any:
    """y[o] = the largest x of window o; see `refconv.adaptive_max_pool`."""
    geo, x = adaptive_max_pool_call(x, output_size, return_indices, ORDERED)
    y, indices = np.empty(geo.y_shape, x.dtype), np.empty(geo.y_shape, np.int64)
    for n, c in np.ndindex(geo.n, geo.c):
        for o in np.ndindex(geo.o):
            winner = largest(x[n, c], window(geo, o))
            y[(n, c, *o)] = x[(n, c, *winner)]
            indices[(n, c, *o)] = np.ravel_multi_index(winner, geo.i)
    return with_indices(geo, y, indices, return_indices)


def adaptive_max_pool_grad(
    input_shape: Sequence[int], indices: Array, grad_output: Array, output_size: Any
) -> Array:
    """gx[i] = sum of gy over the windows that i won; see `refconv.adaptive_max_pool_grad`."""
    geo, indices, gy = adaptive_max_pool_grad_call(
        input_shape, indices, grad_output, output_size, NUMBERS
    )
    return as_x(geo, scatter(indices, gy, geo.i))
