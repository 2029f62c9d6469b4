"""lp_pool1d-3d: the bits of torch's values and derivatives where powers and roots are exact.

They are if every window holds one number, to its sign, K = 4, 16 or 64 times, and that is a power
of 4: x^p, the sum K x^p, its root and all derivatives are powers of two then, or short sums of such
where p = 1, 2, 1/2, -1. Other powers are held to their formula by float64, without cancellation.
"""

import math

import pytest
import torch
from torch.autograd import grad, gradcheck, gradgradcheck

from support.pairs import FLOATS, pairs, ranks

# torch scripts a few decompositions of its own when forward mode is first used
pytestmark = pytest.mark.filterwarnings(
    "ignore:`torch.jit.script` is deprecated:DeprecationWarning"
)

POOL = pairs("lp_pool{}")
OUTPUTS = {1: (5,), 2: (3, 4), 3: (2, 1, 3)}
SIZES = {1: (9,), 2: (7, 6), 3: (5, 4, 4)}

dtypes = pytest.mark.parametrize(
    ("rank", "dtype"),
    [(rank, dtype) for rank in POOL for dtype in FLOATS if rank < 3 or dtype.itemsize > 2],
    ids=str,  # torch has no avg_pool3d of half or bfloat16
)


def with_options(rank, *args):
    """Return both functions with these options set."""
    return tuple(lambda x, f=f: f(x, *args) for f in POOL[rank])


def even(integers, rank, dtype=torch.float64, signed=False):
    """Return 1/4, 1 or 4, the same in every window of 4 to an axis."""
    x = 4.0 ** integers((2, 3, *OUTPUTS[rank]), torch.float64, 1)
    for axis in range(2, 2 + rank):
        x = x.repeat_interleave(4, axis)
    return (x * (2 * integers(x.shape, most=1) - 1).sign() if signed else x).to(dtype)


def rough(rank, dtype=torch.float64):
    """Return numbers from 1/2 to 3/2: no sum is empty, or loses anything."""
    generator = torch.Generator().manual_seed(rank)
    return (torch.rand(2, 2, *SIZES[rank], generator=generator, dtype=torch.float64) + 0.5).to(
        dtype
    )


@dtypes
@pytest.mark.parametrize("p", [1, 2, 2.0, 0.5, -1])
def test_exact_powers_and_roots(integers, agree, rank, dtype, p):
    agree(*with_options(rank, p, 4), even(integers, rank, dtype), most=1)


@dtypes
def test_squares_of_either_sign(integers, agree, rank, dtype):
    agree(*with_options(rank, 2, 4), even(integers, rank, dtype, signed=True), most=1)


@dtypes
@pytest.mark.parametrize("p", [1, math.inf, -math.inf])
def test_sums_and_extremes(integers, rank, dtype, p):
    """No roots here, so that any window will do. A sum of 0 has no gradient, as in torch."""
    x = integers((2, 3, *SIZES[rank]), dtype)
    if p != 1:
        x[x == 0] = 3  # the sign of 0 is no slope
    x.requires_grad_()
    for window in ((2, None, True), (2, 1, False), (4, 3, False)):
        y, expected = (f(x, p, *window) for f in POOL[rank])
        assert torch.equal(y, expected)
        gy = 2**rank * integers(y.shape, dtype, 1)
        (gx,), (expected_gx,) = (grad(each, x, gy) for each in (y, expected))
        assert expected_gx.any()
        assert torch.equal(gx, expected_gx)


@ranks
@pytest.mark.parametrize("p", [math.inf, -math.inf])
def test_extremes(integers, agree, rank, p):
    x = integers((2, 3, *SIZES[rank]), most=9)
    for window in ((2, None, True), ((3,) * rank, (2,) * rank, False)):
        agree(*with_options(rank, p, *window), x, most=1)


