"""The strided window view and its adjoint.

windows:  x (..., *i)      -> (..., *k, *o)   w[..., k, o] = x[..., o s + k d]      no copy
adjoint:  w (..., *k, *o)  -> (..., *i)       x[..., i] = sum of w over o s + k d = i
"""

import itertools

import numpy as np

from refconv.checks import Array
from refconv.shapes import Shape, last_axes


def windows(x: Array, k: Shape, o: Shape, s: Shape, d: Shape) -> Array:
    """Return the view w[..., k, o] = x[..., o s + k d] of shape (..., *k, *o); it is read-only.

    >>> windows(np.arange(5), (2,), (4,), (1,), (1,))  # ab, bc, cd, de as columns
    array([[0, 1, 2, 3],
           [1, 2, 3, 4]])
    """
    lead = x.ndim - len(k)
    steps = x.strides[lead:]
    by_tap = [step * d_ for step, d_ in zip(steps, d, strict=True)]
    by_output = [step * s_ for step, s_ in zip(steps, s, strict=True)]
    return np.lib.stride_tricks.as_strided(
        x,
        (*x.shape[:lead], *k, *o),
        (*x.strides[:lead], *by_tap, *by_output),
        writeable=False,
    )


def tap(x: Array, k: Shape, o: Shape, s: Shape, d: Shape) -> Array:
    """Return the writable view x[..., o s + k d] of one tap k, for all o."""
    at = (
        slice(k_ * d_, k_ * d_ + (o_ - 1) * s_ + 1, s_)
        for k_, o_, s_, d_ in zip(k, o, s, d, strict=True)
    )
    view: Array = x[last_axes(at)]
    return view


def add_windows(x: Array, w: Array, s: Shape, d: Shape) -> None:
    """Add the adjoint of `windows` onto x, tap by tap in the order of k: sums have one order."""
    rank = len(s)
    k, o = w.shape[-2 * rank : -rank], w.shape[-rank:]
    for k_ in itertools.product(*map(range, k)):
        tap(x, k_, o, s, d)[...] += w[last_axes((*k_, *(slice(None),) * rank))]
