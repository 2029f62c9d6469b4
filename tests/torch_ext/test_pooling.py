"""max_pool1d-3d and avg_pool1d-3d: the bits of torch's values and derivatives."""

import itertools
import math

import pytest
import torch

from support.arrays import channels_last, strided
from support.pairs import FLOATS, dtypes, pairs, ranks
from torch_ext import functional

MAX = pairs("max_pool{}")
MAX_WITH_INDICES = pairs("max_pool{}_with_indices")
AVG = pairs("avg_pool{}")
SIZES = {1: (11,), 2: (9, 8), 3: (6, 7, 5)}
KERNELS = {1: (3,), 2: (3, 2), 3: (2, 3, 2)}
STRIDES = {1: (2,), 2: (3, 1), 3: (2, 1, 3)}
PADDINGS = {1: (1,), 2: (1, 0), 3: (0, 1, 1)}
DILATIONS = {1: (2,), 2: (2, 3), 3: (2, 1, 3)}


def image(integers, rank, dtype=torch.float64, most=2):
    return integers((2, 3, *SIZES[rank]), dtype, most)


def with_options(pair, *args, **options):
    """Return both functions with these options set."""
    ours, torchs = pair
    return (lambda x: ours(x, *args, **options)), (lambda x: torchs(x, *args, **options))


# --------------------------------------------------------------------------- maximum


@ranks
@dtypes
def test_max_pool_with_every_combination_of_options(integers, agree, rank, dtype):
    x = image(integers, rank, dtype)  # so few values that nearly every window holds a tie
    grid = itertools.product(
        (2, KERNELS[rank]),
        (None, 1, STRIDES[rank]),
        (0, PADDINGS[rank]),
        (1, DILATIONS[rank]),
        (False, True),
    )
    for options in grid:
        ours, torchs = with_options(MAX[rank], *options, return_indices=True)
        for one, other in zip(ours(x), torchs(x), strict=True):
            assert torch.equal(one, other)
        agree(*with_options(MAX[rank], *options), x, most=1)


@ranks
def test_max_pool_with_indices(integers, rank):
    x = image(integers, rank)
    expected = MAX[rank][1](x, 2, return_indices=True)
    for function in MAX_WITH_INDICES[rank]:
        for flag in (False, True):
            for one, other in zip(function(x, 2, return_indices=flag), expected, strict=True):
                assert torch.equal(one, other)


@ranks
def test_max_pool_of_nan_and_infinity(integers, rank):
    x = image(integers, rank)
    x[:, 1][integers(x[:, 1].shape) == 2] = math.nan  # a fifth: windows with several
    x[:, 2] = -math.inf
    x[1, 2][integers(x[1, 2].shape) == 2] = math.inf
    ours, torchs = with_options(MAX[rank], 3, 1, 1, return_indices=True)
    (y, indices), (expected, expected_indices) = ours(x), torchs(x)
    assert expected[:, 1].isnan().any()
    assert torch.equal(indices, expected_indices)
    assert torch.equal(y.nan_to_num(nan=7), expected.nan_to_num(nan=7))


@pytest.mark.parametrize("rank", [2, 3])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64])
def test_max_pool_of_integers(integers, rank, dtype):
    x = image(integers, rank, dtype, most=120)
    ours, torchs = with_options(MAX[rank], 3, 2, 1, ceil_mode=True, return_indices=True)
    for one, other in zip(ours(x), torchs(x), strict=True):
        assert torch.equal(one, other)


def test_the_indices_of_max_pool_have_no_gradient(integers):
    y, indices = functional.max_pool2d(image(integers, 2).requires_grad_(), 2, return_indices=True)
    assert y.requires_grad
    assert not indices.requires_grad


# --------------------------------------------------------------------------- average

averaged = pytest.mark.parametrize(
    ("rank", "dtype"),
    [
        (rank, dtype)
        for rank, dtype in itertools.product((1, 2, 3), FLOATS)
        if rank < 3 or dtype.itemsize > 2  # torch has no avg_pool3d of half or bfloat16
    ],
    ids=str,
)


@averaged
def test_avg_pool_with_every_combination_of_options(integers, agree, rank, dtype):
    """Divisors divide 12, so gradients that are multiples of 12 leave only exact quotients."""
    grid = itertools.product(
        (2, KERNELS[rank]), (None, 1, STRIDES[rank]), (0, PADDINGS[rank]), *[(False, True)] * 2
    )
    for kernel, stride, padding, ceil_mode, count_include_pad in grid:
        x = image(integers, rank, dtype)
        pair = with_options(AVG[rank], kernel, stride, padding, ceil_mode, count_include_pad)
        agree(*pair, x, times=12, most=1)


@averaged
def test_the_quotients_of_avg_pool_are_rounded_as_torchs(integers, rank, dtype):
    x = image(integers, rank, dtype, most=9)
    ours, torchs = with_options(AVG[rank], 3, 2, 1, True, False)
    assert torch.equal(ours(x), torchs(x))


@pytest.mark.parametrize("rank", [2, 3])
@pytest.mark.parametrize("divisor", [1, 4, -2])
def test_avg_pool_divisor_override(integers, agree, rank, divisor):
    pair = with_options(AVG[rank], 3, 2, 1, divisor_override=divisor)
    agree(*pair, image(integers, rank))


@ranks
def test_avg_pool_of_integers(integers, rank):
    x = image(integers, rank, torch.int64, most=9)
    x[..., 0] += 2**53  # a float64 would lose the last digit
    ours, torchs = with_options(AVG[rank], 1)
    assert torch.equal(ours(x), torchs(x))
    ours, torchs = with_options(AVG[rank], 3, 2, 1)
    assert torch.equal(ours(x), torchs(x))


# --------------------------------------------------------------------------- both

pools = pytest.mark.parametrize("pair", [MAX, AVG], ids=["max", "avg"])


@pools
@ranks
def test_unbatched(integers, agree, pair, rank):
    agree(*with_options(pair[rank], 2), image(integers, rank)[0])


@pools
@ranks
def test_an_empty_batch(integers, agree, pair, rank):
    agree(*with_options(pair[rank], 2), image(integers, rank)[:0])


@pools
@ranks
@pytest.mark.parametrize("stride", [(), []], ids=repr)
def test_an_empty_stride_is_the_kernels(integers, agree, pair, rank, stride):
    agree(*with_options(pair[rank], 2, stride), image(integers, rank))


@pools
@ranks
@strided
def test_strided_inputs(integers, agree, pair, rank, view):
    x = view(image(integers, rank))
    assert not x.is_contiguous()
    agree(*with_options(pair[rank], 2), x)


@pools
@channels_last
def test_channels_last(integers, agree, pair, rank, layout):
    x = image(integers, rank).contiguous(memory_format=layout)
    agree(*with_options(pair[rank], 2), x)
