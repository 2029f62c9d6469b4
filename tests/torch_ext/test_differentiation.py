"""Derivatives against finite differences: reverse and forward mode, of first to third order."""

import itertools

import pytest
import torch
from torch.autograd import forward_ad, grad, gradcheck, gradgradcheck

from torch_ext import functional

# torch scripts a few decompositions of its own when forward mode is first used
pytestmark = pytest.mark.filterwarnings(
    "ignore:`torch.jit.script` is deprecated:DeprecationWarning"
)

OPS = torch.ops.refconv
CONV = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
MAX = {1: functional.max_pool1d, 2: functional.max_pool2d, 3: functional.max_pool3d}
AVG = {1: functional.avg_pool1d, 2: functional.avg_pool2d, 3: functional.avg_pool3d}
SIZES = {1: (5,), 2: (4, 3), 3: (3, 2, 2)}
KERNELS = {1: (3,), 2: (2, 3), 3: (1, 2, 2)}

ranks = pytest.mark.parametrize("rank", [1, 2, 3])


def differentiable(function, *inputs):
    """Assert that both modes are right in first order, reverse over reverse and forward over it."""
    assert gradcheck(function, inputs, fast_mode=True, check_forward_ad=True)
    assert gradgradcheck(function, inputs, fast_mode=True, check_fwd_over_rev=True)


def operands(rank, dtype):
    torch.manual_seed(rank)
    shapes = ((2, 4, *SIZES[rank]), (4, 2, *KERNELS[rank]), (4,))
    return [torch.randn(shape, dtype=dtype, requires_grad=True) for shape in shapes]


@ranks
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128], ids=str)
@pytest.mark.parametrize(("stride", "padding"), [(2, 1), (1, "same")], ids=["strided", "same"])
def test_convolution(rank, dtype, stride, padding):
    x, w, b = operands(rank, dtype)
    one = x[0].detach().requires_grad_()
    differentiable(lambda *t: CONV[rank](*t, stride, padding, groups=2), x, w, b)
    differentiable(lambda *t: CONV[rank](*t, None, stride, padding, groups=2), one, w)


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128], ids=str)
def test_every_entry_of_the_jacobians_of_a_convolution(dtype):
    x, w, b = operands(1, dtype)

    def conv(x, w, b):
        return functional.conv1d(x, w, b, 2, 1, groups=2)

    assert gradcheck(conv, (x[:1].detach().requires_grad_(), w, b), check_forward_ad=True)


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128], ids=str)
@pytest.mark.parametrize("wrt", [0, 1], ids=["input", "weight"])
def test_third_derivatives_of_convolution(dtype, wrt):
    """The gradients of a convolution as functions of their own, in gy and the other operand."""
    x, w, _ = operands(1, dtype)
    gy = torch.randn(2, 4, 3, dtype=dtype, requires_grad=True)

    def gradient(x, w, gy):
        y = functional.conv1d(x, w, groups=2)
        return grad((y * y).real.sum() + (y * gy.conj()).real.sum(), (x, w)[wrt], create_graph=True)

    assert gradcheck(gradient, (x, w, gy), fast_mode=True)
    assert gradgradcheck(gradient, (x, w, gy), fast_mode=True)


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128], ids=str)
@pytest.mark.parametrize("transposed", [False, True])
def test_the_gradients_of_convolution_in_their_turn(dtype, transposed):
    x, w, b = operands(1, dtype)
    options = ((2,), (1,), (1,), transposed, (0,), 2)
    y = OPS.convolution(x, w, b if not transposed else None, *options)
    gy = torch.randn_like(y).requires_grad_()
    differentiable(lambda w, gy: OPS.convolution_grad_input(x.shape, w, gy, *options), w, gy)
    differentiable(lambda x, gy: OPS.convolution_grad_weight(x, w.shape, gy, *options), x, gy)
    differentiable(OPS.convolution_grad_bias, gy)
    differentiable(lambda b: OPS.convolution_bias(b, (2, 4, 3)), b)


def test_the_gradients_of_pooling_in_their_turn():
    x, gy = (
        torch.randn(s, dtype=torch.float64, requires_grad=True) for s in ((1, 2, 6), (1, 2, 3))
    )
    _, indices = OPS.max_pool(x, (3,), (2,), (1,), (1,), False)
    differentiable(lambda gy: OPS.max_pool_scatter(x.shape, indices, gy, 1), gy)
    differentiable(lambda x: OPS.max_pool_select(x, indices, 1), x)
    average = ((3,), (2,), (1,), False, False, None)
    differentiable(lambda gy: OPS.avg_pool_grad(x.shape, gy, *average), gy)


@ranks
def test_max_pool(rank):
    x = torch.randperm(2 * 2 * 48).double()[: 2 * 2 * torch.Size(SIZES[rank]).numel()]
    x = x.view(
        2, 2, *SIZES[rank]
    ).requires_grad_()  # no two equal, nor within a difference quotient
    differentiable(lambda x: MAX[rank](x, 2, 1, 1, ceil_mode=True), x)
    differentiable(lambda x: MAX[rank](x, 2, 2, return_indices=True)[0], x)


@ranks
@pytest.mark.parametrize("count_include_pad", [True, False])
def test_avg_pool(rank, count_include_pad):
    torch.manual_seed(rank)
    x = torch.randn(2, 2, *SIZES[rank], dtype=torch.float64, requires_grad=True)
    differentiable(lambda x: AVG[rank](x, 2, 2, 1, True, count_include_pad), x)


def test_tangents_of_some_inputs_only():
    tensors = [each.detach() for each in operands(2, torch.float64)]
    tangents = [torch.randn_like(each) for each in tensors]
    y = {}
    for present in itertools.product((False, True), repeat=3):
        with forward_ad.dual_level():
            duals = [
                forward_ad.make_dual(each, tangent) if there else each
                for each, tangent, there in zip(tensors, tangents, present, strict=True)
            ]
            y[present] = forward_ad.unpack_dual(functional.conv2d(*duals, groups=2)).tangent
    assert y.pop((False, False, False)) is None
    alone = [y[tuple(i == at for i in range(3))] for at in range(3)]
    for present, tangent in y.items():
        expected = sum(part for part, there in zip(alone, present, strict=True) if there)
        torch.testing.assert_close(tangent, expected, rtol=1e-12, atol=1e-12)


def test_transforms_of_torch_func():
    x, w, _ = (each.detach() for each in operands(1, torch.float64))

    def loss(x, w):
        pooled = functional.avg_pool1d(functional.conv1d(x, w, groups=2).pow(2), 2, 1)
        return functional.max_pool1d(pooled, 2, 1).sum()

    def native(x, w):
        pooled = torch.nn.functional.avg_pool1d(torch.conv1d(x, w, groups=2).pow(2), 2, 1)
        return torch.nn.functional.max_pool1d(pooled, 2, 1).sum()

    for transform in (torch.func.grad, lambda f: torch.func.grad(f, 1)):
        ours, expected = transform(loss)(x, w), transform(native)(x, w)
        assert expected.any()
        torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-12)
    ours, expected = (torch.func.jvp(f, (x, w), (w.sum() * x, w)) for f in (loss, native))
    torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-12)


def test_saved_tensors_changed_in_place_are_noticed():
    x, w, _ = operands(1, torch.float64)
    y = functional.conv1d(x, w, groups=2)
    with torch.no_grad():
        w += 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()
