"""Sums of roots, rounded once: against Python's decimals, neighbouring numbers and by hand.

And every form of power-average pooling, ours and torch's, against them: bit for bit where powers
and roots are whole numbers, within the proven bound elsewhere.
"""

import math
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch.nn import functional

import refconv
from refconv import direct, exact
from refconv.exact import BFLOAT16, FLOAT16, FLOAT32, FLOAT64, Format, Root, Roots
from support.agreement import same, same_sum
from support.strategies import FLOATS, PoolCase, pool_cases

Array = NDArray[Any]
INF = math.inf
FORMS = (refconv, direct)
POOLS: tuple[Any, ...] = (functional.lp_pool1d, functional.lp_pool2d, functional.lp_pool3d)
ACCUMULATE = {np.float16: np.float32, np.float32: np.float32, np.float64: np.float64}


def one(degree: int, *terms: tuple[Any, Any]) -> Roots:
    """Return one sum of coefficient * radicand^(1 / degree)."""
    y = np.empty(1, object)
    y[0] = [Root(Fraction(c), Fraction(r)) for c, r in terms]
    return Roots(y, degree)


def by_decimals(degree: int, terms: list[tuple[Fraction, Fraction]]) -> Fraction:
    """Return the sum to some 150 digits."""
    with localcontext(prec=200):
        parts = (
            Decimal(c.numerator) / c.denominator
            * (Decimal(r.numerator) / r.denominator) ** (Decimal(1) / degree)
            for c, r in terms
        )  # fmt: skip
        return Fraction(sum(parts, Decimal(0)))


# --- roots --------------------------------------------------------------------------------------

RATIONALS = st.fractions(max_denominator=10**6).filter(lambda v: abs(v) < 10**6)
POSITIVE = st.fractions(min_value=Fraction(1, 10**6), max_value=10**9, max_denominator=10**6)


@given(
    st.integers(1, 5),
    st.lists(st.tuples(RATIONALS, POSITIVE), max_size=4),
    st.sampled_from([FLOAT16, BFLOAT16, FLOAT32, FLOAT64]),
)
def test_rounded_as_two_hundred_digits_are(
    degree: int, terms: list[tuple[Fraction, Fraction]], f: Format
) -> None:
    ours = one(degree, *terms).rounded(f)
    assert ours.tolist() == exact.rounded([by_decimals(degree, terms)], f).tolist()


@pytest.mark.parametrize("degree", [2, 3, 5])
@pytest.mark.parametrize("f", [FLOAT16, FLOAT32, FLOAT64])
def test_between_two_neighbours_a_root_is_rounded_to_the_nearer_or_even(
    f: Format, degree: int
) -> None:
    """A hair below the midpoint of 1 + 2u and 1 + 4u, on it, and above; likewise the next pair."""
    step = 2 * f.unit
    hair = Fraction(1, 10**90)
    for low, even in ((1 + step, 1 + 2 * step), (1 + 2 * step, 1 + 2 * step)):
        middle = low + step / 2
        for value, expected in (
            (middle**degree - hair, low),
            (middle**degree, even),
            (middle**degree + hair, low + step),
        ):
            for sign in (1, -1):
                got = one(degree, (sign, value)).rounded(f)
                assert Fraction(got.item()) == sign * expected


def test_roots_of_one_kind_cancel_exactly() -> None:
    assert one(2, (1, 8), (-2, 2)).rounded(np.float64).tolist() == [0]
    assert one(2, (1, 8), (-1, 2), (-1, 2), (1, Fraction(1, 4))).rounded(FLOAT16).tolist() == [0.5]
    assert one(3, (1, 16), (-2, 2), (3, 27)).rounded(np.float64).tolist() == [9]
    assert one(2).rounded(np.float32).tolist() == [0]
    assert one(2, (1, 8), (1, 2)).rounded(np.float64).tolist() == [math.sqrt(18)]


