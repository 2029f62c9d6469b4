# mypy: allow-untyped-calls
"""fractional_max_pool2d and fractional_max_pool3d, each with and without indices."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.jit import is_tracing  # type: ignore[attr-defined]
from torch.nn import functional as F

from refconv import geometry
from refconv.geometry import Ints, Maps
from torch_ext import operators
from torch_ext.functional import _arguments, _autocast, _overloads, _tracing
from torch_ext.functional._door import door
from torch_ext.functional._overloads import Ratios


@_overloads.fractional_max_pool2d
@door(F.fractional_max_pool2d)
def fractional_max_pool2d(
    input: Tensor,
    kernel_size: Ints,
    output_size: Ints | None = None,
    output_ratio: Sequence[float] | None = None,
    return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> Any:
    """Fractional max pooling of (N, C, *i), over two spatial axes.

        y[n, c, o] = max over k of input[n, c, start[o] + k]
        start[o] = trunc((o + u) alpha) - trunc(u alpha), alpha = (i - k) / (O - 1)

    along every axis, and start[O - 1] = i - k: O windows at steps of alpha, rounded to one side or
    the other as the random number u has it. Of equals the first wins; a NaN wins over numbers, and
    the last NaN over the others. The gradient goes to the winner.

    Args:
        input: (N, C, *i), or (C, *i) without a batch; no complex numbers.
        kernel_size: k, at least 1: an integer, or one for each spatial axis.
        output_size: O, at least 0: an integer, or one for each spatial axis.
        output_ratio: where `output_size` is None, O = floor(i ratio): one number for each spatial
            axis; in three dimensions also one for all.
        return_indices: also return where in the flattened spatial axes each maximum was, int64.
        _random_samples: u, (N, C, rank) or more images, from 0 to 1, of the input's dtype (float64
            for integers). u[..., 0] belongs to the last axis in two dimensions, and to the first in
            three. None draws what torch would draw: `torch.rand` with the generator of the device.

    Returns:
        (N, C, *O), of the input's dtype, and the indices, int64, if `return_indices`. Contiguous in
        memory.

    Raises:
        TypeError: an argument is not a tensor, integer or number, as its place demands.
        NotImplementedError: bool, complex, or a dtype NumPy does not have.
        ValueError: neither `output_size` nor `output_ratio` is given, or that has a wrong length.
        RuntimeError: dtypes, devices or shapes do not agree, a size or a sample is out of range, or
            O + k - 1 exceeds i.

    Counterpart of `torch.nn.functional.fractional_max_pool2d`. Differs from torch: takes integers
    too, and O + k - 1 = i in three dimensions; refuses kernels below 1 and samples that are not
    numbers, with which torch may read outside the input.

    Source: Graham, "Fractional Max-Pooling" (arXiv:1412.6071).

    >>> import torch
    >>> x = torch.arange(9.0).view(1, 1, 9)
    >>> u = torch.tensor([[[0.3, 0.0]]])
    >>> fractional_max_pool2d(x, (1, 2), (1, 4), _random_samples=u)  # starts 0, 3, 5, 7
    tensor([[[1., 4., 6., 8.]]])
    """
    y, indices = _at_random(2, input, kernel_size, output_size, output_ratio, _random_samples)
    return (y, indices) if return_indices else y


@door(F.fractional_max_pool2d_with_indices)
def fractional_max_pool2d_with_indices(
    input: Tensor,
    kernel_size: Ints,
    output_size: Ints | None = None,
    output_ratio: Sequence[float] | None = None,
    return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Return maxima and indices; all as in `fractional_max_pool2d`, `return_indices` is ignored."""
    return _at_random(2, input, kernel_size, output_size, output_ratio, _random_samples)


