"""The exponent of a power-average pooling."""

from numbers import Real
from typing import Any

from refconv.geometry.arguments import Array, Ints, flag, matches, operands
from refconv.geometry.max_pooling import Pool, pool
from refconv.geometry.messages import shown


def norm_type_of(value: Any) -> float:
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


# --------------------------------------------------------------------------- calls


def lp_pool_call(
    x: Array,
    norm_type: float,
    kernel_size: Ints,
    stride: Ints | None,
    ceil_mode: bool,
    mathematical: bool,
    kinds: str = "f",
) -> tuple[Pool, Array, float]:
    """Return what `lp_pool` computes with: the geometry, x as it is given, and p."""
    (x,) = operands(kinds, x=x)
    geo, p = powers(x, norm_type, kernel_size, stride, ceil_mode, mathematical)
    return geo, x, p


def lp_pool_grad_call(
    x: Array,
    grad_output: Array,
    norm_type: float,
    kernel_size: Ints,
    stride: Ints | None,
    ceil_mode: bool,
    mathematical: bool,
    kinds: str = "f",
) -> tuple[Pool, Array, Array, float]:
    """Return what `lp_pool_grad` computes with: the geometry, x and gy as given, and p."""
    x, gy = operands(kinds, x=x, grad_output=grad_output)
    geo, p = powers(x, norm_type, kernel_size, stride, ceil_mode, mathematical)
    matches("grad_output", gy, geo.y_shape[geo.unbatched :])
    return geo, x, gy, p


def powers(
    x: Array,
    norm_type: float,
    kernel_size: Ints,
    stride: Ints | None,
    ceil_mode: bool,
    mathematical: bool,
) -> tuple[Pool, float]:
    """Return the checked geometry of a pool of powers, and p."""
    p = norm_type_of(norm_type)
    flag("mathematical", mathematical)
    return pool(x.shape, kernel_size, stride, 0, 1, ceil_mode)._replace(dtype=x.dtype), p
