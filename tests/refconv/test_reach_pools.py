"""Pools whose windows reach far beyond x, hold nothing, or divide what has no opposite.

Swept by hypothesis against the definitions; and the calls that were reported, with what is right.
"""

import contextlib
import time
import tracemalloc
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

import refconv
from refconv import direct, geometry
from refconv.geometry.sizes import pool_output_size
from support.agreement import agreeing, one_nan
from support.bugs.planting import Bug, copy_with

F = torch.nn.functional
inf, nan = np.inf, np.nan
HUGE = (2**31, 2**33, 2**61)
MB = 1 << 20
DTYPES = (np.float32, np.float16, np.float64, np.int8, np.uint8, np.int64)


def agree(name: str, ours: Any, theirs: Any) -> bool:
    """Return whether two results hold the same numbers, every NaN one."""
    return agreeing(name)(one_nan(ours), one_nan(theirs))


# --------------------------------------------------------------------------- swept


@st.composite
def axes(draw: st.DrawFn, dilated: bool) -> tuple[int, int, int, int, int]:
    """Draw one axis: i, k, s, p, d, with at most six outputs, any stride and dilation."""
    i, k = draw(st.integers(1, 5)), draw(st.integers(1, 6))
    p = draw(st.integers(0, k // 2))
    s = draw(st.sampled_from((1, 1, 2, 3, *HUGE)))
    d = draw(st.sampled_from((1, 1, 2, 3, 5))) if dilated else 1
    assume(1 <= pool_output_size(i, k, s, p, d, True) <= 6)
    return i, k, s, p, d


def numbers(draw: Any, shape: tuple[int, ...], dtype: Any, unit: int = 1) -> Any:
    """Draw small whole numbers, here and there the lowest, an infinity, a NaN or a -0.

    Floats are multiples of a unit, which divisors divide: shares of theirs add up in any order.
    """
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind, low = np.dtype(dtype).kind, 0 if np.dtype(dtype).kind == "u" else -3
    a = (rng.integers(low, 4, shape) * (unit if kind == "f" else 1)).astype(dtype)
    floats = (inf, -inf, nan, -0.0)
    odd = floats if kind == "f" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    for value in draw(st.lists(st.sampled_from(odd), max_size=3)) if a.size else ():
        a.flat[rng.integers(a.size)] = value
    return a


@given(st.data(), st.sampled_from(DTYPES))
def test_fast_is_direct(data: st.DataObject, dtype: Any) -> None:
    draw = data.draw
    each = draw(st.lists(axes(draw(st.booleans())), min_size=1, max_size=2))
    i, k, s, p, d = (tuple(values) for values in zip(*each, strict=True))
    lead = draw(st.integers(0, 2)), draw(st.integers(1, 2))
    x, ceil = numbers(draw, (*lead, *i), dtype), draw(st.booleans())
    assume(all(pool_output_size(*v, ceil) > 0 for v in each))
    geo = geometry.pool(x.shape, k, s, p, d, ceil)
    with_indices = geometry.every_window_holds(geo)
    calls: list[tuple[str, Any, Any]] = [
        ("max_pool", (x, k, s, p, d, ceil), {"return_indices": with_indices})
    ]
    if with_indices:
        _, at = direct.max_pool(x, k, s, p, d, ceil, return_indices=True)
        calls.append(
            ("max_pool_grad", (x.shape, at, numbers(draw, at.shape, dtype), k, s, p, d, ceil), {})
        )
    if set(d) == {1}:
        count, divisor = draw(st.booleans()), draw(st.sampled_from((None, 1, 3, 2**62)))
        window = (k, s, p, ceil, count, divisor)
        gy = numbers(draw, geo.y_shape, dtype, unit=3600)
        calls += [("avg_pool", (x, *window), {}), ("avg_pool_grad", (x.shape, gy, *window), {})]
    o = tuple(draw(st.integers(0, 6)) for _ in i)
    calls += [
        ("adaptive_avg_pool", (x, o), {}),
        ("adaptive_avg_pool_grad", (x.shape, numbers(draw, (*lead, *o), dtype, unit=3600), o), {}),
        ("adaptive_max_pool", (x, o), {"return_indices": True}),
    ]
    for name, args, options in calls:
        fast, defined = (getattr(form, name)(*args, **options) for form in (refconv, direct))
        pairs = zip(fast, defined, strict=True) if isinstance(fast, tuple) else [(fast, defined)]
        for one, other in pairs:
            assert agree(name, one, other), (name, args, options)


# --------------------------------------------------------------------------- cost


X = np.arange(4.0).reshape(1, 1, 4)
WIDE = np.arange(49.0).reshape(1, 1, 7, 7)
FAR = ((10**8,), 1, 5 * 10**7)  # k, s, p of a window that holds all of X wherever it starts
COSTLY = [
    ("max_pool", (X, *FAR), {}, [3, 3, 3, 3, 3]),
    ("max_pool", (X, *FAR), {"return_indices": True}, [3, 3, 3, 3, 3]),
    ("avg_pool", (X, *FAR), {"count_include_pad": False}, [1.5] * 5),
    ("avg_pool_grad", ((1, 1, 4), np.ones((1, 1, 5)), *FAR), {"count_include_pad": False},
     [1.25] * 4),
    ("max_pool", (WIDE, 1280), {"ceil_mode": True}, [48]),
    ("avg_pool", (WIDE, 1280), {"ceil_mode": True}, [24]),
    ("avg_pool_grad", (WIDE.shape, np.ones((1, 1, 1, 1)), 1280), {"ceil_mode": True},
     [1 / 49] * 49),
    ("lp_pool", (WIDE, inf, 1280), {"ceil_mode": True}, [48]),
    ("max_pool", (X, (2**62,), 2**61, 2**61), {"ceil_mode": True}, [3, 3]),
    ("avg_pool", (X, (1,), 2**61), {}, [0]),
    ("max_pool", (X, (2,), 2**61), {"dilation": 3}, [3]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "args", "options", "expected"), COSTLY)
def test_cost_follows_what_windows_hold(name: str, args: Any, options: Any, expected: Any) -> None:
    start = time.process_time()
    tracemalloc.start()
    found = getattr(refconv, name)(*args, **options)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    found = found[0] if isinstance(found, tuple) else found
    assert found.ravel().tolist() == expected
    assert peak < 16 * MB
    assert time.process_time() - start < 5  # it was seconds, gigabytes, or for ever


def test_global_average_of_a_known_model() -> None:
    x = torch.rand(1, 1280, 7, 7)
    y = refconv.avg_pool(x.numpy(), 1280, ceil_mode=True)
    np.testing.assert_allclose(y, F.avg_pool2d(x, 1280, ceil_mode=True).numpy(), rtol=1e-5)


TOO_LARGE = [
    ("adaptive_avg_pool", (np.ones((2, 2, 2)), (9132760301568586890,))),
    ("adaptive_max_pool", (np.ones((2, 2, 2)), (2**61,))),
    ("adaptive_max_pool", (np.ones((64, 64, 2)), (0x3FFFFFFF,))),
    ("max_pool_scatter", ((1, 1, 2**60), np.zeros((1, 1, 1), np.int64), np.ones((1, 1, 1)), 1)),
    ("max_unpool", (np.ones((1, 1, 2)), np.zeros((1, 1, 2), np.int64), (2**60,), 2**60)),
]


@pytest.mark.parametrize(("name", "args"), TOO_LARGE)
def test_a_result_that_has_no_room_fails_first(name: str, args: Any) -> None:
    with pytest.raises(RuntimeError, match="there is no memory for it"):
        getattr(refconv, name)(*args)


# --------------------------------------------------------------------------- empty windows


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.uint8])
@pytest.mark.parametrize(
    ("shape", "k", "s", "p", "d"),
    [((1, 1, 1), 2, 2, 1, 2), ((1, 1, 2), 2, 1, 1, 3), ((2, 2, 1, 3), (2, 3), 1, 1, (2, 1))],
)
def test_a_window_without_any_element(
    shape: Any, k: Any, s: Any, p: Any, d: Any, dtype: Any
) -> None:
    rank = len(shape) - 2
    k, s, p, d = (v if isinstance(v, tuple) else (v,) * rank for v in (k, s, p, d))
    x = np.random.default_rng(0).integers(0, 9, shape).astype(dtype)
    pool = (F.max_pool1d, F.max_pool2d)[rank - 1]
    for module in (refconv, direct):
        y = module.max_pool(x, k, s, p, d)
        if np.dtype(dtype).kind == "f":
            assert y.tolist() == pool(torch.tensor(x), k, s, p, d).tolist()
        lowest = -inf if np.dtype(dtype).kind == "f" else np.iinfo(dtype).min
        assert (y == lowest).any()
        with pytest.raises(RuntimeError, match="it has no index"):
            module.max_pool(x, k, s, p, d, return_indices=True)
        none = np.full(y.shape, -1)
        assert not module.max_pool_grad(x.shape, none, y, k, s, p, d).any()
        assert not module.max_pool_select(x, none, rank).any()


