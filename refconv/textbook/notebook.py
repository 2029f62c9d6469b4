"""One filter there and back, step by step: N1 to N9, the steps of [N].

Its figures call the input X, the filter F, the output O and the error L; its code says X, W, H and
dH = dL/dH.  The code's letters are used here.  Its example is a 3 x 3 input and a 2 x 2 filter;
these are its steps with numbers.

    >>> X, W = [[1, 2, 3], [4, 5, 6], [7, 8, 9]], [[1, 2], [3, 4]]

N1. The filter lies in four places: H[0, 0] = 1 * 1 + 2 * 2 + 4 * 3 + 5 * 4 = 37, and so on.

    >>> H, cache = conv_forward(X, W)
    >>> H.tolist()
    [[37, 47], [67, 77]]

The next layer sends dH = dL/dH back.  N2 is the chain rule: dL/dW = sum_hw dH[h, w] dH[h, w]/dW,
and the same with X for W.  So two local gradients are needed.

    >>> dH = [[1, 2], [0, 3]]

N3. dH[h, w]/dW[m, n] = X[h + m, w + n]: the local gradient of H[0, 1] is the window that it read.

    >>> local_gradient_filter(X, 2)[0, 1].tolist()
    [[2, 3], [5, 6]]

N4. dL/dW[0, 0] = 1 * 1 + 2 * 2 + 0 * 4 + 3 * 5 = 20: four errors times the four pixels that met
W[0, 0].  N5. That is again a filter, dH, in four places of X.

    >>> conv_filter_gradient_by_chain(X, dH).tolist()
    [[20, 26], [38, 44]]
    >>> conv_filter_gradient(X, dH).tolist()
    [[20, 26], [38, 44]]

N6. dH[h, w]/dX[i, j] = W[i - h, j - w]: the local gradient of H[0, 1] is the filter, where it lay.

    >>> local_gradient_input((3, 3), W)[0, 1].tolist()
    [[0, 1, 2], [0, 3, 4], [0, 0, 0]]

N7. dL/dX[1, 1] = 1 * 4 + 2 * 3 + 0 * 2 + 3 * 1 = 13: all four places read the pixel in the middle,
through another weight each.  N8. That is the rotated filter, slid over dH from the first touch to
the last.  N9. The code finds both gradients in one loop over the places.

    >>> conv_input_gradient_by_chain(dH, W).tolist()
    [[1, 4, 4], [3, 13, 14], [0, 9, 12]]
    >>> conv_input_gradient(dH, W).tolist()
    [[1, 4, 4], [3, 13, 14], [0, 9, 12]]
    >>> [gradient.tolist() for gradient in conv_backward(dH, cache)]
    [[[1, 4, 4], [3, 13, 14], [0, 9, 12]], [[20, 26], [38, 44]]]
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from refconv.textbook.arguments import (
    Array,
    as_array,
    as_image_and_filter,
    as_integer,
    as_sizes,
    described,
    expect_fit,
    expect_room,
    expect_shape,
    sum_dtype,
)
from refconv.textbook.correlation import cross_correlation, rot180


def conv_forward(X: ArrayLike, W: ArrayLike) -> tuple[Array, tuple[Array, Array]]:
    """H[h, w] = sum(X[h:h+f, w:w+f] * W), and the cache (X, W) that `conv_backward` needs.

    X (n_H_prev, n_W_prev), W (f, f) -> H (n_H_prev - f + 1, n_W_prev - f + 1).
    Letters: X W -> H | x w -> y | input weight -> output.
    Source: [N] N1, the forward pass.

    >>> conv_forward([[1, 2, 3], [4, 5, 6]], [[1, 0], [0, 10]])[0].tolist()
    [[51, 62]]
    """
    X, W = as_image_and_filter("X", X, "W", W)
    expect_shape("W", W, (W.shape[0], W.shape[0]))
    return cross_correlation(X, W), (X, W)


def chain_rule(dH: ArrayLike, local: ArrayLike) -> Array:
    """dL/dZ = sum_hw dL/dH[h, w] dH[h, w]/dZ, for Z = X or Z = W: error times local gradient.

    dH (n_H, n_W), local (n_H, n_W, *) with the shape of Z last -> the shape of Z.
    Letters: dH local -> dZ | gy - -> - | grad_output - -> -.
    Source: [N] N2.

    >>> chain_rule([[1, 2]], [[[[1, 0]], [[0, 10]]]]).tolist()
    [[1, 20]]
    """
    dH, local = as_array("dH", dH, "n_H n_W"), as_array("local", local, "n_H n_W rows columns")
    expect_shape("local", local, (*dH.shape, *local.shape[2:]))
    dZ = np.zeros(local.shape[2:], sum_dtype(dH=dH, local=local))
    for h, w in np.ndindex(dH.shape):
        dZ += dH[h, w] * local[h, w]
    return dZ


def local_gradient_filter(X: ArrayLike, f: int) -> Array:
    """dH[h, w]/dW[m, n] = X[h + m, w + n]: what the weight is multiplied with.

    X (n_H_prev, n_W_prev) -> (n_H, n_W, f, f), with n_H = n_H_prev - f + 1, n_W likewise.
    Letters: X f -> dH/dW | x k -> - | input kernel_size -> -.
    Source: [N] N3, dO/dF.

    >>> local_gradient_filter([[1, 2, 3], [4, 5, 6]], 2).tolist()
    [[[[1, 2], [4, 5]], [[2, 3], [5, 6]]]]
    """
    X, f = as_array("X", X, "n_H_prev n_W_prev"), as_integer("f", f, 1)
    expect_fit("X", X.shape, "a filter of size f", (f, f))
    local = np.zeros((X.shape[0] - f + 1, X.shape[1] - f + 1, f, f), X.dtype)
    for h, w in np.ndindex(local.shape[:2]):
        local[h, w] = X[h : h + f, w : w + f]
    return local


def conv_filter_gradient_by_chain(X: ArrayLike, dH: ArrayLike) -> Array:
    """dL/dW[m, n] = sum_hw dH[h, w] X[h + m, w + n]: N3 in N2.

    X (n_H_prev, n_W_prev), dH (n_H, n_W) -> dW (f, f).
    Letters: X dH -> dW | x gy -> gw | input grad_output -> grad_weight.
    Source: [N] N4.

    >>> conv_filter_gradient_by_chain([[1, 2, 3], [4, 5, 6]], [[1, 2]]).tolist()
    [[5, 8], [14, 17]]
    """
    X, dH, f = _input_and_error(X, dH)
    return chain_rule(dH, local_gradient_filter(X, f))


def conv_filter_gradient(X: ArrayLike, dH: ArrayLike) -> Array:
    """dW[i, j] = sum(X[i:i+n_H, j:j+n_W] * dH): itself X (x) dH.

    The comment in the notebook's code means this form, but has other limits: erratum E9.
    X (n_H_prev, n_W_prev), dH (n_H, n_W) -> dW (f, f).
    Letters: X dH -> dW | x gy -> gw | input grad_output -> grad_weight.
    Source: [N] N5, and the second form of dW in its code.

    >>> conv_filter_gradient([[1, 2, 3], [4, 5, 6]], [[1, 2]]).tolist()
    [[5, 8], [14, 17]]
    """
    X, dH, _ = _input_and_error(X, dH)
    return cross_correlation(X, dH)


def local_gradient_input(X_shape: tuple[int, int], W: ArrayLike) -> Array:
    """dH[h, w]/dX[i, j] = W[i - h, j - w], and 0 where the filter at (h, w) does not reach (i, j).

    X_shape (n_H_prev, n_W_prev), W (f, f) -> (n_H, n_W, n_H_prev, n_W_prev).
    Letters: W -> dH/dX | w -> - | weight -> -.
    Source: [N] N6, dO/dX.

    >>> local_gradient_input((2, 3), [[1, 2], [3, 4]]).tolist()
    [[[[1, 2, 0], [3, 4, 0]], [[0, 1, 2], [0, 3, 4]]]]
    """
    W, (rows, columns) = as_array("W", W, "f f"), as_sizes("X_shape", X_shape)
    f = W.shape[0]
    expect_shape("W", W, (f, f))
    expect_fit("X", (rows, columns), "W", (f, f))
    shape = (rows - f + 1, columns - f + 1, rows, columns)
    expect_room("X_shape", X_shape, shape, W.dtype)
    local = np.zeros(shape, W.dtype)
    for h, w in np.ndindex(local.shape[:2]):
        local[h, w, h : h + f, w : w + f] = W
    return local


def conv_input_gradient_by_chain(dH: ArrayLike, W: ArrayLike) -> Array:
    """dL/dX[i, j] = sum_hw dH[h, w] W[i - h, j - w], over all that reach (i, j): N6 in N2.

    dH (n_H, n_W), W (f, f) -> dX (n_H + f - 1, n_W + f - 1).
    Letters: dH W -> dX | gy w -> gx | grad_output weight -> grad_input.
    Source: [N] N7.

    >>> conv_input_gradient_by_chain([[1, 2]], [[1, 0], [0, 10]]).tolist()
    [[1, 2, 0], [0, 10, 20]]
    """
    dH, W, f = _error_and_filter(dH, W)
    return chain_rule(dH, local_gradient_input((dH.shape[0] + f - 1, dH.shape[1] + f - 1), W))


def conv_input_gradient(dH: ArrayLike, W: ArrayLike) -> Array:
    """dX: the rotated filter slid over dH, from its first touch to its last.

    rot180(W) correlated with dH under f - 1 zeros on every side, which is the full convolution.
    dH (n_H, n_W), W (f, f) -> dX (n_H + f - 1, n_W + f - 1).
    Letters: dH W -> dX | gy w -> gx | grad_output weight -> grad_input.
    Source: [N] N8.

    >>> conv_input_gradient([[1, 2]], [[1, 0], [0, 10]]).tolist()
    [[1, 2, 0], [0, 10, 20]]
    """
    dH, W, f = _error_and_filter(dH, W)
    return cross_correlation(np.pad(dH, f - 1), rot180(W))


def conv_backward(dH: ArrayLike, cache: tuple[Array, Array]) -> tuple[Array, Array]:
    """dX[h:h+f, w:w+f] += W dH[h, w] and dW += X[h:h+f, w:w+f] dH[h, w], over all (h, w).

    Each output read one window of X, so it returns its gradient to that window, and the one
    filter collects from all.  (The notebook writes dH(h, w), a call: erratum E8.)
    dH (n_H, n_W), cache (X, W) -> dX as X, dW as W.  TypeError for a cache that is not a pair.
    Letters: dH X W -> dX dW | gy x w -> gx gw | grad_output input weight -> grad_input grad_weight.
    Source: [N] N9.

    >>> _, cache = conv_forward([[1, 2, 3], [4, 5, 6]], [[1, 0], [0, 10]])
    >>> [gradient.tolist() for gradient in conv_backward([[1, 2]], cache)]
    [[[1, 2, 0], [0, 10, 20]], [[5, 8], [14, 17]]]
    """
    X, W = expect_cache(cache)
    dH, f = as_array("dH", dH, "n_H n_W"), W.shape[0]
    expect_shape("dH", dH, (X.shape[0] - f + 1, X.shape[1] - f + 1))
    dX = np.zeros(X.shape, sum_dtype(W=W, dH=dH))
    dW = np.zeros(W.shape, sum_dtype(X=X, dH=dH))
    for h, w in np.ndindex(dH.shape):
        dX[h : h + f, w : w + f] += W * dH[h, w]
        dW += X[h : h + f, w : w + f] * dH[h, w]
    return dX, dW


def expect_cache(cache: Any) -> tuple[Array, Array]:
    """Return X and W of a cache; TypeError unless it is the pair that `conv_forward` made."""
    pair = isinstance(cache, tuple | list) and len(cache) == 2
    if not pair or isinstance(cache[1], tuple):
        got = "what conv_forward returns, whole" if pair else described(cache)
        raise TypeError(f"cache must be the pair (X, W), conv_forward's second result, got {got}")
    X, W = as_image_and_filter("X of the cache", cache[0], "W of the cache", cache[1])
    expect_shape("W of the cache", W, (W.shape[0], W.shape[0]))
    return X, W


def _input_and_error(X: ArrayLike, dH: ArrayLike) -> tuple[Array, Array, int]:
    """Check an input and the error of its output; return the size f of their filter too."""
    X, dH = as_image_and_filter("X", X, "dH", dH)
    f = X.shape[0] - dH.shape[0] + 1
    expect_shape("dH", dH, (X.shape[0] - f + 1, X.shape[1] - f + 1))
    return X, dH, f


def _error_and_filter(dH: ArrayLike, W: ArrayLike) -> tuple[Array, Array, int]:
    """Check the error of an output and a square filter; return its size f too."""
    dH, W = as_array("dH", dH, "n_H n_W"), as_array("W", W, "f f")
    f = W.shape[0]
    expect_shape("W", W, (f, f))
    return dH, W, f
