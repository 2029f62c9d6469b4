"""The error bound of exact results: a theorem that holds, and no looser than it must be."""

import math
from fractions import Fraction

import numpy as np
import pytest

from refconv import exact
from refconv.exact import BFLOAT16, FLOAT16, FLOAT32, FLOAT64
from support.exact_values import floats, fractions


def test_the_bound_is_its_formula() -> None:
    y = exact.conv(floats(2, 3, 7), floats(4, 3, 3, seed=1), floats(4, seed=2), padding=1)
    n, size, value = y.terms, y.magnitude, y.value
    u = Fraction(1, 2**24)
    wide = n * u * size
    assert (y.bound(np.float32, np.float32) == wide + (n + 1) * FLOAT32.tiny).all()
    narrow = wide + Fraction(1, 2**8) * (abs(value) + wide) + n * FLOAT32.tiny + BFLOAT16.tiny
    assert (y.bound(FLOAT32, BFLOAT16) == narrow).all()


def test_the_bound_holds_the_limit_and_no_more() -> None:
    """Two terms and S = 3 in float16: 6 u, and no more than underflow beyond."""
    y = exact.conv(np.array([[[1.0, 2.0]]]), np.array([[[1.0, -1.0]]]))
    limit = -1.0 + 6 * 2.0**-11
    for at, fine in [(limit, True), (-1 - 6 * 2.0**-11, True), (limit + 2.0**-20, False)]:
        assert y.within(np.array([[[at]]]), FLOAT16, FLOAT16).item() is fine
    assert y.omega(np.array([[[limit]]]), FLOAT16).item() == 2.0


def test_zero_size_demands_zero_and_nothing_infinite_passes() -> None:
    y = exact.conv(np.zeros((1, 1, 3)), np.ones((1, 1, 2)))
    got = np.array([[[0.0, 5e-324]]])
    assert y.within(got, np.float64, np.float64).tolist() == [[[True, False]]]
    assert y.omega(got, np.float64).tolist() == [[[0.0, math.inf]]]
    got = np.array([[[math.nan, math.inf]]])
    assert not y.within(got, np.float64, np.float64).any()
    assert y.omega(got, np.float64).tolist() == [[[math.inf, math.inf]]]
    tiny = exact.conv(np.full((1, 1, 1), 5e-324), np.ones((1, 1, 1)))
    for far, omega in ((2.0**-200, 2.0**927), (1.0, math.inf)):  # far 2**1074 2**53, if a float
        assert tiny.omega(np.full((1, 1, 1), far), np.float64).item() == omega


@pytest.mark.parametrize("seed", range(5))
def test_every_order_of_summation_is_within(seed: int) -> None:
    """Recursive sums in shuffled orders, pairwise, and worst: all of one sign, in float32."""
    rng = np.random.default_rng(seed)
    x, w = (rng.standard_normal((1, 1, 200)).astype(np.float32) for _ in range(2))
    if seed == 0:
        x, w = abs(x), abs(w)
    y = exact.conv(x, w)
    terms = (x * w).ravel()
    for _ in range(20):
        rng.shuffle(terms)
        recursive = np.float32(0)
        for t in terms:
            recursive += t
        for got in (recursive, terms.sum()):
            out = np.array([[[got]]], np.float32)
            assert y.within(out, np.float32, np.float32).all()
            error = abs(Fraction(float(got)) - y.value[0, 0, 0])
            omega = float(error * 2**24 / y.magnitude[0, 0, 0])
            assert y.omega(out, np.float32).item() == omega


def test_a_sum_in_half_precision_is_not_within_the_bound_of_float32() -> None:
    rng = np.random.default_rng(0)
    x, w = (rng.standard_normal((1, 1, 64)).astype(np.float16) for _ in range(2))
    y = exact.conv(x, w)
    honest = (x.astype(np.float32) * w.astype(np.float32)).sum(dtype=np.float32).astype(np.float16)
    lossy = np.float16(0)
    for a, b in zip(x.ravel(), w.ravel(), strict=True):
        lossy += a * b
    assert y.within(np.array([[[honest]]]), np.float32, np.float16).all()
    assert not y.within(np.array([[[lossy]]]), np.float32, np.float16).any()


def test_fits_where_no_order_can_round() -> None:
    w = np.ones((1, 1, 2))
    assert exact.conv(np.array([[[255.0, 1.0]]]), w).fits(BFLOAT16)
    assert not exact.conv(np.array([[[255.0, 2.0]]]) * 3, w).fits(BFLOAT16)
    assert exact.conv(np.array([[[255.0, 1.0]]]) * 2.0**-20, w).fits(BFLOAT16)
    assert not exact.conv(np.array([[[255.0, 1.0]]]) * 2.0**-25, w).fits(FLOAT16)
    assert not exact.conv(np.array([[[255.0, 1.0]]]) * 2.0**9, w).fits(FLOAT16)
    assert not exact.avg_pool(np.array([[[1.0, 1.0]]]), (2,)).fits(FLOAT64)


def test_sums_of_results_have_the_terms_of_both() -> None:
    a, b = floats(2, 3), floats(2, 3, seed=1) / 8
    both = exact.exactly("a", a) + exact.exactly("b", b)
    assert (both.value == fractions(a) + fractions(b)).all()
    assert (both.magnitude == fractions(abs(a)) + fractions(abs(b))).all()
    assert (both.terms == 2).all()
    assert (both[0].value == fractions(a)[0] + fractions(b)[0]).all()


def test_averages_before_they_were_divided_are_sums() -> None:
    y = exact.avg_pool(np.array([[[1.0, 2.0, 5.0]]]), (2,), 2, ceil_mode=True)
    assert y.value.tolist() == [[[Fraction(3, 2), 5]]]
    assert y.undivided.value.tolist() == [[[3, 5]]]
    assert y.undivided.terms.tolist() == [[[2, 1]]]
