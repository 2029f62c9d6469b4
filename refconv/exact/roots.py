"""Sums of roots of rationals: rounded correctly, and how far a computed one may lie from them.

A root is mostly irrational, and still has one nearest floating-point number. Roots of one degree
whose quotient is rational are brought to a common one; then what is left is either rational, and
rounded as such, or no rational at all, since positive roots whose quotients are irrational are
linearly independent over the rationals (Besicovitch, On the linear independence of fractional
powers of integers, 1940). Then it is not a tie between two floating-point numbers either, so
that rational bounds around it, ever narrower, round to the same number sooner or later. The bounds
come from integer roots; no float takes part.

A computed result obeys |y - y*| <= bound if every step is rounded to nearest and none leaves the
range of normal numbers. With u the unit of the accumulator (and one more factor, with the unit of
the result, for every step that is stored there), a sum v of `before` roundings is off by a relative

    eta = (S / |v|) ((1 - u)^-before - 1)

at most, and its root, with what follows in `after` roundings, by

    (1 - eta)^-slope (1 - u)^-after - 1,

with slope >= |e|, the exponent of the root: Higham, Accuracy and Stability of Numerical Algorithms
(2002), lemma 3.1. Where e is itself rounded, by 2 u e at most, that is one more factor
exp(2 u |e| |log v|) <= 1 / (1 - 2 u slope |log v|).
"""

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from refconv import geometry
from refconv.exact.formats import Format, format_of, nearest, stored
from refconv.exact.sums import scaled
from refconv.geometry import Array
from refconv.geometry.sizes import Shape

BITS = 64  # of the first bounds around a root


class Root(NamedTuple):
    """One term, coefficient * radicand^(1 / degree), the radicand positive."""

    coefficient: Fraction
    radicand: Fraction = Fraction(1)
    condition: Fraction | None = Fraction(0)  # S / |v| of the sum it came from; None: no bound
    before: int = 0  # roundings of that sum


@dataclass(frozen=True, eq=False)
class Roots:
    """Exact sums of roots: y* = sum of coefficient * radicand^(1 / degree), as lists of `Root`."""

    terms: Array
    degree: int
    slope: int = 0  # of the root's exponent, rounded up
    after: int = 0  # roundings of one term after its sum, besides the additions to the others
    stores: tuple[int, int] = (0, 0)  # of these roundings, before and after, in the result's format
    inexact: bool = False  # the exponent of the root is itself rounded

    @property
    def shape(self) -> Shape:
        """The shape of the result."""
        return self.terms.shape

    def rounded(self, dtype: Format | DTypeLike) -> Array:
        """Return y* rounded once; see `refconv.exact.rounded`."""
        f = format_of(dtype)
        return stored(
            [nearest_sum(t, self.degree, f) for t in self.terms.ravel()], self.shape, dtype
        )

    def within(self, y: Array, accumulate: Format | DTypeLike, out: Format | DTypeLike) -> Array:
        """Return where |y - y*| <= bound."""
        geometry.matches("y", y, self.shape)
        formats = format_of(accumulate), format_of(out)
        fine = np.isfinite(y)
        ints, e = scaled("y", np.where(fine, y, np.zeros_like(y)))
        values = (Fraction(v) * Fraction(2) ** e for v in ints.ravel())
        near = [self._near(v, t, *formats) for v, t in zip(values, self.terms.ravel(), strict=True)]
        return np.asarray(fine & np.array(near, bool).reshape(self.shape))

    def _near(self, y: Fraction, terms: list[Root], accumulate: Format, out: Format) -> bool:
        low, high = enclosed([t[:2] for t in terms], self.degree, 2 * BITS + accumulate.precision)
        bound = Fraction(0)
        for term in terms:
            relative = self._relative(term, len(terms), accumulate, out)
            if relative is None:
                return True
            bound += relative * enclosed([(abs(term[0]), term[1])], self.degree, BITS)[0]
        return max(abs(y - low), abs(y - high)) <= bound

    def _relative(self, t: Root, number: int, accumulate: Format, out: Format) -> Fraction | None:
        """Return what the relative error of one term may be; None if there is no bound."""
        same = out == accumulate
        before, after = (0, 0) if same else self.stores

        def growth(roundings: int, stores: int) -> Fraction:
            return 1 / ((1 - accumulate.unit) ** roundings * (1 - out.unit) ** stores)

        if t.condition is None:
            return None
        eta = t.condition * (growth(t.before, before) - 1)
        size = max(t.radicand.numerator.bit_length(), t.radicand.denominator.bit_length()) + 1
        lost = 2 * self.slope * size * out.unit if self.inexact else Fraction(0)
        if eta >= 1 or lost >= 1:
            return None
        return growth(self.after + number, after) / ((1 - eta) ** self.slope * (1 - lost)) - 1


