"""Unfolding and folding against their definitions, torch and algebra, bitwise on integers."""

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from numpy.typing import NDArray

import refconv
from refconv import direct
from support.agreement import same, same_sum
from support.arrays import LAYOUTS, laid_out, plain
from support.refusals import Bad, fails_alike, zeros
from support.strategies import COMPLEX, FLOATS, INTEGERS, LINEAR, FoldCase, fold_cases, integers_in

Array = NDArray[Any]
FORMS = pytest.mark.parametrize("module", [refconv, direct])


def size(case: FoldCase) -> tuple[int, ...]:
    """Return the spatial shape of x."""
    return case.x.shape[-len(case.window[0]) :]


@pytest.mark.usefixtures("tile_size")
class TestAgainstDefinition:
    """Fast equals direct, whatever the tiles."""

    @given(fold_cases(dtypes=FLOATS + COMPLEX + INTEGERS))
    def test_every_option_rank_and_dtype(self, case: FoldCase) -> None:
        cols = refconv.unfold(case.x, *case.window)
        assert same(cols, direct.unfold(case.x, *case.window))
        cols = case.like(cols.shape)
        x = refconv.fold(cols, size(case), *case.window)
        assert same_sum(x, direct.fold(cols, size(case), *case.window))
        assert x.flags.c_contiguous

    @given(fold_cases(dtypes=(np.int8, np.longdouble)))
    def test_bool_and_longdouble(self, case: FoldCase) -> None:
        x = case.x > 1 if case.x.dtype == np.int8 else case.x
        cols = refconv.unfold(x, *case.window)
        back = refconv.fold(cols, size(case), *case.window)
        assert cols.dtype == back.dtype == x.dtype
        assert np.array_equal(cols, direct.unfold(x, *case.window))
        assert np.array_equal(back, direct.fold(cols, size(case), *case.window))


class TestAlgebra:
    """The two are adjoint, and a convolution is one matrix product of columns."""

    @given(fold_cases(dtypes=LINEAR))
    def test_inner_products_agree_exactly(self, case: FoldCase) -> None:
        cols = refconv.unfold(case.x, *case.window)
        gy = case.like(cols.shape)
        x = refconv.fold(gy, size(case), *case.window)
        assert np.vdot(cols, gy) == np.vdot(case.x, x)  # <U x, gy> = <x, U^T gy>

    @given(fold_cases(dtypes=(np.float64,)))
    def test_a_convolution_is_a_product_of_columns(self, case: FoldCase) -> None:
        k, d, p, s = case.window
        channels = case.x.shape[-len(k) - 1]
        w = case.like((2, channels, *k))
        y = refconv.conv(case.x, w, None, s, p, d)
        by_column = w.reshape(2, -1) @ refconv.unfold(case.x, *case.window)
        assert np.array_equal(by_column.reshape(y.shape), y)
        gx = refconv.fold(w.reshape(2, -1).T @ by_column, size(case), *case.window)
        assert np.array_equal(gx, refconv.conv_grad_input(case.x.shape, w, y, s, p, d))


class TestAgainstTorch:
    """Bitwise, for the two axes that torch has."""

    @given(fold_cases(ranks=(2,), dtypes=(*FLOATS, *COMPLEX)))
    def test_values_and_gradients(self, case: FoldCase) -> None:
        x = torch.from_numpy(case.x).requires_grad_()
        unfolded = torch.nn.functional.unfold(x, *case.window)
        cols = refconv.unfold(case.x, *case.window)
        assert same(cols, unfolded.detach().numpy())
        gy = case.like(cols.shape)
        (gx,) = torch.autograd.grad(unfolded, x, torch.from_numpy(gy))
        assert same_sum(refconv.fold(gy, size(case), *case.window), gx.numpy())

        c = torch.from_numpy(gy).requires_grad_()
        folded = torch.nn.functional.fold(c, size(case), *case.window)
        assert same_sum(refconv.fold(gy, size(case), *case.window), folded.detach().numpy())
        (gc,) = torch.autograd.grad(folded, c, x.detach())
        assert same(cols, gc.numpy())

    @given(fold_cases(ranks=(2,), dtypes=(np.int8,)))
    def test_bool(self, case: FoldCase) -> None:
        x = case.x > 1
        cols = torch.nn.functional.unfold(torch.from_numpy(x), *case.window)
        assert same(refconv.unfold(x, *case.window), cols.numpy())
        back = torch.nn.functional.fold(cols, size(case), *case.window)
        assert same_sum(refconv.fold(cols.numpy(), size(case), *case.window), back.numpy())

    @FORMS
    def test_integers_for_both_axes(self, module: Any) -> None:
        x = np.arange(72, dtype=np.float32).reshape(2, 1, 6, 6)
        cols = torch.nn.functional.unfold(torch.from_numpy(x), 2, 2, 1, 3)
        assert same(module.unfold(x, 2, 2, 1, 3), cols.numpy())
        back = torch.nn.functional.fold(cols, 6, 2, 2, 1, 3)
        assert same_sum(module.fold(cols.numpy(), 6, 2, 2, 1, 3), back.numpy())


