"""Few channels a group: products with banded matrices are the definition, in every tile and thread.

Whole numbers leave nothing to rounding. What is not finite is computed by taps.
"""

import itertools
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import refconv
from refconv import direct
from refconv.engine import bands, tiles
from support.agreement import same_numbers
from support.bugs.planting import Bug, copy_with
from support.conv_calls import Call, numbers
from support.scratch import kept_behind
from support.threads import same_at_any_number

FEW = 1 << 14  # bytes of scratch: an image is cut into tiles of few rows


@st.composite
def calls(draw: st.DrawFn) -> Call:
    """Draw a convolution over one or two axes that bands serve."""
    rank, g = draw(st.integers(1, 2)), 4
    n, c, m = (draw(st.integers(1, most)) for most in (2, 2, 2))
    sizes = [
        (draw(st.integers(1, 24 if axis == rank - 1 else 6)), draw(st.integers(1, 4)))
        for axis in range(rank)
    ]
    s, p, d = (
        tuple(draw(st.integers(least, most)) for _ in range(rank))
        for least, most in ((1, 3), (0, 4), (1, 2))
    )
    i, k = zip(*sizes, strict=True)
    spans = [i_ + 2 * p_ - d_ * (k_ - 1) - 1 for i_, p_, d_, k_ in zip(i, p, d, k, strict=True)]
    assume(min(spans) >= 0)
    call = Call(
        (n, g * c, *i), (g * m, c, *k), {"stride": s, "padding": p, "dilation": d, "groups": g}
    )
    assume(bands.strips(np, call.geo, np.dtype(float)) is not None)
    return call


def results(form: Any, call: Call, seed: int, odd: int = 0) -> list[Any]:
    """Return the output and both gradients, by refconv or by direct."""
    x, w, gy = (numbers(seed + n, s, odd) for n, s in enumerate((call.x, call.w, call.geo.y_shape)))
    with np.errstate(all="ignore"):
        return [
            form.conv(x, w, numbers(seed, call.w[:1]), **call.options),
            form.conv_grad_input(call.x, w, gy, **call.options),
            form.conv_grad_weight(x, call.w, gy, **call.options),
        ]


def agree(ours: Any, theirs: Any) -> bool:
    """Return whether results are the same numbers, every NaN one, of a zero either sign."""
    return all(same_numbers(a, b) for a, b in zip(ours, theirs, strict=True))


@given(calls(), st.integers(0, 2**32), st.integers(0, 3))
def test_bands_are_the_definition(call: Call, seed: int, odd: int) -> None:
    assert agree(results(refconv, call, seed, odd), results(direct, call, seed, odd)), call


@given(calls(), st.integers(0, 2**32))
def test_in_tiles_of_few_rows_too(call: Call, seed: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiles, "SCRATCH_BYTES", FEW)
        assume(bands.strips(np, call.geo, np.dtype(float)) is not None)
        ours = results(refconv, call, seed)
    assert agree(ours, results(direct, call, seed)), call


DEPTHWISE = Call(
    (2, 5, 9, 20), (5, 1, 5, 5), {"stride": 1, "padding": 2, "dilation": 1, "groups": 5}
)
STRIDED = Call(
    (2, 8, 9, 20), (8, 2, 3, 3), {"stride": (2, 1), "padding": 1, "dilation": 1, "groups": 4}
)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.complex128])
@pytest.mark.parametrize("call", [DEPTHWISE, STRIDED])
def test_the_same_bits_at_any_number_of_threads(call: Call, dtype: Any) -> None:
    rng = np.random.default_rng(0)
    x, w, gy = (
        rng.standard_normal(shape).astype(dtype) for shape in (call.x, call.w, call.geo.y_shape)
    )
    assert same_at_any_number(
        lambda: (
            refconv.conv(x, w, **call.options),
            refconv.conv_grad_input(call.x, w, gy, **call.options),
            refconv.conv_grad_weight(x, call.w, gy, **call.options),
        )
    )


