# mypy: allow-untyped-calls
"""The convolutions of ATen by refconv, in torch's signatures; `self` has the name `input`.

What is computed here is differentiated by whoever calls: by torch where its autograd has been
passed, as in a dispatch mode; and else by refconv, whose operators these all are.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from refconv import geometry
from refconv.geometry import Ints
from torch_ext import functional, operators
from torch_ext.operators import strides

Gradients = tuple[Tensor | None, Tensor | None, Tensor | None]

CONV = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
CONV_TRANSPOSE = {
    1: functional.conv_transpose1d,
    2: functional.conv_transpose2d,
    3: functional.conv_transpose3d,
}


def convolution(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Ints,
    padding: Ints,
    dilation: Ints,
    transposed: bool,
    output_padding: Ints,
    groups: int,
) -> Tensor:
    """Convolution, or its transpose, over as many axes as the weight has.

    >>> x, w = torch.tensor([[[1.0, 2.0, 3.0]]]), torch.tensor([[[1.0, 10.0]]])
    >>> convolution(x, w, None, [1], [0], [1], False, [0], 1)
    tensor([[[21., 32.]]])
    >>> convolution(x, w, None, [1], [0], [1], True, [0], 1)
    tensor([[[ 1., 12., 23., 30.]]])
    """
    rank, options = spatial(weight), (padding, output_padding, groups, dilation)
    if transposed:
        y = CONV_TRANSPOSE[rank](input, weight, bias, stride, *options)
    else:
        y = CONV[rank](input, weight, bias, stride, padding, dilation, groups)
    order = stride, padding, dilation, transposed, output_padding, groups
    return y.contiguous(memory_format=layout(input, weight, *order))


def convolution_with_flags(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Ints,
    padding: Ints,
    dilation: Ints,
    transposed: bool,
    output_padding: Ints,
    groups: int,
    benchmark: bool,
    deterministic: bool,
    cudnn_enabled: bool,
    allow_tf32: bool = True,
) -> Tensor:
    """`_convolution`: the flags are for libraries that are not asked here."""
    return convolution(
        input, weight, bias, stride, padding, dilation, transposed, output_padding, groups
    )


def convolution_mode(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Ints,
    padding: str,
    dilation: Ints,
    groups: int,
) -> Tensor:
    """`_convolution_mode`: a convolution with its padding in a word."""
    return CONV[spatial(weight)](input, weight, bias, stride, padding, dilation, groups)


def convolution_backward(
    grad_output: Tensor,
    input: Tensor,
    weight: Tensor,
    bias_sizes: Sequence[int] | None,
    stride: Ints,
    padding: Ints,
    dilation: Ints,
    transposed: bool,
    output_padding: Ints,
    groups: int,
    output_mask: Sequence[bool],
) -> Gradients:
    """The gradients of a convolution for its input, weight and bias, those that the mask asks for.

    >>> x, w, gy = torch.tensor([[[1.0, 2.0]]]), torch.ones(1, 1, 1), torch.tensor([[[3.0, 4.0]]])
    >>> convolution_backward(gy, x, w, [1], [1], [0], [1], False, [0], 1, (True, True, False))
    (tensor([[[3., 4.]]]), tensor([[[11.]]]), None)
    """
    rank = spatial(weight)
    options = (
        geometry.per_axis("stride", stride, rank, 1),
        geometry.per_axis("padding", padding, rank, 0),
        geometry.per_axis("dilation", dilation, rank, 1),
        transposed,
        geometry.per_axis("output_padding", output_padding, rank, 0),
        groups,
    )
    need_x, need_w, need_b = output_mask
    gx = gw = gb = None
    if weight.shape[1] == 0 and not transposed:  # without input channels nothing was put out
        empty = (torch.zeros_like(input), torch.zeros_like(weight), input.new_zeros(len(weight)))
        gx, gw, gb = (g if need else None for g, need in zip(empty, output_mask, strict=True))
        return gx, gw, gb
    if need_x:
        gx = operators.conv_grad_input(input.shape, weight, grad_output, *options)
    if need_w:
        gw = operators.conv_grad_weight(input, weight.shape, grad_output, *options)
    if need_b:
        gb = operators.conv_grad_bias(grad_output)
    order = layout(input, weight, *options)
    gx, gw = (None if g is None else g.contiguous(memory_format=order) for g in (gx, gw))
    return gx, gw, gb


def convolution_backward_overrideable(
    grad_output: Tensor,
    input: Tensor,
    weight: Tensor,
    stride: Ints,
    padding: Ints,
    dilation: Ints,
    transposed: bool,
    output_padding: Ints,
    groups: int,
    output_mask: Sequence[bool],
) -> Gradients:
    """The same, without the shape of the bias."""
    options = stride, padding, dilation, transposed, output_padding, groups, output_mask
    return convolution_backward(grad_output, input, weight, None, *options)


def slow_conv(
    input: Tensor,
    weight: Tensor,
    kernel_size: Ints,
    bias: Tensor | None = None,
    stride: Ints = 1,
    padding: Ints = 0,
    dilation: Ints = 1,
) -> Tensor:
    """`thnn_conv2d`, `slow_conv3d`, `slow_conv_dilated2d`, ...: told the size of the kernel too."""
    same_kernel(kernel_size, weight)
    return CONV[spatial(weight)](input, weight, bias, stride, padding, dilation)


def depthwise_conv(
    input: Tensor,
    weight: Tensor,
    kernel_size: Ints,
    bias: Tensor | None,
    stride: Ints,
    padding: Ints,
    dilation: Ints,
) -> Tensor:
    """`_conv_depthwise2d`, `conv_depthwise3d`: every channel is a group."""
    same_kernel(kernel_size, weight)
    rank = spatial(weight)
    channels = input.shape[-rank - 1]
    return CONV[rank](input, weight, bias, stride, padding, dilation, channels)


def slow_conv_transpose(
    input: Tensor,
    weight: Tensor,
    kernel_size: Ints,
    bias: Tensor | None = None,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    dilation: Ints = 1,
) -> Tensor:
    """`slow_conv_transpose2d`, `slow_conv_transpose3d`."""
    same_kernel(kernel_size, weight)
    return CONV_TRANSPOSE[spatial(weight)](
        input, weight, bias, stride, padding, output_padding, 1, dilation
    )


def slow_conv_backward(
    grad_output: Tensor,
    input: Tensor,
    weight: Tensor,
    kernel_size: Ints,
    stride: Ints,
    padding: Ints,
    output_mask: Sequence[bool],
) -> Gradients:
    """`_slow_conv2d_backward`."""
    same_kernel(kernel_size, weight)
    return convolution_backward(
        grad_output, input, weight, None, stride, padding, 1, False, 0, 1, output_mask
    )


def nnpack_convolution(
    input: Tensor, weight: Tensor, bias: Tensor | None, padding: Ints, stride: Ints = 1
) -> Tensor:
    """`_nnpack_spatial_convolution`."""
    return functional.conv2d(input, weight, bias, stride, padding)


def mkldnn_convolution(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    padding: Ints,
    stride: Ints,
    dilation: Ints,
    groups: int,
) -> Tensor:
    """`mkldnn_convolution`: padding comes before stride."""
    return CONV[spatial(weight)](input, weight, bias, stride, padding, dilation, groups)


def conv_tbc_backward(
    grad_output: Tensor, input: Tensor, weight: Tensor, bias: Tensor, pad: int
) -> Gradients:
    """The gradients of `conv_tbc` for its input, weight and bias, of (T, B, M)."""
    gy, x, w = grad_output.permute(1, 2, 0), input.permute(1, 2, 0), weight.permute(2, 1, 0)
    gx, gw, gb = convolution_backward(
        gy, x, w, bias.shape, 1, pad, 1, False, 0, 1, (True, True, True)
    )
    assert gx is not None  # as the mask asks for all three
    assert gw is not None
    return gx.permute(2, 0, 1).contiguous(), gw.permute(2, 1, 0).contiguous(), gb


def layout(input: Tensor, weight: Tensor, *options: Any) -> torch.memory_format:
    """Return how torch would lay out a convolution and its gradients: its libraries differ."""
    if not any(strides.channels_last(each) for each in (input, weight)):
        return torch.contiguous_format
    library = torch._C._select_conv_backend(input, weight, None, *options, None)
    return torch._C._conv_determine_backend_memory_format(input, weight, library)


def spatial(weight: Tensor) -> int:
    """Return the number of spatial axes of a weight."""
    rank = weight.dim() - 2
    if rank not in CONV:
        raise RuntimeError(
            f"weight should have at least three dimensions, and at most five, "
            f"got shape {tuple(weight.shape)}"
        )
    return rank


def same_kernel(kernel_size: Ints, weight: Tensor) -> None:
    """Raise unless the size of the kernel is that of the weight."""
    sizes = geometry.per_axis("kernel_size", kernel_size, spatial(weight), 1)
    if sizes != tuple(weight.shape[2:]):
        raise RuntimeError(f"kernel_size={kernel_size!r:.80}, but weight is {tuple(weight.shape)}")
