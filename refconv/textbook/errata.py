# ruff: noqa: E741  (I is the image of the equations)
"""ERRATA: what the two texts print and does not hold, to be run beside what does.

Nothing here is to be used.  Each function is what one formula gives as it is printed, under the
name of the right form with `_as_printed` behind it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from refconv.textbook.arguments import (
    Array,
    as_array,
    as_image_and_filter,
    as_number,
    expect_addable,
    expect_fit,
    expect_shape,
    sum_dtype,
)
from refconv.textbook.correlation import cross_correlation, full_convolution, rot180
from refconv.textbook.deltas import backward_arguments, zeros_around
from refconv.textbook.layer import layers_forward, relu_prime
from refconv.textbook.notebook import expect_cache


def convolution_by_flipping_as_printed(I: ArrayLike, K: ArrayLike) -> Array:
    """sum_mn I[i + m, j + n] K[-m, -n] over 0 <= m < k1, 0 <= n < k2: not I * K.

    K(-m, -n) leaves the filter for every m or n above 0, and where there is no filter there is no
    term: K[0, 0] alone is left.  (In code K[-m, -n] wraps around to the other end, and the first
    row and column stay where they are: no flip either.)
    I (H, W), K (k1, k2) -> (H - k1 + 1, W - k2 + 1), the places of `convolution`.
    Letters: I K -> - | x w -> - | input weight -> -.
    Erratum: E1, the limits of [J] (3).  Right: `convolution_by_flipping`.

    >>> convolution_by_flipping_as_printed([[1, 2, 3], [4, 5, 6]], [[1, 10]]).tolist()
    [[2, 3], [5, 6]]
    """
    I, K = as_image_and_filter("I", I, "K", K)
    (H, W), (k1, k2) = I.shape, K.shape
    out = np.zeros((H - k1 + 1, W - k2 + 1), sum_dtype(I=I, K=K))
    for i, j in np.ndindex(out.shape):
        for m, n in np.ndindex(k1, k2):
            if -m >= 0 and -n >= 0:  # else K[-m, -n] is outside
                out[i, j] += I[i + k1 - 1 + m, j + k2 - 1 + n] * K[-m, -n]
    return out


def bank_forward_as_printed(I: ArrayLike, K: ArrayLike, b: float) -> Array:
    """x[i, j] = sum_mnc K[m, n, c] I[i + m, j + n, c] + b: one filter and one map, not D of them.

    The bank is announced as k1 x k2 x C x D with D biases, but d is in no term: what is printed
    takes a bank of three axes and one bias.  (With K[m, n, c] and b as vectors over d, which the
    text does not say, it would be right.)
    I (H, W, C), K (k1, k2, C), b a number -> (H - k1 + 1, W - k2 + 1).
    Letters: I K b -> - | x w b -> - | input weight bias -> -.
    Erratum: E2, [J] (4).  Right: `bank_forward`.

    >>> bank_forward_as_printed([[[1, 2], [3, 4]]], [[[1, 10]]], 0).tolist()
    [[21, 43]]
    """
    I, K, b = as_array("I", I, "H W C"), as_array("K", K, "k1 k2 C"), as_number("b", b)
    (H, W, C), (k1, k2, _) = I.shape, K.shape
    expect_shape("K", K, (k1, k2, C))
    expect_fit("I", (H, W), "K", (k1, k2))
    x = np.zeros((H - k1 + 1, W - k2 + 1), sum_dtype(I=I, K=K))
    for i, j in np.ndindex(x.shape):
        x[i, j] = np.sum(K * I[i : i + k1, j : j + k2])
    expect_addable(x, b, "I", "K", "b")
    return np.asarray(x + b)


def layer_sum_as_printed(o: ArrayLike, w: ArrayLike, b: ArrayLike) -> Array:
    """x[i, j] = sum_mn w[m, n] o[i + m, j + n] + b[i, j]: a bias for every place, not one for all.

    Such a layer depends on where a pattern lies, and the gradient of its bias is delta, not the
    sum of delta.
    o (H, W), w (k1, k2), b (H - k1 + 1, W - k2 + 1) -> the shape of b.
    Letters: o w b -> - | x w b -> - | input weight bias -> -.
    Erratum: E3, the b_ij of [J] (6) and (7); its Notation has one b.  Right: `layer_sum`.

    >>> layer_sum_as_printed([[1, 2, 3]], [[1, 10]], [[5, 0]]).tolist()
    [[26, 32]]
    """
    o, w = as_image_and_filter("o", o, "w", w)
    x, b = cross_correlation(o, w), as_array("b", b, "i j")
    expect_shape("b", b, x.shape)
    expect_addable(x, b, "o", "w", "b")
    return np.asarray(x + b)


def dE_dw_by_convolution_as_printed(delta: ArrayLike, o: ArrayLike) -> Array:
    """rot180(delta) * o with a * that does not flip, as in (4) and (5): delta is rotated once.

    The first weight gets D4 I1 + D3 I2 + D2 I4 + D1 I5, so that errors meet pixels that never
    made them, as a reader noticed.  Right only where delta equals its rotation.
    Arguments and shapes as `dE_dw_by_convolution`.
    Letters: delta o -> - | gy x -> - | grad_output input -> -.
    Erratum: E4, [J] (14) with the * of (4).  Right: `dE_dw_by_convolution`, where * is (2).

    >>> dE_dw_by_convolution_as_printed([[1, 2]], [[1, 2, 3], [4, 5, 6]]).tolist()
    [[4, 7], [13, 16]]
    """
    o, delta = as_image_and_filter("o", o, "delta", delta)
    return cross_correlation(o, rot180(delta))


def delta_by_flipped_taps_as_printed(delta: ArrayLike, w: ArrayLike, x: ArrayLike) -> Array:
    """rot180{ sum_mn delta^{l+1}[i' + m, j' + n] w[m, n] } f'(x^l): the flip around the sum.

    The sum is taken wherever w touches delta.  Rotating it rotates delta as well as w, and so
    undoes nothing; right only where delta equals its rotation.  (With i' + m counted from i' = 0,
    the sum misses outputs above and to the left, and the result is another, as wrong.)
    Arguments and shapes as `delta_by_flipped_taps`.
    Letters: delta w x -> - | gy w x -> - | grad_output weight input -> -.
    Erratum: E5, [J] (21).  Right: `delta_by_flipped_taps`.

    >>> x = [[1, 1, 1], [1, 1, 1], [1, 1, 1]]
    >>> delta_by_flipped_taps_as_printed([[1, 2], [0, 3]], [[1, 2], [3, 4]], x).tolist()
    [[3, 6, 0], [11, 17, 2], [6, 11, 4]]
    """
    delta, w, x = backward_arguments(delta, w, x)
    return rot180(cross_correlation(zeros_around(delta, w), w)) * relu_prime(x)


def delta_by_rot180_as_printed(delta: ArrayLike, w: ArrayLike, x: ArrayLike) -> Array:
    """(delta^{l+1} * rot180(w)) f'(x^l) with * as convolution, (2): w is flipped twice.

    Two flips are none: this is the cross-correlation with w itself.  Right only where w equals
    its rotation.
    Arguments and shapes as `delta_by_rot180`.
    Letters: delta w x -> - | gy w x -> - | grad_output weight input -> -.
    Erratum: E6, [J] (22).  Right: `delta_by_rot180`.

    >>> x = [[1, 1, 1], [1, 1, 1], [1, 1, 1]]
    >>> delta_by_rot180_as_printed([[1, 2], [0, 3]], [[1, 2], [3, 4]], x).tolist()
    [[4, 11, 6], [2, 17, 11], [0, 6, 3]]
    """
    delta, w, x = backward_arguments(delta, w, x)
    return full_convolution(delta, rot180(w)) * relu_prime(x)


def layers_forward_as_printed(o: ArrayLike, ws: Sequence[ArrayLike], bs: Sequence[float]) -> Array:
    """The layers in the order of the Notation's words: w^l leads from layer l to layer l - 1.

    Then w^L meets the image and w^1 comes last.  (The two layers are the right ones, and (7) uses
    them the right way round; the order is not.  A comment records that it once said l + 1.)
    Arguments as `layers_forward`.
    Letters: o w b -> - | x w b -> - | input weight bias -> -.
    Erratum: E7, the w^l of [J]'s Notation.  Right: `layers_forward`.

    >>> layers_forward_as_printed([[1, -2, 3]], [[[1, 1]], [[1, 10]]], [0, 0]).tolist()
    [[28]]
    """
    return layers_forward(o, list(ws)[::-1], list(bs)[::-1])


def conv_backward_as_printed(dH: ArrayLike, cache: tuple[Array, Array]) -> tuple[Array, Array]:
    """The loop of `conv_backward` with dH(h, w), a call, where dH[h, w] is meant: it cannot run.

    Arguments as `conv_backward`.
    Letters: dH X W -> - | gy x w -> - | grad_output input weight -> -.
    Erratum: E8, the dH(h, w) of [N]'s code.  Right: `conv_backward`.

    >>> conv_backward_as_printed([[1, 2]], cache=([[1, 2, 3], [4, 5, 6]], [[1, 0], [0, 10]]))
    Traceback (most recent call last):
    TypeError: 'numpy.ndarray' object is not callable
    """
    X, W = expect_cache(cache)
    dH, f = np.asanyarray(dH), W.shape[0]
    dX, dW = np.zeros(X.shape), np.zeros(W.shape)
    for h, w in np.ndindex(dH.shape):
        dW += X[h : h + f, w : w + f] * dH(h, w)  # type: ignore[operator]
        dX[h : h + f, w : w + f] += W * dH(h, w)  # type: ignore[operator]
    return dX, dW


def conv_filter_gradient_as_printed(X: ArrayLike, dH: ArrayLike) -> Array:
    """dW[h, w] = sum(X[h:h+f, w:w+f] * dH) for every place (h, w) of dH.

    The limits of H and W are exchanged: (h, w) must run over the filter, and the window must have
    the size of dH.  Right only where both are one size, as in the 3 x 3 with 2 x 2 of the figures;
    elsewhere NumPy raises, or, where dH or f is 1, the numbers are wrong.
    Arguments as `conv_filter_gradient`.
    Letters: X dH -> - | x gy -> - | input grad_output -> -.
    Erratum: E9, the second form of dW in [N]'s code.  Right: `conv_filter_gradient`.

    >>> X = [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    >>> conv_filter_gradient_as_printed(X, [[1, 2], [0, 3]]).tolist()
    [[20, 26], [38, 44]]
    >>> conv_filter_gradient_as_printed([[1, 2], [3, 4]], [[1]]).tolist()
    [[10, 0], [0, 0]]
    """
    X, dH = as_image_and_filter("X", X, "dH", dH)
    f = X.shape[0] - dH.shape[0] + 1
    dW = np.zeros((f, f), sum_dtype(X=X, dH=dH))
    for h, w in np.ndindex(dH.shape):
        dW[h, w] = np.sum(X[h : h + f, w : w + f] * dH)
    return dW
