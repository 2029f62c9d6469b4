"""Integers of every width give what Python's integers and float64 give: nothing wraps."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from refconv import textbook
from refconv.textbook import ERRATA, network
from support.textbook_checks import Array, integers

Make = Callable[[Any], Any]

# Products, sums and differences of these leave one byte, and most of them two.
IMAGE = [[100, 3, 127, 50, 0, 9], [7, 120, 90, 60, 1, 80], [33, 64, 5, 127, 2, 8],
         [99, 0, 12, 70, 110, 4]]  # fmt: skip
SQUARE = [row[:3] for row in IMAGE[:3]]
FILTER = [[1, 100], [120, 77]]
DELTA = [[5, 90, 127, 3, 66], [100, 1, 0, 4, 2], [9, 126, 30, 80, 111]]  # of FILTER on IMAGE
POOLED, WINNER = [[90, 127, 3], [4, 60, 100]], [[0, 3, 1], [2, 2, 0]]
VOLUME = [[[a, 127 - a] for a in row] for row in IMAGE]
BANK = [[[[1, 90, 3], [77, 5, 100]], [[9, 8, 7], [127, 0, 50]]]]  # (1, 2, 2, 3)
ERRORS = [[[a, 127, 127 - a] for a in row] for row in [r[:5] for r in IMAGE]]
BIASES, BIAS = [100, 120, 7], 120


def error(x: Array) -> float:
    return float(np.sum(x.astype(np.float64) ** 2))


CALLS: dict[str, Callable[[Make], Any]] = {
    "bank_backward": lambda a: textbook.bank_backward(a(ERRORS), a(VOLUME), a(BANK)),
    "bank_forward": lambda a: textbook.bank_forward(a(VOLUME), a(BANK), a(BIASES)),
    "bank_forward_as_printed": lambda a: textbook.bank_forward_as_printed(
        a(VOLUME), a([[[100, 9]]]), a(BIAS)
    ),
    "chain_rule": lambda a: textbook.chain_rule(a(FILTER), a([[FILTER, FILTER], [FILTER, FILTER]])),
    "conv_backward": lambda a: textbook.conv_backward(a(DELTA), (a(IMAGE), a(FILTER))),
    "conv_filter_gradient": lambda a: textbook.conv_filter_gradient(a(IMAGE), a(DELTA)),
    "conv_filter_gradient_as_printed": lambda a: textbook.conv_filter_gradient_as_printed(
        a(SQUARE), a(FILTER)
    ),
    "conv_filter_gradient_by_chain": lambda a: textbook.conv_filter_gradient_by_chain(
        a(IMAGE), a(DELTA)
    ),
    "conv_forward": lambda a: textbook.conv_forward(a(IMAGE), a(FILTER)),
    "conv_input_gradient": lambda a: textbook.conv_input_gradient(a(DELTA), a(FILTER)),
    "conv_input_gradient_by_chain": lambda a: textbook.conv_input_gradient_by_chain(
        a(DELTA), a(FILTER)
    ),
    "convolution": lambda a: textbook.convolution(a(IMAGE), a(FILTER)),
    "convolution_by_flipping": lambda a: textbook.convolution_by_flipping(a(IMAGE), a(FILTER)),
    "convolution_by_flipping_as_printed": lambda a: textbook.convolution_by_flipping_as_printed(
        a(IMAGE), a(FILTER)
    ),
    "cross_correlation": lambda a: textbook.cross_correlation(a(IMAGE), a(FILTER)),
    "dE_db": lambda a: textbook.dE_db(a(DELTA)),
    "dE_dw": lambda a: textbook.dE_dw(a(DELTA), a(IMAGE)),
    "dE_dw_by_chain": lambda a: textbook.dE_dw_by_chain(a(DELTA), a(DELTA)),
    "dE_dw_by_convolution": lambda a: textbook.dE_dw_by_convolution(a(DELTA), a(IMAGE)),
    "dE_dw_by_convolution_as_printed": lambda a: textbook.dE_dw_by_convolution_as_printed(
        a(DELTA), a(IMAGE)
    ),
    "delta_by_difference": lambda a: textbook.delta_by_difference(error, a(IMAGE)),
    "delta_by_flipped_taps": lambda a: textbook.delta_by_flipped_taps(
        a(DELTA), a(FILTER), a(IMAGE)
    ),
    "delta_by_flipped_taps_as_printed": lambda a: textbook.delta_by_flipped_taps_as_printed(
        a(DELTA), a(FILTER), a(IMAGE)
    ),
    "delta_by_rot180": lambda a: textbook.delta_by_rot180(a(DELTA), a(FILTER), a(IMAGE)),
    "delta_by_rot180_as_printed": lambda a: textbook.delta_by_rot180_as_printed(
        a(DELTA), a(FILTER), a(IMAGE)
    ),
    "delta_by_taps": lambda a: textbook.delta_by_taps(a(DELTA), a(FILTER), a(IMAGE)),
    "delta_over_Q": lambda a: textbook.delta_over_Q(a(DELTA), a(FILTER), a(IMAGE)),
    "delta_over_mn": lambda a: textbook.delta_over_mn(a(DELTA), a(FILTER), a(IMAGE)),
    "delta_through_pool_max": lambda a: textbook.delta_through_pool_max(
        a([[100, 127]]), a(FILTER), np.array(WINNER), 2, a(IMAGE)
    ),
    "dx_dw": lambda a: textbook.dx_dw(a(IMAGE), (2, 2), 1, 0),
    "dx_dw_by_difference": lambda a: textbook.dx_dw_by_difference(a(IMAGE), a(FILTER), 1, 0),
    "dx_dx": lambda a: textbook.dx_dx(a(FILTER), a(IMAGE), 1, 1),
    "dx_dx_by_difference": lambda a: textbook.dx_dx_by_difference(a(FILTER), a(IMAGE), 1, 1),
    "full_convolution": lambda a: textbook.full_convolution(a(IMAGE), a(FILTER)),
    "grayscale_forward": lambda a: textbook.grayscale_forward(a(IMAGE), a(FILTER), a(BIAS)),
    "layer_sum": lambda a: textbook.layer_sum(a(IMAGE), a(FILTER), a(BIAS)),
    "layer_sum_as_printed": lambda a: textbook.layer_sum_as_printed(a(IMAGE), a(FILTER), a(DELTA)),
    "layer_sum_by_convolution": lambda a: textbook.layer_sum_by_convolution(
        a(IMAGE), a(FILTER), a(BIAS)
    ),
    "layers_forward": lambda a: textbook.layers_forward(
        a(IMAGE), [a(FILTER), a(FILTER)], [a(BIAS), a(3)]
    ),
    "layers_forward_as_printed": lambda a: textbook.layers_forward_as_printed(
        a(IMAGE), [a(FILTER), a(FILTER)], [a(BIAS), a(3)]
    ),
    "local_gradient_filter": lambda a: textbook.local_gradient_filter(a(IMAGE), 2),
    "local_gradient_input": lambda a: textbook.local_gradient_input((3, 4), a(FILTER)),
    "output_delta": lambda a: textbook.output_delta(a(IMAGE), a(IMAGE[::-1])),
    "pool_average": lambda a: textbook.pool_average(a(IMAGE), 2),
    "pool_average_backward": lambda a: textbook.pool_average_backward(a(POOLED), 2),
    "pool_l2": lambda a: textbook.pool_l2(a(IMAGE), 2),
    "pool_l2_backward": lambda a: textbook.pool_l2_backward(a(POOLED), a(IMAGE), 2),
    "pool_max": lambda a: textbook.pool_max(a(IMAGE), 2),
    "pool_max_backward": lambda a: textbook.pool_max_backward(a(POOLED), np.array(WINNER), 2),
    "region_Q": lambda a: textbook.region_Q(1, 1, (2, 2), (3, 4)),
    "relu": lambda a: textbook.relu(a(IMAGE)),
    "relu_prime": lambda a: textbook.relu_prime(a(IMAGE)),
    "rot180": lambda a: textbook.rot180(a(FILTER)),
    "squared_error": lambda a: textbook.squared_error(a(IMAGE), a(IMAGE[::-1])),
    "strided_backward": lambda a: textbook.strided_backward(
        a([[100, 90, 3], [127, 7, 8]]), a(IMAGE), a(FILTER), 2
    ),
    "strided_forward": lambda a: textbook.strided_forward(a(IMAGE), a(FILTER), a(BIAS), 2),
}
INTEGERS = [*"bhilqBHILQ"]  # signed and unsigned, of every name C has
SWAPPED = [np.dtype(np.int16).newbyteorder(), np.dtype(np.uint32).newbyteorder()]


def arrays(result: Any) -> list[Array]:
    """All arrays and numbers of a result, in order; slices are sizes, not data."""
    if isinstance(result, tuple):
        return [array for part in result for array in arrays(part)]
    return [] if isinstance(result, slice) else [np.asarray(result)]


def equal(got: Any, expected: Any) -> None:
    for a, b in zip(arrays(got), arrays(expected), strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.dtype in (np.int64, np.float64, np.bool_)


def test_every_function_has_a_call() -> None:
    """But for the erratum that cannot run."""
    functions = {name for name in textbook.__all__ if callable(getattr(textbook, name))}
    assert functions - set(CALLS) == {ERRATA["E8"][0].__name__}
    assert set(CALLS) <= functions


@pytest.mark.parametrize("name", CALLS)
def test_integers_of_every_width(name: str) -> None:
    as_floats = CALLS[name](lambda numbers: np.array(numbers, np.float64))
    as_lists = CALLS[name](lambda numbers: numbers)
    equal(as_lists, as_floats)
    for dtype in [*INTEGERS, *SWAPPED]:
        by_dtype = CALLS[name](lambda numbers, dtype=dtype: np.array(numbers, dtype))
        equal(by_dtype, as_floats)
        assert [a.dtype for a in arrays(by_dtype)] == [a.dtype for a in arrays(as_lists)]


@pytest.mark.parametrize("name", CALLS)
def test_booleans_are_the_numbers_0_and_1(name: str) -> None:
    as_floats = CALLS[name](lambda numbers: np.array(numbers) % 2 * 1.0)
    as_lists = CALLS[name](lambda numbers: (np.array(numbers) % 2 == 1).tolist())
    as_booleans = CALLS[name](lambda numbers: np.array(numbers) % 2 == 1)
    equal(as_booleans, as_floats)
    equal(as_lists, as_floats)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("name", CALLS)
def test_large_integers_are_right_or_refused(name: str, sign: int) -> None:
    """At every scale up to the largest int64: an error that says so, or the numbers of float64."""
    right = 0
    for power in range(0, 57, 4):
        factor = sign * 2**power
        try:
            got = CALLS[name](lambda numbers, k=factor: np.array(numbers, np.int64) * k)
        except ValueError as problem:
            if "int64 can hold: give floats" not in str(problem):
                raise
            continue
        expected = CALLS[name](lambda numbers, k=factor: np.array(numbers) * float(k))
        for a, b in zip(arrays(got), arrays(expected), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9)
        right += 1
    assert right >= 3, "a check that refuses everything proves nothing"


@pytest.mark.parametrize(
    "call",
    [
        lambda: textbook.relu(np.array([2**63], np.uint64)),
        lambda: textbook.rot180([[2**63]]),
        lambda: textbook.cross_correlation([[2**62]], [[2]]),
        lambda: textbook.full_convolution([[2**40, 1]], [[2**30, 1]]),
        lambda: textbook.layer_sum([[2**62]], [[1]], 2**62),
        lambda: textbook.output_delta([[-(2**63)]], [[1]]),
        lambda: textbook.dE_db([[2**62, 2**62]]),
        lambda: textbook.bank_forward([[[2**62]]], [[[[1]]]], [2**62]),
    ],
)
def test_what_int64_cannot_hold_is_refused(call: Callable[[], Any]) -> None:
    with pytest.raises(ValueError, match="int64 can hold: give floats"):
        call()


def test_the_issue_s_bytes() -> None:
    assert textbook.output_delta(np.uint8([[3]]), np.uint8([[1]])).tolist() == [[-2]]
    assert textbook.squared_error(np.uint8([20]), np.uint8([0])) == 200.0


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_floats_keep_their_dtype(dtype: type) -> None:
    a, w = (integers(5, 6) / 8).astype(dtype), (integers(2, 2) / 8).astype(dtype)
    H, cache = textbook.conv_forward(a, w)
    dX, dW = textbook.conv_backward(H, cache)
    results = [H, dX, dW, textbook.convolution(a, w), textbook.delta_over_Q(H, w, a)]
    results += [textbook.dE_dw(H, a), textbook.pool_max(a[:4], 2)[0], textbook.dx_dx(w, a, 0, 0)]
    results += [textbook.layer_sum(a, w, 0.5), textbook.layer_sum(a, w, np.float64(0.5))]
    results += [textbook.pool_average(a[:4], 2), textbook.pool_l2(a[:4], 2)]
    results += [textbook.grayscale_forward(a, w, 0.5), textbook.output_delta(a, a)]
    assert {result.dtype for result in results} == {np.dtype(dtype)}


# --- the network --------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", INTEGERS)
def test_network_of_integers(dtype: str) -> None:
    """Images of bytes with float weights, and weights that are integers themselves."""
    shapes = [(2, 1, 3, 3), (2,), (2, 2, 3, 3), (2,), (3, 2), (3,)]
    theta = network.Parameters(*(np.abs(integers(*shape)) for shape in shapes))
    images, labels = np.abs(integers(4, 1, 4, 4)) * 12, np.array([0, 1, 2, 0])
    expected = network.train_step(theta, images, labels, 0.25)
    whole = network.Parameters(*(p.astype(dtype) for p in theta))
    for parameters, step in [(theta, 0.25), (whole, 0.25)]:
        got = network.train_step(parameters, images.astype(dtype), labels.astype(dtype), step)
        assert got[1] == expected[1]
        for a, b in zip(got[0], expected[0], strict=True):
            np.testing.assert_array_equal(a, b, strict=True)
    narrow = network.Parameters(*(p.astype(np.float32) for p in theta))
    assert network.forward(narrow, images.astype(dtype))[0].dtype == np.float32
    ones = network.Parameters(*np.ones((6, 1), dtype))
    assert network.sgd_step(ones, ones._replace(w1=np.array([2], dtype)), 1).w1.tolist() == [-1]
