"""Input gradients by phases are the definition: every stride, tile, thread and number of axes.

Whole numbers leave nothing to rounding. Weights that are not finite go another way.
"""

from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import refconv
from refconv import direct
from refconv.engine import columns, phases, tiles
from support.agreement import same_numbers
from support.bugs.planting import Bug, copy_with
from support.conv_calls import Call, numbers
from support.scratch import kept_behind
from support.threads import same_at_any_number


def served(call: Call) -> bool:
    """Return whether phases serve a call, of finite weights."""
    by_group = np.zeros((call.geo.g, call.geo.m, call.geo.c, *call.geo.k))
    return phases.plan_phases(np, call.geo, by_group) is not None


@st.composite
def calls(draw: st.DrawFn) -> Call:
    """Draw a convolution over one to three axes that phases serve."""
    rank, g = draw(st.integers(1, 3)), draw(st.integers(1, 2))
    n, c, m = (draw(st.integers(1, most)) for most in (3, 3, 2))
    k, s, p, d = (
        tuple(draw(st.integers(least, most)) for _ in range(rank))
        for least, most in ((1, (9, 5, 3)[rank - 1]), (2, 4), (0, 2), (1, 2))
    )
    s = (*s[:-1], draw(st.integers(1, 4))) if rank > 1 else s
    i = tuple(
        max(1, d_ * (k_ - 1) + 1 - 2 * p_) + draw(st.integers(3, (40, 12, 6)[rank - 1]))
        for k_, p_, d_ in zip(k, p, d, strict=True)
    )
    call = Call(
        (n, g * c, *i), (g * m, c, *k), {"stride": s, "padding": p, "dilation": d, "groups": g}
    )
    assume(served(call))
    return call


def gradient(form: Any, call: Call, seed: int, odd: tuple[int, int] = (0, 0)) -> Any:
    """Return the input gradient, by refconv or by direct; odd: infinities in gy and in w."""
    gy, w = numbers(seed, call.geo.y_shape, odd[0]), numbers(seed + 1, call.w, odd[1])
    with np.errstate(all="ignore"):
        return form.conv_grad_input(call.x, w, gy, **call.options)


@given(calls(), st.integers(0, 2**32), st.integers(0, 2), st.integers(0, 1))
def test_phases_are_the_definition(call: Call, seed: int, of_gy: int, of_w: int) -> None:
    odd = of_gy, of_w
    assert same_numbers(gradient(refconv, call, seed, odd), gradient(direct, call, seed, odd)), call


@given(calls(), st.integers(0, 2**32), st.sampled_from([200, 2000]))
def test_in_small_tiles_too(call: Call, seed: int, room: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiles, "SCRATCH_BYTES", room)
        patch.setattr(columns, "COLUMNS", 3)
        ours = gradient(refconv, call, seed)
    assert same_numbers(ours, gradient(direct, call, seed)), call


PLAIN: dict[str, Any] = {"stride": 2, "padding": 1, "dilation": 1, "groups": 1}
KERNEL_4 = Call((2, 5, 12, 14), (6, 5, 4, 4), PLAIN)
GROUPED = Call((2, 6, 11, 9), (6, 3, 3, 3), {**PLAIN, "stride": (3, 2), "groups": 2})
VIDEO = Call((1, 4, 6, 7, 8), (4, 4, 3, 3, 3), {**PLAIN, "stride": (1, 2, 2)})
SOUND = Call((2, 3, 50), (4, 3, 7), {**PLAIN, "padding": 2, "dilation": 2})
APART = Call((2, 4, 13, 13), (4, 4, 2, 2), {**PLAIN, "stride": 3, "padding": 0})  # phases: no taps
THIN = Call((2, 1, 40, 40), (3, 1, 3, 3), PLAIN)
CALLS = (KERNEL_4, GROUPED, VIDEO, SOUND, APART)


