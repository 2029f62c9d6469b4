"""ATen's unpooling by refconv: to a size, after any pool."""

from collections.abc import Sequence

from torch import Tensor

from refconv.geometry import Ints
from torch_ext import functional


def max_unpool2d(input: Tensor, indices: Tensor, output_size: Sequence[int]) -> Tensor:
    """Unpooling to a size, after any pool.

    >>> import torch
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
