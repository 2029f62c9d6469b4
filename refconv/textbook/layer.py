"""A layer x = w (x) o + b, o = f(x), there and back: (5) to (22) of [J]."""

import itertools
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from refconv.textbook.arguments import Array, as_array, as_image_and_filter, expect_shape
from refconv.textbook.correlation import (
    convolution,
    cross_correlation,
    full_convolution,
    rot180,
)


def layer_sum(o: ArrayLike, w: ArrayLike, b: float) -> Array:
    """x[i, j] = sum_mn w[m, n] o[i + m, j + n] + b, the sum that enters f.

    o (H, W), w (k1, k2), one b for all places -> (H - k1 + 1, W - k2 + 1).  Source: [J] (5), (7).

    >>> layer_sum([[1, 2, 3]], [[1, 10]], 5).tolist()
    [[26, 37]]
    """
    o, w = as_image_and_filter("o", o, "w", w)
    return np.asarray(cross_correlation(o, w) + b)


def layer_sum_by_convolution(o: ArrayLike, w: ArrayLike, b: float) -> Array:
    """The same x as rot180(w) * o + b: one flip undoes the other, which * makes.

    Arguments and result as `layer_sum`.  Source: [J] (6).

    >>> layer_sum_by_convolution([[1, 2, 3]], [[1, 10]], 5).tolist()
    [[26, 37]]
    """
    o, w = as_image_and_filter("o", o, "w", w)
    return np.asarray(convolution(o, rot180(w)) + b)


def relu(x: ArrayLike) -> Array:
    """f(x) = max(0, x), the ReLU, on any shape; NaN stays NaN.  Source: [J] (8).

    >>> relu([-1, 0, 2]).tolist()
    [0, 0, 2]
    """
    return np.asarray(np.maximum(x, 0))


def relu_prime(x: ArrayLike) -> Array:
    """f'(x) = 1 where x > 0, else 0, as booleans; at the kink 0, as torch has it.  [J] (19).

    >>> relu_prime([-1, 0, 2]).tolist()
    [False, False, True]
    """
    return np.asarray(x) > 0


def squared_error(t: ArrayLike, y: ArrayLike) -> float:
    """E = 1/2 sum_p (t_p - y_p)^2.  t and y of the same shape.  Source: [J] (9).

    >>> squared_error([1, 2], [3, 5])
    6.5
    """
    t, y = np.asarray(t), np.asarray(y)
    expect_shape("t", t, y.shape)
    return float(np.sum((t - y) ** 2) / 2)


def dx_dw(o: ArrayLike, w_shape: tuple[int, int], m: int, n: int) -> Array:
    """dx[i, j] / dw[m, n] = o[i + m, j + n], for all (i, j).

    Of the sum (7) only the term with w[m, n] depends on it.
    o (H, W), w_shape (k1, k2), 0 <= m < k1, 0 <= n < k2 -> (H - k1 + 1, W - k2 + 1).
    Source: [J] (11), (12).

    >>> dx_dw([[1, 2, 3]], (1, 2), 0, 1).tolist()
    [[2, 3]]
    """
    o, w = as_image_and_filter("o", o, "w_shape", np.empty(w_shape))
    _expect_place("(m, n)", (m, n), w.shape)
    rows, columns = o.shape[0] - w.shape[0] + 1, o.shape[1] - w.shape[1] + 1
    return o[m : m + rows, n : n + columns].copy()


def dE_dw(delta: ArrayLike, o: ArrayLike) -> Array:
    """dE/dw[m, n] = sum_ij delta[i, j] o[i + m, j + n] = (o (x) delta)[m, n].

    w[m, n] takes part in every x[i, j], so the chain rule sums over all of them.
    delta (H - k1 + 1, W - k2 + 1), o (H, W) -> (k1, k2).  Source: [J] (10), (13).

    >>> dE_dw([[1, 2]], [[1, 2, 3], [4, 5, 6]]).tolist()
    [[5, 8], [14, 17]]
    """
    o, delta = as_image_and_filter("o", o, "delta", delta)
    k1, k2 = o.shape[0] - delta.shape[0] + 1, o.shape[1] - delta.shape[1] + 1
    gradient = np.zeros((k1, k2), np.result_type(delta, o))
    for m, n in np.ndindex(k1, k2):
        gradient[m, n] = np.sum(delta * dx_dw(o, (k1, k2), m, n))
    return gradient


def dE_dw_by_convolution(delta: ArrayLike, o: ArrayLike) -> Array:
    """dE/dw = rot180(delta) * o, the flip undoing the one that * makes.

    Arguments and result as `dE_dw`.  Source: [J] (14).

    >>> dE_dw_by_convolution([[1, 2]], [[1, 2, 3], [4, 5, 6]]).tolist()
    [[5, 8], [14, 17]]
    """
    o, delta = as_image_and_filter("o", o, "delta", delta)
    return convolution(o, rot180(delta))


def dE_db(delta: ArrayLike) -> Any:
    """dE/db = sum_ij delta[i, j], for b enters every x[i, j] with factor 1.

    delta (i, j) -> a number of its dtype.  Source: [J] (10) with b for w.

    >>> int(dE_db([[1, 2], [3, 4]]))
    10
    """
    return as_array("delta", delta, "i j").sum()