@pytest.mark.parametrize("size", [64, 300])
@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("stride", [1, 2])
def test_scratch_stays_small(size: int, batch: int, channels: int, stride: int) -> None:
    call = Call(
        (batch, 8 * channels, size, size), (8 * channels, channels, 3, 3),
        {"stride": stride, "padding": 1, "dilation": 1, "groups": 8},
    )  # fmt: skip
    assert bands.strips(np, call.geo, np.dtype(float)) is not None
    assert kept_behind(lambda: results(refconv, call, 0)) <= 4 << 20


@pytest.mark.parametrize(
    ("shape", "kernel", "changed"),
    [
        ((1, 4, 40), (4, 1, 3), {"groups": 4, "dilation": 15}),  # mostly zeros
        ((1, 2, 40), (2, 1, 3), {"groups": 2}),  # few groups
        ((1, 28, 40), (28, 7, 3), {"groups": 4}),  # many channels
        ((1, 4, 40), (4, 1, 1), {"groups": 4}),  # one tap
    ],
)
def test_where_they_do_not_serve(
    shape: tuple[int, ...], kernel: tuple[int, ...], changed: dict[str, int]
) -> None:
    call = Call(shape, kernel, {"stride": 1, "padding": 0, "dilation": 1, **changed})
    assert bands.strips(np, call.geo, np.dtype(float)) is None


def test_integers_have_no_fast_product() -> None:
    assert bands.strips(np, DEPTHWISE.geo, np.dtype(int)) is None


# --------------------------------------------------------------------------- planted bugs

CALLS = (
    DEPTHWISE,
    STRIDED,
    Call((2, 4, 41), (8, 1, 3), {"stride": 1, "padding": 3, "dilation": 2, "groups": 4}),
    Call((2, 4, 7, 25), (4, 1, 3, 3), {"stride": 1, "padding": 1, "dilation": 2, "groups": 4}),
    Call(
        (1, 4, 5, 130), (4, 1, 3, 4), {"stride": 2, "padding": (1, 0), "dilation": 1, "groups": 4}
    ),
)


def wrong(package: Any) -> bool:
    """Return whether any call has another result than the definition."""
    each = itertools.product(range(len(CALLS)), range(2), (0, 1))
    return not all(agree(results(package, CALLS[n], *how), defined(n, *how)) for n, *how in each)


@cache
def defined(number: int, seed: int, odd: int) -> list[Any]:
    """Return what the definition says of a call."""
    return results(direct, CALLS[number], seed, odd)


@pytest.mark.parametrize(
    "bug",
    [
        Bug("a band forgets the dilation", "engine/bands.py", "d[1] * row,", "row,", "", ""),
        Bug("a band forgets the stride", "engine/bands.py", "s * row + column", "row + column",
            "", ""),
        Bug("rows of the padding forgotten", "engine/bands.py",
            "tile.rows.start * geo.s[0] - top", "tile.rows.start * geo.s[0]", "", ""),
        Bug("the rest of the outputs dropped", "engine/bands.py",
            "(whole, rest), strict=True) if there]", "(whole, 0), strict=True) if there]", "", ""),
        Bug("overlapping strips added at once", "engine/bands.py",
            "if mine.ndim == theirs.ndim == 5:", "if True:", "", ""),
        Bug("runs of a matrix's rows overlap", "engine/bands.py",
            "-(-height // down)", "height // down", "", ""),
        Bug("zeros of the band beside an infinity", "engine/bands.py",
            "if not finite(outputs):", "if False:", "", ""),
        Bug("zeros of the band beside an infinite gradient", "engine/bands.py",
            "if not finite(gx[n, g]):", "if False:", "", ""),
        Bug("outputs that are none, beside an infinity", "engine/bands.py",
            "if not finite(gw):", "if False:", "", ""),
        Bug("the bias of what is computed again", "engine/bands.py",
            "*(1,) * len(narrow.o))[g]", "*(1,) * len(narrow.o))[g] * 0", "", ""),
    ],
    ids=lambda bug: bug.name,
)  # fmt: skip
def test_caught(bug: Bug) -> None:
    assert wrong(copy_with(bug))


def test_nothing_is_caught_without_a_bug() -> None:
    assert not wrong(refconv)
