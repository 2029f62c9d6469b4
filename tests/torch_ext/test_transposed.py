"""conv_transpose1d-3d and conv_tbc: the bits of torch's values, gradients and their gradients."""

import itertools

import pytest
import torch
from torch.nn import functional as F

from support.arrays import channels_last, strided
from support.pairs import ranks, sums
from torch_ext import functional

OURS = {
    1: functional.conv_transpose1d,
    2: functional.conv_transpose2d,
    3: functional.conv_transpose3d,
}
TORCHS = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}
SIZES = {1: (5,), 2: (4, 3), 3: (3, 2, 3)}
KERNELS = {1: (3,), 2: (3, 2), 3: (2, 3, 2)}
STRIDES = {1: (3,), 2: (2, 3), 3: (3, 2, 3)}
PADDINGS = {1: (2,), 2: (0, 1), 3: (1, 0, 1)}
DILATIONS = {1: (2,), 2: (2, 3), 3: (3, 2, 1)}
EXTRAS = {1: (1,), 2: (1, 2), 3: (2, 1, 0)}  # smaller than either stride or dilation


def operands(integers, rank, groups=1, dtype=torch.float64, most=2):
    """Draw x, w and b with four channels and, in all groups together, four filters."""
    return (
        integers((2, 4, *SIZES[rank]), dtype, most),
        integers((4, 4 // groups, *KERNELS[rank]), dtype, most),
        integers((4,), dtype, most),
    )


def with_options(rank, *options):
    """Return both functions with these options set, after x, w and perhaps b."""
    return tuple(lambda x, w, b=None, f=f[rank]: f(x, w, b, *options) for f in (OURS, TORCHS))


@ranks
@sums
def test_every_combination_of_options(integers, agree, rank, dtype, most):
    grid = itertools.product(
        (1, STRIDES[rank]), (0, PADDINGS[rank]), (0, EXTRAS[rank]), (1, 4), (1, DILATIONS[rank])
    )
    for stride, padding, extra, groups, dilation in grid:
        if extra != 0 and stride == 1:  # in two axes that leaves no room
            continue
        x, w, b = operands(integers, rank, groups, dtype, most)
        pair = with_options(rank, stride, padding, extra, groups, dilation)
        agree(*pair, x, w, b, most=most)
        if (padding, dilation) == (0, 1):
            agree(*pair, x, w, most=most)


@ranks
def test_output_padding_within_the_dilation(integers, agree, rank):
    """As large as the stride or larger: positions that no window of theirs reaches."""
    x, w, b = operands(integers, rank)
    agree(*with_options(rank, 1, 1, 2, 1, 3), x, w, b)


@ranks
def test_one_integer_stands_for_all_axes(integers, agree, rank):
    x, w, b = operands(integers, rank)
    agree(*with_options(rank, (2,), [1], (1,), 1, [2]), x, w, b)


@ranks
def test_unbatched(integers, agree, rank):
    x, w, b = operands(integers, rank)
    agree(*with_options(rank, 2), x[0], w, b)


@ranks
def test_an_empty_batch(integers, agree, rank):
    x, w, b = operands(integers, rank)
    agree(*with_options(rank, 2), x[:0], w, b)


@ranks
@strided
def test_strided_operands(integers, agree, rank, view):
    x, w, b = (view(each) if each.dim() > 1 else each for each in operands(integers, rank))
    assert not x.is_contiguous()
    agree(*with_options(rank, 2), x, w, b)


@channels_last
def test_channels_last(integers, agree, rank, layout):
    x, w, b = operands(integers, rank)
    x, w = x.contiguous(memory_format=layout), w.contiguous(memory_format=layout)
    agree(*with_options(rank, 2), x, w, b)


@ranks
def test_integers_wrap(integers, rank):
    """torch has int64 alone; the others follow from it, modulo what they hold."""
    x, w, b = operands(integers, rank, dtype=torch.int64, most=120)
    huge = x * 2**60
    expected = TORCHS[rank](huge, w, b)
    assert torch.equal(OURS[rank](huge, w, b), expected)
    expected = TORCHS[rank](x, w, b)
    for dtype in (torch.uint8, torch.int8, torch.int16, torch.int32):
        narrow = OURS[rank](x.to(dtype), w.to(dtype), b.to(dtype))
        assert narrow.dtype == dtype
        assert torch.equal(narrow, expected.to(dtype))


def test_the_convolution_is_that_of_its_name(integers):
    for rank, conv in OURS.items():
        for other in OURS.keys() - {rank}:
            x, w, _ = operands(integers, other)
            with pytest.raises(RuntimeError, match=f"weight has {other + 2} dimensions"):
                conv(x, w)


# --------------------------------------------------------------------------- conv_tbc


@pytest.mark.parametrize("pad", [0, 1, 3])
@pytest.mark.parametrize(
    ("dtype", "most"),
    [
        (torch.float64, 2),
        (torch.float32, 2),
        (torch.float16, 1),
        (torch.bfloat16, 1),
        (torch.complex128, 2),
        (torch.complex64, 2),
    ],
    ids=str,
)
def test_conv_tbc(integers, agree, dtype, most, pad):
    """Of complex numbers torch has no derivative."""
    shapes = (7, 2, 3), (3, 3, 4), (4,)
    tensors = [integers(shape, dtype, most) for shape in shapes]
    y, expected = (f.conv_tbc(*tensors, pad) for f in (functional, F))
    assert expected.any()
    assert torch.equal(y, expected)
    assert y.stride() == expected.stride()
    if not dtype.is_complex:
        ours, torchs = (lambda x, w, b, f=f: f.conv_tbc(x, w, b, pad) for f in (functional, F))
        agree(ours, torchs, *tensors, most=most)


@pytest.mark.parametrize("pad", [0, 1])
def test_conv_tbc_is_conv1d_with_its_axes_permuted(integers, agree, pad):
    def torchs(x, w, b):
        y = F.conv1d(x.permute(1, 2, 0), w.permute(2, 1, 0), b, padding=pad)
        return y.permute(2, 0, 1)

    def ours(x, w, b):
        return functional.conv_tbc(x, w, b, pad)

    for dtype in (torch.float64, torch.complex128):
        agree(ours, torchs, *(integers(s, dtype) for s in ((7, 2, 3), (3, 3, 4), (4,))))
    agree(ours, torchs, integers((7, 0, 3)), integers((3, 3, 4)), integers((4,)))


def test_conv_tbc_of_integers(integers):
    for dtype in (torch.uint8, torch.int32, torch.int64):
        tensors = [integers(s, torch.int64, 90).to(dtype) for s in ((7, 2, 3), (3, 3, 4), (4,))]
        assert torch.equal(functional.conv_tbc(*tensors, 1), F.conv_tbc(*tensors, 1))
