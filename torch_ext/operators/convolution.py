# mypy: allow-untyped-calls
"""The convolutions and their gradients as torch operators; `transposed` exchanges the two ways.

One set of options serves both, in the order of torch.ops.aten.convolution: stride, padding,
dilation, transposed, output_padding, groups.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

import refconv
from refconv.geometry.sizes import conv_output_size, conv_transpose_output_size
from torch_ext._bridge import to_array, to_tensor
from torch_ext.operators import batches, strides
from torch_ext.operators.registration import operator

OPTIONS = (
    "SymInt[] stride, SymInt[] padding, SymInt[] dilation, bool transposed, "
    "SymInt[] output_padding, SymInt groups"
)
Sizes = Sequence[int]

# --------------------------------------------------------------------------- shapes


def fake_conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    transposed: bool,
    output_padding: Sizes,
    groups: int,
) -> Tensor:
    """Return (N, M, *o)."""
    i, k = x.shape[2:], weight.shape[2:]
    if transposed:
        filters = weight.shape[1] * groups
        o = map(conv_transpose_output_size, i, k, stride, padding, dilation, output_padding)
    else:
        filters = weight.shape[0]
        o = map(conv_output_size, i, k, stride, [(p, p) for p in padding], dilation)
    return strides.like(x.new_empty((x.shape[0], filters, *o)), x, weight)


def fake_grad_input(
    input_shape: Sizes, weight: Tensor, grad_output: Tensor, *options: Any
) -> Tensor:
    """Return (N, C, *i)."""
    return strides.like(grad_output.new_empty(input_shape), grad_output, weight)


def fake_grad_weight(x: Tensor, weight_shape: Sizes, grad_output: Tensor, *options: Any) -> Tensor:
    """Return (M, C / groups, *k), or (C, M / groups, *k) if transposed."""
    return strides.like(grad_output.new_empty(weight_shape), grad_output, x)


def fake_grad_bias(grad_output: Tensor) -> Tensor:
    """Return (M)."""
    return grad_output.new_empty(grad_output.shape[1])


def fake_conv_bias(bias: Tensor, output_shape: Sizes) -> Tensor:
    """Return (N, M, *o)."""
    return bias.new_empty(output_shape)


# --------------------------------------------------------------------------- vmap


def vmap_conv(
    info: Any,
    in_dims: batches.Dims,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    *options: Any,
) -> tuple[Tensor, int]:
    """Map over images, filters or, where both operands are mapped, groups."""
    size, (in_x, in_w, in_b, *_) = info.batch_size, in_dims
    *head, transposed, output_padding, groups = options
    if in_w is None and in_b is None:
        y = conv(batches.into_images(x, in_x, size), weight, bias, *options)
        return batches.from_images(y, size), 0
    w = batches.front(weight, in_w, size)  # (B, G m, c, *k), or (B, G c, m, *k) if transposed
    b = None if bias is None else batches.front(bias, in_b, size)  # (B, G m)
    if in_x is None:  # more filters a group: (G, B, m)
        w = w.movedim(0, 1).flatten(1, 2) if transposed else by_group(w, groups)
        b = None if b is None else by_group(b, groups)
        y = conv(x, w, b, *options).unflatten(1, (groups, size, -1))  # (N, G, B, m, *o)
        return y.movedim(2, 0).flatten(2, 3), 0
    grouped = (*head, transposed, output_padding, size * groups)
    b = None if b is None else b.flatten()
    y = conv(batches.into_channels(x, in_x, size), w.flatten(0, 1), b, *grouped)
    return batches.from_channels(y, size), 1


def by_group(t: Tensor, groups: int) -> Tensor:
    """Return (G B m, ...) from (B, G m, ...)."""
    size, channels, *rest = t.shape
    split = t.reshape(size, groups, channels // groups, *rest)  # (B, G, m, ...)
    return split.movedim(0, 1).flatten(0, 2)


def vmap_grad_input(
    info: Any,
    in_dims: batches.Dims,
    input_shape: Sizes,
    weight: Tensor,
    grad_output: Tensor,
    *options: Any,
) -> tuple[Tensor, int]:
    """Map over images, or over groups where the weight is mapped."""
    size, (_, in_w, in_gy, *_) = info.batch_size, in_dims
    head, groups = options[:-1], options[-1]
    n, c, *i = input_shape
    if in_w is None:
        gy = batches.into_images(grad_output, in_gy, size)
        return batches.from_images(
            conv_grad_input((size * n, c, *i), weight, gy, *options), size
        ), 0
    gy, w = batches.into_channels(grad_output, in_gy, size), weight.movedim(in_w, 0).flatten(0, 1)
    grouped = (*head, size * groups)
    gx = conv_grad_input((n, size * c, *i), w, gy, *grouped)
    return batches.from_channels(gx, size), 1


def vmap_grad_weight(
    info: Any,
    in_dims: batches.Dims,
    x: Tensor,
    weight_shape: Sizes,
    grad_output: Tensor,
    *options: Any,
) -> tuple[Tensor, int]:
    """Map over groups: the weight's gradient sums over the images."""
    size, (in_x, _, in_gy, *_) = info.batch_size, in_dims
    head, groups = options[:-1], options[-1]
    first, *rest = weight_shape
    x, gy = (batches.into_channels(t, dim, size) for t, dim in ((x, in_x), (grad_output, in_gy)))
    grouped = (*head, size * groups)
    gw = conv_grad_weight(x, (size * first, *rest), gy, *grouped)
    return gw.reshape(size, *weight_shape), 0


