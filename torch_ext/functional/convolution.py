# mypy: allow-untyped-calls
"""conv1d, conv2d, conv3d."""

import torch
from torch import Tensor

from refconv import checks
from refconv.checks import Ints
from torch_ext.functional import _arguments


def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Ints = 1,
    padding: Ints | str = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Tensor:
    """Convolution of (N, C, *i) with M filters (M, C / groups, *k), here over one spatial axis.

        y[n, m, o] = bias[m] + sum over c, k of input[n, c', o s + k d - p] weight[m, c, k]

    with c' = (m // (M / groups)) (C / groups) + c and zeros outside the input.

    Args:
        input: (N, C, *i), or (C, *i) without a batch.
        weight: (M, C / groups, *k).
        bias: (M), or None.
        stride, dilation: s and d, at least 1: an integer, or one for each spatial axis.
        padding: p, at least 0; or 'valid' for none; or 'same' for o = i, at stride 1 only.
        groups: divides C and M.

    Returns:
        (N, M, *o) with o = floor((i + 2 p - d (k - 1) - 1) / s) + 1, of the input's dtype.

    float16 and bfloat16 are summed in float32 and rounded once. Integers are taken, and wrap, but
    have no gradient.

    Raises:
        TypeError: an argument is no tensor, or no integer.
        NotImplementedError: bool, or a dtype NumPy does not have.
        RuntimeError: dtypes, devices or shapes do not agree, or a size is out of range.

    Differs from torch: 'same' with an even kernel does not warn.

    Source: Dumoulin and Visin, arXiv:1603.07285, for the letters; `torch.nn.functional.conv1d`.

    >>> import torch
    >>> x = torch.tensor([[[1.0, 2.0, 3.0, 4.0]]], requires_grad=True)
    >>> y = conv1d(x, torch.tensor([[[1.0, 10.0]]]), stride=2)
    >>> y.tolist()  # 1 + 10 * 2, 3 + 10 * 4
    [[[21.0, 43.0]]]
    >>> y.sum().backward()
    >>> x.grad.tolist()
    [[[1.0, 10.0, 1.0, 10.0]]]
    """
    return _conv(1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Ints = 1,
    padding: Ints | str = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Tensor:
    """Convolution over two spatial axes; all as in `conv1d`.

    >>> import torch
    >>> conv2d(torch.ones(1, 3, 8, 8), torch.ones(6, 1, 3, 3), padding=1, groups=3).shape
    torch.Size([1, 6, 8, 8])
    """
    return _conv(2, input, weight, bias, stride, padding, dilation, groups)


def conv3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Ints = 1,
    padding: Ints | str = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Tensor:
    """Convolution over three spatial axes; all as in `conv1d`.

    >>> import torch
    >>> conv3d(torch.ones(2, 4, 4, 4), torch.ones(5, 2, 1, 3, 3), stride=(1, 2, 2)).shape
    torch.Size([5, 4, 1, 1])
    """
    return _conv(3, input, weight, bias, stride, padding, dilation, groups)


def _conv(
    rank: int,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Ints,
    padding: Ints | str,
    dilation: Ints,
    groups: int,
) -> Tensor:
    """Check everything under torch's names, complete the options, and convolve a batch."""
    _arguments.tensor("input", input, _arguments.NUMBERS)
    _arguments.operand("weight", weight, input)
    if bias is not None:
        _arguments.operand("bias", bias, input)
    if weight.dim() != rank + 2:
        raise RuntimeError(
            f"weight has {weight.dim()} dimensions, shape {tuple(weight.shape)}: "
            f"conv{rank}d expects {rank + 2}"
        )
    f, unbatched = checks.conv(
        input.shape, weight.shape, stride, padding, dilation, groups, x_name="input"
    )
    x = input.unsqueeze(0) if unbatched else input
    if any(before != after for before, after in f.p):  # 'same', an even kernel
        x, p = torch.nn.functional.pad(x, [v for pads in f.p[::-1] for v in pads]), (0,) * rank
    else:
        p = tuple(before for before, _ in f.p)
    y: Tensor = torch.ops.refconv.convolution(x, weight, bias, f.s, p, f.d, False, (0,) * rank, f.g)
    return y.squeeze(0) if unbatched else y
