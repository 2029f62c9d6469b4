"""Unpooling and its gradient by definition: put every value in its place, in order."""

import math
from collections.abc import Sequence

import numpy as np

from refconv import checks
from refconv.checks import Array, Ints
from refconv.direct.pooling import NUMBERS


def max_unpool(
    x: Array,
    indices: Array,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    output_size: Sequence[int] | None = None,
) -> Array:
    """y[indices[i]] = x[i], the last of duplicates; see `refconv.max_unpool`."""
    x = checks.array("x", x, NUMBERS)
    f, unbatched = checks.unpool(x.shape, kernel_size, stride, padding, output_size)
    at = checks.indices("indices", indices, x.shape, f.o).reshape(f.x_shape)

    xs = x.reshape(f.x_shape)
    y = np.zeros((f.n, f.c, math.prod(f.o)), x.dtype)
    for n, c in np.ndindex(f.n, f.c):
        for i in np.ndindex(f.i):
            y[n, c, at[(n, c, *i)]] = xs[(n, c, *i)]
    return y.reshape(f.y_shape[unbatched:])


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
    grad_output = checks.array("grad_output", grad_output, NUMBERS)
    shape = checks.array("indices", indices, "i").shape
    checks.flag("strict", strict)
    f, unbatched = checks.unpool(shape, kernel_size, stride, padding, output_size, "indices")
    checks.matches("grad_output", grad_output, f.y_shape[unbatched:])
    at = checks.indices("indices", indices, shape, f.o).reshape(f.x_shape)

    gy = grad_output.reshape(f.n, f.c, math.prod(f.o))
    gx = np.zeros(f.x_shape, grad_output.dtype)
    for n, c in np.ndindex(f.n, f.c):
        taken = set()
        for i in reversed(list(np.ndindex(f.i))):
            m = int(at[(n, c, *i)])
            if not strict or m not in taken:
                gx[(n, c, *i)] = gy[n, c, m]
            taken.add(m)
    return gx.reshape(shape)
