"""conv1d-3d: the bits of torch's values, gradients and gradients of gradients."""

import itertools
import warnings
from functools import partial

import pytest
import torch
from torch.nn import functional as F

import refconv
from support.arrays import channels_last, strided
from support.pairs import ranks, sums
from torch_ext import functional
from torch_ext.functional import convolution

pytestmark = pytest.mark.filterwarnings(
    "ignore:Using padding='same' with even kernel lengths:UserWarning"  # from both
)

OURS = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
TORCHS = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
SIZES = {1: (9,), 2: (7, 6), 3: (5, 6, 4)}
KERNELS = {1: (3,), 2: (3, 2), 3: (2, 3, 2)}
STRIDES = {1: (2,), 2: (1, 2), 3: (2, 1, 2)}
PADDINGS = {1: (2,), 2: (0, 1), 3: (1, 0, 2)}
DILATIONS = {1: (2,), 2: (2, 3), 3: (3, 2, 1)}


def operands(integers, rank, groups=1, dtype=torch.float64, most=2):
    """Draw x, w and b with four channels and four filters."""
    return (
        integers((2, 4, *SIZES[rank]), dtype, most),
        integers((4, 4 // groups, *KERNELS[rank]), dtype, most),
        integers((4,), dtype, most),
    )


@ranks
@sums
def test_every_combination_of_options(integers, agree, rank, dtype, most):
    grid = itertools.product(
        (1, STRIDES[rank]), (0, PADDINGS[rank], "same", "valid"), (1, DILATIONS[rank]), (1, 2, 4)
    )
    for stride, padding, dilation, groups in grid:
        if padding == "same" and stride != 1:
            continue
        x, w, b = operands(integers, rank, groups, dtype, most)
        options = (stride, padding, dilation, groups)

        def ours(x, w, b=None, options=options):
            return OURS[rank](x, w, b, *options)

        def torchs(x, w, b=None, options=options):
            return TORCHS[rank](x, w, b, *options)

        agree(ours, torchs, x, w, b, most=most)
        agree(ours, torchs, x, w, most=most)


@ranks
def test_unbatched(integers, agree, rank):
    x, w, b = operands(integers, rank)
    agree(OURS[rank], TORCHS[rank], x[0], w, b)


@ranks
def test_an_empty_batch(integers, agree, rank):
    x, w, b = operands(integers, rank)
    agree(OURS[rank], TORCHS[rank], x[:0], w, b)


@ranks
@strided
def test_strided_operands(integers, agree, rank, view):
    x, w, b = (view(each) if each.dim() > 1 else each for each in operands(integers, rank))
    assert not x.is_contiguous()
    agree(OURS[rank], TORCHS[rank], x, w, b)


@channels_last
def test_channels_last(integers, agree, rank, layout):
    x, w, b = operands(integers, rank)
    x, w = x.contiguous(memory_format=layout), w.contiguous(memory_format=layout)
    agree(OURS[rank], TORCHS[rank], x, w, b)


@ranks
def test_a_lazy_conjugate_and_a_lazy_negation(integers, rank):
    x, w, _ = operands(integers, rank, dtype=torch.complex128)
    assert x.conj().is_conj()
    assert x.conj().imag.is_neg()
    assert torch.equal(OURS[rank](x.conj(), w), TORCHS[rank](x.conj(), w))
    assert torch.equal(OURS[rank](x.conj().imag, w.real), TORCHS[rank](x.conj().imag, w.real))


@ranks
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64])
def test_integers_wrap(integers, rank, dtype):
    x, w, b = operands(integers, rank, dtype=dtype, most=120)
    assert torch.equal(OURS[rank](x, w, b), TORCHS[rank](x, w, b))


@ranks
def test_only_the_gradients_asked_for_are_computed(integers, monkeypatch, rank):
    x, w, b = operands(integers, rank)
    computed = set()

    def spy(name, gradient, *args, **options):
        computed.add(name)
        return gradient(*args, **options)

    names = ("conv_grad_input", "conv_grad_weight", "conv_grad_bias")
    for name in names:
        monkeypatch.setattr(refconv, name, partial(spy, name, getattr(refconv, name)))
    for asked in itertools.product((False, True), repeat=3):
        computed.clear()
        leaves = [t.clone().requires_grad_(a) for t, a in zip((x, w, b), asked, strict=True)]
        y = OURS[rank](*leaves)
        assert y.requires_grad == any(asked)
        if any(asked):
            y.sum().backward()
        assert [leaf.grad is not None for leaf in leaves] == list(asked)
        assert computed == {name for name, a in zip(names, asked, strict=True) if a}


@ranks
def test_third_derivatives(integers, rank):
    """L = sum y^3: unlike y itself it has them in every mix of x, w and b."""
    inputs = [each.requires_grad_() for each in operands(integers, rank, most=1)]
    results = []
    for conv in (OURS[rank], TORCHS[rank]):
        value = conv(*inputs, padding=1).pow(3).sum()
        derivatives = [value]
        for _ in range(3):
            gradients = torch.autograd.grad(derivatives[-1], inputs, create_graph=True)
            weighted = [(g * (torch.arange(g.numel()).view_as(g) % 3 - 1)).sum() for g in gradients]
            derivatives.append(sum(weighted))
        results.append([*derivatives, *gradients])
    for one, other in zip(*results, strict=True):
        assert other.any()
        assert torch.equal(one, other)


def test_the_convolution_is_that_of_its_name(integers):
    for rank, conv in OURS.items():
        for other in OURS.keys() - {rank}:
            x, w, _ = operands(integers, other)
            with pytest.raises(RuntimeError, match=f"weight has {other + 2} dimensions"):
                conv(x, w)


@ranks
@pytest.mark.filterwarnings("default")
def test_an_even_kernel_of_same_padding_warns_as_torch_does(integers, rank):
    """Once, of torch's category and with its first words, at the line of the call; then no more."""
    x, _, _ = operands(integers, rank)
    two, three = (torch.ones(1, 4, *[k] * rank) for k in (2, 3))
    two, three = two.to(x.dtype), three.to(x.dtype)
    convolution._warn.cache_clear()
    with warnings.catch_warnings(record=True) as ours:
        warnings.simplefilter("always")
        OURS[rank](x, three, padding="same")
        OURS[rank](x, two, padding="same", dilation=2)  # both sides alike
        OURS[rank](x, two, padding="valid")
        assert ours == []
        for _ in range(3):
            OURS[rank](x, two, padding="same")
    torch.set_warn_always(True)
    try:
        with warnings.catch_warnings(record=True) as theirs:
            warnings.simplefilter("always")
            TORCHS[rank](x, two, padding="same")
        with warnings.catch_warnings(record=True) as always:
            warnings.simplefilter("always")
            for _ in range(3):
                OURS[rank](x, two, padding="same")
    finally:
        torch.set_warn_always(False)
    (one,), (torchs,) = ours, theirs
    assert one.category is torchs.category
    assert one.filename == torchs.filename == __file__
    alike = "Using padding='same' with even kernel lengths and odd dilation"
    assert str(one.message).startswith(alike)
    assert str(torchs.message).startswith(alike)
    assert len(always) == 3
