"""Pools by stretches of memory: the bits of pools row by row, in every dtype, tile and thread."""

from itertools import product
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import refconv
from refconv import geometry
from refconv.engine import planes, shifts
from refconv.fast import average_pooling, max_pooling
from refconv.geometry.sizes import window_extent
from support.scratch import kept_behind
from support.threads import same_at_any_number

DTYPES = (np.float16, np.float32, np.float64, np.int8, np.int32, np.uint64)
ODD = (np.inf, -np.inf, np.nan, -0.0, 0.0)


class Call(NamedTuple):
    """A pool, and whether its output size is rounded up."""

    geo: geometry.Pool
    up: bool


def everything(geo: geometry.Pool) -> tuple[slice, ...]:
    """Return the box of all outputs of a plane."""
    return tuple(slice(0, o) for o in geo.o)


@st.composite
def calls(draw: st.DrawFn) -> Call:
    """Draw a pool over one to three axes that stretches serve, dilated or not."""
    rank = draw(st.integers(1, 3))
    s, d = (tuple(draw(st.integers(1, most)) for _ in range(rank)) for most in (3, 2))
    k = tuple(draw(st.integers(s_ + (axis == 0), 4)) for axis, s_ in enumerate(s))
    p = tuple(draw(st.integers(0, k_ // 2)) for k_ in k)
    i = tuple(
        window_extent(k_, d_) + draw(st.integers(0, (24, 6, 3)[rank - 1]))
        for k_, d_ in zip(k, d, strict=True)
    )
    call = Call(geometry.pool((2, 2, *i), k, s, p, d, up := draw(st.booleans())), up)
    assume(shifts.phases_of(np, call.geo, everything(call.geo)) is not None)
    return call


def values(seed: int, shape: tuple[int, ...], dtype: Any, odd: int) -> Any:
    """Return numbers with ties and, of floats, some that are not finite and zeros of both signs."""
    rng = np.random.default_rng(seed)
    a = rng.integers(-3, 4, shape).astype(dtype)
    for value in rng.choice(ODD, odd if a.dtype.kind == "f" else 0):
        a.flat[rng.integers(a.size)] = value
    return a


def results(call: Call, dtype: Any, seed: int, odd: int) -> list[bytes]:
    """Return the bits of maxima, with and without indices, averages and their gradients."""
    geo, up = call
    x, gy = (values(seed, shape, dtype, odd) for shape in (geo.x_shape, geo.y_shape))
    options = (geo.k, geo.s, geo.p, geo.d, up)
    averaged = (geo.k, geo.s, geo.p, up, bool(seed % 2))
    with np.errstate(all="ignore"):
        found = [refconv.max_pool(x, *options)]
        if geometry.every_window_holds(geo):
            found += refconv.max_pool(x, *options, return_indices=True)
        if max(geo.d) == 1:
            found.append(refconv.avg_pool(x, *averaged))
            found.append(refconv.avg_pool_grad(x.shape, gy, *averaged))
    return [a.tobytes() for a in found]


@given(calls(), st.sampled_from(DTYPES), st.integers(0, 2**32), st.integers(0, 6))
def test_the_bits_of_rows(call: Call, dtype: Any, seed: int, odd: int) -> None:
    ours = results(call, dtype, seed, odd)
    with pytest.MonkeyPatch.context() as patch:
        for module in (max_pooling, average_pooling):
            patch.setattr(module, "grid", lambda *_: None)
        assert ours == results(call, dtype, seed, odd)


@given(calls(), st.integers(0, 2**32), st.sampled_from([100, 600, 4000]))
def test_in_tiles_of_any_size(call: Call, seed: int, most: int) -> None:
    ours = results(call, np.float64, seed, 2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planes, "TILE_BYTES", most)
        assert ours == results(call, np.float64, seed, 2)


@given(calls(), st.integers(0, 2**32))
def test_a_stretch_holds_what_the_taps_read(call: Call, seed: int) -> None:
    """By the definition: the input at o s - p + k d, or what lies beyond x."""
    geo = call.geo
    x = np.random.default_rng(seed).standard_normal((3, *geo.i))
    grid = shifts.phases_of(np, geo, everything(geo))
    assert grid is not None
    phases = shifts.read_phases(grid, x, 7.0, x.dtype)
    whole = np.arange(3 * int(np.prod(grid.t))).reshape(3, *grid.t)  # a place for each output
    taps = product(*map(range, geo.k))
    for k, stretch in zip(taps, shifts.shifts(grid, phases), strict=True):
        for o in np.ndindex(*geo.o):
            at = [
                a * s - p + b * d for a, s, p, b, d in zip(o, geo.s, geo.p, k, geo.d, strict=True)
            ]
            inside = all(0 <= a < i for a, i in zip(at, geo.i, strict=True))
            for plane in range(3):
                expected = x[(plane, *at)] if inside else 7.0
                assert stretch[whole[(plane, *o)]] == expected


@pytest.mark.parametrize(
    ("i", "k", "s", "p", "d", "serves"),
    [
        (9, 3, 1, 1, 1, True),
        (400, 300, 1, 0, 1, False),  # many taps
        (40, 2, 2, 0, 1, False),  # every input is read once
        (9, 3, 1, 1, 4, False),  # mostly what lies between the outputs
        (1_500_000, 3, 1, 0, 1, True),
    ],
)
def test_where_they_serve(i: int, k: int, s: int, p: int, d: int, serves: bool) -> None:
    geo = geometry.pool((2, 4, i), (k,), s, p, d, False)
    assert (shifts.phases_of(np, geo, everything(geo)) is not None) == serves


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.int32])
def test_the_same_bits_at_any_number_of_threads(dtype: Any) -> None:
    x = values(0, (8, 16, 40, 40), dtype, 100)

    def pools() -> tuple[Any, ...]:
        y, at = refconv.max_pool(x, 3, 2, 1, return_indices=True)
        mean = refconv.avg_pool(x, 3, 1, 1)
        back = refconv.avg_pool_grad(x.shape, mean, 3, 1, 1)
        return y, at, mean, back, refconv.max_pool_grad(x.shape, at, y, 3, 2, 1)

    assert same_at_any_number(pools)


@pytest.mark.parametrize("size", [56, 224, 900])
@pytest.mark.parametrize("window", [(2, 2, 0), (3, 2, 1), (5, 1, 2), (8, 4, 0)])
def test_scratch_stays_small(size: int, window: tuple[int, int, int]) -> None:
    x = np.ones((2, 3, size, size), np.float32)
    y, at = refconv.max_pool(x, *window, return_indices=True)

    for call in (
        lambda: refconv.max_pool(x, *window, return_indices=True),
        lambda: refconv.max_pool_grad(x.shape, at, y, *window),
        lambda: refconv.avg_pool(x, *window),
        lambda: refconv.avg_pool_grad(x.shape, y, *window),
    ):
        assert kept_behind(call) <= 4 << 20
