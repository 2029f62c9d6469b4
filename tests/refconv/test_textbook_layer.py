"""Equations (4) to (22), depths and strides, against the general operators and torch."""

import numpy as np
import pytest

from refconv import textbook
from support.textbook_checks import (
    SIZES,
    assert_same_sums,
    check_bank,
    check_delta,
    check_delta_by_its_definition,
    check_error,
    check_filter_gradient,
    check_filter_gradient_by_parts,
    check_layer_sum,
    check_layers,
    check_local_gradients,
    check_strided,
    conv,
    integers,
    leaf,
)


def test_bank_of_the_readers_question() -> None:
    check_bank(32, 32, 3, 5, 5, 6)


def test_bank_that_is_not_square() -> None:
    check_bank(5, 7, 2, 2, 3, 4)


@pytest.mark.parametrize("sizes", SIZES)
def test_layer_sum(sizes: tuple[int, int, int, int]) -> None:
    check_layer_sum(*sizes)


def test_two_layers() -> None:
    check_layers()


@pytest.mark.parametrize("s", [1, 2, 3])
@pytest.mark.parametrize("sizes", SIZES)
def test_strided(sizes: tuple[int, int, int, int], s: int) -> None:
    check_strided(*sizes, s)


@pytest.mark.parametrize("sizes", SIZES)
def test_gradients_of_a_layer(sizes: tuple[int, int, int, int]) -> None:
    check_filter_gradient(*sizes)
    check_filter_gradient_by_parts(*sizes)
    check_delta(*sizes)
    check_local_gradients(*sizes)


def test_delta_by_its_definition() -> None:
    check_delta_by_its_definition()


def test_local_gradient_at_the_kink() -> None:
    """The rule takes slope 0 there, as torch does; the quotient has one side of two."""
    x, w = np.zeros((2, 2)), np.ones((1, 1))
    assert textbook.dx_dx(w, x, 0, 1).tolist() == [[0, 0], [0, 0]]
    assert textbook.dx_dx_by_difference(w, x, 0, 1).tolist() == [[0, 0.5], [0, 0]]


def test_numbers_of_delta() -> None:
    """Worked by hand: delta = [[1, 2], [0, 3]] and w = [[1, 2], [3, 4]], with f' = 1."""
    delta, w, x = [[1, 2], [0, 3]], [[1, 2], [3, 4]], np.ones((3, 3))
    expected = [
        [1 * 1, 1 * 2 + 2 * 1, 2 * 2],
        [1 * 3 + 0 * 1, 1 * 4 + 2 * 3 + 0 * 2 + 3 * 1, 2 * 4 + 3 * 2],
        [0 * 3, 0 * 4 + 3 * 3, 3 * 4],
    ]
    assert expected == [[1, 4, 4], [3, 13, 14], [0, 9, 12]]
    for form in (
        textbook.delta_over_Q,
        textbook.delta_over_mn,
        textbook.delta_by_taps,
        textbook.delta_by_flipped_taps,
        textbook.delta_by_rot180,
    ):
        assert form(delta, w, x).tolist() == expected


@pytest.mark.parametrize("sizes", SIZES)
def test_dx_dw_is_the_change_that_one_weight_makes(sizes: tuple[int, int, int, int]) -> None:
    H, W, k1, k2 = sizes
    o, w = integers(H, W), integers(k1, k2)
    for m, n in np.ndindex(k1, k2):
        more = w.copy()
        more[m, n] += 1
        change = textbook.layer_sum(o, more, 0.0) - textbook.layer_sum(o, w, 0.0)
        np.testing.assert_array_equal(textbook.dx_dw(o, (k1, k2), m, n), change, strict=True)


@pytest.mark.parametrize("sizes", SIZES)
def test_region_Q_is_what_one_pixel_touches(sizes: tuple[int, int, int, int]) -> None:
    H, W, k1, k2 = sizes
    for i, j in np.ndindex(H, W):
        pixel = np.zeros((H, W))
        pixel[i, j] = 1
        touched = conv(pixel, np.ones((k1, k2)))
        expected = np.zeros(touched.shape)
        expected[textbook.region_Q(i, j, (k1, k2), touched.shape)] = 1
        assert_same_sums(touched, expected)


def test_region_Q_corners_away_from_the_border() -> None:
    rows, columns = textbook.region_Q(5, 6, (3, 2), (8, 9))
    assert (rows.start, columns.start) == (5 - 3 + 1, 6 - 2 + 1)
    assert (rows.stop - 1, columns.stop - 1) == (5, 6)


def test_error_and_output_delta() -> None:
    check_error()


def test_relu_and_its_slope_at_the_kink() -> None:
    x = leaf(np.array([-2.0, 0.0, 3.0]))
    y = x.relu()
    y.sum().backward()
    assert_same_sums(textbook.relu(x.detach().numpy()), y.detach())
    assert_same_sums(textbook.relu_prime(x.detach().numpy()) * 1.0, x.grad)
