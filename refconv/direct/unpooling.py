"""Unpooling and its gradient by definition: put every value in its place, in order."""

import math
from collections.abc import Sequence

import numpy as np

from refconv import geometry
from refconv.direct.max_pooling import NUMBERS
from refconv.geometry import Array, Ints


def max_unpool(
    x: Array,
    indices: Array,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    output_size: Sequence[int] | None = None,
) -> Array:
    """y[indices[i]] = x[i], the last of duplicates; see `refconv.max_unpool`."""
    x = geometry.array("x", x, NUMBERS)
    geo, unbatched = geometry.unpool(x.shape, kernel_size, stride, padding, output_size)
    at = geometry.indices("indices", indices, x.shape, geo.o).reshape(geo.x_shape)

    xs = x.reshape(geo.x_shape)
    y = np.zeros((geo.n, geo.c, math.prod(geo.o)), x.dtype)
    for n, c in np.ndindex(geo.n, geo.c):
        for i in np.ndindex(geo.i):
            y[n, c, at[(n, c, *i)]] = xs[(n, c, *i)]
    return y.reshape(geo.y_shape[unbatched:])


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
    grad_output = geometry.array("grad_output", grad_output, NUMBERS)
    shape = geometry.array("indices", indices, "i").shape
    geometry.flag("strict", strict)
    geo, unbatched = geometry.unpool(shape, kernel_size, stride, padding, output_size, "indices")
    geometry.matches("grad_output", grad_output, geo.y_shape[unbatched:])
    at = geometry.indices("indices", indices, shape, geo.o).reshape(geo.x_shape)

    gy = grad_output.reshape(geo.n, geo.c, math.prod(geo.o))
    gx = np.zeros(geo.x_shape, grad_output.dtype)
    for n, c in np.ndindex(geo.n, geo.c):
        taken = set()
        for i in reversed(list(np.ndindex(geo.i))):
            m = int(at[(n, c, *i)])
            if not strict or m not in taken:
                gx[(n, c, *i)] = gy[n, c, m]
            taken.add(m)
    return gx.reshape(shape)
