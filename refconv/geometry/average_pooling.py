"""An average pooling: its divisor, and what can be wrong with it; the windows are a `Pool`'s."""

import math
from typing import Any

import numpy as np

from refconv.geometry.arguments import integer
from refconv.geometry.max_pooling import Pool
from refconv.geometry.messages import shown


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
