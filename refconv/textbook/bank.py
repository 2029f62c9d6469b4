# ruff: noqa: E741  (I is the image of the equations)
"""Many channels, many filters, (4) and (5) of [J]; and strides: what its readers asked about."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from refconv.textbook.arguments import (
    Array,
    as_array,
    as_image_and_filter,
    as_integer,
    as_number,
    expect_addable,
    expect_fit,
    expect_shape,
    sum_dtype,
)
from refconv.textbook.correlation import full_convolution
from refconv.textbook.layer import layer_sum
from refconv.textbook.weights import dE_db, dE_dw


def bank_forward(I: ArrayLike, K: ArrayLike, b: ArrayLike) -> Array:
    """x[i, j, d] = sum_mnc K[m, n, c, d] I[i + m, j + n, c] + b[d].

    Every filter spans all C channels of the image and makes one channel of the output: six
    filters 3x5x5 on 3x32x32 give 6x28x28.  The bank is k1 x k2 x C x D and each filter has a bias
    of its own; the text drops d from both: erratum E2.
    I (H, W, C), K (k1, k2, C, D), b (D,) -> (H - k1 + 1, W - k2 + 1, D).
    In refconv and torch the axes lie otherwise: x (C, H, W), w (D, C, k1, k2), y (D, i, j).
    Letters: I K b -> x | x w b -> y | input weight bias -> output.
    Source: [J] (4).

    >>> bank_forward([[[1, 2], [3, 4]]], [[[[1, 0], [10, 1]]]], [0, 5]).tolist()
    [[[21, 7], [43, 9]]]
    """
    I, K = _image_and_bank(I, K)
    (H, W, _), (k1, k2, _, D) = I.shape, K.shape
    b = as_array("b", b, "D")
    expect_shape("b", b, (D,))
    x = np.zeros((H - k1 + 1, W - k2 + 1, D), sum_dtype(I=I, K=K))
    for i, j, d in np.ndindex(x.shape):
        x[i, j, d] = np.sum(K[:, :, :, d] * I[i : i + k1, j : j + k2])
    expect_addable(x, b, "I", "K", "b")
    return np.asarray(x + b)


def grayscale_forward(I: ArrayLike, K: ArrayLike, b: float) -> Array:
    """x[i, j] = sum_mn K[m, n] I[i + m, j + n] + b: the bank with C = 1 channel and D = 1 filter.

    I (H, W), K (k1, k2), b a number -> (H - k1 + 1, W - k2 + 1).
    Letters: I K b -> x | x w b -> y | input weight bias -> output.
    Source: [J] (5).

    >>> grayscale_forward([[1, 2, 3]], [[1, 10]], 5).tolist()
    [[26, 37]]
    """
    I, K = as_image_and_filter("I", I, "K", K)
    b = as_number("b", b)
    biases = np.full(1, b, np.result_type(I, K, b))
    return bank_forward(I[:, :, None], K[:, :, None, None], biases)[:, :, 0]


def bank_backward(delta: ArrayLike, I: ArrayLike, K: ArrayLike) -> tuple[Array, Array, Array]:
    """dE/dI, dE/dK and dE/db of `bank_forward`.

    The depths differ and it does not matter: channel d of delta meets every channel c of I for
    the gradient of filter d, and the gradient of I is the sum of what the D filters return.
    delta (H - k1 + 1, W - k2 + 1, D), I (H, W, C), K (k1, k2, C, D) -> as I, as K, (D,).
    Letters: delta I K -> dI dK db | gy x w -> gx gw gb
        | grad_output input weight -> grad_input grad_weight grad_bias.
    Source: [J] (13) and (20), once for each channel and filter; (10) for dE/db.

    >>> dI, dK, db = bank_backward([[[1, 2]]], [[[3, 4]]], [[[[1, 0], [10, 1]]]])
    >>> dI.tolist(), dK.tolist(), db.tolist()
    ([[[1, 12]]], [[[[3, 6], [4, 8]]]], [1, 2])
    """
    I, K = _image_and_bank(I, K)
    (H, W, _), (k1, k2, _, D) = I.shape, K.shape
    delta = as_array("delta", delta, "i j D")
    expect_shape("delta", delta, (H - k1 + 1, W - k2 + 1, D))
    dI = np.zeros(I.shape, sum_dtype(delta=delta, K=K))
    dK = np.zeros(K.shape, sum_dtype(delta=delta, I=I))
    for i, j, d in np.ndindex(delta.shape):
        dI[i : i + k1, j : j + k2] += K[:, :, :, d] * delta[i, j, d]
        dK[:, :, :, d] += I[i : i + k1, j : j + k2] * delta[i, j, d]
    return dI, dK, delta.sum((0, 1), dtype=sum_dtype(delta=delta))


def strided_forward(o: ArrayLike, w: ArrayLike, b: float, s: int) -> Array:
    """x[i, j] = sum_mn w[m, n] o[s i + m, s j + n] + b: every s-th sum of stride 1.

    o (H, W), w (k1, k2) -> ((H - k1) // s + 1, (W - k2) // s + 1).
    Letters: o w b s -> x | x w b s -> y | input weight bias stride -> output.
    Source: [J] (7), sampled; a reader's question.

    >>> strided_forward([[1, 2, 3, 4]], [[1, 10]], 0, 2).tolist()
    [[21, 43]]
    """
    s = as_integer("s", s, 1)
    return layer_sum(o, w, b)[::s, ::s]


def strided_backward(
    delta: ArrayLike, o: ArrayLike, w: ArrayLike, s: int
) -> tuple[Array, Array, Any]:
    """dE/do, dE/dw and dE/db of `strided_forward`.

    The sums that stride s leaves out have delta = 0.  Put those zeros back, between the rows and
    columns of delta and after the last, and the equations of stride 1 hold as they stand.
    delta as the output, o (H, W), w (k1, k2) -> (H, W), (k1, k2), a number.
    Letters: delta o w s -> do dw db | gy x w s -> gx gw gb
        | grad_output input weight stride -> grad_input grad_weight grad_bias.
    Source: [J] (13) and (20) on the dilated delta; a reader's question.

    >>> do, dw, db = strided_backward([[1, 2]], [[1, 2, 3, 4]], [[1, 10]], 2)
    >>> do.tolist(), dw.tolist(), int(db)
    ([[1, 10, 2, 20]], [[7, 10]], 3)
    """
    s = as_integer("s", s, 1)
    o, w = as_image_and_filter("o", o, "w", w)
    delta = as_array("delta", delta, "i j")
    (H, W), (k1, k2) = o.shape, w.shape
    expect_shape("delta", delta, ((H - k1) // s + 1, (W - k2) // s + 1))
    dilated = np.zeros((H - k1 + 1, W - k2 + 1), delta.dtype)
    dilated[::s, ::s] = delta
    return full_convolution(dilated, w), dE_dw(dilated, o), dE_db(delta)


def _image_and_bank(I: ArrayLike, K: ArrayLike) -> tuple[Array, Array]:
    """An image (H, W, C) and a bank (k1, k2, C, D) of the same depth that fits inside it."""
    I, K = as_array("I", I, "H W C"), as_array("K", K, "k1 k2 C D")
    k1, k2, _, D = K.shape
    expect_shape("K", K, (k1, k2, I.shape[2], D))
    expect_fit("I", I.shape[:2], "K", (k1, k2))
    return I, K
