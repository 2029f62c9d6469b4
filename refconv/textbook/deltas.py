"""The error that a layer sends back, from its definition to a convolution: (15) to (22) of [J].

delta^l = dE/dx^l.  Here x^l -- f --> o^l -- w^{l+1} (x) --> x^{l+1}: between the two x lie one
activation and one filter, and delta^{l+1} is given.  In code delta is delta^{l+1}, w is w^{l+1} and
x is x^l; (i', j') is a pixel of x^l, (i, j) or (i' - m, j' - n) an output that it touches.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from refconv.textbook.arguments import (
    Array,
    as_array,
    as_image_and_filter,
    as_number,
    as_numbers,
    as_sizes,
    expect_addable,
    expect_place,
    expect_shape,
    sum_dtype,
)
from refconv.textbook.correlation import cross_correlation, full_convolution, rot180
from refconv.textbook.difference import STEP, difference_quotient
from refconv.textbook.layer import relu, relu_prime


def delta_by_difference(E: Callable[[Array], float], x: ArrayLike, h: float = STEP) -> Array:
    """delta[i, j] = dE/dx[i, j] = lim (E(x + h at (i, j)) - E(x - h at (i, j))) / 2h.

    The definition, for any error E that is a function of the map x: no rule is used.
    x (H, W), E(x) a number -> (H, W), float64.
    Letters: x -> delta | y -> gy | output -> grad_output.
    Source: [J] (15).

    >>> delta_by_difference(lambda x: (x**2).sum() / 2, [[3, -1]]).tolist()
    [[3.0, -1.0]]
    """
    if not callable(E):
        raise TypeError(f"E must be a function of the map x, got {type(E).__name__}")
    x = as_array("x", x, "H W")
    delta = np.zeros(x.shape)
    for i, j in np.ndindex(x.shape):
        delta[i, j] = difference_quotient(lambda x: as_number("E(x)", E(x)), x, (i, j), h)
    return delta


def output_delta(t: ArrayLike, x: ArrayLike) -> Array:
    """The last layer's delta = dE/dx = (y - t) f'(x), with y = f(x) and E of (9).

    t and x of the same shape -> that shape.
    Letters: t x -> delta | - x -> gx | - input -> grad_input.
    Source: [J] (9) in (15).

    >>> output_delta([[1, 1]], [[3, -3]]).tolist()
    [[2, 0]]
    """
    t, x = as_numbers("t", t), as_numbers("x", x)
    expect_shape("t", t, x.shape)
    y = relu(x)
    expect_addable(y, t, "t", "x")
    return np.asarray((y - t) * relu_prime(x))


def region_Q(
    i: int, j: int, w_shape: tuple[int, int], delta_shape: tuple[int, int]
) -> tuple[slice, slice]:
    """The outputs that input pixel (i, j) touches: (i - k1 + 1, j - k2 + 1) to (i, j), inclusive.

    Cut to the output at the border.  The input has shape delta_shape + w_shape - 1.
    Letters: w_shape -> Q | k -> - | kernel_size -> -.
    Source: the Q of [J] (16).

    >>> region_Q(3, 1, (2, 3), (4, 4))
    (slice(2, 4, None), slice(0, 2, None))
    """
    (k1, k2), (rows, columns) = as_sizes("w_shape", w_shape), as_sizes("delta_shape", delta_shape)
    expect_place("(i, j)", (i, j), (rows + k1 - 1, columns + k2 - 1))
    return (
        slice(max(0, i - k1 + 1), min(i + 1, rows)),
        slice(max(0, j - k2 + 1), min(j + 1, columns)),
    )


def delta_over_Q(delta: ArrayLike, w: ArrayLike, x: ArrayLike) -> Array:
    """delta^l[i', j'] = sum over (i, j) in Q of delta^{l+1}[i, j] dx^{l+1}[i, j] / dx^l[i', j'].

    delta = delta^{l+1} (H - k1 + 1, W - k2 + 1), w = w^{l+1} (k1, k2), x = x^l (H, W) -> (H, W).
    Letters: delta w x -> delta^l | gy w x -> gx | grad_output weight input -> grad_input.
    Source: [J] (16).

    >>> delta_over_Q([[1, 2]], [[1, 10]], [[4, 4, -4]]).tolist()
    [[1, 12, 0]]
    """
    delta, w, x = backward_arguments(delta, w, x)
    previous = np.zeros(x.shape, sum_dtype(delta=delta, w=w))
    for i_, j_ in np.ndindex(x.shape):
        local = dx_dx(w, x, i_, j_)
        Q = region_Q(i_, j_, w.shape, delta.shape)
        for i, j in itertools.product(*(range(side.start, side.stop) for side in Q)):
            previous[i_, j_] += delta[i, j] * local[i, j]
    return previous


def delta_over_mn(delta: ArrayLike, w: ArrayLike, x: ArrayLike) -> Array:
    """delta^l[i', j'] = sum_mn delta^{l+1}[i'-m, j'-n] dx^{l+1}[i'-m, j'-n] / dx^l[i', j'].

    The same sum, Q walked by the offsets 0 <= m < k1, 0 <= n < k2; beyond the border there is no
    output, and so no term.
    Shapes as `delta_over_Q`.
    Letters: delta w x -> delta^l | gy w x -> gx | grad_output weight input -> grad_input.
    Source: [J] (17).

    >>> delta_over_mn([[1, 2]], [[1, 10]], [[4, 4, -4]]).tolist()
    [[1, 12, 0]]
    """
    delta, w, x = backward_arguments(delta, w, x)
    (rows, columns), (k1, k2) = delta.shape, w.shape
    previous = np.zeros(x.shape, sum_dtype(delta=delta, w=w))
    for i_, j_ in np.ndindex(x.shape):
        local = dx_dx(w, x, i_, j_)
        for i, j in ((i_ - m, j_ - n) for m, n in np.ndindex(k1, k2)):
            if 0 <= i < rows and 0 <= j < columns:
                previous[i_, j_] += delta[i, j] * local[i, j]
    return previous


def dx_dx_by_difference(w: ArrayLike, x: ArrayLike, i: int, j: int, h: float = STEP) -> Array:
    """d/dx^l[i, j] of (sum_mn w[m, n] f(x^l[. + m, . + n]) + b), for all outputs, by definition.

    The sum is linear on either side of the kink of f, so the difference quotient is the derivative
    up to rounding wherever |x^l[i, j]| >= h; at 0 it is half of it.  b cancels.
    w = w^{l+1} (k1, k2), x = x^l (H, W), a pixel (i, j) of it -> (H - k1 + 1, W - k2 + 1), float64.
    Letters: w x -> dx^{l+1}/dx^l | w x -> - | weight input -> -.
    Source: [J] (18).

    >>> dx_dx_by_difference([[1, 10]], [[4, 4, -4]], 0, 1).tolist()
    [[10.0, 1.0]]
    """
    x, w = as_image_and_filter("x", x, "w", w)
    expect_place("(i, j)", (i, j), x.shape)
    return difference_quotient(lambda x: cross_correlation(relu(x), w), x, (i, j), h)


def dx_dx(w: ArrayLike, x: ArrayLike, i: int, j: int) -> Array:
    """dx^{l+1}[i - m, j - n] / dx^l[i, j] = w[m, n] f'(x^l[i, j]), for all outputs: 0 outside Q.

    The twin of `dx_dw`: of the sum in (18) only the term with o^l[i, j] depends on x^l[i, j], and
    the output (i - m, j - n) reads that pixel through w[m, n].
    w = w^{l+1} (k1, k2), x = x^l (H, W), a pixel (i, j) of it -> (H - k1 + 1, W - k2 + 1).
    Letters: w x -> dx^{l+1}/dx^l | w x -> - | weight input -> -.
    Source: [J] (19).

    >>> dx_dx([[1, 10]], [[4, 4, -4]], 0, 1).tolist()
    [[10, 1]]
    """
    x, w = as_image_and_filter("x", x, "w", w)
    (H, W), (k1, k2) = x.shape, w.shape
    local = np.zeros((H - k1 + 1, W - k2 + 1), w.dtype)
    expect_place("(i, j)", (i, j), x.shape)
    for m, n in np.ndindex(k1, k2):
        if 0 <= i - m < local.shape[0] and 0 <= j - n < local.shape[1]:
            local[i - m, j - n] = w[m, n] * relu_prime(x[i, j])
    return local


def delta_by_taps(delta: ArrayLike, w: ArrayLike, x: ArrayLike) -> Array:
    """delta^l[i', j'] = sum_mn delta^{l+1}[i' - m, j' - n] w^{l+1}[m, n] f'(x^l[i', j']).

    This is (19) in (17): the convolution delta^{l+1} * w^{l+1}, with delta^{l+1} zero outside.
    Shapes as `delta_over_Q`.
    Letters: delta w x -> delta^l | gy w x -> gx | grad_output weight input -> grad_input.
    Source: [J] (20).

    >>> delta_by_taps([[1, 2]], [[1, 10]], [[4, 4, -4]]).tolist()
    [[1, 12, 0]]
    """
    delta, w, x = backward_arguments(delta, w, x)
    return full_convolution(delta, w) * relu_prime(x)


def delta_by_flipped_taps(delta: ArrayLike, w: ArrayLike, x: ArrayLike) -> Array:
    """delta^l[i', j'] = sum_mn delta^{l+1}[i'-k1+1+m, j'-k2+1+n] rot180(w^{l+1})[m, n] f'(x^l).

    (20) with m and n counted from the other end, which turns the minus signs into plus: a
    cross-correlation with the flipped filter.  In the text the flip is around the whole sum, and
    w stays as it is: erratum E5.
    Shapes as `delta_over_Q`.
    Letters: delta w x -> delta^l | gy w x -> gx | grad_output weight input -> grad_input.
    Source: [J] (21).

    >>> delta_by_flipped_taps([[1, 2]], [[1, 10]], [[4, 4, -4]]).tolist()
    [[1, 12, 0]]
    """
    delta, w, x = backward_arguments(delta, w, x)
    (H, W), around, flipped = x.shape, zeros_around(delta, w), rot180(w)
    previous = np.zeros(x.shape, sum_dtype(delta=delta, w=w))
    for m, n in np.ndindex(w.shape):
        previous += around[m : m + H, n : n + W] * flipped[m, n]
    return previous * relu_prime(x)


def delta_by_rot180(delta: ArrayLike, w: ArrayLike, x: ArrayLike) -> Array:
    """delta^l = (delta^{l+1} (x) rot180(w^{l+1})) f'(x^l), delta^{l+1} zero outside.

    The text writes * where this has (x).  A * flips by itself, so that would be two flips, and
    two are none: erratum E6.
    Shapes as `delta_over_Q`.
    Letters: delta w x -> delta^l | gy w x -> gx | grad_output weight input -> grad_input.
    Source: [J] (22).

    >>> delta_by_rot180([[1, 2]], [[1, 10]], [[4, 4, -4]]).tolist()
    [[1, 12, 0]]
    """
    delta, w, x = backward_arguments(delta, w, x)
    return cross_correlation(zeros_around(delta, w), rot180(w)) * relu_prime(x)


def zeros_around(delta: Array, w: Array) -> Array:
    """(i, j) -> (i + 2 (k1 - 1), j + 2 (k2 - 1)): w lies inside wherever it touches delta."""
    k1, k2 = w.shape
    return np.pad(delta, ((k1 - 1, k1 - 1), (k2 - 1, k2 - 1)))


def backward_arguments(delta: ArrayLike, w: ArrayLike, x: ArrayLike) -> tuple[Array, Array, Array]:
    """Check x (H, W), w (k1, k2) that fits inside it, and delta of the shape they give."""
    x, w = as_image_and_filter("x", x, "w", w)
    delta = as_array("delta", delta, "i j")
    expect_shape("delta", delta, (x.shape[0] - w.shape[0] + 1, x.shape[1] - w.shape[1] + 1))
    return delta, w, x