@FORMS
class TestByHand:
    """Which tap of which window is where."""

    def test_one_axis(self, module: Any) -> None:
        x = np.array([[1, 2, 3, 4, 5]])
        # windows at -1, 1 and 3, taps 2 apart: (-, 2), (2, 4), (4, -)
        cols = module.unfold(x, (2,), 2, 1, 2)
        assert cols.tolist() == [[0, 2, 4], [2, 4, 0]]
        cols = 2 ** np.arange(6).reshape(2, 3)
        assert module.fold(cols, (5,), (2,), 2, 1, 2).tolist() == [[0, 2 + 8, 0, 4 + 16, 0]]

    def test_channels_then_taps_then_windows(self, module: Any) -> None:
        x = np.arange(12).reshape(1, 2, 2, 3)
        assert module.unfold(x, (1, 2)).tolist() == [
            [[0, 1, 3, 4], [1, 2, 4, 5], [6, 7, 9, 10], [7, 8, 10, 11]]
        ]

    def test_where_each_column_goes(self, module: Any) -> None:
        cols = np.zeros((1, 4, 6))
        cols[0, 3, 5] = 1  # tap (1, 1) of window (1, 2)
        assert np.argwhere(module.fold(cols, (3, 4), 2)).tolist() == [[0, 0, 2, 3]]

    def test_folding_counts_the_windows_of_each_element(self, module: Any) -> None:
        cols = np.ones((1, 2, 3))
        assert module.fold(cols, (4,), 2).tolist() == [[[1, 2, 2, 1]]]

    def test_a_rest_that_no_window_reaches_is_zero(self, module: Any) -> None:
        assert module.fold(np.ones((1, 2, 2)), (5,), 2, stride=2).tolist() == [[[1, 1, 1, 1, 0]]]
        none = module.fold(np.ones((1, 2, 2), bool), (5,), 2, stride=2)
        assert none.tolist() == [[[True, True, True, True, False]]]

    def test_half_is_summed_in_float32(self, module: Any) -> None:
        cols = np.zeros((1, 3, 3), np.float16)
        cols[0, [0, 1, 2], [2, 1, 0]] = [2048, 1, 1]  # 2048 + 1 is 2048 in float16
        assert module.fold(cols, (5,), 3).tolist() == [[[0, 0, 2050, 0, 0]]]

    def test_integers_wrap(self, module: Any) -> None:
        assert module.fold(np.full((1, 2, 2), 100, np.int8), (3,), 2).tolist() == [
            [[100, -56, 100]]
        ]

    def test_infinities_and_nan(self, module: Any) -> None:
        x = np.array([[np.inf, np.nan, -np.inf]])
        cols = module.unfold(x, (2,), padding=1)
        assert np.array_equal(cols, [[0, *x[0]], [*x[0], 0]], equal_nan=True)
        cols = np.array([[np.inf, np.inf], [-np.inf, 1.0]])
        assert np.array_equal(module.fold(cols, (3,), (2,)), [[np.inf, np.nan, 1]], equal_nan=True)


