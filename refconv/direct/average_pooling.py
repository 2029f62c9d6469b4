"""Average pooling and its gradient by definition: visit every window, then its every element."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from refconv import geometry
from refconv.direct.max_pooling import NUMBERS, window
from refconv.geometry import Array, Ints, Pool
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
    x = geometry.array("x", x, NUMBERS)
    geometry.flag("count_include_pad", count_include_pad)
    geo, unbatched = geometry.pool(x.shape, kernel_size, stride, padding, 1, ceil_mode)
    override = geometry.divisor(geo, count_include_pad, divisor_override, x.dtype)

    acc = geometry.summing(x.dtype)
    xs = x.reshape(geo.x_shape).astype(acc)
    y = np.zeros(geo.y_shape, acc)
    for n, c in np.ndindex(geo.n, geo.c):
        for o in np.ndindex(geo.o):
            for i in window(geo, o):
                y[(n, c, *o)] += xs[(n, c, *i)]
            count = divisor(geo, o, count_include_pad, override)
            y[(n, c, *o)] = 0 + divide(y[(n, c, *o)], count)  # a zero is +0, as in torch
    return y.reshape(geo.y_shape[unbatched:]).astype(x.dtype)


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
    grad_output = geometry.array("grad_output", grad_output, NUMBERS)
    geometry.flag("count_include_pad", count_include_pad)
    geo, unbatched = geometry.pool(
        input_shape, kernel_size, stride, padding, 1, ceil_mode, "input_shape"
    )
    override = geometry.divisor(geo, count_include_pad, divisor_override, grad_output.dtype)
    geometry.matches("grad_output", grad_output, geo.y_shape[unbatched:])

    acc = geometry.summing(grad_output.dtype)
    gy = grad_output.reshape(geo.y_shape).astype(acc)
    gx = np.zeros(geo.x_shape, acc)
    for n, c in np.ndindex(geo.n, geo.c):
        for o in np.ndindex(geo.o):
            count = divisor(geo, o, count_include_pad, override)
            share = divide(gy[(n, c, *o)], count)
            for i in window(geo, o):
                gx[(n, c, *i)] += share
    return gx.reshape(geo.x_shape[unbatched:]).astype(grad_output.dtype)
