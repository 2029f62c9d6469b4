"""Fractional max pooling and its gradient by definition: place every window, visit its elements."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from refconv.direct.max_pooling import (
    NUMBERS,
    ORDERED,
    largest,
    scatter,
    with_indices,
)
from refconv.geometry import Array, Ints, Maps, Ratios, as_x
from refconv.geometry.fractional_pooling import (
    fractional_max_pool_call,
    fractional_max_pool_grad_call,
)
from refconv.geometry.sizes import Shape


def start(i: int, o: int, k: int, j: int, u: Any) -> int:
    """Return trunc((j + u) alpha) - trunc(u alpha), in the precision of u; the last at the end."""
    if j == o - 1:
        return i - k
    number = type(u)
    alpha = number(i - k) / number(o - 1)
    return min(int((number(j) + u) * alpha) - int(u * alpha), i - k)


def window(geo: Maps, k: Shape, o: Shape, u: Array) -> Iterator[Shape]:
    """Yield the input positions of one window; u has one number per axis, two of them reversed."""
    u = u[::-1] if len(k) == 2 else u
    sides = []
    for axis, (i, size, k_, j) in enumerate(zip(geo.i, geo.o, k, o, strict=True)):
        first = start(i, size, k_, j, u[axis])
        sides.append(range(first, first + k_))
    return itertools.product(*sides)


def fractional_max_pool(
    x: Array,
    kernel_size: Ints,
    output_size: Ints | None = None,
    output_ratio: Ratios | None = None,
    return_indices: bool = False,
    random_samples: Array | None = None,
) -> Any:
    """y[o] = the largest x of window o, at random fractions; see `refconv.fractional_max_pool`."""
    geo, k, x, u = fractional_max_pool_call(
        x, kernel_size, output_size, output_ratio, return_indices, random_samples, ORDERED
    )
    y, indices = np.empty(geo.y_shape, x.dtype), np.empty(geo.y_shape, np.int64)
    for n, c in np.ndindex(geo.n, geo.c):
        for o in np.ndindex(geo.o):
            winner = largest(x[n, c], window(geo, k, o, u[n, c]))
            y[(n, c, *o)] = x[(n, c, *winner)]
            indices[(n, c, *o)] = np.ravel_multi_index(winner, geo.i)
    return with_indices(geo, y, indices, return_indices)


def fractional_max_pool_grad(
    input_shape: Sequence[int],
    indices: Array,
    grad_output: Array,
    kernel_size: Ints,
    output_size: Ints | None = None,
    output_ratio: Ratios | None = None,
) -> Array:
    """gx[i] = sum of gy over the windows that i won; see `refconv.fractional_max_pool_grad`."""
    geo, indices, gy = fractional_max_pool_grad_call(
        input_shape, indices, grad_output, kernel_size, output_size, output_ratio, NUMBERS
    )
    return as_x(geo, scatter(indices, gy, geo.i))