def vmap_grad_bias(info: Any, in_dims: batches.Dims, grad_output: Tensor) -> tuple[Tensor, int]:
    """Map over channels."""
    gy = batches.into_channels(grad_output, in_dims[0], info.batch_size)
    return conv_grad_bias(gy).reshape(info.batch_size, -1), 0


def vmap_conv_bias(
    info: Any, in_dims: batches.Dims, bias: Tensor, output_shape: Sizes
) -> tuple[Tensor, int]:
    """Map over channels."""
    b = batches.front(bias, in_dims[0], info.batch_size).flatten()
    n, m, *o = output_shape
    y = conv_bias(b, (n, info.batch_size * m, *o))
    return batches.from_channels(y, info.batch_size), 1


# --------------------------------------------------------------------------- flops


def flops(
    x_shape: Sizes,
    weight_shape: Sizes,
    bias_shape: Sizes | None,
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    transposed: bool,
    *options: Any,
    out_shape: Sizes,
) -> int:
    """Two for each product of a weight, at every place of the smaller of the two maps."""
    small = x_shape if transposed else out_shape
    return 2 * small[0] * math.prod(small[2:]) * math.prod(weight_shape)


def flops_grad_input(
    input_shape: Sizes, weight_shape: Sizes, grad_shape: Sizes, *options: Any, out_shape: Sizes
) -> int:
    """As many as the forward has, whose result grad_output is."""
    return flops(input_shape, weight_shape, None, *options, out_shape=grad_shape)


def flops_grad_weight(
    x_shape: Sizes, weight_shape: Sizes, grad_shape: Sizes, *options: Any, out_shape: Sizes
) -> int:
    """As many, but as torch counts them: with the channels of all groups for each filter."""
    groups: int = options[-1]
    return groups * flops(x_shape, weight_shape, None, *options, out_shape=grad_shape)


# --------------------------------------------------------------------------- operators


@operator(
    f"convolution(Tensor x, Tensor weight, Tensor? bias, {OPTIONS}) -> Tensor",
    fake_conv,
    vmap_conv,
    flops,
)
def conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    transposed: bool,
    output_padding: Sizes,
    groups: int,
) -> Tensor:
    """y = C(x, w) + b."""
    arrays = to_array(x), to_array(weight), None if bias is None else to_array(bias)
    if transposed:
        y = refconv.conv_transpose(*arrays, stride, padding, output_padding, groups, dilation)
    else:
        y = refconv.conv(*arrays, stride, padding, dilation, groups)
    return strides.like(to_tensor(y, like=x), x, weight)


@operator(
    f"convolution_grad_input(SymInt[] input_shape, Tensor weight, Tensor grad_output, {OPTIONS}) "
    "-> Tensor",
    fake_grad_input,
    vmap_grad_input,
    flops_grad_input,
)
def conv_grad_input(
    input_shape: Sizes,
    weight: Tensor,
    grad_output: Tensor,
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    transposed: bool,
    output_padding: Sizes,
    groups: int,
) -> Tensor:
    """gx = GI(w, gy)."""
    data = input_shape, to_array(weight), to_array(grad_output)
    if transposed:
        gx = refconv.conv_transpose_grad_input(
            *data, stride, padding, output_padding, groups, dilation
        )
    else:
        gx = refconv.conv_grad_input(*data, stride, padding, dilation, groups)
    return strides.like(to_tensor(gx, like=grad_output), grad_output, weight)


@operator(
    f"convolution_grad_weight(Tensor x, SymInt[] weight_shape, Tensor grad_output, {OPTIONS}) "
    "-> Tensor",
    fake_grad_weight,
    vmap_grad_weight,
    flops_grad_weight,
)
def conv_grad_weight(
    x: Tensor,
    weight_shape: Sizes,
    grad_output: Tensor,
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    transposed: bool,
    output_padding: Sizes,
    groups: int,
) -> Tensor:
    """gw = GW(x, gy)."""
    data = to_array(x), weight_shape, to_array(grad_output)
    if transposed:
        gw = refconv.conv_transpose_grad_weight(
            *data, stride, padding, output_padding, groups, dilation
        )
    else:
        gw = refconv.conv_grad_weight(*data, stride, padding, dilation, groups)
    return strides.like(to_tensor(gw, like=grad_output), grad_output, x)


@operator("convolution_grad_bias(Tensor grad_output) -> Tensor", fake_grad_bias, vmap_grad_bias)
def conv_grad_bias(grad_output: Tensor) -> Tensor:
    """gb[m] = sum over n, o of gy[n, m, o]."""
    return to_tensor(refconv.conv_grad_bias(to_array(grad_output)), like=grad_output)


@operator(
    "convolution_bias(Tensor bias, SymInt[] output_shape) -> Tensor", fake_conv_bias, vmap_conv_bias
)
def conv_bias(bias: Tensor, output_shape: Sizes) -> Tensor:
    """y[n, m, o] = b[m]."""
    per_filter = bias.view(-1, *[1] * (len(output_shape) - 2))  # (M) -> (M, 1, ...)
    return per_filter.expand(output_shape).clone(memory_format=torch.contiguous_format)
