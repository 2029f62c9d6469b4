"""In which layout ATen's operators return what they make, and images without a batch."""

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.utils._pytree import tree_map

from torch_ext.operators import strides


def like(y: Tensor, x: Tensor) -> Tensor:
    """Return y with its channels last if those of x are, and else first."""
    return strides.like(y.contiguous() if strides.channels_last(y) else y, x)


def channels_first(kernel: Callable[..., Any]) -> Callable[..., Any]:
    """Return the kernel with results whose channels are first, also where the input's are last."""

    def packed(*args: Any, **kwargs: Any) -> Any:
        return tree_map(Tensor.contiguous, kernel(*args, **kwargs))

    return packed


def images(rank: int, x: Tensor) -> Tensor:
    """Return (N, C, *i), of one image if there was no batch."""
    return x.unsqueeze(0) if x.dim() == rank + 1 else x
