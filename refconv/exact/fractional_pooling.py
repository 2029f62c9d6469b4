"""Fractional max pooling and its gradient in exact arithmetic."""

from collections.abc import Sequence
from typing import Any

from refconv import direct, geometry
from refconv.exact.max_pooling import max_pool_scatter
from refconv.exact.sums import Exact, exactly, scaled
from refconv.geometry import Array, Ints, Ratios


def fractional_max_pool(
    x: Array,
    kernel_size: Ints,
    output_size: Ints | None = None,
    output_ratio: Ratios | None = None,
    return_indices: bool = False,
    random_samples: Array | None = None,
) -> Any:
    """y[o] = the largest x of window o, at random fractions: a choice, which rounds nothing."""
    scaled("x", x)  # raises unless x is finite
    geometry.flag("return_indices", return_indices)
    y, indices = direct.fractional_max_pool(
        x, kernel_size, output_size, output_ratio, True, random_samples
    )
    return (exactly("x", y), indices) if return_indices else exactly("x", y)


def fractional_max_pool_grad(
    input_shape: Sequence[int],
    indices: Array,
    grad_output: Array,
    kernel_size: Ints,
    output_size: Ints | None = None,
    output_ratio: Ratios | None = None,
) -> Exact:
    """gx[i] = sum of gy over the windows that i won, exactly."""
    geo, _ = geometry.fractional(input_shape, kernel_size, output_size, output_ratio, "input_shape")
    geometry.array("grad_output", grad_output, geometry.ORDERED)
    geometry.matches("grad_output", grad_output, geo.y_shape[geo.unbatched :])
    return max_pool_scatter(geo.x_shape[geo.unbatched :], indices, grad_output, len(geo.i))
