# ruff: noqa: E741  (I is the image of the equations)
"""Equations (1) to (3), and the one filter of the notebook, against torch."""

import numpy as np
import pytest

from refconv import textbook
from support.textbook_checks import (
    SIZES,
    SQUARE,
    assert_same_sums,
    check_convolution,
    check_correlation,
    check_notebook,
    integers,
)


@pytest.mark.parametrize("sizes", SIZES)
def test_correlation_and_convolution(sizes: tuple[int, int, int, int]) -> None:
    check_correlation(*sizes)
    check_convolution(*sizes)


def test_full_convolution_commutes_and_takes_the_larger_filter() -> None:
    I, K = integers(2, 5), integers(4, 3)
    assert_same_sums(textbook.full_convolution(I, K), textbook.full_convolution(K, I))


def test_the_two_agree_exactly_for_a_filter_equal_to_its_rotation() -> None:
    I, K = integers(6, 5), integers(2, 3)
    symmetric = K + textbook.rot180(K)
    assert_same_sums(textbook.convolution(I, symmetric), textbook.cross_correlation(I, symmetric))
    assert not np.array_equal(textbook.convolution(I, K), textbook.cross_correlation(I, K))


def test_each_output_names_the_tap_it_read() -> None:
    """A one-hot image and powers of two: the output says which filter element met the pixel."""
    I, K = np.zeros((4, 5)), 2.0 ** np.arange(6).reshape(2, 3)
    I[2, 3] = 1
    expected = np.zeros((3, 3))
    expected[1:3, 1:3] = [[32, 16], [4, 2]]
    assert_same_sums(textbook.cross_correlation(I, K), expected)
    expected[1:3, 1:3] = [[1, 2], [8, 16]]
    assert_same_sums(textbook.convolution(I, K), expected)


@pytest.mark.parametrize("sizes", SQUARE)
def test_notebook(sizes: tuple[int, int, int]) -> None:
    check_notebook(*sizes)


def test_non_contiguous_input_gives_the_same() -> None:
    a, w = integers(12, 5), integers(3, 4)
    assert_same_sums(
        textbook.convolution(a.T[:, ::2], w), textbook.convolution(a.T[:, ::2].copy(), w)
    )
    assert_same_sums(
        textbook.pool_max(a.T[:4, ::2], 2)[0], textbook.pool_max(a.T[:4, ::2].copy(), 2)[0]
    )


# --- the figures' 3 x 3 and 2 x 2, with numbers, by hand ----------------------------------------

X, W, DH = (
    np.arange(1.0, 10).reshape(3, 3),
    np.array([[1.0, 2], [3, 4]]),
    np.array([[1.0, 2], [0, 3]]),
)


def test_example_forward() -> None:
    """The four sums of the figure, written out."""
    expected = [
        [1 * 1 + 2 * 2 + 4 * 3 + 5 * 4, 2 * 1 + 3 * 2 + 5 * 3 + 6 * 4],
        [4 * 1 + 5 * 2 + 7 * 3 + 8 * 4, 5 * 1 + 6 * 2 + 8 * 3 + 9 * 4],
    ]
    assert textbook.conv_forward(X, W)[0].tolist() == expected


def test_example_local_gradients() -> None:
    by_filter = textbook.local_gradient_filter(X, 2)
    assert by_filter[0, 0].tolist() == [[1, 2], [4, 5]]
    assert by_filter[1, 0].tolist() == [[4, 5], [7, 8]]
    by_input = textbook.local_gradient_input((3, 3), W)
    assert by_input[0, 0].tolist() == [[1, 2, 0], [3, 4, 0], [0, 0, 0]]
    assert by_input[1, 0].tolist() == [[0, 0, 0], [1, 2, 0], [3, 4, 0]]


def test_example_gradient_of_the_filter() -> None:
    expected = [
        [1 * 1 + 2 * 2 + 0 * 4 + 3 * 5, 1 * 2 + 2 * 3 + 0 * 5 + 3 * 6],
        [1 * 4 + 2 * 5 + 0 * 7 + 3 * 8, 1 * 5 + 2 * 6 + 0 * 8 + 3 * 9],
    ]
    _, cache = textbook.conv_forward(X, W)
    assert textbook.conv_backward(DH, cache)[1].tolist() == expected
    assert textbook.conv_filter_gradient(X, DH).tolist() == expected
    assert textbook.conv_filter_gradient_by_chain(X, DH).tolist() == expected


def test_example_gradient_of_the_input() -> None:
    expected = [
        [1 * 1, 1 * 2 + 2 * 1, 2 * 2],
        [1 * 3 + 0 * 1, 1 * 4 + 2 * 3 + 0 * 2 + 3 * 1, 2 * 4 + 3 * 2],
        [0 * 3, 0 * 4 + 3 * 3, 3 * 4],
    ]
    _, cache = textbook.conv_forward(X, W)
    assert textbook.conv_backward(DH, cache)[0].tolist() == expected
    assert textbook.conv_input_gradient(DH, W).tolist() == expected
    assert textbook.conv_input_gradient_by_chain(DH, W).tolist() == expected
