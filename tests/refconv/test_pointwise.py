"""Convolution without windows is the definition, in every dtype, by one call or a task an image."""

from typing import Any

import numpy as np
import pytest

import refconv
from refconv import direct
from refconv.engine import columns, pointwise, tiles
from refconv.geometry import conv
from support.agreement import same_numbers
from support.bugs.planting import Bug, copy_with
from support.threads import same_at_any_number

SHAPES = (
    ((9, 6, 6, 7), (4, 3, 1, 1), 2),
    ((8, 5, 40), (3, 5, 1), 1),
    ((8, 2, 3, 4, 3), (2, 2, 1, 1, 1), 1),
)
DTYPES = (np.float16, np.float32, np.float64, np.complex64, np.int16)


def operands(number: int, dtype: Any, odd: int = 0) -> tuple[Any, Any, Any]:
    """Return x, w and b of small whole numbers, some not finite."""
    x_shape, w_shape, _ = SHAPES[number]
    rng = np.random.default_rng(number)
    x, w, b = (rng.integers(-4, 5, s).astype(dtype) for s in (x_shape, w_shape, w_shape[:1]))
    x.flat[rng.integers(x.size, size=odd)] = np.inf if odd else 0
    return x, w, b


def served(
    x: tuple[int, ...], w: tuple[int, ...], stride: int = 1, padding: int = 0, groups: int = 1
) -> bool:
    """Return whether a call goes this way."""
    xs = np.zeros((x[0], groups, x[1] // groups, *x[2:]))
    return columns.used_as_it_lies(conv(x, w, stride, padding, 1, groups), xs)


def answer(form: Any, number: int, dtype: Any, odd: int = 0) -> Any:
    """Return the convolution, by refconv or by direct."""
    with np.errstate(all="ignore"):
        return form.conv(*operands(number, dtype, odd), groups=SHAPES[number][2])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("number", range(len(SHAPES)))
@pytest.mark.parametrize("call", [1.0, 1.2e5])
def test_it_is_the_definition(
    number: int, dtype: Any, call: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert served(*SHAPES[number][:2], groups=SHAPES[number][2])
    monkeypatch.setattr(pointwise, "CALL", call)
    for odd in (0, 2) if np.dtype(dtype).kind == "f" else (0,):
        ours, theirs = (answer(form, number, dtype, odd) for form in (refconv, direct))
        assert same_numbers(ours, theirs)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
@pytest.mark.parametrize("size", [6, 30])
def test_the_same_bits_at_any_number_of_threads(
    dtype: Any, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiles, "SHARED", 0.0)  # however small the work
    rng = np.random.default_rng(0)
    x = rng.standard_normal((9, 70, size, size)).astype(dtype)
    w = rng.standard_normal((50, 70, 1, 1)).astype(dtype)
    assert same_at_any_number(lambda: [refconv.conv(x, w)])


@pytest.mark.parametrize(
    ("x", "w", "options"),
    [
        ((7, 2, 9, 9), (2, 2, 1, 1), {}),  # few images: those that there are, threads share
        ((8, 2, 5, 6), (2, 2, 1, 1), {}),  # small maps go side by side
        ((8, 2, 9, 9), (2, 2, 1, 1), {"stride": 2}),
        ((8, 2, 9, 9), (2, 2, 1, 1), {"padding": 1}),
        ((8, 2, 9, 9), (2, 2, 1, 2), {}),
    ],
)
def test_where_it_does_not_serve(
    x: tuple[int, ...], w: tuple[int, ...], options: dict[str, int]
) -> None:
    assert not served(x, w, **options)


def test_an_empty_sum_is_the_bias() -> None:
    b = np.array([1.0, 2.0])
    y = refconv.conv(np.zeros((8, 0, 6, 6)), np.zeros((2, 0, 1, 1)), b)
    assert (y == b[:, None, None]).all()


# --------------------------------------------------------------------------- planted bugs


def wrong(package: Any) -> bool:
    """Return whether any call has another result than the definition."""
    return any(
        not np.array_equal(answer(package, number, np.float64), answer(direct, number, np.float64))
        for number in range(len(SHAPES))
    )


@pytest.mark.parametrize(
    "bug",
    [
        Bug("the bias of the first group", "engine/pointwise.py",
            "bias.reshape(geo.g, geo.m, 1)", "bias.reshape(geo.g, geo.m, 1)[:1]", "", ""),
        Bug("the last image dropped", "engine/pointwise.py",
            "tiles.blocks(geo.n, int(", "tiles.blocks(geo.n - 1, int(", "", ""),
    ],
    ids=lambda bug: bug.name,
)  # fmt: skip
def test_caught(bug: Bug) -> None:
    assert wrong(copy_with(bug))


def test_nothing_is_caught_without_a_bug() -> None:
    assert not wrong(refconv)
