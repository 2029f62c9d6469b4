"""Power-average pooling and its gradient in exact arithmetic: sums of roots of rationals.

    y[o]  = v^(1/p)                              v[o] = K / count  sum over window o of x^p
    gx[i] = sum over o of r x^(p-1) v^((1-p)/p)  r[o] = K / count  gy

`mathematical`: |x| for x, the sign of x in front, and 1 for K / count. For an integer p every v is
rational, and so is what the roots are multiplied by.

The bound on a computed result counts the roundings of each step. For p = 1, 2 and -1, and values of
p = -2, all steps are products, quotients and square roots, which IEEE 754 rounds correctly, and the
bound is a theorem; for other p it rests on the powers' own accuracy (numpy/numpy#19478).
"""

import math
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from refconv import geometry
from refconv.direct.max_pooling import largest, window
from refconv.exact.roots import Root, Roots
from refconv.exact.sums import scaled
from refconv.geometry import Array, Ints, Pool
from refconv.geometry.sizes import Shape

POWERS = {0: 0, 1: 0, 2: 1, 3: 2, -1: 1, -2: 2, 0.5: 1, -0.5: 2}  # roundings by hand
OTHERS = 8  # of any other power: 4 units in the last place, NumPy's word for its own


class Sum(NamedTuple):
    """One window: its elements, K / count, v and how well the computed v is known."""

    inside: list[Shape]
    scale: Fraction
    v: Fraction
    condition: Fraction | None  # S / |v|; None if v is 0 by cancellation
    before: int  # roundings


def lp_pool(
    x: Array,
    norm_type: float,
    kernel_size: Ints,
    stride: Ints | None = None,
    ceil_mode: bool = False,
    *,
    mathematical: bool = False,
) -> Roots:
    """y[o] = (sum of x^p over window o)^(1/p), exactly, for an integer or infinite p.

    >>> lp_pool(np.array([[[1.0, 1.0, 3.0, 4.0]]]), 2, (2,)).rounded(np.float64)
    array([[[1.41421356, 5.        ]]])
    """
    p = exponent(norm_type)
    numbers = fractions("x", x)
    geometry.flag("mathematical", mathematical)
    geo = geometry.pool(x.shape, kernel_size, stride, 0, 1, ceil_mode)
    xs = numbers.reshape(geo.x_shape)
    y = np.empty(geo.y_shape, object)
    for at in np.ndindex(geo.y_shape):
        plane = xs[at[:2]]
        if math.isinf(p):
            winner = largest(math.copysign(1, p) * abs(plane), window(geo, at[2:]))
            y[at] = [Root(abs(plane[winner]))]
            continue
        s = sum_of_powers(geo, plane, at[2:], int(p), mathematical)
        if p == 1:  # no root: a sum with a term for each element
            values = (abs(plane[i]) if mathematical else plane[i] for i in s.inside)
            y[at] = [Root(s.scale * v) for v in values]
        else:
            y[at] = roots(Fraction(1), s, 1 if p > 0 else -1)
    return Roots(
        y[0] if geo.unbatched else y,
        degree=degree(p),
        slope=1,
        after=2 if p == 1 else roundings(1 / p),
        stores=(3, 4 if p == 1 else 1),
        inexact=inexact(p),
    )


