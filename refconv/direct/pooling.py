"""Pooling and its gradients by definition: visit every window, then every tap of the window."""

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from refconv import checks
from refconv.checks import Array, Ints, Pool
from refconv.shapes import Shape

NUMBERS = checks.NUMBERS + "O"  # object arrays (fractions, big integers) run here too
ORDERED = checks.ORDERED + "O"


def window(f: Pool, o: Shape) -> Iterator[Shape]:
    """Yield the input positions o s + k d - p of one window, in order of k, that lie inside x."""
    for k in np.ndindex(f.k):
        i = tuple(
            o_ * s + k_ * d - before
            for o_, s, k_, d, before in zip(o, f.s, k, f.d, f.p, strict=True)
        )
        if all(0 <= i_ < size for i_, size in zip(i, f.i, strict=True)):
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
    x = checks.array("x", x, ORDERED)
    checks.flag("return_indices", return_indices)
    f, unbatched = checks.pool(x.shape, kernel_size, stride, padding, dilation, ceil_mode)
    if return_indices:
        checks.every_window_has_an_index(f)

    xs = x.reshape(f.x_shape)
    y = np.empty(f.y_shape, x.dtype)
    indices = np.empty(f.y_shape, np.int64)
    for n, c in np.ndindex(f.n, f.c):
        for o in np.ndindex(f.o):
            if next(window(f, o), None) is None:
                y[(n, c, *o)] = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
                continue
            winner = largest(xs[n, c], window(f, o))
            y[(n, c, *o)] = xs[(n, c, *winner)]
            indices[(n, c, *o)] = np.ravel_multi_index(winner, f.i)
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
    grad_output = checks.array("grad_output", grad_output, NUMBERS)
    f, unbatched = checks.pool(
        input_shape, kernel_size, stride, padding, dilation, ceil_mode, "input_shape"
    )
    checks.matches("grad_output", grad_output, f.y_shape[unbatched:])
    at = checks.indices("indices", indices, grad_output.shape, f.i, least=-1).reshape(f.y_shape)
    gx = scatter(at, grad_output.reshape(f.y_shape), f.i)
    return gx.reshape(f.x_shape[unbatched:])


@np.errstate(all="ignore")
def scatter(indices: Array, values: Array, i: Shape) -> Array:
    """Return maps of shape i, zero but for the values (..., *o) added at flat positions.

    A position of -1 is none.
    """
    lead = indices.shape[: -len(i)]
    acc = checks.accumulator(values.dtype)
    maps = np.zeros((*lead, math.prod(i)), acc)
    v = values.astype(acc)
    for o in np.ndindex(indices.shape):
        if indices[o] >= 0:
            maps[(*o[: len(lead)], indices[o])] += v[o]
    return maps.reshape(*lead, *i).astype(values.dtype)


def max_pool_select(x: Array, indices: Array, rank: int) -> Array:
    """y[n, c, o] = x[n, c, indices[n, c, o]]; see `refconv.max_pool_select`."""
    x = checks.array("x", x, NUMBERS)
    rank = checks.integer("rank", rank)
    at = checks.selection(x.shape, indices, rank)
    y = np.empty(at.shape, x.dtype)
    for o in np.ndindex(at.shape):
        lead = o[:-rank]
        y[o] = x[lead].reshape(-1)[at[o]] if at[o] >= 0 else 0
    return y


def max_pool_scatter(
    input_shape: Sequence[int], indices: Array, grad_output: Array, rank: int
) -> Array:
    """gx[n, c, indices[n, c, o]] += gy[n, c, o]; see `refconv.max_pool_scatter`."""
    grad_output = checks.array("grad_output", grad_output, NUMBERS)
    shape = checks.integers("input_shape", input_shape)
    rank = checks.integer("rank", rank)
    at = checks.selection(shape, indices, rank)
    checks.matches("grad_output", grad_output, at.shape)
    return scatter(at, grad_output, shape[-rank:])


# --------------------------------------------------------------------------- average


def divisor(f: Pool, o: Shape, count_include_pad: bool, divisor_override: int | None) -> int:
    """Return what the sum of window o is divided by.

    The override if there is one; else the number of its taps inside the input, or, counting the
    padding, inside the input and its padding (a ceil-mode window may reach beyond both).
    """
    if divisor_override is not None:
        return divisor_override
    count = 1
    for o_, i, k, s, p in zip(o, f.i, f.k, f.s, f.p, strict=True):
        first, end = (-p, i + p) if count_include_pad else (0, i)
        count *= sum(first <= o_ * s - p + k_ < end for k_ in range(k))
    return count


def divide(total: Any, count: int) -> Any:
    """Return total / count: correctly rounded for floats, truncated toward zero for integers.

    The lowest integer divided by -1 wraps to itself. Python's own integers, in object arrays, give
    a fraction.
    """
    if isinstance(total, np.integer):
        quotient = abs(int(total)) // abs(count)
        signed = -quotient if (total < 0) != (count < 0) else quotient
        return total if signed > np.iinfo(total.dtype).max else signed
    if isinstance(total, int):
        return Fraction(total, count)
    if isinstance(total, np.complexfloating):
        parts = np.array([total.real / count, total.imag / count])
        return parts.view(total.dtype)[0]
    return total / count


@np.errstate(all="ignore")
def avg_pool(
    x: Array,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Array:
    """y[o] = (sum of x over window o) / divisor; see `refconv.avg_pool`."""
    x = checks.array("x", x, NUMBERS)
    checks.flag("count_include_pad", count_include_pad)
    f, unbatched = checks.pool(x.shape, kernel_size, stride, padding, 1, ceil_mode)
    override = checks.divisor(f, count_include_pad, divisor_override, x.dtype)

    acc = checks.summing(x.dtype)
    xs = x.reshape(f.x_shape).astype(acc)
    y = np.zeros(f.y_shape, acc)
    for n, c in np.ndindex(f.n, f.c):
        for o in np.ndindex(f.o):
            for i in window(f, o):
                y[(n, c, *o)] += xs[(n, c, *i)]
            count = divisor(f, o, count_include_pad, override)
            y[(n, c, *o)] = 0 + divide(y[(n, c, *o)], count)  # a zero is +0, as in torch
    return y.reshape(f.y_shape[unbatched:]).astype(x.dtype)


@np.errstate(all="ignore")
def avg_pool_grad(
    input_shape: Sequence[int],
    grad_output: Array,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Array:
    """gx[i] = sum of gy / divisor over the windows that hold i; see `refconv.avg_pool_grad`."""
    grad_output = checks.array("grad_output", grad_output, NUMBERS)
    checks.flag("count_include_pad", count_include_pad)
    f, unbatched = checks.pool(
        input_shape, kernel_size, stride, padding, 1, ceil_mode, "input_shape"
    )
    override = checks.divisor(f, count_include_pad, divisor_override, grad_output.dtype)
    checks.matches("grad_output", grad_output, f.y_shape[unbatched:])

    acc = checks.summing(grad_output.dtype)
    gy = grad_output.reshape(f.y_shape).astype(acc)
    gx = np.zeros(f.x_shape, acc)
    for n, c in np.ndindex(f.n, f.c):
        for o in np.ndindex(f.o):
            count = divisor(f, o, count_include_pad, override)
            share = divide(gy[(n, c, *o)], count)
            for i in window(f, o):
                gx[(n, c, *i)] += share
    return gx.reshape(f.x_shape[unbatched:]).astype(grad_output.dtype)
