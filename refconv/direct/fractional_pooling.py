"""Fractional max pooling and its gradient by definition: place every window, visit its elements."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from refconv import geometry
from refconv.direct.max_pooling import NUMBERS, ORDERED, largest, scatter
from refconv.geometry import Array, Ints, Maps, Ratios
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
    x = geometry.array("x", x, ORDERED)
    geometry.flag("return_indices", return_indices)
    geo, k, unbatched = geometry.fractional(x.shape, kernel_size, output_size, output_ratio)
    u = geometry.samples(random_samples, geo, k, x.dtype)

    xs = x.reshape(geo.x_shape)
    y = np.empty(geo.y_shape, x.dtype)
    indices = np.empty(geo.y_shape, np.int64)
    for n, c in np.ndindex(geo.n, geo.c):
        for o in np.ndindex(geo.o):
            winner = largest(xs[n, c], window(geo, k, o, u[n, c]))
            y[(n, c, *o)] = xs[(n, c, *winner)]
            indices[(n, c, *o)] = np.ravel_multi_index(winner, geo.i)
    y, indices = (y[0], indices[0]) if unbatched else (y, indices)
    return (y, indices) if return_indices else y


def fractional_max_pool_grad(
    input_shape: Sequence[int],
    indices: Array,
    grad_output: Array,
    kernel_size: Ints,
    output_size: Ints | None = None,
    output_ratio: Ratios | None = None,
) -> Array:
    """gx[i] = sum of gy over the windows that i won; see `refconv.fractional_max_pool_grad`."""
    grad_output = geometry.array("grad_output", grad_output, NUMBERS)
    geo, _, unbatched = geometry.fractional(
        input_shape, kernel_size, output_size, output_ratio, "input_shape"
    )
    geometry.matches("grad_output", grad_output, geo.y_shape[unbatched:])
    at = geometry.indices("indices", indices, grad_output.shape, geo.i).reshape(geo.y_shape)
    gx = scatter(at, grad_output.reshape(geo.y_shape), geo.i)
    return gx.reshape(geo.x_shape[unbatched:])
