# mypy: allow-untyped-calls
"""ATen's max pools by refconv, in torch's signatures: what torch.nn.functional does not have.

As in `torch_ext.override.convolution`, whoever calls differentiates.
"""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from torch_ext import functional, operators
from torch_ext.functional import max_pooling
from torch_ext.override.layouts import images, like

Pair = tuple[Tensor, Tensor]

PUBLIC: dict[int, Callable[..., Pair]] = {
    2: functional.max_pool2d_with_indices,
    3: functional.max_pool3d_with_indices,
}


def max_pool2d_with_indices(input: Tensor, *window: Any) -> Pair:
    """`max_pool2d_with_indices`, asked for indices or not: an empty window has index -1."""
    return _max_pool_with_indices(2, input, *window)


def max_pool3d_with_indices(input: Tensor, *window: Any) -> Pair:
    """`max_pool3d_with_indices`, likewise."""
    return _max_pool_with_indices(3, input, *window)


def _max_pool_with_indices(rank: int, input: Tensor, *window: Any) -> Pair:
    """The largest of every window, and where it was; what is wrong the public function says."""
    defaults = (None, 0, 1, False)  # stride, padding, dilation, ceil_mode
    try:
        window = (*window, *defaults[len(window) - 1 :])
        y, indices, _ = max_pooling.pooled(rank, input, *window)
    except (TypeError, ValueError, RuntimeError):
        return PUBLIC[rank](input, *window)
    return y, indices


def max_pool2d_backward(grad_output: Tensor, input: Tensor, *window: Any) -> Tensor:
    """The gradient of any max pool over two axes: the indices, which say all, come last."""
    return _scatter(2, grad_output, input, window[-1])


def max_pool3d_backward(grad_output: Tensor, input: Tensor, *window: Any) -> Tensor:
    """The gradient of any max pool over three axes."""
    return _scatter(3, grad_output, input, window[-1])


def _scatter(rank: int, grad_output: Tensor, input: Tensor, indices: Tensor) -> Tensor:
    """gx = S^T gy."""
    x, gy, at = (images(rank, each) for each in (input, grad_output, indices))
    gx = operators.max_pool_scatter(x.shape, at, gy, rank)
    return like(gx.view(input.shape), input)
