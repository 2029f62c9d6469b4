"""An average pooling: its divisor, and what can be wrong with it; the windows are a `Pool`'s."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from refconv.geometry.arguments import NUMBERS, Array, Ints, flag, integer, matches, operands
from refconv.geometry.max_pooling import Pool, pool
from refconv.geometry.messages import shown
from refconv.geometry.remembering import remembered


def divisor(
    geo: Pool, count_include_pad: bool, value: int | None, dtype: np.dtype[Any]
) -> int | None:
    """Return the divisor that replaces the size of a window, which must fit in 64 bits too."""
    taps = math.prod(min(k, i + 2 * p) for i, k, p in zip(geo.i, geo.k, geo.p, strict=True))
    if value is None and count_include_pad and taps >= 1 << 63:
        raise RuntimeError(f"kernel_size={shown(geo.k)} is too large: an average over {taps} taps")
    return divisor_override(value, dtype)


def divisor_override(value: int | None, dtype: np.dtype[Any]) -> int | None:
    """Return the divisor that replaces the window's own size; negative if dtype has a sign."""
    if value is None:
        return None
    divisor = integer("divisor_override", value)
    if divisor == 0:
        raise RuntimeError("divisor_override must not be zero")
    if divisor < 0 and dtype.kind == "u":
        raise RuntimeError(
            f"divisor_override must be positive for dtype {dtype}, got {shown(divisor)}"
        )
    return divisor


# --------------------------------------------------------------------------- calls


def avg_pool_call(
    x: Array,
    kernel_size: Ints,
    stride: Ints | None,
    padding: Ints,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
    kinds: str = NUMBERS,
) -> tuple[Pool, Array, int | None]:
    """Return what `avg_pool` computes with: the geometry, x (N, C, *i), and the given divisor."""
    (x,) = operands(kinds, x=x)
    flag("count_include_pad", count_include_pad)
    geo = remembered(pool)(x.shape, kernel_size, stride, padding, 1, ceil_mode)
    override = divisor(geo, count_include_pad, divisor_override, x.dtype)
    return geo._replace(dtype=x.dtype), x.reshape(geo.x_shape), override


def avg_pool_grad_call(
    input_shape: Sequence[int],
    grad_output: Array,
    kernel_size: Ints,
    stride: Ints | None,
    padding: Ints,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
    kinds: str = NUMBERS,
) -> tuple[Pool, Array, int | None]:
    """Return what `avg_pool_grad` computes with: the geometry, gy (N, C, *o), a given divisor."""
    (gy,) = operands(kinds, grad_output=grad_output)
    flag("count_include_pad", count_include_pad)
    geo = remembered(pool)(input_shape, kernel_size, stride, padding, 1, ceil_mode, "input_shape")
    matches("grad_output", gy, geo.y_shape[geo.unbatched :])
    override = divisor(geo, count_include_pad, divisor_override, gy.dtype)
    return geo._replace(dtype=gy.dtype), gy.reshape(geo.y_shape), override