# --------------------------------------------------------------------------- integers


LOWEST = -(2**63)


@pytest.mark.parametrize("module", [refconv, direct])
def test_averages_of_the_lowest_integer(module: Any) -> None:
    x = np.array([[[LOWEST, 0]]])
    assert module.avg_pool(x, (2,)).tolist() == [[[-(2**62)]]]
    assert module.avg_pool(x, (1,), divisor_override=LOWEST).tolist() == [[[1, 0]]]
    assert module.avg_pool(x, (1,), divisor_override=-1).tolist() == [[[LOWEST, 0]]]
    assert module.adaptive_avg_pool(x, (1,)).tolist() == [[[-(2**62)]]]
    gy = np.array([[[LOWEST]]])
    assert module.avg_pool_grad((1, 1, 2), gy, (2,)).tolist() == [[[-(2**62)] * 2]]
    assert module.adaptive_avg_pool_grad((1, 1, 2), gy, (1,)).tolist() == [[[-(2**62)] * 2]]
    torchs = F.avg_pool1d(torch.tensor(x), 2)
    assert torchs.tolist() == [[[-(2**62)]]]


@pytest.mark.parametrize("divisor", [2**63, 2**64, -(2**63) - 1])
def test_a_divisor_beyond_64_bits(divisor: int) -> None:
    for module in (refconv, direct):
        with pytest.raises(RuntimeError, match="divisor_override must fit in 64 bits"):
            module.avg_pool(np.ones((1, 1, 2)), (2,), divisor_override=divisor)


