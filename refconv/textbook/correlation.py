# ruff: noqa: E741  (I is the image of the equations)
"""Cross-correlation and convolution, (1) to (3) of [J]; one filter there and back, [N]."""

import numpy as np
from numpy.typing import ArrayLike

from refconv.textbook.arguments import Array, as_array, as_image_and_filter, expect_shape


def rot180(w: ArrayLike) -> Array:
    """Flip both axes: the result at [m, n] is w[k1 - 1 - m, k2 - 1 - n].  Source: [J] (6).

    >>> rot180([[1, 2, 3], [4, 5, 6]]).tolist()
    [[6, 5, 4], [3, 2, 1]]
    """
    return as_array("w", w, "k1 k2")[::-1, ::-1].copy()


def cross_correlation(I: ArrayLike, K: ArrayLike) -> Array:
    """(I (x) K)[i, j] = sum_mn I[i + m, j + n] K[m, n], wherever K lies inside I.

    I (H, W), K (k1, k2) -> (H - k1 + 1, W - k2 + 1).  Source: [J] (1).

    >>> cross_correlation([[1, 2, 3], [4, 5, 6]], [[1, 10]]).tolist()
    [[21, 32], [54, 65]]
    """
    I, K = as_image_and_filter("I", I, "K", K)
    (H, W), (k1, k2) = I.shape, K.shape
    out = np.zeros((H - k1 + 1, W - k2 + 1), np.result_type(I, K))
    for i, j in np.ndindex(out.shape):
        out[i, j] = np.sum(I[i : i + k1, j : j + k2] * K)
    return out


def convolution(I: ArrayLike, K: ArrayLike) -> Array:
    """(I * K)[i, j] = sum_mn I[i - m, j - n] K[m, n], wherever I has all those pixels.

    The first such place is (k1 - 1, k2 - 1), which is element [0, 0] of the result.
    I (H, W), K (k1, k2) -> (H - k1 + 1, W - k2 + 1).  Source: [J] (2).

    >>> convolution([[1, 2, 3], [4, 5, 6]], [[1, 10]]).tolist()
    [[12, 23], [45, 56]]
    """
    I, K = as_image_and_filter("I", I, "K", K)
    (H, W), (k1, k2) = I.shape, K.shape
    out = np.zeros((H - k1 + 1, W - k2 + 1), np.result_type(I, K))
    for i, j in np.ndindex(out.shape):
        for m, n in np.ndindex(K.shape):
            out[i, j] += I[i + k1 - 1 - m, j + k2 - 1 - n] * K[m, n]
    return out


def convolution_by_flipping(I: ArrayLike, K: ArrayLike) -> Array:
    """I * K = I (x) rot180(K), hence I * K = I (x) K when K(-m, -n) = K(m, n).

    The text's (3) keeps the limits 0 <= m < k1; with K(-m, -n) they are -k1 < m <= 0.
    I (H, W), K (k1, k2) -> (H - k1 + 1, W - k2 + 1).  Source: [J] (3).

    >>> convolution_by_flipping([[1, 2, 3], [4, 5, 6]], [[1, 10]]).tolist()
    [[12, 23], [45, 56]]
    """
    return cross_correlation(I, rot180(as_array("K", K, "k1 k2")))


def full_convolution(I: ArrayLike, K: ArrayLike) -> Array:
    """(I * K)[i, j] at every place where K touches I, with I zero outside: `convolution`'s (2).

    I (H, W), K (k1, k2) of any sizes -> (H + k1 - 1, W + k2 - 1).  Source: [N], [J] (2).

    >>> full_convolution([[1, 2, 3]], [[1, 10]]).tolist()
    [[1, 12, 23, 30]]
    """
    I, K = as_array("I", I, "H W"), as_array("K", K, "k1 k2")
    (H, W), (k1, k2) = I.shape, K.shape
    out = np.zeros((H + k1 - 1, W + k2 - 1), np.result_type(I, K))
    for m, n in np.ndindex(K.shape):
        out[m : m + H, n : n + W] += I * K[m, n]
    return out


def conv_forward(X: ArrayLike, W: ArrayLike) -> tuple[Array, tuple[Array, Array]]:
    """H[h, w] = sum(X[h:h+f, w:w+f] * W), and the cache (X, W) that `conv_backward` needs.

    X (n_H_prev, n_W_prev), W (f, f) -> H (n_H_prev - f + 1, n_W_prev - f + 1).  Source: [N].

    >>> conv_forward([[1, 2, 3], [4, 5, 6]], [[1, 0], [0, 10]])[0].tolist()
    [[51, 62]]
    """
    X, W = as_image_and_filter("X", X, "W", W)
    expect_shape("W", W, (W.shape[0], W.shape[0]))
    return cross_correlation(X, W), (X, W)


def conv_backward(dH: ArrayLike, cache: tuple[Array, Array]) -> tuple[Array, Array]:
    """dX[h:h+f, w:w+f] += W dH[h, w] and dW += X[h:h+f, w:w+f] dH[h, w], over all (h, w).

    Each output read one window of X, so it returns its gradient to that window, and the one
    filter collects from all.  (The notebook writes dH(h, w), a call; an index is meant.)
    dH (n_H, n_W), cache (X, W) -> dX as X, dW as W.  Source: [N].

    >>> _, cache = conv_forward([[1, 2, 3], [4, 5, 6]], [[1, 0], [0, 10]])
    >>> [gradient.tolist() for gradient in conv_backward([[1, 2]], cache)]
    [[[1, 2, 0], [0, 10, 20]], [[5, 8], [14, 17]]]
    """
    X, W = cache
    dH, f = as_array("dH", dH, "n_H n_W"), W.shape[0]
    expect_shape("dH", dH, (X.shape[0] - f + 1, X.shape[1] - f + 1))
    dX = np.zeros(X.shape, np.result_type(W, dH))
    dW = np.zeros(W.shape, np.result_type(X, dH))
    for h, w in np.ndindex(dH.shape):
        dX[h : h + f, w : w + f] += W * dH[h, w]
        dW += X[h : h + f, w : w + f] * dH[h, w]
    return dX, dW


def conv_filter_gradient(X: ArrayLike, dH: ArrayLike) -> Array:
    """dW[i, j] = sum(X[i:i+n_H, j:j+n_W] * dH): itself X (x) dH.

    X (n_H_prev, n_W_prev), dH (n_H, n_W) -> dW (f, f).  Source: [N], the second form of dW.

    >>> conv_filter_gradient([[1, 2, 3], [4, 5, 6]], [[1, 2]]).tolist()
    [[5, 8], [14, 17]]
    """
    X, dH = as_image_and_filter("X", X, "dH", dH)
    return cross_correlation(X, dH)


def conv_input_gradient(dH: ArrayLike, W: ArrayLike) -> Array:
    """dX: the rotated filter slid over dH, from its first touch to its last.

    rot180(W) correlated with dH under f - 1 zeros on every side, which is the full convolution.
    dH (n_H, n_W), W (f, f) -> dX (n_H + f - 1, n_W + f - 1).  Source: [N].

    >>> conv_input_gradient([[1, 2]], [[1, 0], [0, 10]]).tolist()
    [[1, 2, 0], [0, 10, 20]]
    """
    dH, W = as_array("dH", dH, "n_H n_W"), as_array("W", W, "f f")
    f = W.shape[0]
    expect_shape("W", W, (f, f))
    return cross_correlation(np.pad(dH, f - 1), rot180(W))
