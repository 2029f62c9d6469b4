"""Average pooling and its gradient by definition: visit every window, then its every element."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from refconv.direct.max_pooling import NUMBERS, window
from refconv.geometry import Array, Ints, Pool, as_x, as_y
from refconv.geometry.average_pooling import avg_pool_call, avg_pool_grad_call
from refconv.geometry.sizes import Shape


def divisor(geo: Pool, o: Shape, count_include_pad: bool, divisor_override: int | None) -> int:
    """Return what the sum of window o is divided by.

    The override if there is one; else the number of its taps inside the input, or, counting the
    padding, inside the input and its padding (a ceil-mode window may reach beyond both).
    """
    if divisor_override is not None:
        return divisor_override
    count = 1
    for o_, i, k, s, p in zip(o, geo.i, geo.k, geo.s, geo.p, strict=True):
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
    geo, x, override = avg_pool_call(
        x, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override, NUMBERS
    )
    y = np.zeros(geo.y_shape, geo.acc)
    for n, c in np.ndindex(geo.n, geo.c):
        for o in np.ndindex(geo.o):
            for i in window(geo, o):
                y[(n, c, *o)] += x[(n, c, *i)]
            count = divisor(geo, o, count_include_pad, override)
            y[(n, c, *o)] = 0 + divide(y[(n, c, *o)], count)  # a zero is +0, as in torch
    return as_y(geo, y)


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
    geo, gy, override = avg_pool_grad_call(
        input_shape, grad_output, kernel_size, stride, padding, ceil_mode, count_include_pad,
        divisor_override, NUMBERS,
    )  # fmt: skip
    gx, gy = np.zeros(geo.x_shape, geo.acc), gy.astype(geo.acc)
    for n, c in np.ndindex(geo.n, geo.c):
        for o in np.ndindex(geo.o):
            share = divide(gy[(n, c, *o)], divisor(geo, o, count_include_pad, override))
            for i in window(geo, o):
                gx[(n, c, *i)] += share
    return as_x(geo, gx)
