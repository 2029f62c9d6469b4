"""The exponent of a power-average pooling."""

from numbers import Real
from typing import Any

from refconv.geometry.messages import shown


def norm_type(value: Any) -> float:
    """Return p: any real number or infinity, but not 0, which has no root."""
    if not isinstance(value, Real):
        kind = type(value).__name__
        raise TypeError(f"norm_type must be a number, got {shown(value)} ({kind:.40})")
    if value == 0:
        raise ZeroDivisionError(f"norm_type must not be zero, got {shown(value)}")
    try:
        return float(value)
    except OverflowError:
        raise RuntimeError(f"norm_type must fit in float64, got {shown(value)}") from None
