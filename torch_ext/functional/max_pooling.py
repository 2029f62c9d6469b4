# mypy: allow-untyped-calls
"""max_pool1d, max_pool2d, max_pool3d, each with and without indices."""

from typing import Any

from torch import Tensor
from torch.nn import functional as F

from refconv import geometry
from refconv.geometry import Ints
from torch_ext import operators
from torch_ext.functional import _arguments, _autocast, _overloads, _tracing
from torch_ext.functional._door import door


@_overloads.max_pool
@door(F.max_pool1d)
def max_pool1d(
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Max pooling over one spatial axis; all as in `max_pool2d`.

    (N, C, i) -> (N, C, o), or both without N; two of them with `return_indices`.

    >>> import torch
    >>> max_pool1d(torch.tensor([[[1.0, 3.0, 2.0, 2.0]]]), 2, return_indices=True)
    (tensor([[[3., 2.]]]), tensor([[[1, 2]]]))
    """
    pool = max_pool_with_indices if return_indices else _max_pool
    return pool(1, input, kernel_size, stride, padding, dilation, ceil_mode)


@door(F.max_pool1d_with_indices)
def max_pool1d_with_indices(
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> tuple[Tensor, Tensor]:
    """Max pooling and its indices; all as in `max_pool2d`, `return_indices` is ignored."""
    return max_pool_with_indices(1, input, kernel_size, stride, padding, dilation, ceil_mode)


@_overloads.max_pool
@door(F.max_pool2d)
def max_pool2d(
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Max pooling of (N, C, *i), over two spatial axes.

        y[n, c, o] = max over k of input[n, c, o s + k d - p]

    over the taps inside the input. Of equals the first wins; a NaN wins over numbers, and the last
    NaN over the others. The gradient goes to the winner.

    Args:
        input: (N, C, *i), or (C, *i) without a batch; no complex numbers.
        kernel_size: k, at least 1: an integer, or one for each spatial axis, as all that follow.
        stride: s, at least 1; `kernel_size` if None.
        padding: p, at most half of `kernel_size`; never selected.
        dilation: d, at least 1.
        ceil_mode: round the output size up instead of down; a last window that would start beyond
            the input and its left padding is dropped.
        return_indices: also return where in the flattened spatial axes each maximum was, int64.

    Returns:
        (N, C, *o) with o = floor((i + 2 p - d (k - 1) - 1) / s) + 1, of the input's dtype, and the
        indices, int64, if `return_indices`. Their channels lie last in memory if those of a batched
        input do.

    Raises:
        TypeError: an argument is not a tensor, integer or bool, as its place demands.
        NotImplementedError: bool, complex, or a dtype NumPy does not have.
        RuntimeError: shapes do not fit, or a size is out of range.

    Counterpart of `torch.nn.functional.max_pool2d`. Differs from torch: integers are taken in one
    dimension too. A window that holds nothing of the input gives the lowest value, as in torch;
    where its index is asked for the call is refused, and torch returns one outside the input.

    Source: Jefkine, "Backpropagation in Convolutional Neural Networks" (2016), the "winning unit".

    >>> import torch
    >>> max_pool2d(torch.arange(16.0).view(1, 4, 4), 2)
    tensor([[[ 5.,  7.],
             [13., 15.]]])
    """
    pool = max_pool_with_indices if return_indices else _max_pool
    return pool(2, input, kernel_size, stride, padding, dilation, ceil_mode)


@door(F.max_pool2d_with_indices)
def max_pool2d_with_indices(
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> tuple[Tensor, Tensor]:
    """Max pooling and its indices; all as in `max_pool2d`, `return_indices` is ignored."""
    return max_pool_with_indices(2, input, kernel_size, stride, padding, dilation, ceil_mode)


@_overloads.max_pool
@door(F.max_pool3d)
def max_pool3d(
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Max pooling over three spatial axes; all as in `max_pool2d`.

    (N, C, i1, i2, i3) -> (N, C, o1, o2, o3), or both without N; two of them with `return_indices`.

    >>> import torch
    >>> max_pool3d(torch.arange(8.0).view(1, 2, 2, 2), 2, return_indices=True)
    (tensor([[[[7.]]]]), tensor([[[[7]]]]))
    """
    pool = max_pool_with_indices if return_indices else _max_pool
    return pool(3, input, kernel_size, stride, padding, dilation, ceil_mode)


@door(F.max_pool3d_with_indices)
def max_pool3d_with_indices(
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> tuple[Tensor, Tensor]:
    """Max pooling and its indices; all as in `max_pool2d`, `return_indices` is ignored."""
    return max_pool_with_indices(3, input, kernel_size, stride, padding, dilation, ceil_mode)


@_tracing.recorded
def _max_pool(
    rank: int,
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None,
    padding: Ints,
    dilation: Ints,
    ceil_mode: bool,
) -> Tensor:
    """Pool without indices, which autocast has a rule of its own for."""
    (input,) = _autocast.cast(f"max_pool{rank}d", input)
    return pooled(rank, input, kernel_size, stride, padding, dilation, ceil_mode)[0]


@_tracing.recorded
def max_pool_with_indices(
    rank: int,
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None,
    padding: Ints,
    dilation: Ints,
    ceil_mode: bool,
) -> tuple[Tensor, Tensor]:
    """Pool with indices, which every window must have."""
    y, indices, geo = pooled(rank, input, kernel_size, stride, padding, dilation, ceil_mode)
    geometry.every_window_has_an_index(geo, "input")
    return y, indices


def pooled(
    rank: int,
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None,
    padding: Ints,
    dilation: Ints,
    ceil_mode: bool,
) -> tuple[Tensor, Tensor, geometry.Pool]:
    """Check everything under torch's names, complete the options, and pool a batch."""
    _arguments.tensor("input", input, _arguments.ORDERED)
    _arguments.flag("ceil_mode", ceil_mode)
    k = geometry.per_axis("kernel_size", kernel_size, rank, 1)
    geo = _arguments.known(geometry.pool)(
        input.shape, k, _arguments.pool_stride(stride), padding, dilation, ceil_mode, x_name="input"
    )
    x = input.unsqueeze(0) if geo.unbatched else input
    y, indices = operators.max_pool(x, k, geo.s, geo.p, geo.d, ceil_mode)
    return (y.squeeze(0), indices.squeeze(0), geo) if geo.unbatched else (y, indices, geo)
