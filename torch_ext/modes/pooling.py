# mypy: allow-untyped-calls
"""The pools of ATen by refconv, in torch's signatures: all that torch.nn.functional does not have.

As in `torch_ext.modes.convolution`, whoever calls differentiates.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from refconv import checks
from refconv.checks import Ints
from torch_ext import functional
from torch_ext.functional import max_pooling
from torch_ext.library import strides

Pair = tuple[Tensor, Tensor]

# --------------------------------------------------------------------------- averages


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
    k = checks.per_axis("kernel_size", kernel_size, rank, 1)
    s = k if stride in ([], ()) else checks.per_axis("stride", stride, rank, 1)
    p = checks.per_axis("padding", padding, rank, 0)
    gx: Tensor = torch.ops.refconv.avg_pool_grad(
        x.shape, gy, k, s, p, ceil_mode, count_include_pad, divisor_override
    )
    return like(gx.view(input.shape), input)


def adaptive_avg_pool2d_backward(grad_output: Tensor, input: Tensor) -> Tensor:
    """The gradient of `_adaptive_avg_pool2d`."""
    return _adaptive_avg_pool_backward(2, grad_output, input)


def adaptive_avg_pool3d_backward(grad_output: Tensor, input: Tensor) -> Tensor:
    """The gradient of `_adaptive_avg_pool3d`."""
    return _adaptive_avg_pool_backward(3, grad_output, input)


def _adaptive_avg_pool_backward(rank: int, grad_output: Tensor, input: Tensor) -> Tensor:
    """gx = A^T gy."""
    x, gy = images(rank, input), images(rank, grad_output)
    gx: Tensor = torch.ops.refconv.adaptive_avg_pool_grad(x.shape, gy, gy.shape[2:])
    return like(gx.view(input.shape), input)


# --------------------------------------------------------------------------- maxima


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
        public = getattr(functional, f"max_pool{rank}d_with_indices")
        return public(input, *window)  # type: ignore[no-any-return]
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
    gx: Tensor = torch.ops.refconv.max_pool_scatter(x.shape, at, gy, rank)
    return like(gx.view(input.shape), input)


def fractional_max_pool2d(
    input: Tensor, kernel_size: Ints, output_size: Ints, random_samples: Tensor
) -> tuple[Tensor, Tensor]:
    """`fractional_max_pool2d` with its samples drawn already."""
    return functional.fractional_max_pool2d_with_indices(
        input, kernel_size, output_size, _random_samples=random_samples
    )


def fractional_max_pool3d(
    input: Tensor, kernel_size: Ints, output_size: Ints, random_samples: Tensor
) -> tuple[Tensor, Tensor]:
    """`fractional_max_pool3d` with its samples drawn already."""
    return functional.fractional_max_pool3d_with_indices(
        input, kernel_size, output_size, _random_samples=random_samples
    )


def max_unpool2d(input: Tensor, indices: Tensor, output_size: Sequence[int]) -> Tensor:
    """Unpooling to a size, whatever the pool was.

    >>> max_unpool2d(torch.tensor([[[5.0, 7.0]]]), torch.tensor([[[3, 0]]]), [2, 2])
    tensor([[[7., 0.],
             [0., 5.]]])
    """
    window = any_window(input.shape[-2:], output_size)
    return functional.max_unpool2d(input, indices, *window, output_size)


def max_unpool3d(
    input: Tensor, indices: Tensor, output_size: Sequence[int], stride: Ints, padding: Ints
) -> Tensor:
    """Unpooling to a size; what the pool was is not looked at."""
    window = any_window(input.shape[-3:], output_size)
    return functional.max_unpool3d(input, indices, *window, output_size)


def any_window(i: Sequence[int], o: Sequence[int]) -> tuple[Ints, Ints, Ints]:
    """Return kernel size, stride and padding of a pool that may lead from o to i.

    An unpooling takes sizes less than s away from (i - 1) s - 2 p + k. With k = 1 and s = o + 1
    there is such a p for every i and o: that which leaves a distance of 0 or 1, or 0 where i = 1.

    >>> any_window([2], [5]), any_window([3], [2])
    (((1,), (6,), (1,)), ((1,), (3,), (2,)))
    """
    s = tuple(o_ + 1 for o_ in o)
    p = tuple(max(0, (i_ - 1) * s_ + 1 - o_) // 2 for i_, o_, s_ in zip(i, o, s, strict=True))
    return (1,) * len(s), s, p


def like(y: Tensor, x: Tensor) -> Tensor:
    """Return y with its channels last if those of x are, and else first."""
    return strides.like(y.contiguous() if strides.channels_last(y) else y, x)


def channels_first(kernel: Callable[..., Any]) -> Callable[..., Any]:
    """Return the kernel with results whose channels are first, whatever those of the input are."""

    def packed(*args: Any, **kwargs: Any) -> Any:
        return tree_map(Tensor.contiguous, kernel(*args, **kwargs))

    return packed


def images(rank: int, x: Tensor) -> Tensor:
    """Return (N, C, *i), of one image if there was no batch."""
    return x.unsqueeze(0) if x.dim() == rank + 1 else x
