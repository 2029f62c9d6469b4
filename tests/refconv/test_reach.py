"""Convolutions and folds whose windows reach far beyond x, hold what is not finite, or are empty.

Swept by hypothesis against the definitions; and the calls that were reported, with what is right.
"""

import time
import tracemalloc
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

import refconv
from refconv import direct
from refconv.engine import taps
from refconv.engine.visits import axis_visits, reaching_taps
from refconv.geometry import Conv
from refconv.geometry.sizes import conv_output_size
from support.agreement import same_numbers, same_sum
from support.bugs.planting import Bug, copy_with

inf, nan = np.inf, np.nan
HUGE = (2**31, 2**33, 2**61)
MB = 1 << 20


# --------------------------------------------------------------------------- swept


@st.composite
def axes(draw: st.DrawFn) -> tuple[int, int, int, int, int]:
    """Draw one axis: i, k, s, p, d, with at most six outputs and any reach."""
    i, k = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    d = draw(st.sampled_from((1, 1, 2, 3, *HUGE)))
    p = draw(st.sampled_from((0, 0, 1, 2, 3, 5, *HUGE)))
    s = draw(st.sampled_from((1, 1, 2, 3, *HUGE)))
    assume(1 <= conv_output_size(i, k, s, (p, p), d) <= 6)
    return i, k, s, p, d


@st.composite
def geometries(draw: st.DrawFn) -> tuple[Conv, dict[str, Any]]:
    """Draw a convolution of one or two axes; batch, channels and filters may be none."""
    each = draw(st.lists(axes(), min_size=1, max_size=2))
    i, k, s, p, d = (tuple(values) for values in zip(*each, strict=True))
    n, g, c, m = draw(
        st.tuples(st.integers(0, 2), st.integers(1, 2), st.integers(0, 2), st.integers(1, 2))
    )
    pads = tuple((p_, p_) for p_ in p)
    o = tuple(map(conv_output_size, i, k, s, pads, d))
    options = {"stride": s, "padding": p, "dilation": d, "groups": g}
    return Conv(n, g, m, c, i, k, o, s, pads, d), options


