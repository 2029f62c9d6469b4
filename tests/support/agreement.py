"""When two arrays agree: in every bit, or in every bit but the sign of a zero that is a sum.

Which sign such a zero has depends on the order of summation, and so on the processor: a sum that
begins with the product 1 * -0.0 may be -0.0, one that begins with 0.0 is 0.0. Either is right.
Where an operator chooses one of its inputs, the sign counts.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

CHOOSE = frozenset((
    "pad", "unfold", "max_pool", "max_pool_select", "adaptive_max_pool", "fractional_max_pool",
    "max_unpool", "max_unpool_grad",
))  # fmt: skip
DIVIDE = frozenset(("avg_pool", "adaptive_avg_pool"))  # and say that a zero is +0


def same(a: Array, b: Array) -> bool:
    """Return whether all bits are the same, shape and dtype too."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if a.dtype.kind == "c":
        return same(a.real, b.real) and same(a.imag, b.imag)
    if a.dtype == np.longdouble:  # its bytes hold padding
        signs = np.signbit(a), np.signbit(b)
        return np.array_equal(a, b, equal_nan=True) and np.array_equal(*signs)
    return a.tobytes() == b.tobytes()


def same_sum(a: Array, b: Array) -> bool:
    """The same; but of a sum that is zero either sign is right, in the real and imaginary part."""
    return a.dtype == b.dtype and same(unsigned(a), unsigned(b))


def unsigned(a: Array) -> Array:
    """Return the same numbers, every zero +0."""
    return np.asarray(a + a.dtype.type(0))


def agreeing(name: str) -> Callable[[Array, Array], bool]:
    """Return what compares results of the operator `name` of refconv."""
    return same if name in CHOOSE | DIVIDE else same_sum


def one_nan(a: Array) -> Array:
    """Return the same numbers, every NaN the same one."""
    return np.where(np.isnan(a), a.dtype.type(np.nan), a) if a.dtype.kind in "fc" else a


def same_numbers(a: Array, b: Array) -> bool:
    """The same sum, where any NaN is as good as another."""
    return same_sum(one_nan(a), one_nan(b))
