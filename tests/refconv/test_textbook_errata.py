# ruff: noqa: E741  (I is the image of the equations)
"""Errata E1 to E9: what the texts print gives other numbers, the right form gives torch's."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from refconv import textbook
from support.textbook_checks import (
    Array,
    assert_same_sums,
    check_bank,
    check_convolution,
    check_delta,
    check_filter_gradient,
    check_layer_sum,
    check_layers,
    check_notebook,
    integers,
    leaf,
    torch_conv,
)

SIZES = [(5, 7, 2, 3), (6, 4, 3, 1), (4, 9, 4, 2), (3, 3, 3, 3)]  # more than one weight each


def differs(printed: Array, right: Array) -> None:
    """Not a matter of shape, dtype or sign of zero: the numbers are others."""
    assert printed.shape == right.shape
    assert printed.dtype == right.dtype
    assert not np.array_equal(printed, right)


def one(*shape: int) -> Array:
    return np.ones(shape)


# --- E1 to E3: the forward pass -----------------------------------------------------------------


@pytest.mark.parametrize("sizes", SIZES)
def test_E1_limits_that_leave_the_filter(sizes: tuple[int, int, int, int]) -> None:
    H, W, k1, k2 = sizes
    I, K = integers(H, W) + 20, integers(k1, k2) + 20
    printed = textbook.convolution_by_flipping_as_printed(I, K)
    differs(printed, textbook.convolution_by_flipping(I, K))
    assert_same_sums(printed, K[0, 0] * I[k1 - 1 :, k2 - 1 :])
    check_convolution(*sizes)


def test_E1_in_code_wraps_around_and_is_no_flip_either() -> None:
    K = np.arange(1, 7).reshape(2, 3)
    wrapped = np.array([[K[-m, -n] for n in range(3)] for m in range(2)])
    assert wrapped.tolist() == [[1, 3, 2], [4, 6, 5]]
    assert textbook.rot180(K).tolist() == [[6, 5, 4], [3, 2, 1]]


def test_E2_a_bank_of_one_filter() -> None:
    I, K, b = integers(5, 7, 2), integers(2, 3, 2, 4), integers(4)
    right = textbook.bank_forward(I, K, b)
    assert right.shape == (4, 5, 4)
    for d in range(4):
        assert_same_sums(right[:, :, d], textbook.bank_forward_as_printed(I, K[..., d], b[d]))
    with pytest.raises(ValueError, match=r"K must be a non-empty array \(k1, k2, C\), got shape"):
        textbook.bank_forward_as_printed(I, K, 0.0)
    check_bank(5, 7, 2, 2, 3, 4)


@pytest.mark.parametrize("sizes", SIZES)
def test_E3_a_bias_for_every_place(sizes: tuple[int, int, int, int]) -> None:
    """It equals a layer of torch for no b, for the map is not one number; its gradient is delta."""
    H, W, k1, k2 = sizes
    o, w, shape = integers(H, W), integers(k1, k2), (H - k1 + 1, W - k2 + 1)
    b = integers(*shape, seed=3)
    if b.size > 1:
        printed = textbook.layer_sum_as_printed(o, w, b)
        added = printed - torch_conv(leaf(o), leaf(w)).detach().numpy()
        assert_same_sums(added, b)
        assert len(np.unique(added)) > 1
    constant = textbook.layer_sum_as_printed(o, w, np.full(shape, 3.0))
    assert_same_sums(constant, textbook.layer_sum(o, w, 3.0))
    check_layer_sum(*sizes)


# --- E4: the gradient of a filter ---------------------------------------------------------------


@pytest.mark.parametrize("sizes", SIZES[:3])  # a delta of one number is its own rotation
def test_E4_delta_rotated_once(sizes: tuple[int, int, int, int]) -> None:
    H, W, k1, k2 = sizes
    o, delta = integers(H, W), integers(H - k1 + 1, W - k2 + 1)
    printed = textbook.dE_dw_by_convolution_as_printed(delta, o)
    differs(printed, textbook.dE_dw_by_convolution(delta, o))
    check_filter_gradient(*sizes)


def test_E4_is_what_a_reader_found_senseless() -> None:
    """D4 I1 + D3 I2 + D2 I4 + D1 I5, where the right form has D1 I1 + D2 I2 + D3 I4 + D4 I5."""
    D, o = np.array([[1, 10], [100, 1000]]), np.arange(1, 10).reshape(3, 3)
    printed = textbook.dE_dw_by_convolution_as_printed(D, o)
    assert printed[0, 0] == 1000 * 1 + 100 * 2 + 10 * 4 + 1 * 5
    assert textbook.dE_dw_by_convolution(D, o)[0, 0] == 1 * 1 + 10 * 2 + 100 * 4 + 1000 * 5


def test_E4_rotating_o_instead_rotates_the_gradient() -> None:
    o, delta = integers(5, 7), integers(4, 5)
    rotated = textbook.convolution(textbook.rot180(o), delta)
    assert_same_sums(textbook.rot180(rotated), textbook.dE_dw_by_convolution(delta, o))
    differs(rotated, textbook.dE_dw_by_convolution(delta, o))


# --- E5 and E6: delta ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("printed", "right", "numbers"),
    [
        (
            textbook.delta_by_flipped_taps_as_printed,
            textbook.delta_by_flipped_taps,
            [[3, 6, 0], [11, 17, 2], [6, 11, 4]],
        ),
        (
            textbook.delta_by_rot180_as_printed,
            textbook.delta_by_rot180,
            [[4, 11, 6], [2, 17, 11], [0, 6, 3]],
        ),
    ],
    ids=["E5", "E6"],
)
def test_E5_and_E6_the_flip_of_delta(
    printed: Callable[..., Array], right: Callable[..., Array], numbers: list[list[int]]
) -> None:
    """The numbers are worked by hand: w laid over delta, unflipped, wherever the two touch."""
    delta, w = [[1, 2], [0, 3]], [[1, 2], [3, 4]]
    assert printed(delta, w, one(3, 3)).tolist() == numbers
    assert right(delta, w, one(3, 3)).tolist() == [[1, 4, 4], [3, 13, 14], [0, 9, 12]]
    for H, W, k1, k2 in SIZES[:3]:
        x, w_, delta_ = one(H, W), integers(k1, k2), integers(H - k1 + 1, W - k2 + 1, seed=1)
        differs(printed(delta_, w_, x), right(delta_, w_, x))
        check_delta(H, W, k1, k2)


def test_E5_and_E6_are_one_another_rotated() -> None:
    delta, w, x = integers(4, 5), integers(2, 3), one(5, 7)
    e5 = textbook.delta_by_flipped_taps_as_printed(delta, w, x)
    assert_same_sums(textbook.rot180(e5), textbook.delta_by_rot180_as_printed(delta, w, x))


def test_E5_and_E6_are_right_for_a_filter_equal_to_its_rotation() -> None:
    delta, x = integers(4, 5), one(5, 7)
    w = integers(2, 3) + textbook.rot180(integers(2, 3))
    assert_same_sums(
        textbook.delta_by_rot180_as_printed(delta, w, x), textbook.delta_by_taps(delta, w, x)
    )


# --- E7: the order of layers --------------------------------------------------------------------


def test_E7_weights_against_the_forward_pass() -> None:
    o, ws, bs = integers(6, 7), [integers(2, 3), integers(3, 2)], [4.0, -5.0]
    differs(
        textbook.layers_forward_as_printed(o, ws, bs),
        textbook.layers_forward(o, ws, bs),
    )
    check_layers()


# --- E8 and E9: the notebook's code -------------------------------------------------------------


def test_E8_a_call_where_an_index_is_meant() -> None:
    X, W = integers(5, 5), integers(2, 2)
    H, cache = textbook.conv_forward(X, W)
    with pytest.raises(TypeError, match=r"'numpy\.ndarray' object is not callable"):
        textbook.conv_backward_as_printed(H, cache)

    class Callable_(np.ndarray):
        """With an array that can be called, the printed loop is right: the call is all."""

        def __call__(self, h: int, w: int) -> float:
            return float(self[h, w])

    dX, dW = textbook.conv_backward_as_printed(H.view(Callable_), cache)
    right = textbook.conv_backward(H, cache)
    assert_same_sums(right[0], dX)
    assert_same_sums(right[1], dW)
    check_notebook(5, 5, 2)


def torch_filter_gradient(X: Array, dH: Array, f: int) -> torch.Tensor:
    w = leaf(np.zeros((f, f)))
    return torch.autograd.grad(torch_conv(torch.tensor(X), w), w, torch.tensor(dH))[0]


@pytest.mark.parametrize(("n", "f"), [(5, 2), (6, 3), (5, 4), (4, 4), (7, 1), (2, 2)])
def test_E9_limits_of_the_filter_and_the_output_exchanged(n: int, f: int) -> None:
    """It raises where neither size is 1, and gives other numbers, or raises, where one is."""
    X, dH = integers(n, n) + 20, integers(n - f + 1, n - f + 1) + 20
    right = textbook.conv_filter_gradient(X, dH)
    assert_same_sums(right, torch_filter_gradient(X, dH, f))
    if n - f + 1 == 1:
        differs(textbook.conv_filter_gradient_as_printed(X, dH), right)
    else:
        with pytest.raises((ValueError, IndexError)):
            textbook.conv_filter_gradient_as_printed(X, dH)


def test_E9_is_right_in_the_figures_sizes_alone() -> None:
    for n, f in [(3, 2), (5, 3), (7, 4)]:  # the output is as large as the filter
        X, dH = integers(n, n), integers(f, f)
        printed = textbook.conv_filter_gradient_as_printed(X, dH)
        assert_same_sums(
            printed, textbook.conv_filter_gradient(X, dH), torch_filter_gradient(X, dH, f)
        )