@pytest.mark.parametrize("shared", [0.0, tiles.SHARED])
@pytest.mark.parametrize("call", [*CALLS, THIN])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.int32, np.float16])
def test_the_same_bits_at_any_number_of_threads(
    call: Call, dtype: Any, shared: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By ours, however small the work, and by BLAS's own where one of ours is enough."""
    call = Call((8, *call.x[1:]), call.w, call.options)
    assert served(call)
    rng = np.random.default_rng(0)
    w, gy = ((4 * rng.standard_normal(shape)).astype(dtype) for shape in (call.w, call.geo.y_shape))
    monkeypatch.setattr(tiles, "SHARED", shared)
    assert same_at_any_number(lambda: [refconv.conv_grad_input(call.x, w, gy, **call.options)])


def test_a_row_of_one_channel_is_a_vector(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of which OpenBLAS shares smaller products: c = 1 tells, though m and the outputs are more."""
    asked = []
    monkeypatch.setattr(tiles, "takes_threads", lambda _, *sizes: asked.append(min(sizes)) or True)
    gradient(refconv, THIN, 0)
    gradient(refconv, GROUPED, 0)
    assert asked == [1, 3]


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize(
    ("channels", "kernel", "size"),
    [(8, 3, 64), (8, 3, 300), (256, 2, 48), (256, 2, 96), (64, 7, 64)],
)
def test_scratch_stays_small(batch: int, channels: int, kernel: int, size: int) -> None:
    call = Call((batch, channels, size, size), (channels, channels, kernel, kernel), PLAIN)
    assert served(call)
    assert kept_behind(lambda: gradient(refconv, call, 0)) <= 4 << 20


@pytest.mark.parametrize(
    ("shape", "kernel", "changed"),
    [
        ((1, 2, 40), (2, 2, 3), {"stride": 1}),
        ((1, 2, 40), (10, 2, 3), {}),  # many filters
        ((1, 2, 9), (4, 2, 3), {}),  # fewer outputs than twice the filters
        ((1, 2, 2000), (2, 2, 300), {}),  # many taps
        ((1, 2, 40), (2, 2, 5), {"stride": 5}),  # each of another phase
        ((1, 2, 40), (2, 2, 3), {"dilation": 4}),  # taps of a phase with gaps between
        ((1, 2, 4), (1, 2, 9), {"padding": 8}),  # mostly what lies between tiles
    ],
)
def test_where_they_do_not_serve(
    shape: tuple[int, ...], kernel: tuple[int, ...], changed: dict[str, int]
) -> None:
    assert not served(Call(shape, kernel, {**PLAIN, **changed}))


def test_only_finite_weights() -> None:
    geo, w = KERNEL_4.geo, np.ones((1, 6, 5, 4, 4))
    assert phases.plan_phases(np, geo, w) is not None
    w[0, 0, 0, 0, 0] = np.inf
    assert phases.plan_phases(np, geo, w) is None


# --------------------------------------------------------------------------- planted bugs


@cache
def defined(number: int) -> Any:
    """Return what the definition says of a call."""
    return gradient(direct, CALLS[number], 0)


def wrong(package: Any) -> bool:
    """Return whether any call has another result than the definition, in usual or tiny tiles."""
    usual = package.engine.tiles.SCRATCH_BYTES, package.engine.columns.COLUMNS
    for room, least in (usual, (400, 3)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(package.engine.tiles, "SCRATCH_BYTES", room)
            patch.setattr(package.engine.columns, "COLUMNS", least)
            for number, call in enumerate(CALLS):
                if not same_numbers(gradient(package, call, 0), defined(number)):
                    return True
    return False


@pytest.mark.parametrize(
    "bug",
    [
        Bug("the phase of another padding", "engine/phases.py",
            "r = (tap * d - p) % s", "r = (tap * d) % s", "", ""),
        Bug("taps in the order of another phase", "engine/phases.py",
            "slice(first, first + len(last))),", "slice(0, len(last))),", "", ""),
        Bug("the shift of another tap", "engine/phases.py",
            "shift - axes[0].q.start,", "0 * shift,", "", ""),
        Bug("kernels as they lie", "engine/phases.py",
            "order = plan.axes[-1].order()", "order = range(geo.k[-1])", "", ""),
        Bug("one block of filters", "engine/phases.py",
            "if block == number == 0:", "if number == 0:", "", ""),
        Bug("the last cell of a phase dropped", "engine/phases.py",
            "Axis(-(-i // s), reach", "Axis(i // s, reach", "", ""),
        Bug("the first images only", "engine/phases.py",
            "list(itertools.product(plan.images, plan.groups",
            "list(itertools.product(plan.images[:1], plan.groups", "", ""),
    ],
    ids=lambda bug: bug.name,
)  # fmt: skip
def test_caught(bug: Bug) -> None:
    assert wrong(copy_with(bug))


def test_nothing_is_caught_without_a_bug() -> None:
    assert not wrong(refconv)