@_overloads.fractional_max_pool3d
@door(F.fractional_max_pool3d)
def fractional_max_pool3d(
    input: Tensor,
    kernel_size: Ints,
    output_size: Ints | None = None,
    output_ratio: Ratios | None = None,
    return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> Any:
    """Fractional max pooling over three spatial axes; all as in `fractional_max_pool2d`.

    (N, C, i1, i2, i3) -> (N, C, O1, O2, O3), or both without N; two of them with `return_indices`.

    >>> import torch
    >>> fractional_max_pool3d(torch.ones(2, 5, 6, 7), 2, output_ratio=0.5).shape
    torch.Size([2, 2, 3, 3])
    """
    y, indices = _at_random(3, input, kernel_size, output_size, output_ratio, _random_samples)
    return (y, indices) if return_indices else y


@door(F.fractional_max_pool3d_with_indices)
def fractional_max_pool3d_with_indices(
    input: Tensor,
    kernel_size: Ints,
    output_size: Ints | None = None,
    output_ratio: Ratios | None = None,
    return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Return maxima and indices; all as in `fractional_max_pool2d`, `return_indices` is ignored."""
    return _at_random(3, input, kernel_size, output_size, output_ratio, _random_samples)


def _at_random(
    rank: int,
    input: Tensor,
    kernel_size: Ints,
    output_size: Ints | None,
    output_ratio: Ratios | None,
    samples: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """Pool, and let a trace draw the samples itself, by an operator it knows to be random."""
    _arguments.tensor("input", input, _arguments.ORDERED)
    if samples is None and is_tracing() and input.dim() in (rank + 1, rank + 2):
        n = input.shape[0] if input.dim() == rank + 2 else 1
        c, dtype = input.shape[-rank - 1], _drawn_in(input)
        samples = torch.rand(n, c, rank, dtype=dtype, device=input.device)
    return _fractional_max_pool(rank, input, kernel_size, output_size, output_ratio, samples)


@_tracing.recorded
def _fractional_max_pool(
    rank: int,
    input: Tensor,
    kernel_size: Ints,
    output_size: Ints | None,
    output_ratio: Ratios | None,
    samples: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """Check everything under torch's names, complete the options, and pool a batch."""
    drawn_in = _drawn_in(input)  # also under autocast
    input, samples = _autocast.cast(f"fractional_max_pool{rank}d", input, samples)
    k = _arguments.every_axis("kernel_size", kernel_size, rank, 1)
    o = None
    if output_size is not None:
        o = _arguments.every_axis("output_size", output_size, rank, 0)
    elif rank == 2 and not isinstance(output_ratio, tuple | list | None):
        raise TypeError(f"output_ratio must be two numbers, got {geometry.shown(output_ratio)}")
    geo, _ = geometry.fractional(input.shape, k, o, output_ratio, x_name="input", channels=1)
    x = input.unsqueeze(0) if geo.unbatched else input
    u = _samples(samples, input, geo, drawn_in)
    y, indices = operators.fractional_max_pool(x, u, k, geo.o)
    return (y.squeeze(0), indices.squeeze(0)) if geo.unbatched else (y, indices)


def _drawn_in(input: Tensor) -> torch.dtype:
    """Return the dtype of an input's samples."""
    return input.dtype if input.is_floating_point() else torch.float64


def _samples(samples: Tensor | None, input: Tensor, geo: Maps, drawn_in: torch.dtype) -> Tensor:
    """Return one number for every image, channel and axis: those given, or as torch draws them."""
    rank, dtype = len(geo.i), _drawn_in(input)
    if samples is None:
        drawn = torch.rand(geo.n, geo.c, rank, dtype=drawn_in, device=input.device)
        return drawn.to(dtype)
    _arguments.tensor("_random_samples", samples, _arguments.NUMBERS)
    if samples.dtype != dtype:
        raise RuntimeError(
            f"_random_samples has dtype {samples.dtype}, expected {dtype} "
            f"for an input of dtype {input.dtype}"
        )
    _arguments.together("_random_samples", samples, input)
    if samples.dim() != 3 or samples.shape[0] < geo.n or samples.shape[1:] != (geo.c, rank):
        raise RuntimeError(
            f"_random_samples has shape {tuple(samples.shape)}, "
            f"expected (N, C, rank) = {(geo.n, geo.c, rank)}"
        )
    return samples[: geo.n]
