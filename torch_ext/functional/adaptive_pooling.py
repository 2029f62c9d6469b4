# mypy: allow-untyped-calls
"""adaptive_avg_pool1d-3d, and adaptive_max_pool1d-3d with and without indices."""

from typing import Any

from torch import Tensor
from torch.nn import functional as F

from refconv import geometry
from refconv.geometry import Ints
from refconv.geometry.sizes import Shape
from torch_ext import operators
from torch_ext.functional import _arguments, _autocast, _overloads, _tracing
from torch_ext.functional._door import door
from torch_ext.functional._overloads import Outputs


@door(F.adaptive_avg_pool1d)
def adaptive_avg_pool1d(input: Tensor, output_size: Ints) -> Tensor:
    """Adaptive average pooling over one spatial axis; all as in `adaptive_avg_pool2d`.

    (N, C, i) -> (N, C, O), or both without N.

    >>> import torch
    >>> adaptive_avg_pool1d(torch.tensor([[1.0, 2.0, 3.0, 4.0, 5.0]]), 3)  # 12 234 45
    tensor([[1.5000, 3.0000, 4.5000]])
    """
    return _adaptive_avg_pool(1, input, output_size)


@door(F.adaptive_avg_pool2d)
def adaptive_avg_pool2d(input: Tensor, output_size: Outputs) -> Tensor:
    """Adaptive average pooling of (N, C, *i), over two spatial axes.

        y[n, c, o] = mean of input[n, c, m] over floor(o i / O) <= m < ceil((o + 1) i / O)

    for o = 0, ..., O - 1: O windows that share the input out evenly.

    Args:
        input: (N, C, *i), or (C, *i) without a batch.
        output_size: O, at least 0: an integer, or one for each spatial axis; in two and three
            dimensions None there stands for i.

    Returns:
        (N, C, *O), of the input's dtype. float16 and bfloat16 are summed in float32; integers are
        divided toward zero, and have no gradient. Its channels lie last in memory if those of a
        batched input do.

    Raises:
        TypeError: an argument is not a tensor, or not an integer.
        NotImplementedError: bool, or a dtype NumPy does not have.
        ValueError: in two and three dimensions, with a sequence, the input has too few axes.
        RuntimeError: shapes do not fit, or a size is out of range.

    Counterpart of `torch.nn.functional.adaptive_avg_pool2d`. Differs from torch: takes integers and
    complex numbers too; where there are no outputs the gradient is 0, not refused.

    Source: He et al., "Spatial Pyramid Pooling" (2014), for bins of a given number.

    >>> import torch
    >>> adaptive_avg_pool2d(torch.arange(4.0).view(1, 2, 2), (1, None))
    tensor([[[1., 2.]]])
    """
    return _adaptive_avg_pool(2, input, output_size)


@door(F.adaptive_avg_pool3d)
def adaptive_avg_pool3d(input: Tensor, output_size: Outputs) -> Tensor:
    """Adaptive average pooling over three spatial axes; all as in `adaptive_avg_pool2d`.

    (N, C, i1, i2, i3) -> (N, C, O1, O2, O3), or both without N.

    >>> import torch
    >>> adaptive_avg_pool3d(torch.arange(8.0).view(1, 2, 2, 2), 1)
    tensor([[[[3.5000]]]])
    """
    return _adaptive_avg_pool(3, input, output_size)


@_overloads.adaptive_max_pool1d
@door(F.adaptive_max_pool1d)
def adaptive_max_pool1d(input: Tensor, output_size: Ints, return_indices: bool = False) -> Any:
    """Adaptive max pooling over one spatial axis; all as in `adaptive_max_pool2d`.

    (N, C, i) -> (N, C, O), or both without N; two of them with `return_indices`.

    >>> import torch
    >>> adaptive_max_pool1d(torch.tensor([[1.0, 2.0, 3.0, 4.0, 5.0]]), 3, return_indices=True)
    (tensor([[2., 4., 5.]]), tensor([[1, 3, 4]]))
    """
    y, indices = _adaptive_max_pool(1, input, output_size)
    return (y, indices) if return_indices else y


@door(F.adaptive_max_pool1d_with_indices)
def adaptive_max_pool1d_with_indices(
    input: Tensor, output_size: Ints, return_indices: bool = False
) -> tuple[Tensor, Tensor]:
    """Return maxima and indices; all as in `adaptive_max_pool2d`, `return_indices` is ignored."""
    return _adaptive_max_pool(1, input, output_size)


