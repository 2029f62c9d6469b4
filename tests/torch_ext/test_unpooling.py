"""max_unpool1d-3d: the bits of torch's values and derivatives, duplicates included."""

import itertools

import pytest
import torch
from torch.nn import functional as F

from support.pairs import FLOATS, pairs, ranks

UNPOOL = pairs("max_unpool{}")
POOL = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
SIZES = {1: (11,), 2: (9, 8), 3: (5, 6, 4)}
KERNELS = {1: (3,), 2: (3, 2), 3: (2, 3, 2)}
STRIDES = {1: (4,), 2: (3, 4), 3: (2, 3, 2)}
PADDINGS = {1: (1,), 2: (1, 0), 3: (0, 1, 1)}


@pytest.fixture
def one_thread():
    """In torch several threads race for the place that duplicates share."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def pooled(integers, rank, *options, dtype=torch.float64):
    """Return maxima, where they were, and the size of what was pooled."""
    x = integers((2, 3, *SIZES[rank]), torch.float64, 9)
    y, indices = POOL[rank](x, *options, return_indices=True)
    return y.to(dtype), indices, x.shape


def with_options(rank, indices, *options):
    """Return both functions with these options set."""
    return tuple(lambda x, f=f: f(x, indices, *options) for f in UNPOOL[rank])


@ranks
@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_every_combination_of_options(integers, agree, rank, dtype):
    grid = itertools.product((2, KERNELS[rank]), (None, STRIDES[rank]), (0, PADDINGS[rank]))
    for options in grid:
        y, indices, size = pooled(integers, rank, *options, dtype=dtype)
        for output_size in (size, size[2:], list(size[2:])):
            agree(*with_options(rank, indices, *options, output_size), y)


@ranks
def test_the_output_size_that_is_taken(integers, agree, rank):
    """The smallest that pools to this: every place of the indices must be in it."""
    x = integers((2, 3, *(6,) * rank), most=9)
    y, indices = POOL[rank](x, 2, return_indices=True)
    for options in ((2,), (2, 2), (2, None, 0), ((2,) * rank, [2] * rank)):
        agree(*with_options(rank, indices, *options), y)


@ranks
@pytest.mark.usefixtures("one_thread")
def test_duplicates(integers, agree, rank):
    """Overlapping windows share winners: the last value stays, the gradient goes to all of them."""
    y, indices, size = pooled(integers, rank, 3, 1)
    assert any(
        len(set(plane.tolist())) < plane.numel() for plane in indices.flatten(2).flatten(0, 1)
    )
    agree(*with_options(rank, indices, 3, 1, 0, size), integers(y.shape, most=9))


@ranks
def test_unbatched(integers, agree, rank):
    y, indices, size = pooled(integers, rank, 2)
    agree(*with_options(rank, indices[0], 2, None, 0, size[2:]), y[0])


@ranks
def test_an_empty_batch(integers, rank):
    """Of which torch has no second derivative."""
    y, indices, size = pooled(integers, rank, 2)
    x = y[:0].requires_grad_()
    found, expected = (f(x, indices[:0], 2, None, 0, size[2:]) for f in UNPOOL[rank])
    assert found.shape == expected.shape
    (gx,) = torch.autograd.grad(found.sum(), x)
    assert gx.shape == x.shape


@ranks
@pytest.mark.parametrize(
    "view",
    [
        lambda t: t.transpose(-1, -2).contiguous().transpose(-1, -2),
        lambda t: t.repeat_interleave(2, -1)[..., ::2],
        lambda t: t.movedim(1, -1).contiguous().movedim(-1, 1),
    ],
    ids=["transposed", "strided", "channels last"],
)
def test_strided_inputs(integers, agree, rank, view):
    y, indices, size = pooled(integers, rank, 2)
    assert not view(y).is_contiguous()
    assert not view(indices).is_contiguous()
    ours, _ = with_options(rank, view(indices), 2, None, 0, size)
    _, torchs = with_options(rank, indices, 2, None, 0, size)  # whose gradient needs the contiguous
    agree(ours, lambda x: torchs(x.contiguous()), view(y))
    agree(ours, torchs, y)


@ranks
def test_nothing_else_is_touched(integers, rank):
    """NaN and infinity go to their places like any other value, and nowhere else."""
    y, indices, size = pooled(integers, rank, 2)
    y[:, 1], y[:, 2] = torch.nan, -torch.inf
    found, expected = (f(y, indices, 2, None, 0, size) for f in UNPOOL[rank])
    assert torch.equal(found.isnan(), expected.isnan())
    assert torch.equal(found.nan_to_num(), expected.nan_to_num())


@ranks
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int32, torch.int64], ids=str)
def test_integers_and_complex(integers, rank, dtype):
    """torch has neither: its floats hold these, part by part."""
    y, indices, size = pooled(integers, rank, 2)
    ours, torchs = with_options(rank, indices, 2, None, 0, size)
    assert torch.equal(ours(y.to(dtype)), torchs(y.to(dtype).double()).to(dtype))
    assert torch.equal(ours(torch.complex(y, -y)), torch.complex(torchs(y), -torchs(y)))


@ranks
def test_an_output_of_size_zero(rank):
    """For no values."""
    x, indices = torch.ones(0, 3, *[2] * rank), torch.zeros(0, 3, *[2] * rank, dtype=torch.int64)
    found, expected = (f(x, indices, 2, 2, 2) for f in UNPOOL[rank])
    assert expected.shape == (0, 3, *[0] * rank)
    assert found.shape == expected.shape
