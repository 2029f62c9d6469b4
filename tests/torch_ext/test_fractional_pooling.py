"""fractional_max_pool2d and -3d: the bits of torch's, for samples given, and for those it draws."""

import math

import pytest
import torch
from torch.nn import functional as F

from support.pairs import dtypes, pairs
from torch_ext import functional

POOL = pairs("fractional_max_pool{}", least=2)
WITH_INDICES = pairs("fractional_max_pool{}_with_indices", least=2)
SIZES = {2: (13, 9), 3: (9, 7, 8)}
KERNELS = {2: (3, 2), 3: (2, 3, 1)}
OUTPUTS = {2: (1, 4, (5, 8)), 3: (1, 4, (7, 4, 6))}
RATIOS = {2: (0.5, 0.34), 3: (0.5, 0.6, 0.34)}

ranks = pytest.mark.parametrize("rank", [2, 3])


def image(integers, rank, dtype=torch.float64, most=2):
    return integers((2, 3, *SIZES[rank]), dtype, most)


def samples(rank, dtype, images=2):
    generator = torch.Generator().manual_seed(rank)
    return torch.rand(images, 3, rank, dtype=dtype, generator=generator)


def all_equal(found, expected):
    return all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


@ranks
@dtypes
def test_every_size(integers, agree, rank, dtype):
    """So few values that nearly every window holds a tie."""
    x, u = image(integers, rank, dtype), samples(rank, dtype)
    for kernel in (2, KERNELS[rank]):
        for size in OUTPUTS[rank]:
            ours, torchs = (
                lambda x, f=f, k=kernel, o=size: f(x, k, o, _random_samples=u) for f in POOL[rank]
            )
            agree(ours, torchs, x, most=1)
            expected = POOL[rank][1](x, kernel, size, None, True, u)
            for f, flag in ((POOL[rank][0], True), (WITH_INDICES[rank][0], False)):
                assert all_equal(f(x, kernel, size, None, flag, u), expected)


@ranks
@dtypes
def test_a_seed_draws_the_samples_of_torch(integers, rank, dtype):
    for x in (image(integers, rank, dtype, 100), image(integers, rank, dtype, 100)[0]):
        for options in ({"output_size": 4}, {"output_ratio": RATIOS[rank]}):
            found = []
            for f in (*POOL[rank], *WITH_INDICES[rank]):
                torch.manual_seed(8)
                found.append((*f(x, 2, **options, return_indices=True), torch.rand(1)))
            assert all(all_equal(each, found[1]) for each in found)


@ranks
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_autocast_draws_in_the_dtype_of_the_input(rank, dtype):
    """And pools in float32: so many samples that others would show."""
    size = SIZES[rank]
    x = torch.arange(torch.Size(size).numel()).view(1, 1, *size).expand(16, 64, *size).to(dtype)
    found = []
    with torch.autocast("cpu"):
        for f in POOL[rank]:
            torch.manual_seed(8)
            found.append(f(x, 1, 6, return_indices=True))
    torch.manual_seed(8)
    others = POOL[rank][0](x.float(), 1, 6, return_indices=True)
    assert all_equal(*found)
    assert found[0][0].dtype == torch.float32
    assert not torch.equal(found[0][1], others[1])


@ranks
def test_the_samples_matter(integers, rank):
    x = image(integers, rank, most=100)
    one, other = (POOL[rank][0](x, 2, 4) for _ in range(2))
    assert not torch.equal(one, other)


@ranks
def test_ratios(integers, rank):
    x, u = image(integers, rank), samples(rank, torch.float64)
    for ratio in (RATIOS[rank], list(RATIOS[rank]), (1 / 3,) * rank):
        y, expected = (
            f(x, 2, output_ratio=ratio, return_indices=True, _random_samples=u) for f in POOL[rank]
        )
        assert all_equal(y, expected)
    y, expected = (f(x, 2, 4, RATIOS[rank], _random_samples=u) for f in POOL[rank])
    assert torch.equal(y, expected)  # the size goes before the ratio
    one = functional.fractional_max_pool3d(image(integers, 3), 2, output_ratio=0.5)
    assert one.shape == F.fractional_max_pool3d(image(integers, 3), 2, output_ratio=0.5).shape


@ranks
def test_samples_of_more_images(integers, rank):
    x, u = image(integers, rank), samples(rank, torch.float64, images=5)
    for each in (x, x[0], x[:0]):
        y, expected = (f(each, 2, 4, None, True, u) for f in POOL[rank])
        assert all_equal(y, expected)


@ranks
@dtypes
def test_nan_and_infinity(integers, rank, dtype):
    x, u = image(integers, rank, dtype), samples(rank, dtype)
    x[:, 1][integers(x[:, 1].shape) == 2] = math.nan  # a fifth: windows with several
    x[:, 2] = -math.inf
    (y, indices), (expected, expected_indices) = (f(x, 3, 4, None, True, u) for f in POOL[rank])
    assert expected[:, 1].isnan().any()
    assert torch.equal(indices[:, 1], expected_indices[:, 1])
    assert torch.equal(y.nan_to_num(nan=7), expected.nan_to_num(nan=7))


@ranks
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int32, torch.int64], ids=str)
def test_integers(integers, rank, dtype):
    """torch has none: its float64 holds these, and the samples are of that dtype."""
    x = image(integers, rank, torch.int64, 100).to(dtype)
    found = []
    for f, each in zip(POOL[rank], (x, x.double()), strict=True):
        torch.manual_seed(8)
        y, indices = f(each, 2, 4, return_indices=True)
        found.append((y.to(dtype), indices))
    assert all_equal(*found)


@ranks
@dtypes
@pytest.mark.parametrize("cut", [lambda t: t[0], lambda t: t[:0]], ids=["unbatched", "empty"])
def test_unbatched_and_an_empty_batch(integers, agree, rank, dtype, cut):
    u = samples(rank, dtype)
    ours, torchs = (lambda x, f=f: f(x, 2, 4, _random_samples=u) for f in POOL[rank])
    agree(ours, torchs, cut(image(integers, rank, dtype)))


@ranks
@dtypes
def test_samples_that_are_no_numbers(integers, rank, dtype):
    u = samples(rank, dtype)
    u[0, 1, 0] = math.nan
    with pytest.raises(RuntimeError, match="random_samples holds nan"):
        POOL[rank][0](image(integers, rank, dtype), 2, 4, _random_samples=u)


@ranks
@dtypes
def test_no_outputs(integers, rank, dtype):
    u = samples(rank, dtype)
    x = image(integers, rank, dtype).requires_grad_()
    y, expected = (f(x, 2, (0, *[3] * (rank - 1)), _random_samples=u) for f in POOL[rank])
    assert y.shape == expected.shape
    (gx,) = torch.autograd.grad(y.sum(), x)
    assert torch.equal(gx, torch.zeros_like(x))


@ranks
def test_strided_inputs(integers, agree, rank):
    u = samples(rank, torch.float64)
    ours, torchs = (lambda x, f=f: f(x, 2, 4, _random_samples=u) for f in POOL[rank])
    agree(ours, torchs, image(integers, rank).mT.contiguous().mT)
    agree(ours, torchs, image(integers, rank)[:, :1].expand(2, 3, *SIZES[rank]))
    agree(ours, torchs, image(integers, rank).movedim(1, -1).contiguous().movedim(-1, 1))
