"""A padding of arrays: its geometry, and what can be wrong with it."""

import math
from collections.abc import Sequence
from numbers import Complex, Real
from typing import Any, NamedTuple

import numpy as np

from refconv.geometry.arguments import NUMBERS, Array, integers, matches, operands
from refconv.geometry.messages import shown
from refconv.geometry.sizes import Pads, Shape

MODES = ("constant", "reflect", "replicate", "circular")


class Pad(NamedTuple):
    """A checked padding: everything but the data. The axes in front of `i` are left alone."""

    lead: Shape
    i: Shape
    o: Shape
    p: Pads  # before and after, in the order of the axes; negative where it crops

    @property
    def x_shape(self) -> Shape:
        """(..., *i)."""
        return (*self.lead, *self.i)

    @property
    def y_shape(self) -> Shape:
        """(..., *o)."""
        return (*self.lead, *self.o)


def pad(x_shape: Sequence[int], padding: Sequence[int], mode: str, x_name: str = "x") -> Pad:
    """Return a checked padding; `padding` is (before, after), the last axis first."""
    shape = integers(x_name, x_shape)
    flat = integers("padding", padding)
    if len(flat) % 2:
        raise RuntimeError(f"padding must be pairs, before and after, got {shown(padding)}")
    rank = len(flat) // 2
    if rank > len(shape):
        raise RuntimeError(
            f"padding={shown(padding)} is for {rank} axes, {x_name} has {len(shape)}, shape "
            f"{shown(shape)}"
        )
    if not isinstance(mode, str):
        raise TypeError(f"mode must be a string, got {shown(mode)} ({type(mode).__name__})")
    if mode not in MODES:
        raise NotImplementedError(f"mode must be one of {MODES}, got {shown(mode)}")
    lead, i = shape[: len(shape) - rank], shape[len(shape) - rank :]
    p = tuple(zip(flat[-2::-2], flat[::-2], strict=True))
    o = tuple(size + before + after for size, (before, after) in zip(i, p, strict=True))
    if mode in ("reflect", "replicate"):
        _edges(shape, lead, i, o, padding, mode, x_name)
    for size, (before, after) in zip(i, p, strict=True):
        kept = size + min(before, 0) + min(after, 0)
        if mode in ("constant", "circular") and kept < 0:
            raise RuntimeError(
                f"padding={shown(padding)} crops more than {x_name} {shown(shape)} has"
            )
        if mode == "reflect" and max(before, after) >= size:
            raise RuntimeError(
                f"padding={shown(padding)} must be smaller than the axis it reflects, "
                f"{x_name} has shape {shown(shape)}"
            )
        if mode == "circular" and max(before, after) > kept:
            raise RuntimeError(
                f"padding={shown(padding)} must not wrap around more than once, "
                f"{x_name} has shape {shown(shape)}"
            )
    return Pad(lead, i, o, p)


def _edges(
    shape: Shape, lead: Shape, i: Shape, o: Shape, padding: Sequence[int], mode: str, name: str
) -> None:
    """Raise unless there are edges to repeat and something is left: only a batch may be empty."""
    if 0 in (*lead[1:], *i) or lead == (0,):
        raise RuntimeError(
            f"{name} has shape {shown(shape)}: mode={shown(mode)} finds an axis empty"
        )
    if min(o, default=1) < 1:
        raise RuntimeError(
            f"padding={shown(padding)} leaves nothing of {name} {shown(shape)}: size {shown(o)}"
        )


def fill_value(value: Any, mode: str, dtype: np.dtype[Any]) -> Any:
    """Return the value to pad with; None is 0, and integers are truncated toward zero."""
    number: Any = 0 if value is None else value
    complex_too = dtype.kind == "c"
    if not isinstance(value, Complex | None if complex_too else Real | None):
        kind = "number" if complex_too else "real number"
        raise TypeError(f"value must be a {kind}, got {shown(value)} ({type(value).__name__})")
    if mode != "constant" and number != 0:
        raise RuntimeError(f"value must be 0 with mode={shown(mode)}, got {shown(value)}")
    if dtype.kind == "b":
        return bool(number)
    if dtype.kind in "iu":
        integral = np.iinfo(dtype)
        fits = integral.min <= number <= integral.max
        number = math.trunc(number) if fits else number
    elif dtype.kind in "fc":
        most = float(np.finfo(dtype).max)
        fits = not most < abs(number) < math.inf
    else:
        fits = True
    if not fits:
        raise RuntimeError(f"value={shown(value)} does not fit dtype {dtype}")
    return number


# --------------------------------------------------------------------------- calls


def pad_call(
    x: Array, padding: Sequence[int], mode: str, value: complex | None, kinds: str = NUMBERS
) -> tuple[Pad, Array, Any]:
    """Return what `pad` computes with: the geometry, x, and the value to fill with."""
    (x,) = operands(kinds + "b", x=x)
    geo = pad(x.shape, padding, mode)
    return geo, x, fill_value(value, mode, x.dtype)


def pad_grad_call(
    input_shape: Sequence[int],
    grad_output: Array,
    padding: Sequence[int],
    mode: str,
    kinds: str = NUMBERS,
) -> tuple[Pad, Array]:
    """Return what `pad_grad` computes with: the geometry, and gy as it is given."""
    (gy,) = operands(kinds, grad_output=grad_output)
    geo = pad(input_shape, padding, mode, "input_shape")
    matches("grad_output", gy, geo.y_shape)
    return geo, gy