class TestArrays:
    """Memory layout changes nothing, inputs stay as they were, results are new."""

    @pytest.mark.parametrize("layout", LAYOUTS)
    @pytest.mark.parametrize("padding", [0, 1])
    def test_layouts(self, layout: str, padding: int) -> None:
        rng = np.random.default_rng(2)
        x = laid_out(integers_in(rng, (2, 3, 5, 4), np.float32, 3), layout)
        before = x.copy()
        cols = refconv.unfold(x, 2, padding=padding)
        assert same(cols, direct.unfold(plain(x), 2, padding=padding))
        cols = laid_out(cols, layout)
        back = refconv.fold(cols, (5, 4), 2, padding=padding)
        assert same_sum(back, direct.fold(plain(cols), (5, 4), 2, padding=padding))
        assert np.array_equal(x, before)

    @FORMS
    def test_results_are_new(self, module: Any) -> None:
        x = np.ones((1, 2, 3))
        cols = module.unfold(x, (1,))
        assert not np.shares_memory(x, cols)
        assert not np.shares_memory(module.fold(cols, (3,), 1), cols)

    @FORMS
    def test_unbatched(self, module: Any) -> None:
        x = np.arange(24.0).reshape(2, 3, 4)
        cols = module.unfold(x, (2, 2))
        assert same(cols, module.unfold(x[None], 2)[0])
        assert same_sum(module.fold(cols, (3, 4), 2), module.fold(cols[None], (3, 4), 2)[0])

    @FORMS
    def test_empty_batch(self, module: Any) -> None:
        cols = module.unfold(np.ones((0, 2, 3, 4)), 2)
        assert cols.shape == (0, 8, 6)
        assert module.fold(cols, (3, 4), 2).shape == (0, 2, 3, 4)

    @FORMS
    def test_the_rank_comes_from_whichever_is_a_sequence(self, module: Any) -> None:
        cols = np.ones((1, 2**3, 8))
        for output_size, kernel_size in (((3, 3, 3), 2), (3, (2, 2, 2))):
            assert module.fold(cols, output_size, kernel_size).shape == (1, 1, 3, 3, 3)
        assert module.fold(np.ones((1, 4, 4)), 3, 2).shape == (1, 1, 3, 3)

    def test_the_definition_takes_fractions(self) -> None:
        x = np.array([[Fraction(1, 3), Fraction(1, 7)]], object)
        cols = direct.unfold(x, (1,), padding=1)
        assert cols.tolist() == [[0, Fraction(1, 3), Fraction(1, 7), 0]]
        assert direct.fold(cols, (2,), (1,), padding=1).tolist() == x.tolist()

    def test_scratch_is_small_whatever_the_size(self) -> None:
        """Tiles of one window, where one window of all channels is more than the scratch holds."""
        x = np.ones((1, 3000, 5, 5), np.float32)
        cols = refconv.unfold(x, 4)
        assert cols.sum() == math.prod(cols.shape)
        assert refconv.fold(cols, (5, 5), 4).sum() == math.prod(cols.shape)


# --------------------------------------------------------------------------- errors

FOLDS = (refconv.fold, direct.fold)
X = zeros(2, 4, 8, 7)
UNFOLD: dict[str, Any] = {"x": X, "kernel_size": (2, 3)}
COLS = zeros(2, 24, 35)
FOLD: dict[str, Any] = {"x": COLS, "output_size": (8, 7), "kernel_size": (2, 3)}

