"""Pooling and its gradients in exact arithmetic."""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from refconv import checks, direct
from refconv.checks import Array, Ints, Pool
from refconv.direct.pooling import divisor, window
from refconv.exact.sums import Exact, exactly, scaled, total


@lru_cache(maxsize=64)
def taps(f: Pool) -> tuple[Array, Array]:
    """Return the flat positions in x and y of every tap of every window, kept for the next use."""
    found = [(i, o) for o in np.ndindex(f.o) for i in window(f, o)]
    x, y = (np.array(at, np.int64).reshape(len(found), -1) for at in zip(*found, strict=True))
    maps = np.arange(f.n * f.c).reshape(-1, 1)  # every map of every image has the same windows
    at_x = maps * math.prod(f.i) + np.ravel_multi_index(tuple(x.T), f.i)
    at_y = maps * math.prod(f.o) + np.ravel_multi_index(tuple(y.T), f.o)
    return at_x.ravel(), at_y.ravel()


# --------------------------------------------------------------------------- maximum


def max_pool(
    x: Array,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """y[o] = the largest x of window o: a choice, which rounds nothing."""
    scaled("x", x)  # raises unless x is finite
    checks.flag("return_indices", return_indices)
    y, indices = direct.max_pool(x, kernel_size, stride, padding, dilation, ceil_mode, True)
    return (exactly("x", y), indices) if return_indices else exactly("x", y)


def max_pool_grad(
    input_shape: Sequence[int],
    indices: Array,
    grad_output: Array,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
) -> Exact:
    """gx[i] = sum of gy over the windows that i won, exactly."""
    f, unbatched = checks.pool(
        input_shape, kernel_size, stride, padding, dilation, ceil_mode, "input_shape"
    )
    checks.array("grad_output", grad_output, checks.ORDERED)
    checks.matches("grad_output", grad_output, f.y_shape[unbatched:])
    return max_pool_scatter(f.x_shape[unbatched:], indices, grad_output, len(f.i))


def max_pool_select(x: Array, indices: Array, rank: int) -> Exact:
    """y[n, c, o] = x[n, c, indices[n, c, o]]: a choice, which rounds nothing."""
    return exactly("x", direct.max_pool_select(x, indices, rank))


def max_pool_scatter(
    input_shape: Sequence[int], indices: Array, grad_output: Array, rank: int
) -> Exact:
    """gx[n, c, indices[n, c, o]] += gy[n, c, o], exactly."""
    gy, e = scaled("grad_output", grad_output)
    shape = checks.integers("input_shape", input_shape)
    rank = checks.integer("rank", rank)
    at = checks.selection(shape, indices, rank)
    checks.matches("grad_output", grad_output, at.shape)
    planes, size = math.prod(shape[:-rank]), math.prod(shape[-rank:])
    each = np.arange(planes).reshape(*shape[:-rank], *(1,) * rank) * size
    return total(gy.ravel(), e, (at + each).ravel(), shape)


# --------------------------------------------------------------------------- average


def divisors(f: Pool, count_include_pad: bool, divisor_override: int | None) -> Array:
    """Return what the sum of each window is divided by, as Python integers, (*o)."""
    override = checks.divisor_override(divisor_override, np.dtype(object))
    counts = [divisor(f, o, count_include_pad, override) for o in np.ndindex(f.o)]
    return np.array(counts, object).reshape(f.o)


def avg_pool(
    x: Array,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Exact:
    """y[o] = (sum of x over window o) / divisor, exactly.

    >>> y = avg_pool(np.array([[[1.0, 2.0, 4.0]]]), (2,), ceil_mode=True)
    >>> y.value
    array([[[Fraction(3, 2), Fraction(4, 1)]]], dtype=object)
    """
    ints, e = scaled("x", x)
    checks.flag("count_include_pad", count_include_pad)
    f, unbatched = checks.pool(x.shape, kernel_size, stride, padding, 1, ceil_mode)
    at_x, at_y = taps(f)
    sums = total(ints.ravel()[at_x], e, at_y, f.y_shape)
    y = sums.divided_by(divisors(f, count_include_pad, divisor_override))
    return y[0] if unbatched else y


def avg_pool_grad(
    input_shape: Sequence[int],
    grad_output: Array,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Exact:
    """gx[i] = sum of gy / divisor over the windows that hold i, exactly.

    The shares gy / divisor are brought to one denominator, the least odd one that serves them all:
    where it is 1, no division rounds.
    """
    gy, e = scaled("grad_output", grad_output)
    checks.flag("count_include_pad", count_include_pad)
    f, unbatched = checks.pool(
        input_shape, kernel_size, stride, padding, 1, ceil_mode, "input_shape"
    )
    checks.matches("grad_output", grad_output, f.y_shape[unbatched:])
    count = divisors(f, count_include_pad, divisor_override)
    common = math.lcm(*count.ravel())
    shares = gy.reshape(f.y_shape) * (common // count)
    factor = math.gcd(common, *shares.ravel())
    rest = common // factor
    halvings = (rest & -rest).bit_length() - 1  # a division by 2 rounds nothing
    at_x, at_y = taps(f)
    gx = total((shares // factor).ravel()[at_y], e - halvings, at_x, f.x_shape)
    gx = gx.divided_by(np.array(rest >> halvings, object))
    return gx[0] if unbatched else gx
