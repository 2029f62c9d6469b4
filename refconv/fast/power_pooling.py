"""Power-average pooling: powers, a sum over each window, and a root; the chain rule behind it.

    x --(power p)--> u --(average)--> m --(times the kernel's size K)--> v --(power 1 / p)--> y

The average is `avg_pool`, linear, with `avg_pool_grad` as its adjoint; the rest acts on each
element alone. Derivatives of any order are those of these parts.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from refconv import geometry
from refconv.engine.planes import by_planes
from refconv.fast.average_pooling import avg_pool, avg_pool_grad
from refconv.fast.max_pooling import max_pool, max_pool_grad
from refconv.geometry import Array, Ints, as_x, as_y
from refconv.geometry.power_pooling import lp_pool_call, lp_pool_grad_call

COPIES = 6  # of the inputs of a few planes that there are at a time: their powers, slopes, ...


def lp_pool(
    x: Array,
    norm_type: float,
    kernel_size: Ints,
    stride: Ints | None = None,
    ceil_mode: bool = False,
    *,
    mathematical: bool = False,
) -> Array:
    """Power-average pooling over any number of spatial axes.

        y[n, c, o] = (K / count[o]  sum over k of x[n, c, o s + k]^p)^(1/p)

    with K the size of the kernel and count[o] the taps of window o inside x, which is K except at
    the end in ceil mode: there torch scales the sum up. It takes no absolute value either: for odd
    p a sum may be negative, and its root NaN. With `mathematical` it is the p-norm of the window,

        y[n, c, o] = (sum over k of |x[n, c, o s + k]|^p)^(1/p)

    p = inf gives the largest |x|, p = -inf the smallest, in both forms.

    Args:
        x: (N, C, *i), or (C, *i); of three axes, an integer `kernel_size` is refused as a guess.
        norm_type: p, any number but 0.
        kernel_size: k, one integer or one per spatial axis.
        stride: s; `kernel_size` if None.
        ceil_mode: round the output size up; the last window still starts inside x.
        mathematical: the p-norm, instead of what torch computes.

    Returns:
        (N, C, *o), new, of the dtype of x. Powers 1, 2, 3, -1 and -2 are products and quotients,
        1/2 a correctly rounded square root, the others NumPy's; each step rounds to the dtype.

    Raises:
        TypeError: an argument is not an array or an integer, or `norm_type` not a number.
        NotImplementedError: the dtype is not a real floating-point one.
        ZeroDivisionError: `norm_type` is 0.
        RuntimeError: shapes do not fit, a size is out of range.

    Source: Jefkine, "Backpropagation in Convolutional Neural Networks" (2016), L2-norm pooling.
    Counterpart of torch.nn.functional.lp_pool1d, lp_pool2d, lp_pool3d, whose roots may be off by a
    rounding; refuses integers, for which torch's type depends on p.

    >>> x = np.array([[[3.0, 4.0, -5.0]]])
    >>> lp_pool(x, 2, (2,), ceil_mode=True)[0, 0] ** 2  # the last window counts -5 twice
    array([25., 50.])
    >>> lp_pool(x, 2, (2,), ceil_mode=True, mathematical=True)
    array([[[5., 5.]]])
    """
    geo, x, p = lp_pool_call(x, norm_type, kernel_size, stride, ceil_mode, mathematical)
    planes, window = geo.n * geo.c, (geo.k, geo.s, 0)

    def pooled(x: Array) -> Array:
        x = x[None]  # (1, p, *i)
        if math.isinf(p):
            upward = math.copysign(1, p)
            return upward * max_pool(upward * abs(x), *window, 1, ceil_mode)
        if mathematical:
            v = avg_pool(power(abs(x), p), *window, ceil_mode, divisor_override=1)
        else:
            v = times(avg_pool(power(x, p), *window, ceil_mode), math.prod(geo.k))
        return power(v, 1 / p)

    y = geometry.result(geometry.namespace(x), (planes, *geo.o), geo.dtype)
    return as_y(geo, by_planes(pooled, y, x.reshape(planes, *geo.i), copies=COPIES))


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
    """Gradient of `lp_pool`, through its parts from the last to the first.

        gv = gy (1/p) v^(1/p - 1)    and 0 where v = 0
        gu = avg_pool_grad(K gv)
        gx = gu p x^(p - 1)          `mathematical`: gu p |x|^(p - 1) sign(x), with K gv undivided

    For p = inf and -inf all of gy goes to the winner, times its sign. The derivative of each part
    is again made of powers, `avg_pool` and `avg_pool_grad` (or `max_pool_select` and
    `max_pool_grad`), so all orders follow.

    Args:
        x: as in `lp_pool`.
        grad_output: gy, of the shape of y and the dtype of x.
        norm_type, kernel_size, stride, ceil_mode, mathematical: as in `lp_pool`.

    Returns:
        gx, new, of the shape and dtype of x. With p < 1 it is infinite or NaN where x is 0.

    Raises:
        TypeError, NotImplementedError, ZeroDivisionError, RuntimeError: as `lp_pool`; also if
            `grad_output` has another shape than y, or another dtype.

    Source: the chain rule. Counterpart of the gradient of torch.nn.functional.lp_pool2d, which is 0
    too where the sum of powers is.

    >>> lp_pool_grad(np.array([[[3.0, 4.0, 0.0, 0.0]]]), np.array([[[10.0, 1.0]]]), 2, (2,))
    array([[[6., 8., 0., 0.]]])
    """
    geo, x, gy, p = lp_pool_grad_call(
        x, grad_output, norm_type, kernel_size, stride, ceil_mode, mathematical
    )
    planes, window, whole = geo.n * geo.c, (geo.k, geo.s, 0), math.prod(geo.k)

    def gradient(x: Array, gy: Array) -> Array:
        x, gy = x[None], gy[None]
        if math.isinf(p):
            _, indices = max_pool(math.copysign(1, p) * abs(x), *window, 1, ceil_mode, True)
            return max_pool_grad(x.shape, indices, gy, *window, 1, ceil_mode) * sign(x)
        if mathematical:
            size = abs(x)
            v = avg_pool(power(size, p), *window, ceil_mode, divisor_override=1)
            gv = root_grad(v, gy, p)
            gu = avg_pool_grad(x.shape, gv, *window, ceil_mode, divisor_override=1)
            return gu * (times(power(size, p - 1), p) * sign(x))  # type: ignore[no-any-return]
        v = times(avg_pool(power(x, p), *window, ceil_mode), whole)
        gm = times(root_grad(v, gy, p), whole)
        gu = avg_pool_grad(x.shape, gm, *window, ceil_mode)
        return gu * times(power(x, p - 1), p)

    gx = geometry.result(geometry.namespace(x), (planes, *geo.i), geo.dtype)
    maps = x.reshape(planes, *geo.i), gy.reshape(planes, *geo.o)
    return as_x(geo, by_planes(gradient, gx, *maps, copies=COPIES))


def root_grad(v: Array, gy: Array, p: float) -> Array:
    """Return the gradient of v^(1/p): 0 where v is 0, and nothing but NaN comes from a NaN."""
    gv = gy * times(power(v, 1 / p - 1), 1 / p)
    xp = geometry.namespace(gv)
    gradient: Array = xp.where(v == 0, xp.zeros_like(gv), gv * abs(sign(v)))
    return gradient


def sign(x: Array) -> Array:
    """Return -1, 0 or 1, and 0 for a NaN."""
    signs: Array = (x > 0).astype(x.dtype) - (x < 0).astype(x.dtype)
    return signs


def times(x: Array, factor: float) -> Array:
    """Return x times a number, rounded once; float16 is multiplied in float32."""
    acc = geometry.accumulator(x.dtype)
    product: Array = (x.astype(acc, copy=False) * acc.type(factor)).astype(x.dtype, copy=False)
    return product


def power(x: Array, e: float) -> Array:
    """Return x^e, or x itself: by products where there are few, as torch does; float16 in float32.

    An exponent that the dtype has no number for, not 0 and not infinite, keeps its own.
    """
    acc = geometry.accumulator(x.dtype)
    xp, a = geometry.namespace(x), x.astype(acc, copy=False)
    by_hand: dict[float, Callable[[], Array]] = {
        0.5: lambda: xp.sqrt(a),
        -0.5: lambda: 1 / xp.sqrt(a),
        1: lambda: a,
        2: lambda: a * a,
        3: lambda: a * a * a,
        -1: lambda: 1 / a,
        -2: lambda: 1 / (a * a),
    }
    if e in by_hand and not (abs(e) == 0.5 and x.dtype == np.float16):  # where torch has no root
        return by_hand[e]().astype(x.dtype, copy=False)
    exponent: Any = x.dtype.type(e).astype(acc)
    if e == 0.5:
        exponent = xp.full(a.shape, exponent)  # NumPy would take a root for a single exponent
    elif exponent in (0, np.inf, -np.inf) and acc.itemsize < 8:
        a, exponent = a.astype(np.float64), np.float64(e)
    result: Array = xp.power(a, exponent).astype(x.dtype, copy=False)
    return result
