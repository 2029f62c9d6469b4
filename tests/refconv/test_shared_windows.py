"""Windows that all planes share, by rows of a matrix: the bits of `ragged`, in every way to add."""

from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import refconv
from refconv.engine import large_windows, ragged, shared_windows
from refconv.fast.adaptive_pooling import windows
from support.bugs.planting import Bug, copy_with
from support.scratch import kept_behind
from support.threads import same_at_any_number

sizes = st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=3)
ODD = (np.inf, -np.inf, np.nan, -0.0)


def planes(seed: int, i: tuple[int, ...], dtype: Any, odd: int) -> Any:
    """Return 20 planes of noise with ties; of floats, some are not finite, or zeros."""
    rng = np.random.default_rng(seed)
    a = (rng.standard_normal((20, *i)) * 3).astype(dtype)
    a[rng.random(a.shape) < 0.2] = 0
    for value in rng.choice(ODD, odd if a.dtype.kind == "f" else 0):
        a.flat[rng.integers(a.size)] = value
    return a


@given(sizes, st.sampled_from("efdqF"), st.integers(0, 2**32), st.integers(0, 4))
def test_sums_have_the_bits_of_windows_side_by_side(
    axes: list[tuple[int, int]], dtype: str, seed: int, odd: int
) -> None:
    i, o = zip(*axes, strict=True)
    x, each = planes(seed, i, dtype, odd), windows(np, i, o)
    ours, theirs = (module.sums(x, each, x.dtype) for module in (shared_windows, ragged))
    np.testing.assert_array_equal(ours + 0, theirs + 0)  # a zero of either sign


@given(sizes, st.sampled_from("efdqB"), st.integers(0, 2**32), st.integers(0, 4))
def test_maxima_have_the_bits_of_windows_side_by_side(
    axes: list[tuple[int, int]], dtype: str, seed: int, odd: int
) -> None:
    i, o = zip(*axes, strict=True)
    x, each = planes(seed, i, dtype, odd), windows(np, i, o)
    ours, theirs = (module.largest(x, each) for module in (shared_windows, ragged))
    assert [a.tobytes() for a in ours] == [a.tobytes() for a in theirs]


@pytest.mark.parametrize(
    ("i", "o", "way"),
    [
        ((20, 20), (3, 3), shared_windows.by_windows),
        ((3, 3), (20, 20), shared_windows.by_inputs),
        ((14, 14), (7, 7), shared_windows.by_taps),
    ],
)
def test_each_way_to_add_is_taken(i: tuple[int, ...], o: tuple[int, ...], way: Any) -> None:
    axes = ragged.all_windows(windows(np, i, o))
    assert shared_windows.way_to_add(axes, i, o).func is way  # type: ignore[attr-defined]


@pytest.mark.parametrize(("count", "i"), [(3, (4, 4)), (9, (500, 500))])
def test_where_rows_would_be_short(count: int, i: tuple[int, int]) -> None:
    x = np.broadcast_to(np.float32(1), (count, *i))  # three planes, or three that fit
    assert shared_windows.plane_tiles(x, windows(np, i, (3, 3)), 4) == []


@pytest.mark.parametrize("run", [50, 1 << 17])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.complex64, np.int32])
def test_large_windows_have_the_bits_of_windows_side_by_side(dtype: Any, run: int) -> None:
    each = windows(np, (40, 33), (1, 2))
    x = planes(1, (40, 33), dtype, 3)[:3]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(large_windows, "RUN", run)
        assert large_windows.plane_tiles(x, each)
        ours, theirs = (module.sums(x, each, x.dtype) for module in (large_windows, ragged))
        np.testing.assert_array_equal(ours + 0, theirs + 0)
        if x.dtype.kind != "c":
            ours, theirs = (module.largest(x, each) for module in (large_windows, ragged))
            assert [a.tobytes() for a in ours] == [a.tobytes() for a in theirs]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int32])
@pytest.mark.parametrize("size", [3, 7, 17])
def test_the_same_bits_at_any_number_of_threads(dtype: Any, size: int) -> None:
    x = np.tile(planes(0, (13, 13), dtype, 3), (60, 1, 1)).reshape(4, 300, 13, 13)

    def pools() -> tuple[Any, ...]:
        with np.errstate(all="ignore"):
            mean = refconv.adaptive_avg_pool(x, (size, size))
            back = refconv.adaptive_avg_pool_grad(x.shape, mean, (size, size))
            return mean, back, *refconv.adaptive_max_pool(x, (size, size), return_indices=True)

    assert same_at_any_number(pools)


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize(("i", "o"), [(224, 7), (56, 13), (13, 56), (7, 1), (900, 3)])
def test_scratch_stays_small(batch: int, i: int, o: int) -> None:
    x = np.ones((batch, 20, i, i), np.float32)
    y, at = refconv.adaptive_max_pool(x, (o, o), return_indices=True)

    for name, *args in (
        ("adaptive_avg_pool", x, (o, o)),
        ("adaptive_avg_pool_grad", x.shape, y, (o, o)),
        ("adaptive_max_pool", x, (o, o), True),
        ("adaptive_max_pool_grad", x.shape, at, y, (o, o)),
    ):
        assert kept_behind(partial(getattr(refconv, name), *args)) <= 4 << 20, name


# --------------------------------------------------------------------------- planted bugs

LARGE, SHARED = "engine/large_windows.py", "engine/shared_windows.py"


@pytest.mark.parametrize(
    "bug",
    [
        Bug("taps beyond a window added twice", "engine/ragged.py",
            "xp.moveaxis(x, number, 0)[outside] = beyond", "pass", "", ""),
        Bug("runs that forget what came before", LARGE,
            "run[0], run[1:] = total,", "run[0], run[1:] = 0,", "", ""),
        Bug("of NaN the first", LARGE,
            "np.isnan(run[plane]))[-1]", "np.isnan(run[plane]))[0]", "", ""),
        Bug("of equals the last", LARGE, "wins = (v > best)", "wins = (v >= best)", "", ""),
        Bug("windows from the end", SHARED,
            "np.add.reduce(x[inputs],", "np.add.reduce(x[inputs][::-1],", "", ""),
    ],
    ids=lambda bug: bug.name,
)  # fmt: skip
def test_caught(bug: Bug) -> None:
    """By what the tests above compare: ways that must find the same bits."""
    wrong = copy_with(bug)
    rows, side, large = (
        getattr(wrong.engine, name) for name in ("shared_windows", "ragged", "large_windows")
    )
    large.RUN = 100

    def same(a: Any, b: Any) -> bool:
        return all(np.array_equal(v, w, equal_nan=True) for v, w in zip(a, b, strict=True))

    seen = []
    for i, o, odd in (((20, 19), (3, 3), 0), ((11, 13), (4, 5), 2), ((40, 33), (1, 2), 60)):
        x, each = planes(0, i, np.float32, odd), windows(np, i, o)
        x[:5] = np.round(x[:5] / 4)  # many equals
        x[5:8, : i[0] // 2, 3:] = np.nan
        with np.errstate(all="ignore"):
            seen.append(same(rows.sums(x, each, x.dtype), side.sums(x, each, x.dtype)))
            seen.append(same(large.sums(x, each, x.dtype), side.sums(x, each, x.dtype)))
            seen.append(same(large.largest(x, each), side.largest(x, each)))
    assert not all(seen)