def test_roots_beyond_the_range_of_a_format() -> None:
    assert one(2, (-1, 10**12)).rounded(FLOAT16).tolist() == [-INF]
    tiny = one(2, (-1, Fraction(1, 10**700))).rounded(np.float64)
    assert (tiny.item(), math.copysign(1, tiny.item())) == (0, -1)
    assert one(2, (1, Fraction(2) ** 2047)).rounded(np.float64).item() == math.sqrt(2) * 2.0**1023


def test_within_is_the_formula() -> None:
    """sqrt(2), its v from 3 roundings at condition 2, then 2 more: in units of FLOAT16."""
    y = np.empty(1, object)
    y[0] = [Root(Fraction(1), Fraction(2), Fraction(2), 3)]
    found, u = Roots(y, 2, slope=1, after=1), FLOAT16.unit
    eta = 2 * ((1 - u) ** -3 - 1)
    bound = math.sqrt(2) * float((1 - u) ** -2 / (1 - eta) - 1)
    for factor, fine in ((0.999, True), (1.001, False)):
        for sign in (1, -1):
            at = np.array([math.sqrt(2) + sign * factor * bound])
            assert found.within(at, FLOAT16, FLOAT16).tolist() == [fine]
    lost = Roots(y, 2, slope=1, after=1, inexact=True)  # the exponent is off by 2 u: log 2 < 3
    bound = math.sqrt(2) * float((1 - u) ** -2 / ((1 - eta) * (1 - 2 * 3 * u)) - 1)
    for factor, fine in ((0.999, True), (1.001, False)):
        at = np.array([math.sqrt(2) + factor * bound])
        assert lost.within(at, FLOAT16, FLOAT16).tolist() == [fine]
    assert not found.within(np.array([math.nan]), FLOAT16, FLOAT16).any()
    assert not found.within(np.array([INF]), FLOAT16, FLOAT16).any()


# --- the operator by decimals -------------------------------------------------------------------


def decimal(v: Any) -> Decimal:
    return Decimal(float(v))


def pool_by_decimals(
    x: Array, gy: Array, p: int, k: int, s: int, mathematical: bool
) -> tuple[list[Fraction], list[Fraction]]:
    """Return y and gx of one row, by the equations and slices of a list; whole windows only."""
    with localcontext(prec=200):
        row, g = [decimal(v) for v in x], [decimal(v) for v in gy]
        y, gx = [], [Decimal(0)] * len(row)
        for o, first in enumerate(range(0, len(row) - k + 1, s)):
            values = [abs(v) if mathematical else v for v in row[first : first + k]]
            v = sum((u**p for u in values), Decimal(0))
            e = Decimal(1) / p
            y.append(v if p == 1 else v**e)
            for i, u in enumerate(values, first):
                sign = -1 if mathematical and row[i] < 0 else 1
                slope = u ** (p - 1) if p != 1 else Decimal(1)
                gx[i] += sign * g[o] * slope * (v ** (e - 1) if p != 1 else Decimal(1))
        return [Fraction(v) for v in y], [Fraction(v) for v in gx]


@pytest.mark.parametrize("mathematical", [False, True])
@pytest.mark.parametrize("p", [1, 2, 3, 4, -1, -2, -3])
@pytest.mark.parametrize("dtype", FLOATS)
def test_a_row_by_decimals(p: int, mathematical: bool, dtype: Any) -> None:
    rng = np.random.default_rng(abs(p))
    x = rng.uniform(0.25, 4, 9).astype(dtype)
    if mathematical or p % 2 == 0:
        x *= rng.choice([-1, 1], 9).astype(dtype)
    gy = rng.uniform(-2, 2, 4).astype(dtype)
    values, slopes = pool_by_decimals(x, gy, p, 3, 2, mathematical)
    y = exact.lp_pool(x[None], p, (3,), 2, mathematical=mathematical)
    assert same(y.rounded(dtype), exact.rounded([values], dtype))
    gx = exact.lp_pool_grad(x[None], gy[None], p, (3,), 2, mathematical=mathematical)
    assert same(gx.rounded(dtype), exact.rounded([slopes], dtype))


