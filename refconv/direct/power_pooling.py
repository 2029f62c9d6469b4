"""Power-average pooling and its gradient by definition: one root for every window."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from refconv.direct.average_pooling import divide
from refconv.direct.max_pooling import largest, window
from refconv.geometry import Array, Ints, accumulator, as_x, as_y
from refconv.geometry.power_pooling import lp_pool_call, lp_pool_grad_call

FLOATS = "fO"


@np.errstate(all="ignore")
def lp_pool(
    x: Array,
    norm_type: float,
    kernel_size: Ints,
    stride: Ints | None = None,
    ceil_mode: bool = False,
    *,
    mathematical: bool = False,
) -> Array:
    """y[o] = (sum of x^p over window o)^(1/p); see `refconv.lp_pool`."""
    geo, x, p = lp_pool_call(x, norm_type, kernel_size, stride, ceil_mode, mathematical, FLOATS)
    x, y = x.reshape(geo.x_shape), np.empty(geo.y_shape, x.dtype)
    for n, c in np.ndindex(geo.n, geo.c):
        for o in np.ndindex(geo.o):
            if math.isinf(p):
                winner = largest(math.copysign(1, p) * abs(x[n, c]), window(geo, o))
                y[(n, c, *o)] = abs(x[(n, c, *winner)])
            else:
                inside = [x[(n, c, *i)] for i in window(geo, o)]
                v = sum_of_powers(inside, p, math.prod(geo.k), mathematical)
                y[(n, c, *o)] = power(v, 1 / p)
    return as_y(geo, y)


@np.errstate(all="ignore")
def lp_pool_grad(
    x: Array,
    grad_output: Array,
    norm_type: float,
    kernel_size: Ints,
    stride: Ints | None = None,
    ceil_mode: bool = False,
    *,
    mathematical: bool = False,
) -> Array:
    """gx[i] = p x[i]^(p-1) sum of gy (1/p) v^(1/p-1) over windows; see `refconv.lp_pool_grad`."""
    geo, x, gy, p = lp_pool_grad_call(
        x, grad_output, norm_type, kernel_size, stride, ceil_mode, mathematical, FLOATS
    )
    x, gy = x.reshape(geo.x_shape), gy.reshape(geo.y_shape)
    gu = np.zeros(geo.x_shape, accumulator(x.dtype))
    for n, c in np.ndindex(geo.n, geo.c):
        for o in np.ndindex(geo.o):
            if math.isinf(p):
                winner = largest(math.copysign(1, p) * abs(x[n, c]), window(geo, o))
                gu[(n, c, *winner)] += gy[(n, c, *o)]
                continue
            inside, whole = list(window(geo, o)), math.prod(geo.k)
            v = sum_of_powers([x[(n, c, *i)] for i in inside], p, whole, mathematical)
            gv = gy[(n, c, *o)] * times(power(v, 1 / p - 1), 1 / p) if v != 0 else 0 * v
            gv = gv if v == v else 0 * gv
            share = wide(gv) if mathematical else divide(wide(times(gv, whole)), len(inside))
            for i in inside:
                gu[(n, c, *i)] += share
    gx = gu.astype(x.dtype)
    for i in np.ndindex(geo.x_shape):
        v, sign = x[i], (x[i] > 0) * 1 - (x[i] < 0) * 1
        if math.isinf(p):
            gx[i] = gx[i] * type(v)(sign)
        elif mathematical:
            gx[i] = gx[i] * (times(power(abs(v), p - 1), p) * type(v)(sign))
        else:
            gx[i] = gx[i] * times(power(v, p - 1), p)
    return as_x(geo, gx)


def sum_of_powers(inside: Sequence[Any], p: float, whole: int, mathematical: bool) -> Any:
    """Return the sum of |x|^p, or what torch takes for it: the mean of x^p, times the kernel."""
    kind = type(inside[0])
    total = wide(kind(0))
    for v in inside:
        total += wide(power(abs(v) if mathematical else v, p))
    if mathematical:
        return kind(total)
    return times(kind(0 + divide(total, len(inside))), whole)


def wide(v: Any) -> Any:
    """Return float16 as float32, and anything else as it is."""
    return np.float32(v) if isinstance(v, np.float16) else v


def times(v: Any, factor: float) -> Any:
    """Return v times a number, rounded once."""
    if isinstance(v, np.floating):
        a = wide(v)
        return type(v)(a * type(a)(factor))
    return v * (int(factor) if float(factor).is_integer() else factor)


def power(v: Any, e: float) -> Any:
    """Return v^e: by products where there are few, as torch does."""
    a = wide(v)
    if e in (1, 2, 3):
        result = math.prod([a] * int(e), start=type(a)(1))
    elif e in (-1, -2):
        result = 1 / math.prod([a] * int(-e), start=type(a)(1))
    elif not isinstance(a, np.floating):
        return v ** (int(e) if float(e).is_integer() else e)
    elif abs(e) == 0.5 and not isinstance(v, np.float16):
        result = np.sqrt(a) if e > 0 else 1 / np.sqrt(a)
    else:
        exponent = type(a)(type(v)(e))
        if exponent in (0, np.inf, -np.inf) and a.itemsize < 8:  # e itself is neither
            a, exponent = np.float64(a), np.float64(e)
        result = np.power([a], [exponent])[0]  # NumPy would take a root for a single 0.5
    return type(v)(result)
