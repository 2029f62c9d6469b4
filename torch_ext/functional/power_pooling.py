# mypy: allow-untyped-calls
"""lp_pool1d, lp_pool2d, lp_pool3d."""

import math

from torch import Tensor
from torch.nn import functional as F

from refconv import geometry
from refconv.geometry import Ints
from torch_ext import operators
from torch_ext.functional import _arguments, _autocast, _tracing
from torch_ext.functional._door import door
from torch_ext.functional.max_pooling import max_pool_with_indices


@door(F.lp_pool1d)
def lp_pool1d(
    input: Tensor,
    norm_type: float,
    kernel_size: int,
    stride: Ints | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """Power-average pooling over one spatial axis; all as in `lp_pool2d`.

    (N, C, i) -> (N, C, o), or both without N; `kernel_size` is an integer.

    >>> import torch
    >>> x = torch.tensor([[[3.0, 4.0, -5.0, 0.0]]], requires_grad=True)
    >>> y = lp_pool1d(x, 2, 2)
    >>> y.tolist()
    [[[5.0, 5.0]]]
    >>> y.sum().backward()
    >>> x.grad.tolist()  # x / y
    [[[0.6000000238418579, 0.800000011920929, -1.0, 0.0]]]
    """
    p = geometry.norm_type_of(norm_type)
    if abs(p) == math.inf:
        return _extreme(1, input, p, kernel_size, stride, ceil_mode)
    return _lp_pool(1, input, p, geometry.integer("kernel_size", kernel_size), stride, ceil_mode)


@door(F.lp_pool2d)
def lp_pool2d(
    input: Tensor,
    norm_type: float,
    kernel_size: Ints,
    stride: Ints | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """Power-average pooling of (N, C, *i), over two spatial axes.

        y[n, c, o] = (K / count[o]  sum over k of input[n, c, o s + k]^p)^(1/p)

    with K the size of the kernel and count[o] the taps of window o inside the input: K, except at
    the end in ceil mode. There is no absolute value in it: for odd p a sum may be negative, and its
    root NaN. p = inf gives the largest |input|, p = -inf the smallest: `max_pool2d`, which then
    decides about the other arguments.

    Args:
        input: (N, C, *i), or (C, *i) without a batch; floats.
        norm_type: p, any number but 0.
        kernel_size: k, at least 1: an integer, or one for each spatial axis.
        stride: s, at least 1, an integer or one for each spatial axis; `kernel_size` if None.
        ceil_mode: round the output size up instead of down; the last window starts in the input.

    Returns:
        (N, C, *o) with o = floor((i - k) / s) + 1, of the input's dtype. Its channels lie last in
        memory if those of a batched input do.

    float16 is rounded after each power, average and product, bfloat16 once, at the end. Where the
    sum of the powers is 0 so is the gradient.

    Raises:
        TypeError: an argument is not a tensor, number, integer or bool, as its place demands.
        NotImplementedError: bool, integers, complex, or a dtype NumPy does not have.
        ValueError: `kernel_size` has the wrong length.
        ZeroDivisionError: p is 0.
        RuntimeError: shapes do not fit, or a size is out of range.

    Counterpart of `torch.nn.functional.lp_pool2d`. Differs from torch: roots may differ in their
    last bit; bfloat16 keeps what torch rounds away in between; float16 and bfloat16 are taken in
    three dimensions too; integers, which torch divides toward zero before the root, are refused,
    and so is a tensor in place of p.

    Source: Jefkine, "Backpropagation in Convolutional Neural Networks" (2016), L2-norm pooling.

    >>> import torch
    >>> lp_pool2d(torch.ones(1, 3, 3), 1, 2, ceil_mode=True)  # sums, scaled up where a window ends
    tensor([[[4., 4.],
             [4., 4.]]])
    """
    p, k = geometry.norm_type_of(norm_type), _kernel(2, kernel_size)
    if abs(p) == math.inf:
        return _extreme(2, input, p, k, stride, ceil_mode)
    return _lp_pool(2, input, p, k, stride, ceil_mode)


@door(F.lp_pool3d)
def lp_pool3d(
    input: Tensor,
    norm_type: float,
    kernel_size: Ints,
    stride: Ints | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """Power-average pooling over three spatial axes; all as in `lp_pool2d`.

    (N, C, i1, i2, i3) -> (N, C, o1, o2, o3), or both without N.

    As in torch, and as in `avg_pool3d`, an input smaller than the kernel is refused in ceil mode
    too.

    >>> import torch
    >>> lp_pool3d(torch.tensor([1.0, -7.0]).view(1, 1, 1, 2), math.inf, (1, 1, 2))
    tensor([[[[7.]]]])
    """
    p, k = geometry.norm_type_of(norm_type), _kernel(3, kernel_size)
    if abs(p) == math.inf:
        return _extreme(3, input, p, k, stride, ceil_mode)
    return _lp_pool(3, input, p, k, stride, ceil_mode)


def _kernel(rank: int, kernel_size: Ints) -> Ints:
    """Return the kernel as it is, or raise torch's error for a wrong number of sizes."""
    if isinstance(kernel_size, tuple | list) and len(kernel_size) != rank:
        raise ValueError(
            f"kernel_size must be an integer or {rank} of them, got {geometry.shown(kernel_size)}"
        )
    return kernel_size


def _extreme(
    rank: int, input: Tensor, p: float, kernel_size: Ints, stride: Ints | None, ceil_mode: bool
) -> Tensor:
    """Return the largest |x| of every window, or for p = -inf the smallest, by max pooling."""
    (input,) = _autocast.cast(f"max_pool{rank}d", input)
    _arguments.tensor("input", input, _arguments.FLOATS)
    up = 1 if p > 0 else -1
    y, _ = max_pool_with_indices(rank, up * input.abs(), kernel_size, stride, 0, 1, ceil_mode)
    return up * y


@_tracing.recorded
def _lp_pool(
    rank: int, input: Tensor, p: float, kernel_size: Ints, stride: Ints | None, ceil_mode: bool
) -> Tensor:
    """Check everything under torch's names, complete the options, and pool a batch."""
    (input,) = _autocast.cast(f"lp_pool{rank}d", input)
    _arguments.tensor("input", input, _arguments.FLOATS)
    _arguments.flag("ceil_mode", ceil_mode)
    k = geometry.per_axis("kernel_size", kernel_size, rank, 1)
    geo = _arguments.known(geometry.pool)(
        input.shape, k, _arguments.pool_stride(stride), 0, 1, ceil_mode, x_name="input"
    )
    if rank == 3 and any(i < size for i, size in zip(geo.i, k, strict=True)):
        raise RuntimeError(
            f"kernel_size={geometry.shown(kernel_size)} is more than the input {geo.i}"
        )
    x = input.unsqueeze(0) if geo.unbatched else input
    y = operators.lp_pool(x, p, k, geo.s, ceil_mode)
    return y.squeeze(0) if geo.unbatched else y