def numbers(draw: Any, shape: tuple[int, ...]) -> Any:
    """Draw small whole numbers, here and there an infinity, a NaN or a negative zero."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    a = rng.integers(-3, 4, shape).astype(np.float32)
    odd = draw(st.lists(st.sampled_from((inf, -inf, nan, -0.0)), max_size=3))
    for value in odd if a.size else ():
        a.flat[rng.integers(a.size)] = value
    return a


def linear_calls(geo: Conv, options: dict[str, Any], draw: Any) -> list[tuple[str, Any, Any]]:
    """Return every call of a convolution, its gradients, its transpose, unfold and fold."""
    x, w, gy = (numbers(draw, shape) for shape in (geo.x_shape, geo.w_shape, geo.y_shape))
    b = numbers(draw, (geo.g * geo.m,))
    calls = [
        ("conv", (x, w, b), options),
        ("conv_grad_input", (geo.x_shape, w, gy), options),
        ("conv_grad_weight", (x, geo.w_shape, gy), options),
    ]
    window = {name: options[name] for name in ("dilation", "padding", "stride")}
    if geo.c:
        sized = zip(geo.i, geo.k, geo.o, geo.s, geo.p, geo.d, strict=True)
        more = tuple(i - ((o - 1) * s - 2 * p[0] + d * (k - 1) + 1) for i, k, o, s, p, d in sized)
        if all(a < max(s, d) for a, s, d in zip(more, geo.s, geo.d, strict=True)):
            back = {**options, "output_padding": more}
            calls += [
                ("conv_transpose", (gy, w, numbers(draw, (geo.g * geo.c,))), back),
                ("conv_transpose_grad_input", (geo.y_shape, w, x), back),
                ("conv_transpose_grad_weight", (gy, geo.w_shape, x), back),
            ]
        cols = refconv.unfold(x, geo.k, **window)
        calls += [
            ("unfold", (x, geo.k), window),
            ("fold", (numbers(draw, cols.shape), geo.i, geo.k), window),
        ]
    return calls


@given(geometries(), st.data())
def test_fast_is_direct(case: tuple[Conv, dict[str, Any]], data: st.DataObject) -> None:
    for name, args, options in linear_calls(*case, data.draw):
        fast, defined = (getattr(form, name)(*args, **options) for form in (refconv, direct))
        assert same_numbers(fast, defined), (name, [getattr(a, "shape", a) for a in args], options)


@given(axes(), st.data())
def test_reaching_taps_are_those_that_reach(axis: Any, data: st.DataObject) -> None:
    i, k, s, p, d = axis
    o = conv_output_size(i, k, s, (p, p), d)
    first = data.draw(st.integers(0, o))
    side = slice(first, data.draw(st.integers(first, o)))
    expected = [
        tap for tap in range(k) if any(0 <= j * s + tap * d - p < i for j in range(o)[side])
    ]
    found = reaching_taps(i, k, s, p, d, side)
    assert set(expected) <= set(found) <= set(range(k))
    visited = [tap for tap, _, _ in axis_visits(i, k, o, s, p, d, side)]
    assert visited == expected


# --------------------------------------------------------------------------- what was reported


def array(values: Any) -> Any:
    return np.array(values, np.float64)


def test_inserted_zeros_meet_no_infinity() -> None:
    assert refconv.conv_transpose(array([[[1]]]), array([[[1, inf]]])).tolist() == [[[1, inf]]]
    w = np.ones((1, 1, 3, 3))
    w[0, 0, 1, 1] = inf
    gx = refconv.conv_grad_input((1, 1, 4, 4), w, np.zeros((1, 1, 2, 2)))
    assert np.isnan(gx).sum() == 4  # where a zero of gy itself meets the infinity
    w = np.ones((1, 1, 3, 3))
    w[0, 0, 0, 0] = inf
    x = torch.zeros(1, 1, 4, 4, dtype=torch.float64, requires_grad=True)
    y = torch.nn.functional.conv2d(x, torch.tensor(w))
    torchs = torch.autograd.grad(y, x, torch.ones_like(y))[0].numpy()
    assert same_numbers(refconv.conv_grad_input((1, 1, 4, 4), w, np.ones((1, 1, 2, 2))), torchs)


@pytest.mark.parametrize("s", HUGE)
def test_a_stride_beyond_x_has_one_output(s: int) -> None:
    x, w = array([[[1, 2, 3, 4]]]), array([[[1, 10]]])
    assert refconv.conv(x, w, stride=s).tolist() == [[[21]]]
    torchs = torch.nn.functional.conv1d(torch.tensor(x), torch.tensor(w), stride=s)
    assert torchs.tolist() == [[[21]]]
    assert refconv.conv_grad_input(x.shape, w, array([[[2]]]), s).tolist() == [[[2, 20, 0, 0]]]
    assert refconv.conv_grad_weight(x, w.shape, array([[[2]]]), s).tolist() == [[[2, 4]]]
    assert refconv.unfold(x, (2,), stride=s).tolist() == [[[1], [2]]]
    assert refconv.fold(array([[[1], [2]]]), (4,), 2, stride=s).tolist() == [[[1, 2, 0, 0]]]


@pytest.mark.parametrize("d", [*HUGE, 2**63 - 1])
def test_a_dilation_of_one_tap_is_none(d: int) -> None:
    x, w = array([[[1, 2, 3, 4]]]), array([[[10]]])
    torchs = torch.nn.functional.conv1d(torch.tensor(x), torch.tensor(w), dilation=d)
    assert refconv.conv(x, w, dilation=d).tolist() == torchs.tolist()
    assert refconv.unfold(x, (1,), dilation=d).tolist() == x.tolist()


def test_no_input_channels_give_the_bias() -> None:
    x, w = np.zeros((2, 0, 10)), np.zeros((4, 0, 3))
    y = refconv.conv(x, w, np.arange(4.0))
    assert y.shape == (2, 4, 8)
    assert (y == np.arange(4.0)[:, None]).all()
    assert refconv.conv_grad_input(x.shape, w, y).shape == x.shape
    assert refconv.conv_grad_weight(x, w.shape, y).shape == w.shape


CHEAP = [
    ("conv", (np.ones((1, 1, 4)), np.ones((1, 1, 2))),
     {"padding": 10**12, "stride": 2 * 10**12, "dilation": 3}),
    ("conv", (np.ones((1, 1, 4)), np.ones((1, 1, 2))), {"padding": 2**40, "dilation": 2**41}),
    ("conv_grad_input", ((1, 1, 4), np.ones((1, 1, 2)), np.ones((1, 1, 4))),
     {"padding": 2**40, "dilation": 2**41}),
    ("conv_grad_weight", (np.ones((1, 1, 4)), (1, 1, 2), np.ones((1, 1, 4))),
     {"padding": 2**40, "dilation": 2**41}),
    ("conv_transpose", (np.ones((1, 1, 2)), np.ones((1, 1, 3))),
     {"stride": 2**40, "padding": 2**39}),
    ("unfold", (np.ones((1, 1, 4)), (2,)), {"padding": 2**40, "dilation": 2**41}),
    ("fold", (np.ones((1, 2, 4)), (4,), 2), {"padding": 2**40, "dilation": 2**41}),
    ("conv", (np.ones((1, 1, 4, 4)), np.ones((1, 1, 2, 2))),
     {"padding": 2**40, "dilation": 2**41}),
    ("conv", (np.ones((1, 1, 4)), np.ones((1, 1, 10**6))), {"padding": 10**6 // 2}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "args", "options"), CHEAP)
def test_what_lies_beyond_x_costs_nothing(name: str, args: Any, options: Any) -> None:
    if name == "conv_transpose":
        args = (np.ones((1, 1, 1)), args[1])  # one input: its output is as long as the kernel
        options = {"stride": 2**40, "padding": 1}
    start = time.process_time()
    tracemalloc.start()
    getattr(refconv, name)(*args, **options)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 64 * MB
    assert time.process_time() - start < 20  # it would be hours


TOO_LARGE = [
    ("pad", (np.ones((1, 1, 4)), (0, 2**61)), {}),
    ("conv", (np.ones((1, 1, 4)), np.ones((1, 1, 1))), {"padding": 2**59}),
    ("conv_transpose", (np.ones((1, 1, 3)), np.ones((1, 1, 2))), {"stride": 2**60}),
    ("unfold", (np.ones((1, 1, 4)), (1,)), {"padding": 2**59}),
    ("conv", (np.ones((1, 1, 4)), np.ones((1, 1, 1))), {"padding": 2**62}),
]


@pytest.mark.parametrize(("name", "args", "options"), TOO_LARGE)
def test_a_result_that_has_no_room_fails_first(name: str, args: Any, options: Any) -> None:
    with pytest.raises(RuntimeError, match="there is no memory for it"):
        getattr(refconv, name)(*args, **options)


@pytest.mark.parametrize("state", ["raise", "warn"])
def test_the_callers_error_state_changes_nothing(state: Any) -> None:
    """float16 that overflows, infinities that meet: silent, and the same."""
    x = np.full((2, 2, 5), 6e4, np.float16)
    w = np.full((2, 2, 2), 6e4, np.float16)
    w[0, 0, 0] = inf
    calls = [
        ("conv", (x, w), {"padding": 1}),
        ("conv_grad_input", (x.shape, w, x[..., :4].copy()), {}),
        ("conv_grad_weight", (x, w.shape, x[..., :4].copy()), {}),
        ("conv_grad_bias", (x,), {}),
        ("conv_transpose", (x, w, np.full(2, 6e4, np.float16)), {"stride": 2}),
        ("conv_transpose_grad_input", (x.shape, w, x.repeat(2, 2)), {"stride": 2}),
        ("conv_transpose_grad_weight", (x, w.shape, x.repeat(2, 2)), {"stride": 2}),
        ("fold", (np.full((1, 4, 4), 6e4, np.float16), (5,), 2), {}),
        ("pad_grad", ((3,), np.full(5, 6e4, np.float16), (1, 1), "replicate"), {}),
    ]
    for name, args, options in calls:
        expected = getattr(refconv, name)(*args, **options)
        with np.errstate(all=state):
            found = getattr(refconv, name)(*args, **options)
        assert same_numbers(found, expected), name
        assert not np.isfinite(expected).all(), name


# --------------------------------------------------------------------------- planted bugs


@pytest.mark.parametrize(
    "bug",
    [
        Bug("zeros of the padding beside an infinity", "engine/columns.py",
            "if padded and beside is not None and not finite(beside)", "if False", "", ""),
        Bug("an infinity in the sum only", "engine/columns.py",
            "return bool(xp.isfinite(a.sum())) or bool(xp.isfinite(a).all())", "return True",
            "", ""),
        Bug("the last tap that reaches", "engine/taps.py",
            "reach[-1] + 1) if reach", "reach[-1]) if reach", "", ""),
        Bug("an output too few", "engine/visits.py",
            "min(last, side.stop)\n        if", "min(last, side.stop - 1)\n        if", "", ""),
        Bug("the adjoint overwrites", "engine/taps.py",
            "onto += xp.matmul(w[last_axes(tap)].swapaxes(1, 2)",
            "onto[...] = xp.matmul(w[last_axes(tap)].swapaxes(1, 2)", "", ""),
        Bug("only one image's sum", "engine/taps.py",
            "onto += xp.matmul(each", "onto[...] = xp.matmul(each", "", ""),
    ],
    ids=lambda bug: bug.name,
)  # fmt: skip
def test_caught(bug: Bug) -> None:
    """Some call of two images with infinities, padding and overlapping windows shows each bug."""
    rng = np.random.default_rng(0)
    x, w = rng.integers(-3, 4, (2, 2, 6)).astype(float), rng.integers(1, 4, (2, 2, 3)).astype(float)
    w[0, 0, 1], w[1, 1, 2], w[0, 1, 0] = inf, -inf, nan
    gy = rng.integers(-3, 4, (2, 2, 4)).astype(float)
    gy[0, 0, 0], gy[1, 1, 3] = inf, -inf
    o = {"padding": 2, "stride": 2}
    calls = [
        ("conv", (x, w), o),
        ("conv_grad_input", (x.shape, w, gy), o),
        ("conv_grad_weight", (x, w.shape, gy), o),
        ("conv_grad_input", (x.shape, w, gy), {}),
        ("conv", (x, abs(w)), {"padding": 2**40, "dilation": 2**40}),
        ("conv_grad_weight", (x, (2, 2, 2), x), {"padding": 2**40, "dilation": 2**41}),
        ("conv_grad_input", (x.shape, abs(w[..., :2]), x[..., :2].copy()),
         {"padding": 2**33, "dilation": 2**33, "stride": 2**33}),
    ]  # fmt: skip

    def right(package: Any) -> bool:
        return all(
            same_numbers(
                getattr(package, name)(*args, **options), getattr(direct, name)(*args, **options)
            )
            for name, args, options in calls
        )

    assert right(refconv)
    try:
        caught = not right(copy_with(bug))
    except (IndexError, ValueError):
        caught = True
    assert caught


def test_taps_are_the_whole_convolution() -> None:
    """Tap by tap alone, where `columns` would serve, gives what the definition gives."""
    rng = np.random.default_rng(1)
    geo = Conv(2, 2, 3, 2, (5, 4), (3, 2), (3, 4), (2, 1), ((1, 1), (0, 1)), (1, 1))
    x, w = (rng.integers(-3, 4, s).astype(float) for s in ((2, 2, 2, 5, 4), (2, 3, 2, 3, 2)))
    y = np.zeros((2, 2, 3, 3, 4))
    taps.correlate(geo, x, w, y)
    padded = np.pad(x.reshape(geo.x_shape), ((0, 0), (0, 0), (1, 1), (0, 1)))
    expected = direct.conv(padded, w.reshape(geo.w_shape), stride=(2, 1), groups=2)
    assert same_sum(y.reshape(geo.y_shape), expected)
