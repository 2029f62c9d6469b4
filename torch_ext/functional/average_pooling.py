# mypy: allow-untyped-calls
"""avg_pool1d, avg_pool2d, avg_pool3d."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from refconv import geometry
from refconv.geometry import Ints
from torch_ext import operators
from torch_ext.functional import _arguments, _autocast, _tracing
from torch_ext.functional._door import door


@door(F.avg_pool1d)
def avg_pool1d(
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """Average pooling over one spatial axis; all as in `avg_pool2d`.

    (N, C, i) -> (N, C, o), or both without N; there is no `divisor_override`.

    >>> import torch
    >>> x = torch.tensor([[[1.0, 2.0, 3.0]]])
    >>> avg_pool1d(x, 2, padding=1), avg_pool1d(x, 2, padding=1, count_include_pad=False)
    (tensor([[[0.5000, 2.5000]]]), tensor([[[1.0000, 2.5000]]]))
    """
    return _avg_pool(1, input, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


@door(F.avg_pool2d)
def avg_pool2d(
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """Average pooling of (N, C, *i), over two spatial axes.

        y[n, c, o] = (sum over k of input[n, c, o s + k - p]) / divisor[o]

    with zeros outside the input. The divisor is the number of taps in the input and its padding,
    or, without `count_include_pad`, in the input alone: a ceil-mode window may reach beyond both.

    Args:
        input: (N, C, *i), or (C, *i) without a batch.
        kernel_size: k, at least 1: an integer, or one for each spatial axis, as all that follow.
        stride: s, at least 1; `kernel_size` if None.
        padding: p, at most half of `kernel_size`.
        ceil_mode: round the output size up instead of down; a last window that would start beyond
            the input and its left padding is dropped.
        count_include_pad: whether padding counts in the divisor.
        divisor_override: the divisor itself, not zero.

    Returns:
        (N, C, *o) with o = floor((i + 2 p - k) / s) + 1, of the input's dtype. Its channels lie
        last in memory if those of a batched input do.

    float16 and bfloat16 are summed in float32; integers are divided toward zero, and have no
    gradient.

    Raises:
        TypeError: an argument is not a tensor, integer or bool, as its place demands.
        NotImplementedError: bool, or a dtype NumPy does not have.
        RuntimeError: shapes do not fit, or a size is out of range.

    Counterpart of `torch.nn.functional.avg_pool2d`. Differs from torch: takes integers other than
    int64, complex numbers, and float16 and bfloat16 in three dimensions too.

    Source: Jefkine, "Backpropagation in Convolutional Neural Networks" (2016), average pooling.

    >>> import torch
    >>> avg_pool2d(torch.arange(4.0).view(1, 2, 2), 2, divisor_override=2)
    tensor([[[3.]]])
    """
    return _avg_pool(
        2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )


@door(F.avg_pool3d)
def avg_pool3d(
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """Average pooling over three spatial axes; all as in `avg_pool2d`.

    (N, C, i1, i2, i3) -> (N, C, o1, o2, o3), or both without N.

    As in torch, this one alone refuses an input smaller than the kernel where the padding would
    make up for it.

    >>> import torch
    >>> avg_pool3d(torch.arange(8.0).view(1, 2, 2, 2), 2)
    tensor([[[[3.5000]]]])
    """
    return _avg_pool(
        3, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )


@_tracing.recorded
def _avg_pool(
    rank: int,
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None,
    padding: Ints,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Tensor:
    """Check everything under torch's names, complete the options, and pool a batch."""
    (input,) = _autocast.cast(f"avg_pool{rank}d", input)
    _arguments.tensor("input", input, _arguments.NUMBERS)
    _arguments.flag("ceil_mode", ceil_mode)
    _arguments.flag("count_include_pad", count_include_pad)
    sign = np.dtype(np.uint8 if input.dtype is torch.uint8 else np.int8)
    divisor = geometry.divisor_override(divisor_override, sign)
    k = geometry.per_axis("kernel_size", kernel_size, rank, 1)
    geo = _arguments.known(geometry.pool)(
        input.shape, k, _arguments.pool_stride(stride), padding, 1, ceil_mode, x_name="input"
    )
    if rank == 3 and any(i < size for i, size in zip(geo.i, k, strict=True)):
        raise RuntimeError(
            f"kernel_size={geometry.shown(kernel_size)} is more than the unpadded input {geo.i}"
        )
    x = input.unsqueeze(0) if geo.unbatched else input
    y = operators.avg_pool(x, k, geo.s, geo.p, ceil_mode, count_include_pad, divisor)
    return y.squeeze(0) if geo.unbatched else y