BAD_WINDOWS = {
    "kernel zero": Bad({"kernel_size": (2, 0)}, r"kernel_size must be at least 1 .* got \(2, 0\)"),
    "kernel negative": Bad({"kernel_size": -1}, "kernel_size must be at least 1 .* got -1"),
    "kernel float": Bad({"kernel_size": 2.0}, "kernel_size must be integers, got 2.0"),
    "kernel bool": Bad({"kernel_size": True}, "kernel_size must be an integer, got True"),
    "kernel string": Bad({"kernel_size": "a"}, "kernel_size must be integers, got 'a'"),
    "stride zero": Bad({"stride": 0}, "stride must be at least 1 .* got 0"),
    "stride length": Bad({"stride": (1, 1, 1)}, r"stride must be .* \(2\), got \(1, 1, 1\)"),
    "dilation zero": Bad({"dilation": (1, 0)}, r"dilation must be at least 1 .* got \(1, 0\)"),
    "padding negative": Bad({"padding": -1}, "padding must be at least 0 .* got -1"),
    "padding word": Bad({"padding": "same"}, "padding must be integers, got 'same'"),
}
BAD_UNFOLDS = {
    "rank too high": Bad({"x": X[None]}, "x has 5 dimensions.* an unfolding with 2 spatial axes"),
    "kernel length": Bad({"kernel_size": (2, 2, 2, 2)}, "x has 4 dimensions"),
    "window too large": Bad(
        {"kernel_size": (9, 2)}, r"kernel_size=\(9, 2\) spans \(9, 2\), more than .* \(8, 7\)"
    ),
    "dilated window too large": Bad({"dilation": 8}, r"spans \(9, 17\), more than .* \(8, 7\)"),
    "no channels": Bad({"x": zeros(2, 0, 8, 7)}, r"x has shape \(2, 0, 8, 7\)"),
    "no height": Bad({"x": zeros(2, 4, 0, 7), "padding": 2}, r"x has shape \(2, 4, 0, 7\)"),
    "x is a list": Bad({"x": [1.0]}, "x must be a numpy.ndarray, got list"),
}
BAD_FOLDS = {
    "rank too high": Bad({"x": COLS[None]}, r"cols has 4 dimensions, shape \(1, 2, 24, 35\)"),
    "rank too low": Bad({"x": COLS[0, 0]}, r"cols has 1 dimensions, shape \(35,\)"),
    "rows": Bad({"x": zeros(2, 23, 35)}, r"cols has shape \(2, 23, 35\): 23 rows .* the 6 taps"),
    "columns": Bad(
        {"x": zeros(2, 24, 34)}, r"cols has shape \(2, 24, 34\): 34 columns.* make \(7, 5\) windows"
    ),
    "no rows": Bad({"x": zeros(2, 0, 35)}, r"cols has shape \(2, 0, 35\)"),
    "no columns": Bad({"x": zeros(2, 24, 0)}, r"cols has shape \(2, 24, 0\)"),
    "output zero": Bad({"output_size": (0, 7)}, r"output_size must be at least 1 .* got \(0, 7\)"),
    "output negative": Bad({"output_size": -1}, "output_size must be at least 1 .* got -1"),
    "output float": Bad({"output_size": (8.0, 7)}, r"output_size must be integers, got \(8.0, 7\)"),
    "output bool": Bad({"output_size": True}, "output_size must be an integer, got True"),
    "output length": Bad({"output_size": (8, 7, 6)}, r"kernel_size must be .* axis \(3\)"),
    "window too large": Bad(
        {"output_size": (1, 7)}, r"kernel_size=\(2, 3\) spans \(2, 3\), more than .* \(1, 7\)"
    ),
    "x is a list": Bad({"x": [1.0]}, "cols must be a numpy.ndarray, got list"),
}


@pytest.mark.parametrize("name", BAD_WINDOWS | BAD_UNFOLDS)
def test_errors_of_unfold(name: str) -> None:
    bad = (BAD_WINDOWS | BAD_UNFOLDS)[name]
    ours = [refconv.unfold, direct.unfold]
    fails_alike(ours, torch.nn.functional.unfold, UNFOLD | bad.arguments, bad.says)


@pytest.mark.parametrize("name", BAD_WINDOWS | BAD_FOLDS)
def test_errors_of_fold(name: str) -> None:
    bad = (BAD_WINDOWS | BAD_FOLDS)[name]
    ours = [lambda x, form=form, **options: form(x, **options) for form in FOLDS]
    fails_alike(ours, torch.nn.functional.fold, FOLD | bad.arguments, bad.says)


@FORMS
def test_no_columns_of_text(module: Any) -> None:
    with pytest.raises(NotImplementedError, match="cols has dtype <U1"):
        module.fold(np.full((1, 1), "a"), (1,), (1,))
    with pytest.raises(NotImplementedError, match="x has dtype <U1"):
        module.unfold(np.full((1, 1), "a"), (1,))
    with pytest.raises(RuntimeError, match="x has 1 dimensions"):
        module.unfold(zeros(5), 2)
