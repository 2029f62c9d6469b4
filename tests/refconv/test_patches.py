"""Boxes that reach outside an array, and windows as a view: by brute force, and adjoints."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refconv.engine.patches import add_box, add_windows, interleaved, read_box, windows

small = st.integers(1, 6)


SEEDS = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize(
    "sides", [[(-2, 3), (1, 9)], [(1, 3), (0, 2)], [(-3, -1), (0, 4)], [(5, 8), (1, 2)]]
)
def test_read_box_reads_zeros_outside(sides: list[tuple[int, int]]) -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(1, 9, (2, 4, 5)).astype(float)
    read = tuple(slice(*side) for side in sides)
    box = read_box(x, read, np.full((2, *(b - a for a, b in sides)), np.nan))
    for position in np.ndindex(box.shape):
        at = [p + a for p, (a, _) in zip(position[1:], sides, strict=True)]
        inside = all(0 <= v < n for v, n in zip(at, x.shape[1:], strict=True))
        assert box[position] == (x[(position[0], *at)] if inside else 0)


@pytest.mark.parametrize("s", [(1, 1), (2, 3)])
@pytest.mark.parametrize("d", [(1, 1), (2, 1)])
def test_windows_are_a_view(s: tuple[int, int], d: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    x, k, o = rng.integers(1, 9, (3, 11, 12)).astype(float), (2, 3), (3, 2)
    view = windows(x, k, o, s, d)
    assert view.shape == (3, *k, *o)
    assert np.shares_memory(view, x)
    for (a, b), (r, c) in itertools.product(np.ndindex(k), np.ndindex(o)):
        assert np.array_equal(view[:, a, b, r, c], x[:, r * s[0] + a * d[0], c * s[1] + b * d[1]])


@given(st.lists(st.tuples(small, st.integers(-4, 6), small), min_size=1, max_size=4), SEEDS)
def test_reading_a_box_and_adding_it_are_adjoint(
    axes: list[tuple[int, int, int]], seed: int
) -> None:
    """A box may reach outside on both sides, or lie there altogether."""
    rng = np.random.default_rng(seed)
    x = rng.integers(-9, 10, (2, *(i for i, _, _ in axes)))
    read = tuple(slice(first, first + size) for _, first, size in axes)
    box = read_box(x, read, np.full((2, *(size for *_, size in axes)), 99))
    y, back = rng.integers(-9, 10, box.shape), np.zeros_like(x)
    add_box(back, read, y)
    assert np.vdot(box, y) == np.vdot(x, back)


@st.composite
def axes_of_windows(draw: st.DrawFn) -> list[tuple[int, ...]]:
    """Draw k, o, s, d and what is left over for 1 to 4 axes."""
    axis = st.tuples(*(st.integers(1, 3),) * 4, st.integers(0, 2))
    return draw(st.lists(axis, min_size=1, max_size=4))


@given(axes_of_windows(), SEEDS)
def test_windows_and_adding_them_back_are_adjoint(axes: list[tuple[int, ...]], seed: int) -> None:
    """The phases that they are added to hold x, and what fills its last strides up."""
    k, o, s, d, _ = zip(*axes, strict=True)
    i = tuple((o_ - 1) * s_ + (k_ - 1) * d_ + 1 + m for k_, o_, s_, d_, m in axes)
    rng = np.random.default_rng(seed)
    x = rng.integers(-9, 10, (2, *i))
    view = windows(x, k, o, s, d)
    y, t = rng.integers(-9, 10, view.shape), [-(-i_ // s_) for i_, s_ in zip(i, s, strict=True)]
    phases = np.zeros((2, *s, *t), np.int64)
    add_windows(phases, y, d)
    filled = [t_ * s_ for t_, s_ in zip(t, s, strict=True)]
    back = interleaved(phases, len(k)).reshape(2, *filled)[(..., *map(slice, i))]
    assert np.vdot(view, y) == np.vdot(x, back)
