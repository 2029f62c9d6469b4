"""The gradients of ATen's average pools by refconv, in torch's signatures."""

from typing import Any

from torch import Tensor

from refconv import geometry
from refconv.geometry import Ints
from torch_ext import operators
from torch_ext.override.layouts import images, like


def avg_pool2d_backward(
    grad_output: Tensor, input: Tensor, kernel_size: Ints, *window: Any
) -> Tensor:
    """The gradient of `avg_pool2d`; `window` is stride, padding, ceil_mode, and so on."""
    return _avg_pool_backward(2, grad_output, input, kernel_size, *window)


def avg_pool3d_backward(
    grad_output: Tensor, input: Tensor, kernel_size: Ints, *window: Any
) -> Tensor:
    """The gradient of `avg_pool3d`."""
    return _avg_pool_backward(3, grad_output, input, kernel_size, *window)


def _avg_pool_backward(
    rank: int,
    grad_output: Tensor,
    input: Tensor,
    kernel_size: Ints,
    stride: Ints,
    padding: Ints,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Tensor:
    """gx = A^T gy."""
    x, gy = images(rank, input), images(rank, grad_output)
    k = geometry.per_axis("kernel_size", kernel_size, rank, 1)
    s = k if stride in ([], ()) else geometry.per_axis("stride", stride, rank, 1)
    p = geometry.per_axis("padding", padding, rank, 0)
    gx = operators.avg_pool_grad(
        x.shape, gy, k, s, p, ceil_mode, count_include_pad, divisor_override
    )
    return like(gx.view(input.shape), input)
