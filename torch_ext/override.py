"""Send every call of torch's conv and pool functions to the reference, without touching a model."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from torch_ext import functional

# As torch 2.13 hands them to a mode. F.conv*, torch.conv* and F.avg_pool1d are one object each, and
# F.avg_pool2d is torch._C._nn.avg_pool2d; the max pools have a Python face and one or two builtins.
REFERENCE: Mapping[Callable[..., Any], Callable[..., Any]] = {
    torch.conv1d: functional.conv1d,
    torch.conv2d: functional.conv2d,
    torch.conv3d: functional.conv3d,
    F.max_pool1d: functional.max_pool1d,
    F.max_pool2d: functional.max_pool2d,
    F.max_pool3d: functional.max_pool3d,
    F.max_pool1d_with_indices: functional.max_pool1d_with_indices,
    F.max_pool2d_with_indices: functional.max_pool2d_with_indices,
    F.max_pool3d_with_indices: functional.max_pool3d_with_indices,
    torch.max_pool1d: functional.max_pool1d,
    torch.max_pool2d: functional.max_pool2d,
    torch.max_pool3d: functional.max_pool3d,
    torch.max_pool1d_with_indices: functional.max_pool1d_with_indices,
    torch._C._nn.max_pool2d_with_indices: functional.max_pool2d_with_indices,
    torch._C._nn.max_pool3d_with_indices: functional.max_pool3d_with_indices,
    torch.avg_pool1d: functional.avg_pool1d,
    torch._C._nn.avg_pool2d: functional.avg_pool2d,
    torch._C._nn.avg_pool3d: functional.avg_pool3d,
}


class Override(TorchFunctionMode):
    """The context that `override` returns."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Call the reference in place of a function that has one, and any other as it is."""
        return REFERENCE.get(func, func)(*args, **(kwargs or {}))


def override() -> Override:
    """Return a context in which the conv and pool functions of torch are the reference's.

    By whatever name they are called (torch.nn.functional, torch, torch._C._nn) and from wherever:
    modules of torch.nn, of third parties, subclasses with a forward of their own. Contexts nest,
    and end with an exception too. What was computed inside is differentiated by the reference
    wherever its backward runs.

    The context covers the thread that opened it. It does not reach `torch.convolution`,
    `torch.ops.aten` and scripted code, and refuses `out=`.

    >>> import torch
    >>> x, w = torch.ones(1, 1, 3), torch.ones(1, 1, 2, requires_grad=True)
    >>> with override():
    ...     y = torch.nn.functional.conv1d(x, w)
    >>> y.grad_fn.name()
    'ConvolutionBackward'
    """
    return Override()
