"""Unpooling and its gradient by definition: put every value in its place, in order."""

import math
from collections.abc import Sequence

import numpy as np

from refconv.direct.max_pooling import NUMBERS
from refconv.geometry import Array, Ints, as_x, as_y
from refconv.geometry.unpooling import max_unpool_call, max_unpool_grad_call


def max_unpool(
    x: Array,
    indices: Array,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    output_size: Sequence[int] | None = None,
) -> Array:
    """y[indices[i]] = x[i], the last of duplicates; see `refconv.max_unpool`."""
    geo, x, at = max_unpool_call(x, indices, kernel_size, stride, padding, output_size, NUMBERS)
    y = np.zeros((geo.n, geo.c, math.prod(geo.o)), x.dtype)
    for n, c in np.ndindex(geo.n, geo.c):
        for i in np.ndindex(geo.i):
            y[n, c, at[(n, c, *i)]] = x[(n, c, *i)]
    return as_y(geo, y)


def max_unpool_grad(
    indices: Array,
    grad_output: Array,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    output_size: Sequence[int] | None = None,
    *,
    strict: bool = False,
) -> Array:
    """gx[i] = gy[indices[i]], `strict`: if x[i] stayed there; see `refconv.max_unpool_grad`."""
    geo, at, gy = max_unpool_grad_call(
        indices, grad_output, kernel_size, stride, padding, output_size, strict, NUMBERS
    )
    gx = np.zeros(geo.x_shape, gy.dtype)
    for n, c in np.ndindex(geo.n, geo.c):
        taken = set()
        for i in reversed(list(np.ndindex(geo.i))):
            m = int(at[(n, c, *i)])
            if not strict or m not in taken:
                gx[(n, c, *i)] = gy[n, c].reshape(-1)[m]
            taken.add(m)
    return as_x(geo, gx)
