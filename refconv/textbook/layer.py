"""A layer x = w (x) o + b, o = f(x), and the error of the last one: (6) to (9) of [J].

o^{l-1} -- w^l (x) --> + b^l = x^l -- f --> o^l      w^l belongs to the layer that it makes
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
    as_numbers,
    described,
    expect_addable,
    expect_shape,
)
from refconv.textbook.correlation import convolution, cross_correlation, rot180


def layer_sum(o: ArrayLike, w: ArrayLike, b: float) -> Array:
    """x[i, j] = sum_mn w[m, n] o[i + m, j + n] + b, the sum that enters f.

    One b for all places; the text's b_ij would be one for each: erratum E3.
    o (H, W), w (k1, k2), b a number -> (H - k1 + 1, W - k2 + 1).
    Letters: o w b -> x | x w b -> y | input weight bias -> output.
    Source: [J] (7).

    >>> layer_sum([[1, 2, 3]], [[1, 10]], 5).tolist()
    [[26, 37]]
    """
    o, w = as_image_and_filter("o", o, "w", w)
    return _plus(cross_correlation(o, w), b)


def layer_sum_by_convolution(o: ArrayLike, w: ArrayLike, b: float) -> Array:
    """The same x as rot180(w) * o + b: one flip undoes the other, which * makes.

    Arguments and result as `layer_sum`.
    Letters: o w b -> x | x w b -> y | input weight bias -> output.
    Source: [J] (6).

    >>> layer_sum_by_convolution([[1, 2, 3]], [[1, 10]], 5).tolist()
    [[26, 37]]
    """
    o, w = as_image_and_filter("o", o, "w", w)
    return _plus(convolution(o, rot180(w)), b)


def relu(x: ArrayLike) -> Array:
    """f(x) = max(0, x), the ReLU, on any shape; NaN stays NaN.

    Letters: x -> o | x -> y | input -> output.
    Source: [J] (8).

    >>> relu([-1, 0, 2]).tolist()
    [0, 0, 2]
    """
    return np.asarray(np.maximum(as_numbers("x", x), 0))


def relu_prime(x: ArrayLike) -> Array:
    """f'(x) = 1 where x > 0, else 0, as booleans; at the kink 0, as torch has it.

    Letters: x -> f'(x) | x -> - | input -> -.
    Source: the f' of [J] (19).

    >>> relu_prime([-1, 0, 2]).tolist()
    [False, False, True]
    """
    return as_numbers("x", x) > 0


def layers_forward(o: ArrayLike, ws: Sequence[ArrayLike], bs: Sequence[float]) -> Array:
    """o^L, where x^l = w^l (x) o^{l-1} + b^l and o^l = f(x^l) for l = 1 .. L.

    So w^l leads from layer l - 1 to layer l: the first of ws meets the image.  The notation names
    the two layers in the other order: erratum E7.
    o (H, W), ws = [w^1, .., w^L], each a filter, bs = [b^1, .., b^L] -> o^L.
    Letters: o w b -> o^L | x w b -> y | input weight bias -> output.
    Source: [J] (7), (8), and its Notation.

    >>> layers_forward([[1, -2, 3]], [[[1, 1]], [[1, 10]]], [0, 0]).tolist()
    [[10]]
    """
    o = as_array("o", o, "H W")
    try:
        layers = list(zip(ws, bs, strict=True))
    except (TypeError, ValueError):
        raise ValueError(
            "ws and bs must be lists, a filter and a bias for each layer, "
            f"got {described(ws)} and {described(bs)}"
        ) from None
    for w, b in layers:
        o = relu(layer_sum(o, w, b))
    return o


def squared_error(t: ArrayLike, y: ArrayLike) -> float:
    """E = 1/2 sum_p (t_p - y_p)^2, computed in float64.

    t and y of the same shape, any -> a number.
    Letters: t y -> E | - x -> - | - input -> -.
    Source: [J] (9).

    >>> squared_error([1, 2], [3, 5])
    6.5
    """
    t, y = as_numbers("t", t), as_numbers("y", y)
    expect_shape("t", t, y.shape)
    return float(np.sum((t.astype(np.float64) - y.astype(np.float64)) ** 2) / 2)


def _plus(x: Array, b: float) -> Array:
    """One bias for all places."""
    b = as_number("b", b)
    expect_addable(x, b, "o", "w", "b")
    return np.asarray(x + b)