@ranks
@pytest.mark.parametrize("p", [3, 2.5, 0.75, -2])
def test_any_power(rank, p):
    """Fewer than a hundred roundings of 1.1e-16 each, and no cancellation."""
    x = rough(rank).requires_grad_()
    for window in ((2, None, False), (3, 2, rank < 3)):
        y, expected = (f(x, p, *window) for f in POOL[rank])
        torch.testing.assert_close(y, expected, rtol=1e-14, atol=0)
        gy = torch.arange(1.0, 1 + y.numel(), dtype=y.dtype).view_as(y)
        (gx,), (expected_gx,) = (grad(each, x, gy) for each in (y, expected))
        torch.testing.assert_close(gx, expected_gx, rtol=1e-14, atol=0)


@ranks
def test_negative_sums_of_odd_powers_and_nan(rank):
    x = rough(rank)
    x[:, 0] *= -1
    x[0, 1] = math.nan
    y, expected = (f(x, 3, 2) for f in POOL[rank])
    assert torch.equal(y.isnan(), expected.isnan())
    assert y[:, 0].isnan().all()
    assert not y[1, 1].isnan().any()
    assert all(f(x.abs(), math.nan, 2).isnan().all() for f in POOL[rank])


@ranks
@pytest.mark.parametrize("p", [1, 2])
def test_zeros(integers, rank, p):
    """In a window beside others zeros have a derivative; in one of zeros alone they have none."""
    x = even(integers, rank)
    x[:, 0] = 0
    x[:, 1] *= (torch.arange(x.shape[-1]) % 4 == 1) * 2.0  # one number alone, with 4^rank - 1 zeros
    direction, results = even(integers, rank), []
    for f in POOL[rank]:
        value = x.clone().requires_grad_()
        y = f(value, p, 4)
        (first,) = grad(y, value, torch.ones_like(y), create_graph=True)
        (second,) = grad(first, value, direction, allow_unused=True, materialize_grads=True)
        results.append((y, first, second))
    for one, other in zip(*results, strict=True):
        assert other.any() or p == 1
        torch.testing.assert_close(one, other, rtol=1e-14, atol=0)
    assert not results[0][1][:, 0].any()


@ranks
@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize("p", [1, 2, 3, 2.5, -1])
def test_derivatives_of_three_orders(rank, p, ceil_mode):
    """Against finite differences, in both modes: those of f, of its gradient, and of that one's."""
    x = rough(rank)[:1].requires_grad_()
    stride = (2,) * (rank - 1) + (1,)

    def pool(x):
        return POOL[rank][0](x, p, 2, stride, ceil_mode)

    assert gradcheck(pool, (x,), fast_mode=True, check_forward_ad=True)
    assert gradgradcheck(pool, (x,), fast_mode=True, check_fwd_over_rev=True)
    gy, v = (rough(rank)[:1].sum() * t for t in (torch.ones_like(pool(x)), x.detach().cos()))

    def second(x, gy):
        (gx,) = grad(pool(x), x, gy, create_graph=True)
        return grad(gx, (x, gy), v, create_graph=True, allow_unused=True, materialize_grads=True)

    assert gradcheck(second, (x, gy.requires_grad_()), fast_mode=True)


@ranks
@pytest.mark.parametrize("p", [2, math.inf])
@pytest.mark.parametrize(
    "view",
    [
        lambda t: t[0],
        lambda t: t[:0],
        lambda t: t.transpose(-1, -2).contiguous().transpose(-1, -2),
        lambda t: t.repeat_interleave(2, -1)[..., ::2],
        lambda t: t.movedim(1, -1).contiguous().movedim(-1, 1),
    ],
    ids=["unbatched", "empty", "transposed", "strided", "channels last"],
)
def test_shapes_and_layouts(integers, agree, rank, p, view):
    agree(*with_options(rank, p, 4), view(even(integers, rank)), most=1)


@ranks
def test_forms_of_the_arguments(integers, agree, rank):
    x = even(integers, rank)
    kernel = 4 if rank == 1 else (4,) * rank
    for stride in (None, (), [], 4, (4,)):
        agree(*with_options(rank, 2, kernel, stride), x, most=1)
    agree(*with_options(rank, True, kernel), x, most=1)
    agree(*with_options(1, math.inf, (4,)), even(integers, 1), most=1)  # as max_pool1d has it
