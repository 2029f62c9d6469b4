"""unfold and fold: the bits of torch's values and derivatives, both linear and exact."""

import itertools

import pytest
import torch
from torch.nn import functional as F

from torch_ext import functional

SIZE = (7, 6)
GRID = list(itertools.product((2, (3, 2)), (1, (1, 2)), (0, (2, 1)), (1, (2, 3))))
DTYPES = [
    torch.float64,
    torch.float32,
    torch.float16,
    torch.bfloat16,
    torch.complex128,
    torch.complex64,
]
INTEGERS = [torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64]

dtypes = pytest.mark.parametrize("dtype", DTYPES, ids=str)


def columns(integers, window, dtype=torch.float64, channels=3):
    """Draw what `fold` makes images of this size of."""
    shape = F.unfold(torch.zeros(2, channels, *SIZE), *window).shape
    return integers(tuple(shape), dtype)


def unfold(*window):
    """Return both functions with these options set."""
    return tuple(lambda x, f=f: f.unfold(x, *window) for f in (functional, F))


def fold(*window):
    """Return both functions with these options set."""
    return tuple(lambda cols, f=f: f.fold(cols, SIZE, *window) for f in (functional, F))


@dtypes
def test_unfold_with_every_combination_of_options(integers, agree, dtype):
    for window in GRID:
        agree(*unfold(*window), integers((2, 3, *SIZE), dtype))


@dtypes
def test_fold_with_every_combination_of_options(integers, agree, dtype):
    for window in GRID:
        agree(*fold(*window), columns(integers, window, dtype))


@pytest.mark.parametrize("cut", [lambda t: t[0], lambda t: t[:0]], ids=["unbatched", "empty"])
def test_unbatched_and_an_empty_batch(integers, agree, cut):
    agree(*unfold(2, 1, 1), cut(integers((2, 3, *SIZE))))
    agree(*fold(2, 1, 1), cut(columns(integers, (2, 1, 1))))


@pytest.mark.parametrize(
    "view",
    [
        lambda t: t.transpose(-1, -2).contiguous().transpose(-1, -2),
        lambda t: t.repeat_interleave(2, -1)[..., ::2],
        lambda t: t[:, :1].expand_as(t),
        lambda t: t.movedim(1, -1).contiguous().movedim(-1, 1),
    ],
    ids=["transposed", "strided", "expanded", "channels last"],
)
def test_strided_inputs(integers, agree, view):
    x, cols = view(integers((2, 3, *SIZE))), view(columns(integers, (2,)))
    assert not x.is_contiguous()
    assert not cols.is_contiguous()
    agree(*unfold(2), x)
    agree(*fold(2), cols)


def test_one_integer_stands_for_both_axes(integers, agree):
    cols = columns(integers, (2,))[..., :25]  # 5 x 5 windows
    agree(*(lambda c, f=f: f.fold(c, 6, 2) for f in (functional, F)), cols)


def test_of_bool(integers):
    x = integers((2, 3, *SIZE)) > 1
    ours, torchs = unfold((3, 2), 1, 1, 2)
    assert torchs(x).any()
    assert torch.equal(ours(x), torchs(x))
    ours, torchs = fold((3, 2), 1, 1, 2)
    cols = columns(integers, ((3, 2), 1, 1, 2)) > 1
    assert torchs(cols).any()
    assert torch.equal(ours(cols), torchs(cols))


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
def test_of_integers(integers, dtype):
    """torch has none: its floats hold these."""
    x, cols = integers((2, 3, *SIZE), dtype), columns(integers, (2,), dtype).abs()
    if dtype is torch.uint8:
        x, cols = x % 5, cols % 5
    (unfolded, expected), (folded, summed) = (
        (ours(t), torchs(t.double()).to(dtype))
        for (ours, torchs), t in ((unfold(2), x), (fold(2), cols))
    )
    assert torch.equal(unfolded, expected)
    assert torch.equal(folded, summed)
