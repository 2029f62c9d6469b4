"""Adaptive sums by one matrix product are those of the definition.

What is not finite is added up window by window, and so is what is rounded and has an order: the
product serves the mean of a map, and gradients where no two windows share an input.
"""

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import refconv
from refconv import direct
from refconv.engine import adaptive_sums, ragged
from refconv.fast import adaptive_pooling
from support.agreement import same_numbers
from support.bugs.planting import Bug, copy_with
from support.threads import same_at_any_number

ODD = (np.inf, -np.inf, np.nan)


@st.composite
def shapes(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Draw the shape of x and the number of windows along each axis."""
    axes = draw(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=3))
    i, o = zip(*axes, strict=True)
    return (draw(st.integers(1, 2)), draw(st.integers(1, 3)), *i), o


def numbers(seed: int, shape: tuple[int, ...], odd: int, dtype: Any) -> Any:
    """Return whole numbers that a window's size divides, some not finite."""
    rng = np.random.default_rng(seed)
    a = (rng.integers(-4, 5, shape) * 12).astype(dtype)
    for value in rng.choice(ODD, odd):
        a.flat[rng.integers(a.size)] = value
    return a


def agrees(package: Any, shape: tuple[int, ...], o: tuple[int, ...], seed: int, odd: int) -> bool:
    """Return whether the pool and its gradient are what the definitions say."""
    dtype = (np.float16, np.float32, np.float64)[seed % 3]
    x, gy = numbers(seed, shape, odd, dtype), numbers(seed + 1, (*shape[:2], *o), odd, dtype)
    with np.errstate(all="ignore"):
        found = [
            (form.adaptive_avg_pool(x, o), form.adaptive_avg_pool_grad(shape, gy, o))
            for form in (package, direct)
        ]
    return all(same_numbers(a, b) for a, b in zip(*found, strict=True))


@given(shapes(), st.integers(0, 2**32), st.integers(0, 2))
def test_products_are_the_definition(shape: Any, seed: int, odd: int) -> None:
    assert agrees(refconv, *shape, seed, odd)


def test_products_and_windows_meet_at_the_limit() -> None:
    rng = np.random.default_rng(0)
    small, large = (rng.integers(-9, 10, (3, size, 32)).astype(float) for size in (64, 65))
    assert adaptive_sums.serves(small, (8, 8), ordered=False)
    assert not adaptive_sums.serves(large, (8, 8), ordered=False)
    for planes in (small, large):
        each = adaptive_pooling.windows(np, planes.shape[1:], (8, 8))
        by_windows = ragged.sums(planes, each, planes.dtype)
        ours = adaptive_sums.sums(planes, each, planes.dtype, ordered=False)
        assert np.array_equal(ours, by_windows)


@pytest.mark.parametrize("o", [(1, 1), (6, 4)])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_the_same_bits_at_any_number_of_threads(dtype: Any, o: tuple[int, int]) -> None:
    x = np.random.default_rng(0).standard_normal((40, 100, 13, 11)).astype(dtype)

    def both() -> tuple[Any, Any]:
        y = refconv.adaptive_avg_pool(x, o)
        return y, refconv.adaptive_avg_pool_grad(x.shape, y, o)

    assert same_at_any_number(both)


SOME = (((2, 3, 5, 7), (1, 1)), ((1, 2, 4, 4, 6), (1, 2, 3)), ((2, 2, 6), (4,)))
EVERY = list(itertools.product(SOME, range(6), (0, 1)))


@pytest.mark.parametrize(
    "bug",
    [
        Bug("zeros of the matrix beside an infinity", "engine/adaptive_sums.py",
            "if not finite(total):", "if False:", "", ""),
        Bug("axes of the matrix exchanged", "engine/adaptive_sums.py",
            "np.kron, map(along, i, o)", "np.kron, map(along, i[::-1], o[::-1])", "", ""),
        Bug("a window without its last input", "engine/adaptive_sums.py",
            "(inputs < end)", "(inputs < end - 1)", "", ""),
        Bug("sums that nobody divides", "engine/adaptive_sums.py",
            "finish(total, axes)", "pass", "", ""),
    ],
    ids=lambda bug: bug.name,
)  # fmt: skip
def test_caught(bug: Bug) -> None:
    package = copy_with(bug)
    exact = all(
        agrees(package, *shape, seed, odd) for shape in SOME for seed in range(6) for odd in (0, 1)
    )
    half = np.full((1, 1, 64), 2048.0, np.float16)
    assert not exact or package.adaptive_avg_pool(half, (1,)) != 2048


def half_is_summed_wide(package: Any) -> bool:
    """Return whether the mean of 64 times 2048 is 2048, whose sum no float16 holds."""
    return bool(package.adaptive_avg_pool(np.full((1, 1, 64), 2048.0, np.float16), (1,)) == 2048)


def test_nothing_is_caught_without_a_bug() -> None:
    assert half_is_summed_wide(refconv)
    every = itertools.product(SOME, range(6), (0, 1))
    assert all(agrees(refconv, *shape, seed, odd) for shape, seed, odd in every)


def test_a_gradient_goes_by_products_where_windows_share_no_input() -> None:
    gy = np.ones((2, 7, 7))
    assert adaptive_sums.serves(gy, (14, 21), ordered=True)
    assert not adaptive_sums.serves(gy, (14, 20), ordered=True)
    assert adaptive_sums.serves(gy, (14, 20), ordered=False)