def test_partial_windows_are_scaled_up_unless_mathematical() -> None:
    """Windows 34 and 5: sqrt(2 * 25) where torch scales, 5 where it is the norm."""
    x, gy = np.array([[[3.0, 4.0, 5.0]]]), np.array([[[10.0, 1.0]]])
    y, gx = (exact.lp_pool(x, 2, (2,), None, True), exact.lp_pool_grad(x, gy, 2, (2,), None, True))
    assert y.rounded(np.float64).tolist() == [[[5, math.sqrt(50)]]]
    assert gx.rounded(np.float64).tolist() == [[[6, 8, math.sqrt(2)]]]
    y = exact.lp_pool(x, 2, (2,), None, True, mathematical=True)
    assert y.rounded(np.float64).tolist() == [[[5, 5]]]
    gx = exact.lp_pool_grad(x, gy, 2, (2,), None, True, mathematical=True)
    assert gx.rounded(np.float64).tolist() == [[[6, 8, 1]]]


def test_what_the_bound_is_made_of() -> None:
    """Roundings before the root: powers, 2 terms, the average, its product; then those behind."""
    x, gy = np.array([[[3.0, 4.0]]]), np.array([[[10.0]]])
    y, gx = exact.lp_pool(x, 2, (2,)), exact.lp_pool_grad(x, gy, 2, (2,))
    assert y.terms[0, 0, 0] == [Root(Fraction(1), Fraction(25), Fraction(1), 1 + 4)]
    assert (y.degree, y.slope, y.after, y.stores, y.inexact) == (2, 1, 1, (3, 1), False)
    assert gx.terms[0, 0, 1] == [Root(Fraction(40), Fraction(1, 25), Fraction(1), 1 + 4)]
    assert (gx.degree, gx.slope, gx.after, gx.stores, gx.inexact) == (2, 1, 9, (3, 8), False)
    y = exact.lp_pool(x, 3, (2,))
    assert y.terms[0, 0, 0] == [Root(Fraction(1), Fraction(91), Fraction(1), 2 + 4)]
    assert (y.after, y.inexact) == (8, True)  # a power of NumPy's, and 1 / 3 rounded


def test_a_sum_of_both_signs_is_known_worse_than_its_terms() -> None:
    """1/(1/x + 1/y) of 1 and -2: v = 1/2 where S = 3/2; of -1 and -2 it is negative."""
    x, gy = np.array([[[1.0, -2.0, -1.0, -2.0]]]), np.array([[[12.0, 9.0]]])
    y, gx = exact.lp_pool(x, -1, (2,)), exact.lp_pool_grad(x, gy, -1, (2,))
    assert y.terms[0, 0, 0] == [Root(Fraction(1), Fraction(2), Fraction(3), 1 + 4)]
    assert y.rounded(np.float64).tolist() == [[[2, -2 / 3]]]
    assert gx.slope == 2
    assert gx.rounded(np.float64).tolist() == [[[48, 12, 4, 1]]]
    for m in FORMS:
        assert y.within(m.lp_pool(x, -1, (2,)), np.float64, np.float64).all()
        assert gx.within(m.lp_pool_grad(x, gy, -1, (2,)), np.float64, np.float64).all()


def test_no_gradient_at_zero() -> None:
    for p in (1, 2, 3, INF):
        zero = np.zeros((1, 1, 2))
        assert exact.lp_pool(zero, p, (2,)).rounded(np.float64).tolist() == [[[0]]]
        assert not exact.lp_pool_grad(zero, np.ones((1, 1, 1)), p, (2,)).rounded(np.float64).any()


