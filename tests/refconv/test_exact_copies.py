"""The oracle of padding, unfolding and folding: by the definitions on Fractions, and by hand."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray

import refconv
from refconv import direct, exact
from support.strategies import FoldCase, PadCase, fold_cases, pad_cases

Array = NDArray[Any]
FRACTIONS = np.frompyfunc(lambda v: Fraction(float(v)), 1, 1)
FLOAT64 = (np.float64,)


def sevenths(a: Array) -> Array:
    """Return numbers that sums round."""
    return a / 7


def agrees(found: exact.Exact, operator: Any, argument: Array, ours: Array) -> None:
    """y* on Fractions, S on absolute values; the fast form is within, a wrong one not."""
    assert (found.value == operator(np.asarray(FRACTIONS(argument), object))).all()
    assert (found.magnitude == operator(np.asarray(FRACTIONS(abs(argument)), object))).all()
    assert found.within(ours, np.float64, np.float64).all()
    assert not found.within(ours + 0.001, np.float64, np.float64).any()


@given(pad_cases(dtypes=FLOAT64))
def test_padding(case: PadCase) -> None:
    x, options = sevenths(case.x), (case.padding, case.mode)
    y = exact.pad(x, *options, case.value)
    agrees(
        y, lambda v: direct.pad(v, *options, case.value), x, refconv.pad(x, *options, case.value)
    )
    assert (y.terms == 1).all()
    gy = sevenths(case.like(y.shape))
    agrees(
        exact.pad_grad(x.shape, gy, *options),
        lambda v: direct.pad_grad(x.shape, v, *options),
        gy,
        refconv.pad_grad(x.shape, gy, *options),
    )


@given(fold_cases(dtypes=FLOAT64))
def test_unfolding_and_folding(case: FoldCase) -> None:
    x, size = sevenths(case.x), case.x.shape[-len(case.window[0]) :]
    cols = exact.unfold(x, *case.window)
    agrees(cols, lambda v: direct.unfold(v, *case.window), x, refconv.unfold(x, *case.window))
    inside = direct.unfold(np.ones(x.shape, object), *case.window)
    assert (cols.terms == inside).all()
    gy = sevenths(case.like(cols.shape))
    found = exact.fold(gy, size, *case.window)
    agrees(
        found,
        lambda v: direct.fold(v, size, *case.window),
        gy,
        refconv.fold(gy, size, *case.window),
    )
    assert (found.terms == direct.fold(np.ones(gy.shape, object), size, *case.window)).all()


def test_by_hand() -> None:
    """Gradient abcdef of 1234 --(circular padding)--> b+f c d e+a."""
    gx = exact.pad_grad((4,), np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6]), (1, 1), "circular")
    b, f, e, a = (Fraction(v) for v in (0.2, 0.6, 0.5, 0.1))
    assert gx.value.tolist() == [b + f, Fraction(0.3), Fraction(0.4), e + a]
    cols = np.array([[0.1, 0.2], [0.4, 0.8]])
    assert exact.fold(cols, (3,), (2,)).value[0].tolist() == [
        Fraction(0.1),
        Fraction(0.2) + Fraction(0.4),
        Fraction(0.8),
    ]
    assert exact.pad(np.zeros((0, 2, 3)), (1, 1)).shape == (0, 2, 5)
    assert exact.pad_grad((0, 2, 3), np.zeros((0, 2, 5)), (1, 1)).shape == (0, 2, 3)


def test_only_finite_numbers() -> None:
    bad = np.array([[np.inf, 1.0]])
    for call in (
        lambda: exact.pad(bad, (1, 1)),
        lambda: exact.pad_grad((1, 2), bad, ()),
        lambda: exact.unfold(bad, (1,)),
        lambda: exact.fold(bad, (2,), (1,)),
    ):
        with pytest.raises(RuntimeError, match="finite"):
            call()