@_overloads.adaptive_max_pool
@door(F.adaptive_max_pool2d)
def adaptive_max_pool2d(input: Tensor, output_size: Outputs, return_indices: bool = False) -> Any:
    """Adaptive max pooling of (N, C, *i), over two spatial axes.

        y[n, c, o] = max of input[n, c, m] over floor(o i / O) <= m < ceil((o + 1) i / O)

    for o = 0, ..., O - 1. Of equals the first wins; a NaN wins over numbers, and the last NaN over
    the others. The gradient goes to the winner.

    Args:
        input: (N, C, *i), or (C, *i) without a batch; no complex numbers.
        output_size: as in `adaptive_avg_pool2d`.
        return_indices: also return where in the flattened spatial axes each maximum was, int64.

    Returns:
        (N, C, *O), of the input's dtype, and the indices, int64, if `return_indices`. Their
        channels lie last in memory if those of a batched input do.

    Raises:
        TypeError, ValueError, RuntimeError: as `adaptive_avg_pool2d`.
        NotImplementedError: bool, complex, or a dtype NumPy does not have.

    Counterpart of `torch.nn.functional.adaptive_max_pool2d`. Differs from torch: takes integers
    too; where there are no outputs the gradient is 0, not refused.

    Source: He et al., "Spatial Pyramid Pooling" (2014), for bins of a given number.

    >>> import torch
    >>> adaptive_max_pool2d(torch.arange(4.0).view(1, 2, 2), (None, 1))
    tensor([[[1.],
             [3.]]])
    """
    y, indices = _adaptive_max_pool(2, input, output_size)
    return (y, indices) if return_indices else y


@door(F.adaptive_max_pool2d_with_indices)
def adaptive_max_pool2d_with_indices(
    input: Tensor, output_size: Outputs, return_indices: bool = False
) -> tuple[Tensor, Tensor]:
    """Return maxima and indices; all as in `adaptive_max_pool2d`, `return_indices` is ignored."""
    return _adaptive_max_pool(2, input, output_size)


@_overloads.adaptive_max_pool
@door(F.adaptive_max_pool3d)
def adaptive_max_pool3d(input: Tensor, output_size: Outputs, return_indices: bool = False) -> Any:
    """Adaptive max pooling over three spatial axes; all as in `adaptive_max_pool2d`.

    (N, C, i1, i2, i3) -> (N, C, O1, O2, O3), or both without N; two of them with `return_indices`.

    >>> import torch
    >>> adaptive_max_pool3d(torch.arange(8.0).view(1, 2, 2, 2), 1, return_indices=True)
    (tensor([[[[7.]]]]), tensor([[[[7]]]]))
    """
    y, indices = _adaptive_max_pool(3, input, output_size)
    return (y, indices) if return_indices else y


@door(F.adaptive_max_pool3d_with_indices)
def adaptive_max_pool3d_with_indices(
    input: Tensor, output_size: Outputs, return_indices: bool = False
) -> tuple[Tensor, Tensor]:
    """Return maxima and indices; all as in `adaptive_max_pool2d`, `return_indices` is ignored."""
    return _adaptive_max_pool(3, input, output_size)


@_tracing.recorded
def _adaptive_avg_pool(rank: int, input: Tensor, output_size: Outputs) -> Tensor:
    """Check everything under torch's names, complete the output size, and pool a batch."""
    (input,) = _autocast.cast(f"adaptive_avg_pool{rank}d", input)
    _arguments.tensor("input", input, _arguments.NUMBERS)
    o, unbatched = _outputs(rank, input, output_size, channels=1 if rank == 3 else 0)
    x = input.unsqueeze(0) if unbatched else input
    y = operators.adaptive_avg_pool(x, o)
    return y.squeeze(0) if unbatched else y


@_tracing.recorded
def _adaptive_max_pool(rank: int, input: Tensor, output_size: Outputs) -> tuple[Tensor, Tensor]:
    """Check everything under torch's names, complete the output size, and pool a batch."""
    (input,) = _autocast.cast(f"adaptive_max_pool{rank}d", input)
    _arguments.tensor("input", input, _arguments.ORDERED)
    o, unbatched = _outputs(rank, input, output_size, channels=1)
    x = input.unsqueeze(0) if unbatched else input
    y, indices = operators.adaptive_max_pool(x, o)
    return (y.squeeze(0), indices.squeeze(0)) if unbatched else (y, indices)


def _outputs(rank: int, input: Tensor, output_size: Outputs, channels: int) -> tuple[Shape, bool]:
    """Return the size of every output axis, and whether the input came without a batch axis."""
    sizes: Outputs = output_size
    if rank == 1 or geometry.is_integer(output_size):
        sizes = _arguments.every_axis("output_size", output_size, rank, 0)
    else:
        sizes = geometry.given("output_size", output_size)
        if len(sizes) != rank:
            raise RuntimeError(
                f"output_size must be an integer or {rank} of them, "
                f"got {geometry.shown(output_size)}"
            )
        if input.dim() <= rank:
            raise ValueError(
                f"input has {input.dim()} dimensions, shape {tuple(input.shape)}: an adaptive "
                f"pooling with {rank} spatial axes expects {rank + 1} (unbatched) or {rank + 2}"
            )
    geo = _arguments.known(geometry.adaptive)(input.shape, sizes, channels, x_name="input")
    return geo.o, geo.unbatched