def test_a_window_of_more_taps_than_64_bits_count() -> None:
    """2^33 in each of two axes: their number would wrap to 0."""
    x, k = np.ones((1, 1, 3, 3)), (1 << 33,) * 2
    for module in (refconv, direct):
        with pytest.raises(
            RuntimeError, match=r"kernel_size=.* is too large: an average over 7378"
        ):
            module.avg_pool(x, k, k, (1 << 32,) * 2)
        with pytest.raises(
            RuntimeError, match=r"kernel_size=.* is too large: an average over 7378"
        ):
            module.avg_pool_grad(x.shape, x[..., :1, :1], k, k, (1 << 32,) * 2)
    y = refconv.avg_pool(x, k, k, (1 << 32,) * 2, count_include_pad=False)
    assert y.tolist() == [[[[1.0]]]]
    assert refconv.avg_pool(x, k, k, (1 << 32,) * 2, divisor_override=3).tolist() == [[[[3.0]]]]


@pytest.mark.parametrize("dtype", [np.longdouble, np.clongdouble, np.float64, np.complex64])
def test_averages_near_the_largest_number(dtype: Any) -> None:
    """The largest number over 4, twice: no form leads through a narrower type."""
    largest = np.finfo(dtype).max / 4
    x = np.full((1, 1, 2), largest, dtype)
    for module in (refconv, direct):
        for y in (
            module.avg_pool(x, (2,)),
            module.adaptive_avg_pool(x, (1,)),
            module.avg_pool_grad((1, 1, 1), x[..., :1], (1,), divisor_override=1),
        ):
            assert (y == largest).all()
            assert y.dtype == dtype


