"""The derivative by its definition, which the rules of the derivations are held to."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from refconv.textbook.arguments import Array, described

T = TypeVar("T", float, Array)
STEP = 2.0**-17  # near the cube root of float64's precision, where the two errors are equal


def difference_quotient(f: Callable[[Array], T], a: Array, place: tuple[int, int], h: float) -> T:
    """(f(a + h at the place) - f(a - h at the place)) / 2h, in float64.

    Exact up to rounding where f is linear or quadratic in that element; at a kink it is the mean
    of the two slopes.
    """
    if not 0 < h < math.inf:
        raise ValueError(f"h must be a positive step, got {described(h)}")
    more, less = a.astype(np.float64), a.astype(np.float64)
    more[place] += h
    less[place] -= h
    return (f(more) - f(less)) / (2 * h)
