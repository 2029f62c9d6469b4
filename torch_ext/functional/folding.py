# mypy: allow-untyped-calls
"""unfold and fold."""

import torch
from torch import Tensor
from torch.nn import functional as F

from refconv import geometry
from refconv.geometry import Ints
from torch_ext import operators
from torch_ext.functional import _arguments, _tracing
from torch_ext.functional._door import door

AXES = 2  # as torch has them
DTYPES = (*_arguments.NUMBERS, torch.bool)


@door(F.unfold)
def unfold(
    input: Tensor,
    kernel_size: Ints,
    dilation: Ints = 1,
    padding: Ints = 0,
    stride: Ints = 1,
) -> Tensor:
    """Lay the windows of (N, C, *i), over two spatial axes, side by side as columns (im2col).

        cols[n, c K + k, o] = input[n, c, o s + k d - p]

    with K = k1 k2 taps, k and o counted through both axes, the last one fastest, and zeros outside
    the input.

    Args:
        input: (N, C, i1, i2), or (C, i1, i2) without a batch.
        kernel_size: k, at least 1: an integer, or two, as all that follow.
        dilation: d, at least 1.
        padding: p, at least 0.
        stride: s, at least 1.

    Returns:
        (N, C K, L), or (C K, L) without a batch, of the input's dtype, with L = o1 o2 windows,
        o = floor((i + 2 p - d (k - 1) - 1) / s) + 1. Contiguous in memory.

    Raises:
        TypeError: an argument is not a tensor, or not an integer.
        NotImplementedError: a dtype NumPy does not have.
        RuntimeError: shapes do not fit, or a size is out of range.

    Counterpart of `torch.nn.functional.unfold`. Differs from torch: takes integers too.

    Source: Chellapilla, Puri and Simard, "High performance convolutional neural networks for
    document processing" (2006).

    >>> import torch
    >>> unfold(torch.arange(6.0).view(1, 2, 3), 2)
    tensor([[0., 1.],
            [1., 2.],
            [3., 4.],
            [4., 5.]])
    """
    return _unfold(input, kernel_size, dilation, padding, stride)


@door(F.fold)
def fold(
    input: Tensor,
    output_size: Ints,
    kernel_size: Ints,
    dilation: Ints = 1,
    padding: Ints = 0,
    stride: Ints = 1,
) -> Tensor:
    """Add all windows back where they were read (col2im): the adjoint of `unfold`, its gradient.

        x[n, c, i] = sum over k, o with o s + k d - p = i of input[n, c K + k, o]

    What a window holds of the padding is dropped. Of bool columns, x is true where any is.

    Args:
        input: the columns, (N, C K, L), or (C K, L) without a batch.
        output_size: i, at least 1: an integer, or two, as all that follow.
        kernel_size, dilation, padding, stride: as in `unfold`.

    Returns:
        (N, C, i1, i2), or (C, i1, i2) without a batch, of the input's dtype. float16 and bfloat16
        are summed in float32 and rounded once; integers wrap. Contiguous in memory.

    Raises:
        TypeError, NotImplementedError, RuntimeError: as `unfold`; also if the number of rows is
            not a multiple of K, or that of columns is not the number of windows.

    Counterpart of `torch.nn.functional.fold`. Differs from torch: takes integers too.

    Source: the transpose of the equation of `unfold`.

    >>> import torch
    >>> x = torch.arange(6.0).view(1, 2, 3)
    >>> fold(unfold(x, 2), (2, 3), 2)  # the middle is in both windows
    tensor([[[0., 2., 2.],
             [3., 8., 5.]]])
    """
    return _fold(input, output_size, kernel_size, dilation, padding, stride)


@_tracing.recorded
def _unfold(
    input: Tensor, kernel_size: Ints, dilation: Ints, padding: Ints, stride: Ints
) -> Tensor:
    """Check everything under torch's names, complete the options, and lay out a batch."""
    _arguments.tensor("input", input, DTYPES)
    k, d, p, s = _window(kernel_size, dilation, padding, stride)
    geo = _arguments.known(geometry.unfold)(input.shape, k, d, p, s, x_name="input")
    x = input.unsqueeze(0) if geo.unbatched else input
    cols = operators.unfold(x, k, d, p, s)
    return cols.squeeze(0) if geo.unbatched else cols


@_tracing.recorded
def _fold(
    input: Tensor,
    output_size: Ints,
    kernel_size: Ints,
    dilation: Ints,
    padding: Ints,
    stride: Ints,
) -> Tensor:
    """Check everything under torch's names, complete the options, and add up a batch."""
    _arguments.tensor("input", input, DTYPES)
    i = _arguments.every_axis("output_size", output_size, AXES, 1)
    k, d, p, s = _window(kernel_size, dilation, padding, stride)
    geo = _arguments.known(geometry.fold)(input.shape, i, k, d, p, s, cols_name="input")
    cols = input.unsqueeze(0) if geo.unbatched else input
    x = operators.fold(cols, i, k, d, p, s)
    return x.squeeze(0) if geo.unbatched else x


def _window(
    kernel_size: Ints, dilation: Ints, padding: Ints, stride: Ints
) -> tuple[tuple[int, ...], ...]:
    """Return k, d, p and s for both axes."""
    return (
        _arguments.every_axis("kernel_size", kernel_size, AXES, 1),
        _arguments.every_axis("dilation", dilation, AXES, 1),
        _arguments.every_axis("padding", padding, AXES, 0),
        _arguments.every_axis("stride", stride, AXES, 1),
    )