@pytest.mark.parametrize("state", ["raise", "warn"])
def test_the_callers_error_state_changes_nothing(state: Any) -> None:
    x = np.full((1, 2, 6), 6e4, np.float16)
    x[0, 0, 0], x[0, 1, 3] = inf, -inf
    at = np.zeros((1, 2, 3), np.int64)
    gy = np.full((1, 2, 3), 6e4, np.float16)
    calls: list[tuple[str, Any]] = [
        ("avg_pool", (x, (2,), None, 0, False, True, 1)),
        ("avg_pool_grad", (x.shape, x[..., :5].copy(), (2,), 1, 0, False, True, 1)),
        ("adaptive_avg_pool", (x, (4,))),
        ("adaptive_avg_pool_grad", ((1, 2, 2), x, (6,))),
        ("max_pool_grad", (x.shape, at, gy, (2,))),
        ("max_pool_scatter", (x.shape, at, gy, 1)),
        ("adaptive_max_pool_grad", (x.shape, at, gy, (3,))),
        *(("lp_pool", (x, p, (2,))) for p in (0.5, -0.5, 2, 3, 7, -1, inf, -inf, 1e300, 1e-300)),
        *(("lp_pool_grad", (x, gy, p, (2,))) for p in (0.5, 2, -1, 7, inf, -inf, 1e300, 1e-300)),
    ]
    for name, args in calls:
        expected = getattr(refconv, name)(*args)
        with np.errstate(all=state):
            found = getattr(refconv, name)(*args)
        assert agree(name, found, expected), name


# --------------------------------------------------------------------------- empty maps, odd ratios


def test_ratios_that_are_no_size() -> None:
    for ratio in (inf, nan, -1.0, (0.5, inf)):
        with pytest.raises(RuntimeError, match="output_ratio must be at least 0 and finite"):
            refconv.fractional_max_pool(np.ones((1, 1, 4, 4)), (2, 2), output_ratio=ratio)


def test_no_channels_have_no_maxima() -> None:
    x, at = np.ones((2, 0, 5)), np.zeros((2, 0, 5), np.int64)
    for module in (refconv, direct):
        assert module.adaptive_max_pool(x, (2,)).shape == (2, 0, 2)
        assert module.max_unpool(x, at, (2,)).shape == (2, 0, 10)
        assert module.fractional_max_pool(x, (2,), (3,)).shape == (2, 0, 3)


# --------------------------------------------------------------------------- planted bugs


@pytest.mark.parametrize(
    "bug",
    [
        Bug("no mark where a window holds nothing", "fast/max_pooling.py",
            "indices[box] = -1", "indices[box] = 0", "", ""),
        Bug("-1 is the last element", "engine/winners.py",
            "taken[indices < 0] = 0", "pass", "", ""),
        Bug("-1 is the element before", "engine/winners.py",
            "if with_none:", "if False:", "", ""),
        Bug("the lowest integer's size is itself", "fast/average_pooling.py",
            "down = total // by", "down = abs(total) // abs(by)", "", ""),
        Bug("the whole window counted", "fast/average_pooling.py",
            "first + min(k, i + 2 * p)", "first + k % 1000", "", ""),
        Bug("only the first far tap", "engine/visits.py",
            "for j in range(outputs.start, outputs.stop)", "for j in range(1)", "", ""),
    ],
    ids=lambda bug: bug.name,
)  # fmt: skip
def test_caught(bug: Bug) -> None:
    x = np.array([[[-1.0, -0.0]], [[5.0, 7.0]]])
    none = np.array([[[-1, 1]], [[0, -1]]])

    def found(package: Any) -> list[Any]:
        _, at = package.fast.max_pooling.winners(
            package.geometry.pool(x.shape, (2,), 1, 1, 3, False), x
        )
        return [
            at.tolist(),
            package.max_pool_select(x, none, 1).tolist(),
            package.max_pool_scatter(x.shape, none, x, 1).tolist(),
            package.avg_pool(np.array([[[LOWEST, 0, -3, 0]]]), (2,)).tolist(),
            package.avg_pool(X, *FAR[:1], 1, FAR[2]).tolist(),
            package.max_pool(X, (9,), 5, 4, 1, True).tolist(),
        ]

    right = found(refconv)
    with contextlib.suppress(IndexError, ValueError):  # a bug that raises is seen
        assert found(copy_with(bug)) != right