def lp_pool_grad(
    x: Array,
    grad_output: Array,
    norm_type: float,
    kernel_size: Ints,
    stride: Ints | None = None,
    ceil_mode: bool = False,
    *,
    mathematical: bool = False,
) -> Roots:
    """gx[i] = sum of gy x[i]^(p-1) v^((1-p)/p) over the windows that hold i, exactly.

    0 where v is; for p = inf and -inf all of gy goes to the winner, times its sign.
    """
    p = exponent(norm_type)
    numbers, gy = fractions("x", x), fractions("grad_output", grad_output)
    geometry.flag("mathematical", mathematical)
    geo = geometry.pool(x.shape, kernel_size, stride, 0, 1, ceil_mode)
    geometry.matches("grad_output", grad_output, geo.y_shape[geo.unbatched :])
    xs = numbers.reshape(geo.x_shape)
    gx = np.empty(geo.x_shape, object)
    for at in np.ndindex(geo.x_shape):
        gx[at] = []
    for at, g in zip(np.ndindex(geo.y_shape), gy.ravel(), strict=True):
        plane, onto = xs[at[:2]], gx[at[:2]]
        if math.isinf(p):
            winner = largest(math.copysign(1, p) * abs(plane), window(geo, at[2:]))
            onto[winner].append(Root(g * sign(plane[winner])))
            continue
        s = sum_of_powers(geo, plane, at[2:], int(p), mathematical)
        for i in s.inside:
            slope = plane[i] ** (int(p) - 1)
            if mathematical:
                slope = abs(slope) * sign(plane[i])
            onto[i] += roots(g * s.scale * slope, s, (1 - int(p)) * (1 if p > 0 else -1))
    return Roots(
        gx[0] if geo.unbatched else gx,
        degree=degree(p),
        slope=0 if p == 1 else 1 if p > 0 else 2,
        after=7 + roundings(1 / p - 1) + roundings(p - 1),
        stores=(3, 8),
        inexact=inexact(p),
    )


def roots(coefficient: Fraction, s: Sum, power: int) -> list[Root]:
    """Return coefficient * (v^power)^(1/|p|) as one term; none if v is 0 and every element is."""
    if s.v:
        return [
            Root(coefficient * sign(s.v) ** abs(power), abs(s.v) ** power, s.condition, s.before)
        ]
    return [] if s.condition == 0 else [Root(Fraction(0), Fraction(1), None)]


def sum_of_powers(geo: Pool, plane: Array, o: Shape, p: int, mathematical: bool) -> Sum:
    """Return v of one window; refuse what has no finite real root."""
    inside = list(window(geo, o))
    values = [abs(plane[i]) if mathematical else plane[i] for i in inside]
    if p < 0 and 0 in values:
        raise RuntimeError(f"x holds 0, whose power {p} is infinite")
    scale = Fraction(1) if mathematical else Fraction(math.prod(geo.k), len(inside))
    v = scale * sum(u**p for u in values)
    size = scale * sum(abs(u) ** p for u in values)
    if (v < 0 and abs(p) > 1) or (v == 0 and p < 0):
        raise RuntimeError(f"a sum of powers {p} is {v}: its root is no finite real number")
    condition = size / abs(v) if v else None if size else Fraction(0)
    return Sum(inside, scale, v, condition, roundings(p) + len(inside) + 2)


def exponent(norm_type: Any) -> float:
    """Return p, an integer or infinite: the sums of other powers are irrational."""
    p = geometry.norm_type_of(norm_type)
    if not (math.isinf(p) or p.is_integer()):
        raise NotImplementedError(
            f"norm_type must be an integer or infinite here, got {norm_type!r}: "
            "exact results exist for sums of whole powers only"
        )
    return p


def degree(p: float) -> int:
    """Return |p|, or 1 if that is infinite: a choice has no root."""
    return 1 if math.isinf(p) else abs(int(p))


def roundings(power: float) -> int:
    """Return how often the computed power of a number is rounded."""
    return 0 if math.isinf(power) else POWERS.get(power, OTHERS)


def inexact(p: float) -> bool:
    """Return whether 1 / p is not a floating-point number."""
    return degree(p).bit_count() > 1


def sign(v: Fraction) -> int:
    """Return -1, 0 or 1."""
    return (v > 0) - (v < 0)


def fractions(name: str, value: Array) -> Array:
    """Return the same numbers as Fractions."""
    ints, e = scaled(name, value)
    exact: Array = ints * Fraction(2) ** e
    return np.asarray(exact, object)
