"""Adaptive pooling and its gradients in exact arithmetic."""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from refconv import direct, geometry
from refconv.direct.adaptive_pooling import sides, window
from refconv.exact.max_pooling import max_pool_scatter
from refconv.exact.sums import Exact, exactly, scaled, total
from refconv.geometry import Array, Maps


@lru_cache(maxsize=64)
def taps(geo: Maps) -> tuple[Array, Array]:
    """Return the flat positions in x and y of every element of every window."""
    found = [
        (np.ravel_multi_index(i, geo.i), np.ravel_multi_index(o, geo.o))
        for o in np.ndindex(geo.o)
        for i in window(geo, o)
    ]
    x, y = np.array(found, np.int64).reshape(-1, 2).T
    maps = np.arange(geo.planes).reshape(-1, 1)  # every map of every image has the same windows
    return (maps * math.prod(geo.i) + x).ravel(), (maps * math.prod(geo.o) + y).ravel()


def sizes(geo: Maps) -> Array:
    """Return the number of elements of every window, as Python integers, (*o)."""
    counts = [math.prod(map(len, sides(geo, o))) for o in np.ndindex(geo.o)]
    return np.array(counts, object).reshape(geo.o)


def adaptive_avg_pool(x: Array, output_size: Any) -> Exact:
    """y[o] = (sum of x over window o) / its size, exactly.

    >>> adaptive_avg_pool(np.array([[[1.0, 2.0, 4.0]]]), (2,)).value
    array([[[Fraction(3, 2), Fraction(3, 1)]]], dtype=object)
    """
    ints, e = scaled("x", x)
    geo = geometry.adaptive(x.shape, output_size)
    at_x, at_y = taps(geo)
    y = total(ints.ravel()[at_x], e, at_y, geo.y_shape).divided_by(sizes(geo))
    return y[0] if geo.unbatched else y


def adaptive_avg_pool_grad(
    input_shape: Sequence[int], grad_output: Array, output_size: Any
) -> Exact:
    """gx[i] = sum of gy / size over the windows that hold i, exactly.

    The shares gy / size are brought to one denominator, the least that serves them all, and that to
    an odd number: where it is 1, no division rounds.
    """
    gy, e = scaled("grad_output", grad_output)
    geo = geometry.adaptive(input_shape, output_size, x_name="input_shape")
    geometry.matches("grad_output", grad_output, geo.y_shape[geo.unbatched :])
    size = sizes(geo)
    common = math.lcm(*size.ravel())
    shares = gy.reshape(geo.y_shape) * (common // size)
    factor = math.gcd(common, *shares.ravel())
    rest = common // factor
    halvings = (rest & -rest).bit_length() - 1  # a division by 2 rounds nothing
    at_x, at_y = taps(geo)
    gx = total((shares // factor).ravel()[at_y], e - halvings, at_x, geo.x_shape)
    gx = gx.divided_by(np.array(rest >> halvings, object))
    return gx[0] if geo.unbatched else gx


def adaptive_max_pool(x: Array, output_size: Any, return_indices: bool = False) -> Any:
    """y[o] = the largest x of window o: a choice, which rounds nothing."""
    scaled("x", x)  # raises unless x is finite
    geometry.flag("return_indices", return_indices)
    y, indices = direct.adaptive_max_pool(x, output_size, True)
    return (exactly("x", y), indices) if return_indices else exactly("x", y)


def adaptive_max_pool_grad(
    input_shape: Sequence[int], indices: Array, grad_output: Array, output_size: Any
) -> Exact:
    """gx[i] = sum of gy over the windows that i won, exactly."""
    geo = geometry.adaptive(input_shape, output_size, x_name="input_shape")
    geometry.array("grad_output", grad_output, geometry.ORDERED)
    geometry.matches("grad_output", grad_output, geo.y_shape[geo.unbatched :])
    return max_pool_scatter(geo.x_shape[geo.unbatched :], indices, grad_output, len(geo.i))
