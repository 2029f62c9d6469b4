"""Exact sums of products, and how far a rounded sum may lie from them; see `refconv.exact`."""

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from refconv import geometry
from refconv.exact.formats import Format, format_of, nearest, stored
from refconv.geometry import Array
from refconv.geometry.sizes import Shape


@dataclass(frozen=True, eq=False)
class Exact:
    """Exact sums of products: y* = numerators 2**exponent / denominators, with S and n.

    All arrays hold Python integers and have the shape of the result. `magnitudes` is S on the scale
    of the numerators; `denominators` are positive; `terms` counts the products of each sum that
    fall inside the input (the zeros of padding round nothing).
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

    @property
    def undivided(self) -> "Exact":
        """The sums before they were divided."""
        return replace(self, denominators=np.ones_like(self.denominators))

    def __getitem__(self, at: Any) -> "Exact":
        """Return a part, as indexing an array does."""
        arrays = (self.numerators, self.magnitudes, self.terms, self.denominators)
        return Exact(arrays[0][at], arrays[1][at], arrays[2][at], arrays[3][at], self.exponent)

    def __add__(self, other: "Exact") -> "Exact":
        """Return the sums over the terms of both."""
        e = min(self.exponent, other.exponent)
        mine = raised(other.denominators, self.exponent - e)
        theirs = raised(self.denominators, other.exponent - e)
        return Exact(
            self.numerators * mine + other.numerators * theirs,
            self.magnitudes * mine + other.magnitudes * theirs,
            self.terms + other.terms,
            self.denominators * other.denominators,
            e,
        )

    def divided_by(self, divisors: Array) -> "Exact":
        """Return the quotients by integers; y* takes their sign, S does not."""
        sign = np.where(divisors < 0, -1, 1).astype(object)
        return Exact(
            self.numerators * sign,
            self.magnitudes,
            self.terms,
            self.denominators * abs(divisors),
            self.exponent,
        )

    def rounded(self, dtype: Format | DTypeLike) -> Array:
        """Return y* rounded once; see `rounded`."""
        f = format_of(dtype)
        if self.fits(f):  # then y* is a number of the format, and its numerator one of float64
            values = np.ldexp(self.numerators.astype(np.float64), self.exponent)
            return stored(values, self.shape, dtype)
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
        """Return what |y - y*| may be, as Fractions: the theorem of `refconv.exact`."""
        unit, bound = self._bound(format_of(accumulate), format_of(out), self.exponent)
        return self._fractions(bound, unit)

    def within(self, y: Array, accumulate: Format | DTypeLike, out: Format | DTypeLike) -> Array:
        """Return where |y - y*| <= bound; where S = 0 that demands exactly 0."""
        fine, ints, e = self._candidate(y)
        unit, bound = self._bound(format_of(accumulate), format_of(out), min(e, self.exponent))
        return np.asarray(fine & (self._error(ints, e, unit) <= bound), dtype=bool)

    def omega(self, y: Array, dtype: Format | DTypeLike) -> Array:
        """Return |y - y*| / (u S), u that of `dtype`; 0 / 0 is 0."""
        fine, ints, e = self._candidate(y)
        unit = min(e, self.exponent)
        error = raised(self._error(ints, e, unit), format_of(dtype).precision)
        size = raised(self.magnitudes, self.exponent - unit)
        pairs = zip(error.ravel(), size.ravel(), strict=True)
        omega = np.array([quotient(a, b) for a, b in pairs], np.float64).reshape(self.shape)
        return np.where(fine, omega, np.inf)

    def _error(self, ints: Array, exponent: int, unit: int) -> Array:
        """Return |y - y*| times the denominators, in units of 2**unit; y = ints 2**exponent."""
        y = raised(ints, exponent - unit) * self.denominators
        error: Array = abs(y - raised(self.numerators, self.exponent - unit))
        return error

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
        size = raised(self.magnitudes, self.exponent - unit)
        bound = self.terms * size // 2**accumulate.precision
        if out != accumulate:
            result = raised(abs(self.numerators), self.exponent - unit)
            bound = bound + (result + bound) // 2**out.precision
        underflow = raised(self.terms, subnormal[0] - unit) + 2 ** (subnormal[1] - unit)
        return unit, np.where(size == 0, 0, bound + underflow * self.denominators)

    def _candidate(self, y: Array) -> tuple[Array, Array, int]:
        """Return where y is finite, and y as integers and an exponent (0 where it is not)."""
        geometry.matches("y", y, self.shape)
        fine = np.isfinite(y)
        return fine, *scaled("y", np.where(fine, y, np.zeros_like(y)))


def raised(ints: Array, power: int) -> Array:
    """Return ints 2**power, for power >= 0."""
    shifted: Array = ints * 2**power if power else ints
    return shifted


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
    a = geometry.array(name, value, geometry.ORDERED)
    if a.dtype.kind != "f":
        return a.astype(object), 0
    if not np.isfinite(a).all():
        raise RuntimeError(f"{name} holds nan or inf: exact results exist for finite numbers only")
    p = format_of(a.dtype).precision
    fraction, e = np.frexp(a)  # 1/2 <= |fraction| < 1
    ints = np.ldexp(fraction, p).astype(np.int64).astype(object)
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
    one = np.ones(shape, object)
    return Exact(sums.reshape(shape), sizes.reshape(shape), n.reshape(shape), one, exponent)
