# mypy: allow-untyped-calls
"""conv1d, conv2d, conv3d and conv_tbc."""

import warnings
from functools import cache

import torch
from torch import Tensor
from torch.compiler import is_compiling
from torch.nn import functional as F

from refconv import geometry
from refconv.geometry import Ints
from torch_ext import operators
from torch_ext.functional import _arguments, _autocast, _tracing
from torch_ext.functional._door import door


@door(F.conv1d)
def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Ints = 1,
    padding: Ints | str = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Tensor:
    """Convolution over one spatial axis; all as in `conv2d`.

    (N, C, i) by (M, C / groups, k) -> (N, M, o), or without N: (C, i) -> (M, o).

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


@door(F.conv2d)
def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Ints = 1,
    padding: Ints | str = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Tensor:
    """Convolution of (N, C, *i) with M filters (M, C / groups, *k), over two spatial axes.

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
        (N, M, *o) with o = floor((i + 2 p - d (k - 1) - 1) / s) + 1, of the input's dtype. Its
        channels lie last in memory if those of a batched input or of the weight do.

    float16 and bfloat16 are summed in float32 and rounded once. Integers are taken, and wrap, but
    have no gradient.

    Raises:
        TypeError: an argument is not a tensor, or not an integer.
        NotImplementedError: bool, or a dtype NumPy does not have.
        RuntimeError: dtypes, devices or shapes do not agree, or a size is out of range.

    Counterpart of `torch.nn.functional.conv2d`. Differs from torch: no zero of the padding is
    multiplied, so that values that are not finite give what the equation says, always.

    Source: Dumoulin and Visin, arXiv:1603.07285, for the letters.

    >>> import torch
    >>> conv2d(torch.ones(1, 3, 8, 8), torch.ones(6, 1, 3, 3), padding=1, groups=3).shape
    torch.Size([1, 6, 8, 8])
    """
    return _conv(2, input, weight, bias, stride, padding, dilation, groups)


@door(F.conv3d)
def conv3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Ints = 1,
    padding: Ints | str = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Tensor:
    """Convolution over three spatial axes; all as in `conv2d`.

    (N, C, i1, i2, i3) by (M, C / groups, k1, k2, k3) -> (N, M, o1, o2, o3), or without N.

    >>> import torch
    >>> conv3d(torch.ones(2, 4, 4, 4), torch.ones(5, 2, 1, 3, 3), stride=(1, 2, 2)).shape
    torch.Size([5, 4, 1, 1])
    """
    return _conv(3, input, weight, bias, stride, padding, dilation, groups)


@door(F.conv_tbc)
def conv_tbc(input: Tensor, weight: Tensor, bias: Tensor, pad: int = 0) -> Tensor:
    """Convolution of sequences with the channels last, (T, B, C): `conv1d` with its axes permuted.

        y[t, b, m] = bias[m] + sum over k, c of input[t + k - p, b, c] weight[k, c, m]

    with zeros outside the input.

    Args:
        input: (T, B, C): time, batch, channels.
        weight: (k, C, M).
        bias: (M).
        pad: p, an integer of at least 0.

    Returns:
        (T + 2 p - k + 1, B, M), contiguous, of the input's dtype.

    Raises:
        TypeError: an argument is not a tensor, or not an integer.
        NotImplementedError: bool, or a dtype NumPy does not have.
        RuntimeError: dtypes, devices or shapes do not agree, or a size is out of range.

    Counterpart of `torch.nn.functional.conv_tbc`. Differs from torch: refuses a negative `pad`, a
    bias of another dtype, and sizes of 0 other than the batch's, the output's included.

    >>> import torch
    >>> x, w = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([1.0, 10.0])
    >>> conv_tbc(x.view(3, 1, 1), w.view(2, 1, 1), torch.zeros(1)).flatten()
    tensor([21., 32.])
    """
    return _conv_tbc(input, weight, bias, pad)


@_tracing.recorded
def _conv_tbc(input: Tensor, weight: Tensor, bias: Tensor, pad: int) -> Tensor:
    """Check everything under torch's names, and convolve with the axes permuted."""
    input, weight, bias = _autocast.cast("conv_tbc", input, weight, bias)
    _arguments.tensor("input", input, _arguments.NUMBERS)
    _arguments.operand("weight", weight, input)
    _arguments.operand("bias", bias, input)
    for name, value, axes in (("input", input, "(T, B, C)"), ("weight", weight, "(k, C, M)")):
        if value.dim() != 3:
            raise RuntimeError(f"{name} has shape {tuple(value.shape)}, expected {axes}")
    if input.shape[2] != weight.shape[1]:
        raise RuntimeError(
            f"input has {input.shape[2]} channels, shape {tuple(input.shape)}: "
            f"weight of shape {tuple(weight.shape)} expects {weight.shape[1]}"
        )
    if geometry.integer("pad", pad) < 0:
        raise RuntimeError(f"pad must be at least 0, got {geometry.shown(pad)}")
    x, w = input.permute(1, 2, 0), weight.permute(2, 1, 0)  # (B, C, T), (M, C, k)
    y = _conv(1, x, w, bias, 1, pad, 1, 1)
    return y.permute(2, 0, 1).contiguous()


@_tracing.recorded
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
    input, weight, bias = _autocast.cast(f"conv{rank}d", input, weight, bias)
    _arguments.tensor("input", input, _arguments.NUMBERS)
    _arguments.operand("weight", weight, input)
    if bias is not None:
        _arguments.operand("bias", bias, input)
    if weight.dim() != rank + 2:
        raise RuntimeError(
            f"weight has {weight.dim()} dimensions, shape {tuple(weight.shape)}: "
            f"conv{rank}d expects {rank + 2}"
        )
    geo = _arguments.known(geometry.conv)(
        input.shape, weight.shape, stride, padding, dilation, groups, x_name="input"
    )
    _arguments.per_filter(bias, geo.g * geo.m)
    x = input.unsqueeze(0) if geo.unbatched else input
    if any(before != after for before, after in geo.p):  # 'same', an even kernel
        if not is_compiling():
            (_warn.__wrapped__ if torch.is_warn_always_enabled() else _warn)()
        x, p = torch.nn.functional.pad(x, [v for pads in geo.p[::-1] for v in pads]), (0,) * rank
    else:
        p = tuple(before for before, _ in geo.p)
    y = operators.conv(x, weight, bias, geo.s, p, geo.d, False, (0,) * rank, geo.g)
    y = y if weight.shape[1] else y[:, :0]  # no input channels: torch has no output channels then
    return y.squeeze(0) if geo.unbatched else y


@cache
def _warn() -> None:
    """Warn as torch does, once, or always by `torch.set_warn_always`."""
    warnings.warn(
        "Using padding='same' with even kernel lengths and odd dilation: the input is copied, with "
        "one more zero at its end",
        stacklevel=6,  # where the public function is called
    )
