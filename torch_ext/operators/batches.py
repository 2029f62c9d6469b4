"""vmap as these operators have it: the mapped dimension becomes part of the images or the groups.

What treats every image alone sees more images, (B, N, C, *i) -> (B N, C, *i); what sums over the
images too sees more groups, (B, N, C, *i) -> (N, B C, *i).
"""

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

Dims = Sequence[int | None]


def front(t: Tensor, dim: int | None, size: int) -> Tensor:
    """Return the tensor with the mapped dimension in front, repeated if it has none."""
    return t.expand(size, *t.shape) if dim is None else t.movedim(dim, 0)


def into_images(t: Tensor, dim: int | None, size: int) -> Tensor:
    """Return (B N, ...)."""
    whole = front(t, dim, size)
    return whole.reshape(size * whole.shape[1], *whole.shape[2:])


def from_images(t: Tensor, size: int) -> Tensor:
    """Return (B, N, ...) from (B N, ...)."""
    return t.reshape(size, t.shape[0] // size, *t.shape[1:])


def into_channels(t: Tensor, dim: int | None, size: int) -> Tensor:
    """Return (N, B C, ...)."""
    whole = front(t, dim, size).movedim(0, 1)  # (N, B, C, ...)
    return whole.reshape(whole.shape[0], size * whole.shape[2], *whole.shape[3:])


def from_channels(t: Tensor, size: int) -> Tensor:
    """Return (N, B, C, ...) from (N, B C, ...): the mapped dimension is 1."""
    return t.reshape(t.shape[0], size, t.shape[1] // size, *t.shape[2:])


def by_images(operator: Callable[..., Any]) -> Callable[..., tuple[Any, Any]]:
    """Return the vmap rule of an operator that treats every image alone.

    Its tensors, and an `input_shape` that comes first, have the images as their first axis.
    """

    def rule(info: Any, in_dims: tuple[Any, ...], *args: Any) -> tuple[Any, Any]:
        size: int = info.batch_size
        merged = [
            into_images(arg, dim, size) if isinstance(arg, Tensor) else arg
            for arg, dim in zip(args, in_dims, strict=True)
        ]
        if not isinstance(args[0], Tensor):
            merged[0] = [size * args[0][0], *args[0][1:]]
        result = operator(*merged)
        if isinstance(result, Tensor):
            return from_images(result, size), 0
        return tuple(from_images(each, size) for each in result), (0,) * len(result)

    return rule
