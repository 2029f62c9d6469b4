"""The gradient of a filter, from the chain rule to a convolution: (10) to (14) of [J]."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from refconv.textbook.arguments import (
    Array,
    as_array,
    as_image_and_filter,
    as_sizes,
    expect_fit,
    expect_place,
    expect_shape,
    sum_dtype,
)
from refconv.textbook.correlation import convolution, cross_correlation, rot180
from refconv.textbook.difference import STEP, difference_quotient


def dE_dw_by_chain(delta: ArrayLike, dx: ArrayLike) -> Any:
    """dE/dw[m', n'] = sum_ij delta[i, j] dx[i, j]/dw[m', n'], given those derivatives as dx.

    One weight takes part in every x[i, j], and so in E through all of them.  The same sum with
    dx[i, j]/db = 1 for dx is `dE_db`.
    delta and dx (H - k1 + 1, W - k2 + 1) -> a number of their dtype.
    Letters: delta dx -> dE/dw | gy - -> gw | grad_output - -> grad_weight.
    Source: [J] (10).

    >>> int(dE_dw_by_chain([[1, 2]], [[2, 3]]))
    8
    """
    delta, dx = as_array("delta", delta, "i j"), as_array("dx", dx, "i j")
    expect_shape("dx", dx, delta.shape)
    return np.sum(delta * dx, dtype=sum_dtype(delta=delta, dx=dx))


def dx_dw_by_difference(o: ArrayLike, w: ArrayLike, m: int, n: int, h: float = STEP) -> Array:
    """d/dw[m, n] of (sum_mn w[m, n] o[i + m, j + n] + b), for all (i, j), by its definition.

    The sum is linear in w[m, n], so the difference quotient is the derivative, for any step h up
    to rounding; b cancels.
    o (H, W), w (k1, k2), 0 <= m < k1, 0 <= n < k2 -> (H - k1 + 1, W - k2 + 1), float64.
    Letters: o w -> dx/dw | x w -> - | input weight -> -.
    Source: [J] (11).

    >>> dx_dw_by_difference([[1, 2, 3]], [[1, 10]], 0, 1).tolist()
    [[2.0, 3.0]]
    """
    o, w = as_image_and_filter("o", o, "w", w)
    expect_place("(m, n)", (m, n), w.shape)
    return difference_quotient(lambda w: cross_correlation(o, w), w, (m, n), h)


def dx_dw(o: ArrayLike, w_shape: tuple[int, int], m: int, n: int) -> Array:
    """dx[i, j] / dw[m, n] = o[i + m, j + n], for all (i, j).

    Of the sum (7) only the term with w[m, n] depends on it.
    o (H, W), w_shape (k1, k2), 0 <= m < k1, 0 <= n < k2 -> (H - k1 + 1, W - k2 + 1).
    Letters: o -> dx/dw | x -> - | input -> -.
    Source: [J] (12).

    >>> dx_dw([[1, 2, 3]], (1, 2), 0, 1).tolist()
    [[2, 3]]
    """
    o, (k1, k2) = as_array("o", o, "H W"), as_sizes("w_shape", w_shape)
    expect_fit("o", o.shape, "w_shape", (k1, k2))
    expect_place("(m, n)", (m, n), (k1, k2))
    rows, columns = o.shape[0] - k1 + 1, o.shape[1] - k2 + 1
    return o[m : m + rows, n : n + columns].copy()


def dE_dw(delta: ArrayLike, o: ArrayLike) -> Array:
    """dE/dw[m, n] = sum_ij delta[i, j] o[i + m, j + n] = (o (x) delta)[m, n].

    This is (12) in (10), for every weight.
    delta (H - k1 + 1, W - k2 + 1), o (H, W) -> (k1, k2).
    Letters: delta o -> dE/dw | gy x -> gw | grad_output input -> grad_weight.
    Source: [J] (13).

    >>> dE_dw([[1, 2]], [[1, 2, 3], [4, 5, 6]]).tolist()
    [[5, 8], [14, 17]]
    """
    o, delta = as_image_and_filter("o", o, "delta", delta)
    (H, W), (rows, columns) = o.shape, delta.shape
    gradient = np.zeros((H - rows + 1, W - columns + 1), sum_dtype(delta=delta, o=o))
    for m, n in np.ndindex(gradient.shape):
        gradient[m, n] = np.sum(delta * o[m : m + rows, n : n + columns])
    return gradient


def dE_dw_by_convolution(delta: ArrayLike, o: ArrayLike) -> Array:
    """dE/dw = rot180(delta) * o, the flip undoing the one that * makes.

    Two flips are none: it is delta that is rotated, and the * must be (2).  With a * that does
    not flip, as in (4), the gradient is wrong: erratum E4.  Rotating o instead gives the gradient
    rotated.  Its [0, 0] is the first place where o has all the pixels, as for `convolution`.
    Arguments and result as `dE_dw`.
    Letters: delta o -> dE/dw | gy x -> gw | grad_output input -> grad_weight.
    Source: [J] (14).

    >>> dE_dw_by_convolution([[1, 2]], [[1, 2, 3], [4, 5, 6]]).tolist()
    [[5, 8], [14, 17]]
    """
    o, delta = as_image_and_filter("o", o, "delta", delta)
    return convolution(o, rot180(delta))


def dE_db(delta: ArrayLike) -> Any:
    """dE/db = sum_ij delta[i, j], for b enters every x[i, j] with factor 1.

    delta (i, j) -> a number of its dtype.
    Letters: delta -> dE/db | gy -> gb | grad_output -> grad_bias.
    Source: [J] (10) with b for w.

    >>> int(dE_db([[1, 2], [3, 4]]))
    10
    """
    delta = as_array("delta", delta, "i j")
    return delta.sum(dtype=sum_dtype(delta=delta))