# --------------------------------------------------------------------------- one sum of roots

Pairs = list[tuple[Fraction, Fraction]]  # coefficient and radicand


def nearest_sum(terms: list[Root], degree: int, f: Format) -> float:
    """Return the number of format f nearest to a sum of roots, ties to even."""
    pairs = collected([t[:2] for t in terms], degree)
    if not pairs or pairs == [(pairs[0][0], Fraction(1))]:
        value = pairs[0][0] if pairs else Fraction(0)
        return nearest(value.numerator, 0, value.denominator, f)
    bits = BITS
    while True:  # the sum is irrational: no tie, and not 0
        low, high = (
            nearest(v.numerator, 0, v.denominator, f) for v in enclosed(pairs, degree, bits)
        )
        if low == high and math.copysign(1, low) == math.copysign(1, high):
            return low
        bits *= 2


def collected(pairs: Pairs, degree: int) -> Pairs:
    """Return the same sum with one pair for all roots whose quotients are rational; 1 if they are.

    >>> half = Fraction(1, 2)
    >>> collected([(half, Fraction(8)), (half, Fraction(9)), (-half, Fraction(2))], 2)
    [(Fraction(1, 4), Fraction(8, 1)), (Fraction(3, 2), Fraction(1, 1))]
    """
    found: dict[Fraction, Fraction] = {}
    for coefficient, radicand in pairs:
        for base in (Fraction(1), *found):
            quotient = rational_root(radicand / base, degree)
            if quotient is not None:
                found[base] = found.get(base, Fraction(0)) + coefficient * quotient
                break
        else:
            found[radicand] = coefficient
    return [(coefficient, base) for base, coefficient in found.items() if coefficient]


def rational_root(value: Fraction, degree: int) -> Fraction | None:
    """Return the root of a positive rational, if that is rational.

    >>> rational_root(Fraction(9, 4), 2), rational_root(Fraction(2), 2)
    (Fraction(3, 2), None)
    """
    root = Fraction(floor_root(value.numerator, degree), floor_root(value.denominator, degree))
    return root if root**degree == value else None


def enclosed(pairs: Pairs, degree: int, bits: int) -> tuple[Fraction, Fraction]:
    """Return rationals below and above a sum of roots, each root to a relative 2**(1 - bits)."""
    low = high = Fraction(0)
    for coefficient, radicand in pairs:
        root = rational_root(radicand, degree)
        if root is None:
            n, d = radicand.numerator, radicand.denominator
            shift = bits - (n.bit_length() - d.bit_length()) // degree
            up, down = max(0, shift * degree), max(0, -shift * degree)
            below = floor_root((n << up) // (d << down), degree)
            ends = [coefficient * (below + more) / Fraction(2) ** shift for more in (0, 1)]
        else:
            ends = [coefficient * root]
        low, high = low + min(ends), high + max(ends)
    return low, high


def floor_root(value: int, degree: int) -> int:
    """Return the largest integer whose power is not above a value, by Newton's method.

    >>> floor_root(26, 3), floor_root(27, 3), floor_root(10**40, 2) == 10**20
    (2, 3, True)
    """
    if degree == 1 or value == 0:
        return value
    if degree == 2:
        return math.isqrt(value)
    root = 1 << -(-value.bit_length() // degree)  # above, and Newton's steps go down to the floor
    while True:
        lower = ((degree - 1) * root + value // root ** (degree - 1)) // degree
        if lower >= root:
            return root
        root = lower
