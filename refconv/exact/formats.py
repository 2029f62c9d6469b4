"""Binary floating-point formats: rounding a rational once, and counting the numbers in between."""

import math
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from refconv.geometry import Array
from refconv.geometry.sizes import Shape


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
        """2**-p, u: the largest relative error of one rounding to nearest."""
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
    array([  0.33398438, 256.        , 260.        ])
    """
    fractions = np.asarray(values, dtype=object)
    f = format_of(dtype)
    flat = [nearest(v.numerator, 0, v.denominator, f) for v in fractions.ravel()]
    return stored(flat, fractions.shape, dtype)


def stored(values: list[float] | Array, shape: Shape, dtype: Format | DTypeLike) -> Array:
    """Return numbers of a format as an array of its dtype (float64 where it has none)."""
    container = np.float64 if isinstance(dtype, Format) else dtype
    return np.array(values, np.float64).reshape(shape).astype(container)


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
    size = math.inf if overflow else math.ldexp(significand, q)
    return -size if numerator < 0 else size


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
    e = np.where(size == 0, f.emin, np.maximum(np.frexp(size)[1] - 1, f.emin)).astype(np.int64)
    significand = np.ldexp(size, (f.precision - 1 - e).astype(np.int32))
    if (significand != np.rint(significand)).any() or (e > f.emax).any():
        raise RuntimeError(f"a number is not one of {f}: round it first")
    place = (e - f.emin + np.isinf(values)) * 2 ** (f.precision - 1) + significand.astype(np.int64)
    line: Array = np.where(np.signbit(values), -place, place).astype(object)
    return line
