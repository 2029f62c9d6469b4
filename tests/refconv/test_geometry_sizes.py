"""Sizes and bounds, against brute force."""

from hypothesis import given
from hypothesis import strategies as st

from refconv.engine.visits import tap_range
from refconv.geometry.sizes import (
    conv_output_size,
    conv_transpose_output_size,
    pool_output_size,
    same_padding,
)

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
    size = conv_output_size(i, k, s, (lo, hi), d)
    assert max(0, size) == len(starts(i, k, s, lo, hi, d))


@given(st.integers(1, 12), small, small, st.integers(1, 3))
def test_ceil_mode_adds_a_window_that_starts_inside(i: int, k: int, s: int, d: int) -> None:
    for p in range(k // 2 + 1):
        full = len(starts(i, k, s, p, p, d))
        last_end = -p + (full - 1) * s + d * (k - 1)
        one_more = last_end < i + p - 1 and full * s < i + p
        if full:
            size = pool_output_size(i, k, s, p, d, True)
            assert size == full + one_more
            assert pool_output_size(i, k, s, p, d, False) == full


@given(small, st.integers(1, 3), st.integers(1, 9))
def test_same_padding_keeps_the_size(k: int, d: int, i: int) -> None:
    lo, hi = same_padding(k, d)
    assert hi - lo in (0, 1)
    assert conv_output_size(i, k, 1, (lo, hi), d) == i


@given(st.integers(1, 9), small, small, st.integers(0, 3), st.integers(1, 3))
def test_conv_transpose_output_size_undoes_conv_output_size(
    i: int, k: int, s: int, p: int, d: int
) -> None:
    sizes = [conv_transpose_output_size(i, k, s, p, d, a) for a in range(s)]
    assert sizes == [o for o in range(-7, 99) if conv_output_size(o, k, s, (p, p), d) == i]


def test_sizes_stay_exact_where_floats_do_not() -> None:
    i = 2**60 + 1
    assert conv_output_size(i, 1, 2, (0, 0), 1) == 2**59 + 1
    assert conv_transpose_output_size(2**59 + 1, 1, 2, 0, 1, 1) == 2**60 + 2
    assert pool_output_size(i, 2, 2, 0, 1, True) == 2**59 + 1


@given(st.integers(1, 9), st.integers(0, 5), small, st.integers(0, 4), st.integers(1, 3))
def test_tap_range_is_what_lies_inside(i: int, k: int, s: int, p: int, d: int) -> None:
    o = 7
    first, last = tap_range(i, o, k, s, p, d)
    assert list(range(first, last)) == [j for j in range(o) if 0 <= j * s + k * d - p < i]
