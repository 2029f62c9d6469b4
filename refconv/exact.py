"""The oracle: exact results of the operators, and how far a rounded result may lie from them.

A float is an integer times a power of two. Each input becomes an array of Python integers with one
common exponent, the sums of products run over the index arithmetic of `refconv.direct` in integers,
and nothing is rounded until the end. What comes back is an `Exact`: the result y*, S = sum |a||b|
(the same operator on absolute values) and n, the number of terms of every sum. From these follow
the correctly rounded result, the error bound of any order of summation, and

    omega = |y - y*| / (u S),

the error in units that make cancellation no excuse and no crime. Any summation order, with or
without fused multiply-add, that works in precision u and rounds the sum to u_out obeys

    |y - y*| <= n u S + u_out (|y*| + n u S) + underflow,

the second term only where the result is kept in a narrower format than the sum. Underflow adds at
most one smallest subnormal for every term and one for the result.

Sources: Higham, Accuracy and Stability of Numerical Algorithms (2002), chapters 2-4; Jeannerod and
Rump (2013), who drop the denominator of gamma_n = n u / (1 - n u).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from refconv import checks, direct
from refconv.checks import Array, Conv, Ints, Pool
from refconv.direct import convolution as by_definition
from refconv.direct import pooling as window_by_window
from refconv.shapes import Shape

# --------------------------------------------------------------------------- formats


class Format(NamedTuple):
    """A binary floating-point format: p significand bits, exponents from emin to emax.

    >>> BFLOAT16.unit, FLOAT16.tiny == 2.0**-24
    (Fraction(1, 256), True)
    """

    precision: int
    emin: int
    emax: int

    @property
    def unit(self) -> Fraction:
        """u = 2**-p, the largest relative error of one rounding to nearest."""
        return Fraction(1, 2**self.precision)

    @property
    def tiny(self) -> Fraction:
        """The smallest subnormal number, 2**(emin - p + 1)."""
        return Fraction(1, 2 ** (self.precision - 1 - self.emin))


FLOAT16 = Format(11, -14, 15)
BFLOAT16 = Format(8, -126, 127)
FLOAT32 = Format(24, -126, 127)
FLOAT64 = Format(53, -1022, 1023)
FORMATS = {
    np.dtype(np.float16): FLOAT16,
    np.dtype(np.float32): FLOAT32,
    np.dtype(np.float64): FLOAT64,
}


def format_of(dtype: Format | DTypeLike) -> Format:
    """Return the format of a NumPy dtype (a `Format` is returned as it is)."""
    if isinstance(dtype, Format):
        return dtype
    try:
        return FORMATS[np.dtype(dtype)]
    except KeyError:
        raise NotImplementedError(f"dtype {np.dtype(dtype)} has no binary format here") from None


def rounded(values: Any, dtype: Format | DTypeLike) -> Array:
    """Return rationals rounded once, to nearest, ties to even, subnormals and overflow included.

    For a NumPy dtype the array has that dtype; for a `Format`, float64, which holds every number
    of the formats above. Zero gives +0.0; a negative number too small to represent gives -0.0.

    >>> rounded([Fraction(1, 3), Fraction(257), Fraction(259)], BFLOAT16)
    array([3.33984375e-01, 2.56000000e+02, 2.60000000e+02])
    """
    fractions = np.asarray(values, dtype=object)
    f = format_of(dtype)
    flat = [nearest(v.numerator, 0, v.denominator, f) for v in fractions.ravel()]
    return stored(flat, fractions.shape, dtype)


def stored(flat: list[float], shape: Shape, dtype: Format | DTypeLike) -> Array:
    """Return numbers of a format as an array of its dtype (float64 where it has none)."""
    container = np.float64 if isinstance(dtype, Format) else dtype
    return np.array(flat, np.float64).reshape(shape).astype(container)


def nearest(numerator: int, exponent: int, denominator: int, f: Format) -> float:
    """Return the number of format f nearest to numerator 2**exponent / denominator, ties to even.

    The spacing around the value is q = 2**(e - p + 1), e its exponent but at least emin.
    """
    a = abs(numerator)
    if a == 0:
        return 0.0
    e = a.bit_length() - denominator.bit_length()
    e -= (a << max(0, -e)) < (denominator << max(0, e))  # now 2**e <= a / denominator < 2**(e + 1)
    q = max(e + exponent, f.emin) - f.precision + 1
    shift = exponent - q
    significand, rest = divmod(a << max(0, shift), denominator << max(0, -shift))
    twice, whole = 2 * rest, denominator << max(0, -shift)
    significand += twice > whole or (twice == whole and significand % 2 == 1)
    overflow = significand.bit_length() + q > f.emax + 1
    return math.copysign(math.inf if overflow else math.ldexp(significand, q), numerator)


def ulp_distance(a: Array, b: Array, dtype: Format | DTypeLike) -> Array:
    """Return how many steps to the next number of the format lead from a to b, as Python integers.

    Both zeros are one number, and infinity is one step beyond the largest.

    >>> ulp_distance(np.array([1.0, -0.0]), np.array([1.0078125, 0.0]), BFLOAT16)
    array([1, 0], dtype=object)
    """
    f = format_of(dtype)
    distance: Array = abs(ordinal(a, f) - ordinal(b, f))
    return distance


def ordinal(a: Array, f: Format) -> Array:
    """Return the place of every number on the line of all numbers of the format, zero at 0."""
    values = np.asarray(a, np.float64)
    if np.isnan(values).any():
        raise RuntimeError("ulp distance is not defined for nan")
    size = np.where(np.isinf(values), 2.0**f.emax, abs(values))  # infinity: one binade up, below
    e = np.maximum(np.frexp(size)[1].astype(np.int64) - 1, f.emin)
    significand = np.ldexp(size, (f.precision - 1 - e).astype(np.int32))
    if (significand != np.rint(significand)).any() or (e > f.emax).any():
        raise RuntimeError(f"a number is not one of {f}: round it first")
    place = (e - f.emin + np.isinf(values)) * 2 ** (f.precision - 1) + significand.astype(np.int64)
    return np.where(np.signbit(values), -place, place).astype(object)


# --------------------------------------------------------------------------- exact results


@dataclass(frozen=True, eq=False)
class Exact:
    """Exact sums of products: y* = numerators 2**exponent / denominators, with S and n.

    `magnitudes` is S on the same scale; `terms` counts the products of each sum that fall inside
    the input (the zeros of padding round nothing).
    """

    numerators: Array
    magnitudes: Array
    terms: Array
    denominators: Array
    exponent: int

    @property
    def shape(self) -> Shape:
        """The shape of the result."""
        return self.numerators.shape

    @property
    def value(self) -> Array:
        """y*, as Fractions."""
        return self._fractions(self.numerators)

    @property
    def magnitude(self) -> Array:
        """S = sum |a||b|, as Fractions."""
        return self._fractions(self.magnitudes)

    def __getitem__(self, at: Any) -> "Exact":
        """Return a part, as indexing an array does."""
        arrays = (self.numerators, self.magnitudes, self.terms, self.denominators)
        return Exact(*(a[at] for a in arrays), self.exponent)

    def __add__(self, other: "Exact") -> "Exact":
        """Return the sums over the terms of both."""
        e = min(self.exponent, other.exponent)
        mine = other.denominators << (self.exponent - e)
        theirs = self.denominators << (other.exponent - e)
        return Exact(
            self.numerators * mine + other.numerators * theirs,
            self.magnitudes * abs(mine) + other.magnitudes * abs(theirs),
            self.terms + other.terms,
            self.denominators * other.denominators,
            e,
        )

    def rounded(self, dtype: Format | DTypeLike) -> Array:
        """Return y* rounded once; see `rounded`."""
        f = format_of(dtype)
        pairs = zip(self.numerators.ravel(), self.denominators.ravel(), strict=True)
        return stored([nearest(n, self.exponent, d, f) for n, d in pairs], self.shape, dtype)

    def fits(self, dtype: Format | DTypeLike) -> bool:
        """Return whether no order of summation can round: S is at most 2**p of the smallest unit.

        All terms are then multiples of one power of two, and all partial sums numbers of the
        format, so that every implementation must give the same bits.
        """
        f = format_of(dtype)
        if (self.denominators != 1).any() or self.exponent < f.emin - f.precision + 1:
            return False
        largest = int(max(self.magnitudes.ravel(), default=0))
        return largest <= 2**f.precision and largest.bit_length() + self.exponent <= f.emax + 1

    def bound(self, accumulate: Format | DTypeLike, out: Format | DTypeLike) -> Array:
        """Return what |y - y*| may be, as Fractions: the theorem at the head of this file."""
        unit, bound = self._bound(format_of(accumulate), format_of(out), self.exponent)
        return self._fractions(bound, unit)

    def within(self, y: Array, accumulate: Format | DTypeLike, out: Format | DTypeLike) -> Array:
        """Return where |y - y*| <= bound; where S = 0 that demands exactly 0."""
        fine, ints, e = self._candidate(y)
        unit, bound = self._bound(format_of(accumulate), format_of(out), min(e, self.exponent))
        error = abs((ints << (e - unit)) * self.denominators - (self.numerators << self._up(unit)))
        return fine & (error <= bound).astype(bool)

    def omega(self, y: Array, dtype: Format | DTypeLike) -> Array:
        """Return |y - y*| / (u S), u that of `dtype`; 0 / 0 is 0."""
        fine, ints, e = self._candidate(y)
        unit = min(e, self.exponent)
        error = abs((ints << (e - unit)) * self.denominators - (self.numerators << self._up(unit)))
        p = format_of(dtype).precision
        scale = self.magnitudes << self._up(unit)
        pairs = zip((error << p).ravel(), scale.ravel(), strict=True)
        omega = np.array([quotient(a, b) for a, b in pairs], np.float64).reshape(self.shape)
        return np.where(fine, omega, np.inf)

    def _up(self, unit: int) -> int:
        return self.exponent - unit

    def _fractions(self, numerators: Array, exponent: int | None = None) -> Array:
        e = self.exponent if exponent is None else exponent
        up, down = 2 ** max(0, e), 2 ** max(0, -e)
        fractions = np.frompyfunc(lambda n, d: Fraction(n * up, d * down), 2, 1)
        return np.asarray(fractions(numerators, self.denominators), dtype=object)

    def _bound(self, accumulate: Format, out: Format, finest: int) -> tuple[int, Array]:
        """Return an exponent and the bound times the denominators in units of 2**exponent.

        The unit is so fine that no division by 2**p below leaves a remainder.
        """
        subnormal = [f.emin - f.precision + 1 for f in (accumulate, out)]
        unit = min(finest, *subnormal) - accumulate.precision - out.precision
        size = self.magnitudes << self._up(unit)
        bound = self.terms * size >> accumulate.precision
        if out != accumulate:
            bound = bound + (abs(self.numerators) << self._up(unit)) // 2**out.precision
            bound = bound + (self.terms * size >> (accumulate.precision + out.precision))
        underflow = (self.terms << (subnormal[0] - unit)) + (1 << (subnormal[1] - unit))
        return unit, np.where(size == 0, 0, bound + underflow * self.denominators)

    def _candidate(self, y: Array) -> tuple[Array, Array, int]:
        """Return where y is finite, and y as integers and an exponent (0 where it is not)."""
        checks.matches("y", y, self.shape)
        fine = np.isfinite(y)
        return fine, *scaled("y", np.where(fine, y, np.zeros_like(y)))


def quotient(a: int, b: int) -> float:
    """Return a / b, correctly rounded; 0 / 0 is 0."""
    if b == 0:
        return math.inf if a else 0.0
    try:
        return a / b
    except OverflowError:
        return math.inf


def scaled(name: str, value: Array) -> tuple[Array, int]:
    """Return integers and one exponent: value = integers 2**exponent.

    >>> scaled("x", np.array([0.75, -2.0]))
    (array([3, -8], dtype=object), -2)
    """
    a = checks.array(name, value, checks.ORDERED)
    if a.dtype.kind != "f":
        return a.astype(object), 0
    if not np.isfinite(a).all():
        raise RuntimeError(f"{name} holds nan or inf: exact results exist for finite numbers only")
    p = np.finfo(a.dtype).nmant + 1
    fraction, e = np.frexp(a)  # 1/2 <= |fraction| < 1
    ints = np.asarray(np.frompyfunc(int, 1, 1)(np.ldexp(fraction, p)), dtype=object)
    lowest = int(e[a != 0].min()) if a.any() else p
    ints = ints << np.where(a != 0, e - lowest, 0).astype(object)
    common = math.gcd(*ints.ravel())
    zeros = (common & -common).bit_length() - 1 if common else 0
    return ints >> zeros, lowest - p + zeros


def exactly(name: str, value: Array) -> Exact:
    """Return an array as exact sums of one term each: itself."""
    ints, e = scaled(name, value)
    one = np.ones(ints.shape, object)
    return Exact(ints, abs(ints), one, one, e)


def total(terms: Array, exponent: int, at: Array, shape: Shape) -> Exact:
    """Return the sums of all terms that go to the same flat position."""
    size = math.prod(shape)
    sums, sizes = np.zeros(size, object), np.zeros(size, object)
    np.add.at(sums, at, terms)
    np.add.at(sizes, at, abs(terms))
    n = np.bincount(at, minlength=size).astype(object)
    return Exact(*(a.reshape(shape) for a in (sums, sizes, n, np.ones(size, object))), exponent)
