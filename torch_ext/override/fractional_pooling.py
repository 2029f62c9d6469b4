"""ATen's fractional pools by refconv: their samples are drawn already."""

from torch import Tensor

from refconv.geometry import Ints
from torch_ext import functional


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
