# ruff: noqa: E741  (I is the image of the equations)
"""Cross-correlation and convolution: (1) to (3) of [J]."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from refconv.textbook.arguments import Array, as_array, as_image_and_filter, sum_dtype


def rot180(w: ArrayLike) -> Array:
    """Flip both axes: the result at [m, n] is w[k1 - 1 - m, k2 - 1 - n].

    w (k1, k2) -> (k1, k2).
    Letters: w -> rot180(w) | w -> - | weight -> -.
    Source: the rot of [J] (6); the rotated filter of [N] N8.

    >>> rot180([[1, 2, 3], [4, 5, 6]]).tolist()
    [[6, 5, 4], [3, 2, 1]]
    """
    return as_array("w", w, "k1 k2")[::-1, ::-1].copy()


def cross_correlation(I: ArrayLike, K: ArrayLike) -> Array:
    """(I (x) K)[i, j] = sum_mn I[i + m, j + n] K[m, n], wherever K lies inside I.

    I (H, W), K (k1, k2) -> (H - k1 + 1, W - k2 + 1).
    Letters: I K -> I(x)K | x w -> y | input weight -> output.
    Source: [J] (1).

    >>> cross_correlation([[1, 2, 3], [4, 5, 6]], [[1, 10]]).tolist()
    [[21, 32], [54, 65]]
    """
    I, K = as_image_and_filter("I", I, "K", K)
    (H, W), (k1, k2) = I.shape, K.shape
    out = np.zeros((H - k1 + 1, W - k2 + 1), sum_dtype(I=I, K=K))
    for i, j in np.ndindex(out.shape):
        out[i, j] = np.sum(I[i : i + k1, j : j + k2] * K)
    return out


def convolution(I: ArrayLike, K: ArrayLike) -> Array:
    """(I * K)[i, j] = sum_mn I[i - m, j - n] K[m, n], wherever I has all those pixels.

    The first such place is (k1 - 1, k2 - 1), which is element [0, 0] of the result.
    I (H, W), K (k1, k2) -> (H - k1 + 1, W - k2 + 1).
    Letters: I rot180(K) -> I*K | x w -> y | input weight -> output.
    Source: [J] (2).

    >>> convolution([[1, 2, 3], [4, 5, 6]], [[1, 10]]).tolist()
    [[12, 23], [45, 56]]
    """
    I, K = as_image_and_filter("I", I, "K", K)
    (H, W), (k1, k2) = I.shape, K.shape
    out = np.zeros((H - k1 + 1, W - k2 + 1), sum_dtype(I=I, K=K))
    for i, j in np.ndindex(out.shape):
        for m, n in np.ndindex(K.shape):
            out[i, j] += I[i + k1 - 1 - m, j + k2 - 1 - n] * K[m, n]
    return out


def convolution_by_flipping(I: ArrayLike, K: ArrayLike) -> Array:
    """I * K = I (x) rot180(K), hence I * K = I (x) K when K(-m, -n) = K(m, n).

    With K(-m, -n) the sum runs over -k1 < m <= 0 and -k2 < n <= 0; the text keeps the limits of
    (2): erratum E1.
    I (H, W), K (k1, k2) -> (H - k1 + 1, W - k2 + 1).
    Letters: I rot180(K) -> I*K | x w -> y | input weight -> output.
    Source: [J] (3).

    >>> convolution_by_flipping([[1, 2, 3], [4, 5, 6]], [[1, 10]]).tolist()
    [[12, 23], [45, 56]]
    """
    return cross_correlation(I, rot180(as_array("K", K, "k1 k2")))


def full_convolution(I: ArrayLike, K: ArrayLike) -> Array:
    """(I * K)[i, j] at every place where K touches I, with I zero outside: `convolution`'s (2).

    I (H, W), K (k1, k2) of any sizes -> (H + k1 - 1, W + k2 - 1).
    Letters: I K -> I*K | gy w -> gx | grad_output weight -> grad_input.
    Source: [J] (2) beyond the border; [N] N8.

    >>> full_convolution([[1, 2, 3]], [[1, 10]]).tolist()
    [[1, 12, 23, 30]]
    """
    I, K = as_array("I", I, "H W"), as_array("K", K, "k1 k2")
    (H, W), (k1, k2) = I.shape, K.shape
    out = np.zeros((H + k1 - 1, W + k2 - 1), sum_dtype(I=I, K=K))
    for m, n in np.ndindex(K.shape):
        out[m : m + H, n : n + W] += I * K[m, n]
    return out
