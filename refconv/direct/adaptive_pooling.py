"""Adaptive pooling and its gradients by definition: visit every window, then its every element."""

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from refconv import geometry
from refconv.direct.average_pooling import divide
from refconv.direct.max_pooling import NUMBERS, ORDERED, largest, scatter
from refconv.geometry import Array, Maps
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
    x = geometry.array("x", x, NUMBERS)
    geo, unbatched = geometry.adaptive(x.shape, output_size)

    acc = geometry.summing(x.dtype)
    xs = x.reshape(geo.x_shape).astype(acc)
    y = np.zeros(geo.y_shape, acc)
    for n, c in np.ndindex(geo.n, geo.c):
        for o in np.ndindex(geo.o):
            for i in window(geo, o):
                y[(n, c, *o)] += xs[(n, c, *i)]
            y[(n, c, *o)] = average(y[(n, c, *o)], geo, o)
    return y.reshape(geo.y_shape[unbatched:]).astype(x.dtype)


@np.errstate(all="ignore")
def adaptive_avg_pool_grad(
    input_shape: Sequence[int], grad_output: Array, output_size: Any
) -> Array:
    """gx[i] = sum of gy / size over windows with i; see `refconv.adaptive_avg_pool_grad`."""
    grad_output = geometry.array("grad_output", grad_output, NUMBERS)
    geo, unbatched = geometry.adaptive(input_shape, output_size, x_name="input_shape")
    geometry.matches("grad_output", grad_output, geo.y_shape[unbatched:])

    acc = geometry.summing(grad_output.dtype)
    gy = grad_output.reshape(geo.y_shape).astype(acc)
    gx = np.zeros(geo.x_shape, acc)
    for n, c in np.ndindex(geo.n, geo.c):
        for o in np.ndindex(geo.o):
            share = average(gy[(n, c, *o)], geo, o)
            for i in window(geo, o):
                gx[(n, c, *i)] += share
    return gx.reshape(geo.x_shape[unbatched:]).astype(grad_output.dtype)


def adaptive_max_pool(x: Array, output_size: Any, return_indices: bool = False) -> Any:
    """y[o] = the largest x of window o; see `refconv.adaptive_max_pool`."""
    x = geometry.array("x", x, ORDERED)
    geometry.flag("return_indices", return_indices)
    geo, unbatched = geometry.adaptive(x.shape, output_size)

    xs = x.reshape(geo.x_shape)
    y = np.empty(geo.y_shape, x.dtype)
    indices = np.empty(geo.y_shape, np.int64)
    for n, c in np.ndindex(geo.n, geo.c):
        for o in np.ndindex(geo.o):
            winner = largest(xs[n, c], window(geo, o))
            y[(n, c, *o)] = xs[(n, c, *winner)]
            indices[(n, c, *o)] = np.ravel_multi_index(winner, geo.i)
    y, indices = (y[0], indices[0]) if unbatched else (y, indices)
    return (y, indices) if return_indices else y


def adaptive_max_pool_grad(
    input_shape: Sequence[int], indices: Array, grad_output: Array, output_size: Any
) -> Array:
    """gx[i] = sum of gy over the windows that i won; see `refconv.adaptive_max_pool_grad`."""
    grad_output = geometry.array("grad_output", grad_output, NUMBERS)
    geo, unbatched = geometry.adaptive(input_shape, output_size, x_name="input_shape")
    geometry.matches("grad_output", grad_output, geo.y_shape[unbatched:])
    at = geometry.indices("indices", indices, grad_output.shape, geo.i).reshape(geo.y_shape)
    gx = scatter(at, grad_output.reshape(geo.y_shape), geo.i)
    return gx.reshape(geo.x_shape[unbatched:])
