# mypy: allow-untyped-calls
"""max_unpool1d, max_unpool2d, max_unpool3d."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from refconv import geometry
from refconv.geometry import Ints
from torch_ext import operators
from torch_ext.functional import _arguments, _autocast, _tracing
from torch_ext.functional._door import door


@door(F.max_unpool1d)
def max_unpool1d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """Partial inverse of `max_pool1d`; all as in `max_unpool2d`.

    (N, C, i) and indices of that shape -> (N, C, o), or all without N.

    >>> import torch
    >>> max_unpool1d(torch.tensor([[[5.0, 7.0]]]), torch.tensor([[[1, 2]]]), 2)
    tensor([[[0., 5., 7., 0.]]])
    """
    return _max_unpool(1, input, indices, kernel_size, stride, padding, output_size)


@door(F.max_unpool2d)
def max_unpool2d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """Partial inverse of `max_pool2d` for (N, C, *i), over two spatial axes.

        y[n, c, indices[n, c, i]] = input[n, c, i], and 0 elsewhere

    in order of i: of values with the same index the last stays. The gradient of each is that of its
    place, overwritten or not.

    Args:
        input: (N, C, *i), or (C, *i) without a batch.
        indices: flat positions in the output, int64, of the shape of the input, as `max_pool2d`
            returns them.
        kernel_size: k of the pool that is undone, at least 1: an integer, or one for each spatial
            axis, as stride and padding.
        stride: s, at least 1; `kernel_size` if None.
        padding: p, at least 0.
        output_size: o for each spatial axis, with or without N and C before; less than s away from
            (i - 1) s - 2 p + k along every axis, which is what None stands for.

    Returns:
        (N, C, *o), of the input's dtype. Its channels lie last in memory if those of a batched
        input do.

    Raises:
        TypeError: an argument is not a tensor, or not an integer.
        NotImplementedError: bool, or a dtype NumPy does not have.
        ValueError: `output_size` does not fit, or the output would have a negative size.
        RuntimeError: shapes or devices do not agree, a size is out of range, or the indices are not
            int64 or lie outside the output.

    Counterpart of `torch.nn.functional.max_unpool2d`. Differs from torch: takes integers and
    complex numbers too; chooses the same among duplicates on any number of threads; refuses a
    kernel or a stride below 1, a negative padding, bools for integers, and options of a wrong
    length that torch overlooks or trips over.

    Source: Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks" (2013), the
    switches.

    >>> import torch
    >>> max_unpool2d(torch.tensor([[[7.0]]]), torch.tensor([[[3]]]), 2, output_size=(2, 3))
    tensor([[[0., 0., 0.],
             [7., 0., 0.]]])
    """
    return _max_unpool(2, input, indices, kernel_size, stride, padding, output_size)


@door(F.max_unpool3d)
def max_unpool3d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """Partial inverse of `max_pool3d`; all as in `max_unpool2d`.

    (N, C, i1, i2, i3) and indices of that shape -> (N, C, o1, o2, o3), or all without N.

    >>> import torch
    >>> max_unpool3d(torch.ones(2, 1, 2, 3), torch.tensor([0, 4]).expand(2, 1, 3, 2).mT, 2).shape
    torch.Size([2, 2, 4, 6])
    """
    return _max_unpool(3, input, indices, kernel_size, stride, padding, output_size)


@_tracing.recorded
def _max_unpool(
    rank: int,
    input: Tensor,
    indices: Tensor,
    kernel_size: Ints,
    stride: Ints | None,
    padding: Ints,
    output_size: Sequence[int] | None,
) -> Tensor:
    """Check everything under torch's names, complete the options, and unpool a batch."""
    (input,) = _autocast.cast(f"max_unpool{rank}d", input)
    _arguments.tensor("input", input, _arguments.NUMBERS)
    if not isinstance(indices, Tensor):
        raise _arguments.not_a_tensor("indices", indices)
    _arguments.strided("indices", indices)
    if indices.dtype != torch.int64:
        raise RuntimeError(f"indices has dtype {indices.dtype}, expected torch.int64")
    _arguments.together("indices", indices, input)
    if indices.shape != input.shape:
        raise RuntimeError(
            f"indices has shape {tuple(indices.shape)} and input has shape {tuple(input.shape)}: "
            "they must be the same"
        )
    k = _arguments.every_axis("kernel_size", kernel_size, rank, 1)
    s = k if stride is None else _arguments.every_axis("stride", stride, rank, 1)
    p = _arguments.every_axis("padding", padding, rank, 0)
    geo = _arguments.known(geometry.unpool)(
        input.shape, k, s, p, output_size, x_name="input", channels=1
    )
    x, at = (input.unsqueeze(0), indices.unsqueeze(0)) if geo.unbatched else (input, indices)
    y = operators.max_unpool(x, at, k, s, p, geo.o)
    return y.squeeze(0) if geo.unbatched else y
