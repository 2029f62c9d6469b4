"""What a newcomer gets wrong, and what the textbook says: the argument, its value, what is due."""

import inspect
import re
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from refconv import textbook
from refconv.textbook import network

X, W = np.ones((4, 5)), np.ones((2, 2))
THETA = network.Parameters(
    *(np.ones(shape) for shape in [(3, 2, 3, 3), (3,), (2, 3, 5, 5), (2,), (4, 4), (4,)])
)

IMAGES = np.ones((1, 2, 8, 4))
LONG = list(range(5000))

# who misreads the docstring, or mixes up two functions -> what is said
MISTAKES: list[tuple[Callable[[], Any], type[Exception], str]] = [
    # the cache
    (lambda: textbook.conv_backward(W, X), TypeError,
     r"cache must be the pair \(X, W\), conv_forward's second .*got ndarray of shape \(4, 5\)"),
    (lambda: textbook.conv_backward(W, textbook.conv_forward(X, W)), TypeError,
     r"cache must be the pair .*got what conv_forward returns, whole"),
    (lambda: textbook.conv_backward(W, (X, W, W)), TypeError, r"cache must be .*got tuple of 3"),
    (lambda: textbook.conv_backward(W, None), TypeError, r"cache must be .*got None"),
    (lambda: textbook.conv_backward(W, (W, X)), ValueError, r"W of the cache must fit inside X"),
    # numbers for sizes
    (lambda: textbook.pool_max(X, 2.0), TypeError, r"N must be an integer, got 2\.0 \(float\)"),
    (lambda: textbook.pool_max(X, (2, 2)), TypeError, r"N must be an integer, got tuple of 2"),
    (lambda: textbook.pool_average(X, "2"), TypeError, r"N must be an integer, got '2' \(str\)"),
    (lambda: textbook.pool_l2(X, True), TypeError, r"N must be an integer, got True \(bool\)"),
    (lambda: textbook.pool_max(X, X), TypeError, r"N must be an integer, got ndarray of shape"),
    (lambda: textbook.strided_forward(X, W, 0, 1.5), TypeError, r"s must be an integer, got 1\.5"),
    (lambda: textbook.strided_forward(X, W, 0, (1, 1)), TypeError, r"s must be an integer"),
    (lambda: textbook.dx_dw(X, W, 0, 0), TypeError, r"w_shape must be an integer, got ndarray"),
    (lambda: textbook.dx_dw(X, 2, 0, 0), TypeError, r"w_shape must be two sizes, got 2 \(int\)"),
    (lambda: textbook.dx_dw(X, (2, 2), 0.0, 0), TypeError,
     r"\(m, n\) must be an integer, got 0\.0"),
    (lambda: textbook.region_Q(0, 0, (2, 2, 2), (3, 4)), TypeError, r"w_shape must be two sizes"),
    (lambda: textbook.region_Q(0, 0, (0, 2), (3, 4)), ValueError, r"w_shape must be at least 1"),
    (lambda: textbook.local_gradient_filter(X, W), TypeError, r"f must be an integer, got ndarray"),
    (lambda: textbook.local_gradient_input(X, W), TypeError,
     r"X_shape must be two sizes, got ndarr"),
    # what is not an array of real numbers
    (lambda: textbook.cross_correlation(None, W), TypeError,
     r"I must hold integers or floats, got N"),
    (lambda: textbook.cross_correlation("image.png", W), TypeError, r"I must hold .*'image\.png'"),
    (lambda: textbook.relu([1, None]), TypeError, r"x must hold integers or floats, got list of 2"),
    (lambda: textbook.relu(X * 1j), TypeError, r"x must hold .*got ndarray .*complex128"),
    (lambda: textbook.rot180([[1, 2], [3]]), ValueError,
     r"w must be an array or nested lists of equ"),
    (lambda: textbook.rot180([["a", "b"]]), TypeError, r"w must hold integers or floats"),
    (lambda: textbook.relu(torch.ones(2, requires_grad=True)), ValueError,
     r"x must be .*detach\(\)"),
    (lambda: textbook.squared_error([1], [b"x"]), TypeError, r"y must hold integers or floats"),
    (lambda: textbook.relu(np.ma.masked_equal([1, 2], 2)), TypeError, r"x must not be masked"),
    # axes: a batch, a channel, a number
    (lambda: textbook.cross_correlation(X[None, None], W), ValueError,
     r"I .*\(H, W\), got .*1, 1, 4"),
    (lambda: textbook.bank_forward(X, W, 0), ValueError, r"I .*\(H, W, C\), got shape \(4, 5\)"),
    (lambda: textbook.layer_sum(X, W, [1.0, 2.0]), ValueError, r"b must be one number, got shape"),
    (lambda: textbook.layer_sum(X, W, None), TypeError,
     r"b must hold integers or floats, got None"),
    (lambda: textbook.pool_max_backward(W, textbook.pool_max(X[:, :4], 2), 2), ValueError,
     r"winner .*\(h, w\), got shape \(2, 2, 2\)"),
    (lambda: textbook.pool_max_backward(W, W, 2), TypeError,
     r"winner must hold integers, .*float64"),
    (lambda: textbook.conv_filter_gradient(X, W), ValueError, r"dH must have shape \(2, 3\)"),
    # functions and lists
    (lambda: textbook.delta_by_difference(X, X), TypeError, r"E must be a function .*got ndarray"),
    (lambda: textbook.delta_by_difference(textbook.relu, X), ValueError,
     r"E\(x\) must be one number"),
    (lambda: textbook.layers_forward(X, W, 0.0), ValueError, r"ws and bs must be lists"),
    (lambda: textbook.layers_forward(X, W, [0.0, 0.0]), ValueError, r"w .*got shape \(2,\)"),
    # values of any length
    (lambda: textbook.pool_max(X, LONG), TypeError, r"N must be an integer, got list of 5000"),
    (lambda: textbook.pool_max(X, "2" * 5000), TypeError, r"N must be an integer, got '222"),
    (lambda: textbook.pool_max(X, -(10**4000)), ValueError, r"N must be at least 1, got -1000"),
    (lambda: textbook.pool_average_backward(X, 10**30), ValueError, r"N must leave room"),
    (lambda: textbook.pool_max_backward(W, W.astype(int), 10**7), ValueError, r"N must leave room"),
    (lambda: textbook.local_gradient_input((10**6, 10**6), W), ValueError, r"X_shape must leave"),
    (lambda: textbook.pool_max(X, 10**4000), ValueError, r"N must divide both sizes"),
    (lambda: textbook.rot180(np.ones((1,) * 64)), ValueError, r"w must be a non-empty .*got shape"),
    (lambda: textbook.dx_dw(X, (2, 2), 10**4000, 0), ValueError, r"\(m, n\) must lie inside"),
    # the network
    (lambda: network.forward(tuple(THETA), X), TypeError, r"theta must be network.*tuple of 6"),
    (lambda: network.backward(THETA, (X, W), W), TypeError, r"cache must be forward.s second"),
    (lambda: network.backward(THETA, network.forward(THETA, IMAGES)[1], W), ValueError,
     r"delta3 must have shape \(1, 4\), got \(2, 2\)"),
    (lambda: network.sgd_step(THETA, X, 0.1), TypeError, r"gradient must be network\.Parameters"),
    (lambda: network.sgd_step(THETA, THETA, "fast"), TypeError, r"rate must hold .*got 'fast'"),
    (lambda: network.cross_entropy(W, [0.0, 1.0]), TypeError, r"labels must hold integers"),
    (lambda: network.forward(THETA._replace(w1="w1"), X), TypeError,
     r"w1 must hold integers or fl"),
]  # fmt: skip

