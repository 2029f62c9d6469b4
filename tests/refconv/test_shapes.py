"""Sizes, bounds, boxes and windows, against brute force."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refconv import shapes
from refconv.padding import add_box, read_box
from refconv.windows import add_windows, interleaved, windows

small = st.integers(1, 6)


def starts(i: int, k: int, s: int, before: int, after: int, d: int) -> list[int]:
    """Return the first position of every window that lies within the padded input."""
    return [
        start
        for start in range(-before, i + after)
        if (start + before) % s == 0 and start + d * (k - 1) < i + after
    ]


@given(st.integers(1, 12), small, small, st.integers(0, 4), st.integers(0, 4), st.integers(1, 3))
def test_conv_output_size_counts_windows(i: int, k: int, s: int, lo: int, hi: int, d: int) -> None:
    size = shapes.conv_output_size(i, k, s, (lo, hi), d)
    assert max(0, size) == len(starts(i, k, s, lo, hi, d))


@given(st.integers(1, 12), small, small, st.integers(1, 3))
def test_ceil_mode_adds_a_window_that_starts_inside(i: int, k: int, s: int, d: int) -> None:
    for p in range(k // 2 + 1):
        full = len(starts(i, k, s, p, p, d))
        last_end = -p + (full - 1) * s + d * (k - 1)
        one_more = last_end < i + p - 1 and full * s < i + p
        if full:
            size = shapes.pool_output_size(i, k, s, p, d, True)
            assert size == full + one_more
            assert shapes.pool_output_size(i, k, s, p, d, False) == full


@given(small, st.integers(1, 3), st.integers(1, 9))
def test_same_padding_keeps_the_size(k: int, d: int, i: int) -> None:
    lo, hi = shapes.same_padding(k, d)
    assert hi - lo in (0, 1)
    assert shapes.conv_output_size(i, k, 1, (lo, hi), d) == i


@given(st.integers(1, 9), small, small, st.integers(0, 3), st.integers(1, 3))
def test_conv_transpose_output_size_undoes_conv_output_size(
    i: int, k: int, s: int, p: int, d: int
) -> None:
    sizes = [shapes.conv_transpose_output_size(i, k, s, p, d, a) for a in range(s)]
    assert sizes == [o for o in range(-7, 99) if shapes.conv_output_size(o, k, s, (p, p), d) == i]


def test_sizes_stay_exact_where_floats_do_not() -> None:
    i = 2**60 + 1
    assert shapes.conv_output_size(i, 1, 2, (0, 0), 1) == 2**59 + 1
    assert shapes.conv_transpose_output_size(2**59 + 1, 1, 2, 0, 1, 1) == 2**60 + 2
    assert shapes.pool_output_size(i, 2, 2, 0, 1, True) == 2**59 + 1


@given(st.integers(1, 9), st.integers(0, 5), small, st.integers(0, 4), st.integers(1, 3))
def test_tap_range_is_what_lies_inside(i: int, k: int, s: int, p: int, d: int) -> None:
    o = 7
    first, last = shapes.tap_range(i, o, k, s, p, d)
    assert list(range(first, last)) == [j for j in range(o) if 0 <= j * s + k * d - p < i]


@pytest.mark.parametrize(
    "sides", [[(-2, 3), (1, 9)], [(1, 3), (0, 2)], [(-3, -1), (0, 4)], [(5, 8), (1, 2)]]
)
def test_read_box_reads_zeros_outside_and_add_box_is_its_adjoint(
    sides: list[tuple[int, int]],
) -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(1, 9, (2, 4, 5)).astype(float)
    box = read_box(x, sides, np.full((2, *(b - a for a, b in sides)), np.nan))
    for position in np.ndindex(box.shape):
        at = [p + a for p, (a, _) in zip(position[1:], sides, strict=True)]
        inside = all(0 <= v < n for v, n in zip(at, x.shape[1:], strict=True))
        assert box[position] == (x[(position[0], *at)] if inside else 0)
    y, back = rng.integers(1, 9, box.shape).astype(float), np.zeros_like(x)
    add_box(back, sides, y)
    assert np.vdot(box, y) == np.vdot(x, back)


@pytest.mark.parametrize("s", [(1, 1), (2, 3)])
@pytest.mark.parametrize("d", [(1, 1), (2, 1)])
def test_windows_and_their_adjoint(s: tuple[int, int], d: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    x, k, o = rng.integers(1, 9, (3, 11, 12)).astype(float), (2, 3), (3, 2)
    view = windows(x, k, o, s, d)
    assert view.shape == (3, *k, *o)
    assert np.shares_memory(view, x)
    for (a, b), (r, c) in itertools.product(np.ndindex(k), np.ndindex(o)):
        assert np.array_equal(view[:, a, b, r, c], x[:, r * s[0] + a * d[0], c * s[1] + b * d[1]])
    y, t = rng.integers(1, 9, view.shape).astype(float), (-(-11 // s[0]), -(-12 // s[1]))
    phases = np.zeros((3, *s, *t))
    add_windows(phases, y, d)
    back = interleaved(phases, 2).reshape(3, t[0] * s[0], t[1] * s[1])[:, :11, :12]
    assert np.vdot(view, y) == np.vdot(x, back)
