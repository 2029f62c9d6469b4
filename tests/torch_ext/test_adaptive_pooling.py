"""adaptive_avg_pool1d-3d and adaptive_max_pool1d-3d: the bits of torch's values and derivatives."""

import itertools
import math

import pytest
import torch

from support.arrays import channels_last, strided
from support.pairs import dtypes, pairs, ranks

AVG = pairs("adaptive_avg_pool{}")
MAX = pairs("adaptive_max_pool{}")
MAX_WITH_INDICES = pairs("adaptive_max_pool{}_with_indices")
SIZES = {1: (8,), 2: (6, 7), 3: (4, 5, 6)}
OUTPUTS = {  # one window, even and uneven ones, more windows than inputs, the input's size
    1: (1, 3, 4, 11, (8,)),
    2: (1, 3, (4, 2), (9, 5), (None, 3), [None, None]),
    3: (1, 2, (3, 2, 4), (5, 7, 2), (None, 2, None), [2, None, 3]),
}
HALVES = {1: (4,), 2: (3, 7), 3: (2, 5, 3)}  # windows of two, or one, in every axis: exact averages
INTEGERS = [torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64]


def image(integers, rank, dtype=torch.float64, most=2):
    return integers((2, 3, *SIZES[rank]), dtype, most)


def with_size(pair, size):
    """Return both functions with this output size set."""
    ours, torchs = pair
    return (lambda x: ours(x, size)), (lambda x: torchs(x, size))


# --------------------------------------------------------------------------- maximum


@ranks
@dtypes
def test_max_with_every_size(integers, agree, rank, dtype):
    x = image(integers, rank, dtype)  # so few values that nearly every window holds a tie
    for size in OUTPUTS[rank]:
        agree(*with_size(MAX[rank], size), x, most=1)
        ours, torchs = MAX[rank]
        expected = torchs(x, size, return_indices=True)
        for found in (
            ours(x, size, True),
            MAX_WITH_INDICES[rank][0](x, size),
            MAX_WITH_INDICES[rank][0](x, size, False),
        ):
            for one, other in zip(found, expected, strict=True):
                assert torch.equal(one, other)


@ranks
def test_max_of_nan_and_infinity(integers, rank):
    x = image(integers, rank)
    x[:, 1][integers(x[:, 1].shape) == 2] = math.nan  # a fifth: windows with several
    x[:, 2] = -math.inf
    x[1, 2][integers(x[1, 2].shape) == 2] = math.inf
    (y, indices), (expected, expected_indices) = (f(x, 3, True) for f in MAX[rank])
    assert expected[:, 1].isnan().any()
    assert torch.equal(indices, expected_indices)
    assert torch.equal(y.nan_to_num(nan=7), expected.nan_to_num(nan=7))


@ranks
@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
def test_max_of_integers(integers, rank, dtype):
    """torch has none: its floats hold these."""
    x = image(integers, rank, torch.int64, most=100).to(dtype)
    ours, torchs = MAX[rank]
    (y, indices), (expected, expected_indices) = ours(x, 3, True), torchs(x.double(), 3, True)
    assert torch.equal(y, expected.to(dtype))
    assert torch.equal(indices, expected_indices)


# --------------------------------------------------------------------------- average


@ranks
@dtypes
def test_average_with_every_size(integers, agree, rank, dtype):
    """Values of any rounding; gradients, of which several meet, where the windows' sizes divide."""
    x = image(integers, rank, dtype)
    for size in OUTPUTS[rank]:
        ours, torchs = with_size(AVG[rank], size)
        assert torch.equal(ours(x), torchs(x)), size
    agree(*with_size(AVG[rank], HALVES[rank]), x, times=8, most=1)


@ranks
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_gradients_of_uneven_averages(integers, agree, rank, dtype):
    """Gradients that are multiples of 60^rank, which every window's size divides."""
    x = image(integers, rank, dtype)
    sizes = {1: (3, 5), 2: ((4, 5), (5, None)), 3: ((3, 2, 4), (None, 4, 5))}[rank]
    for size in sizes:
        ours, torchs = with_size(AVG[rank], size)
        y, expected = (f(x.requires_grad_()) for f in (ours, torchs))
        gy = 60**rank * integers(y.shape, dtype, 1)
        (gx,), (expected_gx,) = (torch.autograd.grad(each, x, gy) for each in (y, expected))
        assert expected_gx.any()
        assert torch.equal(gx, expected_gx)


@ranks
def test_average_of_integers_and_complex(integers, rank):
    """torch has neither: whole averages, held by its floats, part by part."""
    x = 60**rank * image(integers, rank, torch.int64, 1)
    expected = AVG[rank][1](x.double(), 3)
    assert torch.equal(AVG[rank][0](x, 3), expected.long())
    z = torch.complex(x.double(), -2 * x.double())
    assert torch.equal(AVG[rank][0](z, 3), torch.complex(expected, -2 * expected))


@pytest.mark.parametrize("rank", [1, 2])
def test_no_channels(rank):
    x = torch.ones(2, 0, *SIZES[rank])
    y, expected = (f(x, 3) for f in AVG[rank])
    assert y.shape == expected.shape


# --------------------------------------------------------------------------- both

pools = pytest.mark.parametrize("pair", [MAX, AVG], ids=["max", "avg"])


@pools
@ranks
def test_unbatched(integers, agree, pair, rank):
    agree(*with_size(pair[rank], HALVES[rank]), image(integers, rank)[0], times=8)


@pools
@ranks
def test_an_empty_batch(integers, agree, pair, rank):
    agree(*with_size(pair[rank], 2), image(integers, rank)[:0])


@pools
@ranks
def test_no_outputs(integers, pair, rank):
    """The derivative, which torch refuses, is that of a constant."""
    x = image(integers, rank).requires_grad_()
    sizes = [0, *((0, *tail) for tail in itertools.product((2, None), repeat=rank - 1))]
    for size in sizes:
        y, expected = (f(x, size) for f in pair[rank])
        assert y.shape == expected.shape
        (gx,) = torch.autograd.grad(y.sum(), x)
        assert torch.equal(gx, torch.zeros_like(x))


@pools
@ranks
@strided
def test_strided_inputs(integers, agree, pair, rank, view):
    x = view(image(integers, rank))
    assert not x.is_contiguous()
    agree(*with_size(pair[rank], HALVES[rank]), x, times=8)


@pools
@channels_last
def test_channels_last(integers, agree, pair, rank, layout):
    x = image(integers, rank).contiguous(memory_format=layout)
    agree(*with_size(pair[rank], HALVES[rank]), x, times=8)
