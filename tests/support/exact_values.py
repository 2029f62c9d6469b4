"""Floating-point numbers as fractions, and drawn at random."""

from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def fractions(a: Array) -> Array:
    """An object array of the same numbers as Fractions."""
    out = np.empty(a.shape, object)
    for at in np.ndindex(a.shape):
        out[at] = Fraction(float(a[at]))
    return out


def floats(*shape: int, seed: int = 0, dtype: Any = np.float32) -> Array:
    """Normal numbers over a range of exponents, a few zeros among them."""
    rng = np.random.default_rng([seed, *shape])
    a = rng.standard_normal(shape) * 2.0 ** rng.integers(-6, 7, shape)
    return np.where(rng.random(shape) < 0.1, 0.0, a).astype(dtype)
