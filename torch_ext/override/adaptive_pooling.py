"""The gradients of ATen's adaptive averages by refconv; those of maxima are `max_pooling`'s."""

from torch import Tensor

from torch_ext import operators
from torch_ext.override.layouts import images, like


def adaptive_avg_pool2d_backward(grad_output: Tensor, input: Tensor) -> Tensor:
    """The gradient of `_adaptive_avg_pool2d`."""
    return _adaptive_avg_pool_backward(2, grad_output, input)


def adaptive_avg_pool3d_backward(grad_output: Tensor, input: Tensor) -> Tensor:
    """The gradient of `_adaptive_avg_pool3d`."""
    return _adaptive_avg_pool_backward(3, grad_output, input)


def _adaptive_avg_pool_backward(rank: int, grad_output: Tensor, input: Tensor) -> Tensor:
    """gx = A^T gy."""
    x, gy = images(rank, input), images(rank, grad_output)
    gx = operators.adaptive_avg_pool_grad(x.shape, gy, gy.shape[2:])
    return like(gx.view(input.shape), input)