BAD = [
    (lambda: textbook.rot180(np.ones(3)), r"w .*\(k1, k2\), got shape \(3,\)"),
    (lambda: textbook.cross_correlation(np.ones((2, 2, 2)), W), r"I .*got shape \(2, 2, 2\)"),
    (lambda: textbook.cross_correlation(X, np.ones((5, 1))), r"K must fit inside I .*\(5, 1\)"),
    (lambda: textbook.convolution(X, np.ones((1, 6))), r"K must fit inside I .*\(1, 6\)"),
    (lambda: textbook.convolution_by_flipping(X, 3.0), r"K .*got shape \(\)"),
    (lambda: textbook.full_convolution(np.ones((0, 2)), W), r"I must be a non-empty .*\(0, 2\)"),
    (lambda: textbook.conv_forward(X, np.ones((2, 3))), r"W must have shape \(2, 2\).*\(2, 3\)"),
    (
        lambda: textbook.conv_backward(X, textbook.conv_forward(X, W)[1]),
        r"dH must have shape \(3, 4\), got \(4, 5\)",
    ),
    (lambda: textbook.conv_filter_gradient(W, X), r"dH must fit inside X"),
    (lambda: textbook.conv_input_gradient(X, np.ones((2, 1))), r"W must have shape \(2, 2\)"),
    (
        lambda: textbook.bank_forward(np.ones((4, 5, 3)), np.ones((2, 2, 2, 6)), np.ones(6)),
        r"K must have shape \(2, 2, 3, 6\), got \(2, 2, 2, 6\)",
    ),
    (
        lambda: textbook.bank_forward(np.ones((4, 5, 3)), np.ones((2, 2, 3, 6)), np.ones(3)),
        r"b must have shape \(6,\), got \(3,\)",
    ),
    (
        lambda: textbook.bank_forward(np.ones((4, 5, 3)), np.ones((5, 2, 3, 6)), np.ones(6)),
        r"K must fit inside I of shape \(4, 5\), got shape \(5, 2\)",
    ),
    (
        lambda: textbook.bank_backward(
            np.ones((3, 4, 5)), np.ones((4, 5, 3)), np.ones((2, 2, 3, 6))
        ),
        r"delta must have shape \(3, 4, 6\), got \(3, 4, 5\)",
    ),
    (lambda: textbook.layer_sum(W, X, 0.0), r"w must fit inside o"),
    (lambda: textbook.layer_sum_by_convolution(W, X, 0.0), r"w must fit inside o"),
    (lambda: textbook.strided_forward(X, W, 0.0, 0), r"s must be at least 1, got 0"),
    (lambda: textbook.strided_backward(X, X, W, 2), r"delta must have shape \(2, 2\)"),
    (lambda: textbook.squared_error(X, W), r"t must have shape \(2, 2\), got \(4, 5\)"),
    (lambda: textbook.output_delta(X, W), r"t must have shape \(2, 2\), got \(4, 5\)"),
    (lambda: textbook.dx_dw(X, (2, 2), 2, 0), r"\(m, n\) must lie inside .*got \(2, 0\)"),
    (lambda: textbook.dE_dw(X, W), r"delta must fit inside o"),
    (lambda: textbook.dE_dw_by_convolution(X, W), r"delta must fit inside o"),
    (lambda: textbook.dE_db([1, 2]), r"delta .*got shape \(2,\)"),
    (lambda: textbook.region_Q(-1, 0, (2, 2), (3, 4)), r"\(i, j\) must lie inside .*\(-1, 0\)"),
    (lambda: textbook.delta_over_Q(X, W, X), r"delta must have shape \(3, 4\)"),
    (lambda: textbook.delta_by_taps(X, W, X), r"delta must have shape \(3, 4\)"),
    (lambda: textbook.delta_by_rot180(X, X, W), r"w must fit inside x"),
    (lambda: textbook.pool_max(X, 2), r"N must divide both sizes of x \(4, 5\), got 2"),
    (lambda: textbook.pool_average(X, 0), r"N must be at least 1, got 0"),
    (lambda: textbook.pool_l2(np.ones(4), 2), r"x .*got shape \(4,\)"),
    (
        lambda: textbook.pool_max_backward(W, np.full((2, 2), 4), 2),
        r"winner must lie in 0 .. 3, got 4",
    ),
    (
        lambda: textbook.pool_max_backward(X, np.zeros((2, 2), int), 2),
        r"winner must have shape \(4, 5\)",
    ),
    (lambda: textbook.pool_average_backward(X, -1), r"N must be at least 1, got -1"),
    (lambda: textbook.pool_l2_backward(X, np.ones((4, 4)), 2), r"dy must have shape \(2, 2\)"),
    (
        lambda: textbook.delta_through_pool_max(X, W, np.zeros((4, 5), int), 2, np.ones((8, 10))),
        r"delta must have shape \(3, 4\), got \(4, 5\)",
    ),
    (
        lambda: textbook.delta_through_pool_max(np.ones((3, 4)), W, np.zeros((4, 5), int), 2, X),
        r"x must have shape \(8, 10\), got \(4, 5\)",
    ),
    (lambda: textbook.grayscale_forward(W, X, 0.0), r"K must fit inside I"),
    (lambda: textbook.layer_sum_as_printed(X, W, X), r"b must have shape \(3, 4\)"),
    (lambda: textbook.bank_forward_as_printed(X, W, 0.0), r"I .*\(H, W, C\), got shape"),
    (
        lambda: textbook.chain_rule(X, np.ones((3, 4, 2, 2))),
        r"local must have shape \(4, 5, 2, 2\)",
    ),
    (
        lambda: textbook.local_gradient_filter(X, 5),
        r"size f must fit inside X .*got shape \(5, 5\)",
    ),
    (lambda: textbook.local_gradient_input((1, 5), W), r"W must fit inside X .*\(1, 5\)"),
    (lambda: textbook.local_gradient_input((4, 5), X), r"W must have shape \(4, 4\)"),
    (lambda: textbook.conv_filter_gradient_by_chain(X, W), r"dH must have shape \(2, 3\)"),
    (lambda: textbook.conv_input_gradient_by_chain(X, X), r"W must have shape \(4, 4\)"),
    (lambda: textbook.dE_dw_by_chain(X, W), r"dx must have shape \(4, 5\), got \(2, 2\)"),
    (lambda: textbook.dx_dw_by_difference(X, W, 2, 0), r"\(m, n\) must lie inside .*\(2, 0\)"),
    (lambda: textbook.dx_dx(W, X, 0, 5), r"\(i, j\) must lie inside .*\(0, 5\)"),
    (lambda: textbook.dx_dx_by_difference(W, X, -1, 0), r"\(i, j\) must lie inside"),
    (lambda: textbook.delta_by_difference(np.sum, X, 0.0), r"h must be a positive step, got 0.0"),
    (lambda: textbook.delta_over_mn(X, W, X), r"delta must have shape \(3, 4\)"),
    (lambda: textbook.delta_by_flipped_taps(X, W, X), r"delta must have shape \(3, 4\)"),
    (lambda: textbook.layers_forward(X, [W, W], [0.0]), r"ws and bs must be lists"),
    (lambda: network.forward(THETA, np.ones((1, 2, 12, 4))), r"w3 must have shape \(4, 6\)"),
    (
        lambda: network.forward(THETA._replace(w1=np.ones((3, 2, 2, 2))), np.ones((1, 2, 8, 4))),
        r"w1 must hold square filters of odd size, got shape \(3, 2, 2, 2\)",
    ),
    (lambda: network.cross_entropy(W, [0, 2]), r"labels must lie in 0 .. 1, got 0 .. 2"),
    (lambda: network.cross_entropy(W, [0, 1, 0]), r"labels must have shape \(2,\), got \(3,\)"),
]