def test_by_cancellation_there_is_a_value_and_no_bound() -> None:
    x = np.array([[[1.0, -1.0]]])
    y = exact.lp_pool(x, 3, (2,))
    assert y.rounded(np.float64).item() == 0
    assert y.within(np.array([[[0.1]]]), FLOAT64, FLOAT64).all()
    x = np.array([[[1.0, 2.0**-8 - 1.0]]])  # v is S / 170: there is no bound for eight bits
    y = exact.lp_pool(x, 3, (2,))
    assert not y.within(np.array([[[0.1]]]), FLOAT64, FLOAT64).any()
    assert y.within(np.array([[[0.1]]]), BFLOAT16, BFLOAT16).all()
    x = np.array([[[1.0, -1.0]]])
    assert exact.lp_pool(x, 1, (2,)).within(np.zeros((1, 1, 1)), FLOAT64, FLOAT64).all()
    assert not exact.lp_pool(x, 1, (2,)).within(np.full((1, 1, 1), 0.1), FLOAT64, FLOAT64).any()


def test_what_has_no_exact_result_is_refused() -> None:
    x, gy = np.array([[[1.0, -2.0]]]), np.ones((1, 1, 1))
    for call in (
        lambda p, x: exact.lp_pool(x, p, (2,)),
        lambda p, x: exact.lp_pool_grad(x, gy, p, (2,)),
    ):
        for p in (1.5, 0.5, math.nan):
            with pytest.raises(NotImplementedError, match="norm_type must be an integer"):
                call(p, x)
        with pytest.raises(ZeroDivisionError, match="norm_type must not be zero"):
            call(0, x)
        with pytest.raises(RuntimeError, match="a sum of powers 3 is -7"):
            call(3, x)
        with pytest.raises(RuntimeError, match="a sum of powers -1 is 0"):
            call(-1, np.array([[[1.0, -1.0]]]))
        with pytest.raises(RuntimeError, match="x holds 0, whose power -2 is infinite"):
            call(-2, np.array([[[1.0, 0.0]]]))
        with pytest.raises(RuntimeError, match="finite"):
            call(2, np.array([[[1.0, math.nan]]]))


# --- every form of the operator -----------------------------------------------------------------


def unpadded(case: PoolCase) -> tuple[Any, ...]:
    """kernel_size, stride, ceil_mode, such that a window fits without padding."""
    k, s, _ = case.window
    k = tuple(min(k_, i) for k_, i in zip(k, case.x.shape[2:], strict=True))
    return k, s or k, case.ceil_mode


def by_torch(x: Array, gy: Array, p: float, window: tuple[Any, ...]) -> list[Array]:
    """Return y and gx."""
    k, s, ceil_mode = window
    if x.ndim == 3:  # an integer only
        k, s = k[0], s[0]
    leaf = torch.tensor(x, requires_grad=True)
    y = POOLS[x.ndim - 3](leaf, p, k, s, ceil_mode)
    return [y.detach().numpy(), torch.autograd.grad(y, leaf, torch.tensor(gy))[0].numpy()]


@given(
    pool_cases(ranks=(1, 2, 3), dilated=False),
    st.sampled_from((1, 2, 3, 4, -1, -2, -3)),
    st.booleans(),
)
def test_all_forms_are_within_the_bound(case: PoolCase, p: int, mathematical: bool) -> None:
    dtype, window = case.x.dtype.type, unpadded(case)
    x = case.rng.uniform(0.5, 2, case.x[:1, :1].shape).astype(
        dtype
    )  # no step leaves the normal range
    if mathematical or p % 2 == 0:
        x *= case.rng.choice([-1, 1], x.shape).astype(dtype)
    y = exact.lp_pool(x, p, *window, mathematical=mathematical)
    gy = case.rng.uniform(0.5, 2, y.shape).astype(dtype)
    gx = exact.lp_pool_grad(x, gy, p, *window, mathematical=mathematical)
    answers = [
        [
            m.lp_pool(x, p, *window, mathematical=mathematical),
            m.lp_pool_grad(x, gy, p, *window, mathematical=mathematical),
        ]
        for m in FORMS
    ]
    if not mathematical and dtype != np.float16 and len(x):
        answers.append(by_torch(x, gy, p, window))
    accumulate = ACCUMULATE[dtype]
    for found in answers:
        for expected, got in zip((y, gx), found, strict=True):
            assert expected.within(got, accumulate, dtype).all()
            if dtype != np.float16:
                assert not expected.within(got * dtype(1.001), accumulate, dtype)[got != 0].any()