def output_delta(t: ArrayLike, x: ArrayLike) -> Array:
    """The last layer's delta = dE/dx = (y - t) f'(x), with y = f(x) and E of (9).

    t and x of the same shape -> that shape.  Source: [J] (9), (15).

    >>> output_delta([[1, 1]], [[3, -3]]).tolist()
    [[2, 0]]
    """
    t, x = np.asarray(t), np.asarray(x)
    expect_shape("t", t, x.shape)
    return np.asarray((relu(x) - t) * relu_prime(x))


def region_Q(
    i: int, j: int, w_shape: tuple[int, int], delta_shape: tuple[int, int]
) -> tuple[slice, slice]:
    """The outputs that input pixel (i, j) touches: (i - k1 + 1, j - k2 + 1) to (i, j), inclusive.

    Cut to the output at the border.  The input has shape delta_shape + w_shape - 1.
    Source: [J] (16).

    >>> region_Q(3, 1, (2, 3), (4, 4))
    (slice(2, 4, None), slice(0, 2, None))
    """
    (k1, k2), (rows, columns) = w_shape, delta_shape
    _expect_place("(i, j)", (i, j), (rows + k1 - 1, columns + k2 - 1))
    return (
        slice(max(0, i - k1 + 1), min(i + 1, rows)),
        slice(max(0, j - k2 + 1), min(j + 1, columns)),
    )


def delta_over_Q(delta: ArrayLike, w: ArrayLike, x: ArrayLike) -> Array:
    """delta^l[i', j'] = sum over (i, j) in Q of delta^{l+1}[i, j] dx^{l+1}[i, j] / dx^l[i', j'].

    One output of Q reads the pixel through one weight: the last factor is
    w^{l+1}[i' - i, j' - j] f'(x^l[i', j']).
    delta = delta^{l+1} (H - k1 + 1, W - k2 + 1), w = w^{l+1} (k1, k2), x = x^l (H, W) -> (H, W).
    Source: [J] (16) to (19).

    >>> delta_over_Q([[1, 2]], [[1, 10]], [[4, 4, -4]]).tolist()
    [[1, 12, 0]]
    """
    delta, w, x = _backward_arguments(delta, w, x)
    previous = np.zeros(x.shape, np.result_type(delta, w))
    for i_, j_ in np.ndindex(x.shape):
        Q = region_Q(i_, j_, w.shape, delta.shape)
        for i, j in itertools.product(*(range(side.start, side.stop) for side in Q)):
            previous[i_, j_] += delta[i, j] * w[i_ - i, j_ - j] * relu_prime(x[i_, j_])
    return previous


def delta_by_taps(delta: ArrayLike, w: ArrayLike, x: ArrayLike) -> Array:
    """delta^l[i', j'] = sum_mn delta^{l+1}[i' - m, j' - n] w^{l+1}[m, n] f'(x^l[i', j']).

    With delta^{l+1} zero outside.  Shapes as `delta_over_Q`.  Source: [J] (20).

    >>> delta_by_taps([[1, 2]], [[1, 10]], [[4, 4, -4]]).tolist()
    [[1, 12, 0]]
    """
    delta, w, x = _backward_arguments(delta, w, x)
    return full_convolution(delta, w) * relu_prime(x)


def delta_by_rot180(delta: ArrayLike, w: ArrayLike, x: ArrayLike) -> Array:
    """delta^l = (delta^{l+1} (x) rot180(w^{l+1})) f'(x^l), delta^{l+1} zero outside.

    (20) is a convolution, hence a correlation with the filter flipped.  The text's (22) writes
    * and rot180 at once: read that * as (x).  Its (21) has the flip around the whole sum.
    Shapes as `delta_over_Q`.  Source: [J] (21), (22).

    >>> delta_by_rot180([[1, 2]], [[1, 10]], [[4, 4, -4]]).tolist()
    [[1, 12, 0]]
    """
    delta, w, x = _backward_arguments(delta, w, x)
    (k1, k2) = w.shape
    zeros_around = np.pad(delta, ((k1 - 1, k1 - 1), (k2 - 1, k2 - 1)))
    return cross_correlation(zeros_around, rot180(w)) * relu_prime(x)


def _backward_arguments(delta: ArrayLike, w: ArrayLike, x: ArrayLike) -> tuple[Array, Array, Array]:
    """Check x (H, W), w (k1, k2) that fits inside it, and delta of the shape they give."""
    x, w = as_image_and_filter("x", x, "w", w)
    delta = as_array("delta", delta, "i j")
    expect_shape("delta", delta, (x.shape[0] - w.shape[0] + 1, x.shape[1] - w.shape[1] + 1))
    return delta, w, x


def _expect_place(name: str, place: tuple[int, int], shape: tuple[int, ...]) -> None:
    """ValueError unless the place lies inside the shape."""
    if not all(0 <= i < size for i, size in zip(place, shape, strict=True)):
        raise ValueError(f"{name} must lie inside shape {shape}, got {place}")