@pytest.mark.parametrize(("call", "kind", "message"), MISTAKES)
def test_newcomers_mistakes(call: Callable[[], Any], kind: type, message: str) -> None:
    with pytest.raises(kind, match=message) as raised:
        call()
    assert type(raised.value) is kind
    assert len(str(raised.value)) <= 300


@pytest.mark.parametrize(("call", "message"), BAD)
def test_bad_input_is_named(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as raised:
        call()
    assert len(str(raised.value)) <= 300


def test_the_table_is_long_enough() -> None:
    assert len(MISTAKES) >= 40


ODD = [
    None, True, 0, -1, 2.5, float("nan"), 10**30, 1j, "x", b"x", [], [[]], {}, set(), (1, 2), X, W,
    (X, W), X[0], np.ones((0, 3)), np.ones((2, 2, 2)), X * 1j, [[1], [2, 3]], object(), np.sum,
    np.array(["a"]), np.array([None]), torch.ones(2, 2), np.float32(3), slice(3),
    np.datetime64(1, "s"),
]  # fmt: skip


@pytest.mark.parametrize("name", [n for n in textbook.__all__ if callable(getattr(textbook, n))])
def test_odd_values_in_every_argument(name: str) -> None:
    """A result, or one of the two errors, in words of ours: nothing of NumPy's or of Python's."""
    function = getattr(textbook, name)
    rng = np.random.default_rng(0)
    parameters = [p for p in inspect.signature(function).parameters if p != "h"]
    for _ in range(300):
        arguments = [ODD[k] for k in rng.integers(0, len(ODD), len(parameters))]
        try:
            function(*arguments)
        except (TypeError, ValueError, IndexError) as problem:
            where = traceback.extract_tb(problem.__traceback__)[-1].filename
            if "as_printed" in name and not WORDS.search(str(problem)):
                continue  # an erratum fails as it is printed
            if "textbook" not in where or not WORDS.search(str(problem)) or len(str(problem)) > 300:
                raise


WORDS = re.compile(r" must | holds |int64 can hold: give floats")