@given(pool_cases(dtypes=(np.float32, np.float64), dilated=False), st.sampled_from((1, INF, -INF)))
def test_without_a_root_on_integers_all_bits_are_equal(case: PoolCase, p: float) -> None:
    """Of multiples of K, which averaging divides without a rest; sums of 0 have no gradient."""
    k, s, _ = unpadded(case)
    window, dtype, whole = (k, s, False), case.x.dtype, case.x.dtype.type(math.prod(k))
    x = case.x * whole
    for mathematical in (False, True):
        y = exact.lp_pool(x, p, *window, mathematical=mathematical).rounded(dtype)
        gy = case.like(y.shape)
        gx = exact.lp_pool_grad(x, gy, p, *window, mathematical=mathematical).rounded(dtype)
        for m in FORMS:
            assert np.array_equal(m.lp_pool(x, p, *window, mathematical=mathematical), y)
            got = m.lp_pool_grad(x, gy, p, *window, mathematical=mathematical)
            assert np.array_equal(got, gx)


WHOLE = [(3, 4, 0, 0), (8, 6, 0, 0), (-12, 5, 0, 0), (2, -4, 4, 0), (1, 1, -1, 1), (2, 3, 6, 0)]


@pytest.mark.parametrize("rank", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", FLOATS)
def test_whole_roots_are_equal_bit_for_bit(rank: int, dtype: Any) -> None:
    """Windows whose sums of squares are squares: 3 4 5, 8 6 10, 5 12 13, 2 4 4 6, 1 1 1 1, 2 3 6 7.

    Gradients have exact parts where y is a power of two: 2 0 0 0 and 1 1 1 1, in all orders.
    """
    rng = np.random.default_rng(rank)
    k = ((4,), (2, 2), (1, 4, 1), (2, 1, 1, 2))[rank - 1]
    for values, gradients in ((WHOLE, False), ([(2, 0, 0, 0), (1, -1, 1, 1), (-4, 0, 0, 0)], True)):
        o = ((6,), (2, 3), (2, 1, 3), (1, 2, 1, 3))[rank - 1]
        chosen = rng.permuted(rng.choice(np.array(values), 2 * 3 * 6), axis=1)
        blocks = chosen.reshape(2, 3, *o, *k)
        order = [0, 1, *(a for axis in range(rank) for a in (2 + axis, 2 + rank + axis))]
        shape = (2, 3, *(a * b for a, b in zip(o, k, strict=True)))
        x = blocks.transpose(order).reshape(shape).astype(dtype)
        y = exact.lp_pool(x, 2, k).rounded(dtype)
        expected = [math.isqrt(int((row**2).sum())) for row in chosen]
        assert y.ravel().tolist() == expected
        gy = rng.integers(-4, 5, y.shape).astype(dtype)
        gx = exact.lp_pool_grad(x, gy, 2, k).rounded(dtype)
        torch_has_it = rank < 3 or (rank == 3 and dtype != np.float16)
        theirs = by_torch(x, gy, 2, (k, k, False)) if torch_has_it else [y, gx]
        assert same_sum(theirs[0], y)
        for m in FORMS:
            for mathematical in (False, True):
                assert same_sum(m.lp_pool(x, 2, k, mathematical=mathematical), y)
                if gradients:
                    got = m.lp_pool_grad(x, gy, 2, k, mathematical=mathematical)
                    assert np.array_equal(got, gx)
        assert not gradients or np.array_equal(theirs[1], gx)
