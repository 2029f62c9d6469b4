"""The strided window view and its adjoint.

windows:  x (..., *i)      -> (..., *k, *o)   w[..., k, o] = x[..., o s + k d]      no copy
adjoint:  w (..., *k, *o)  -> (..., *i)       x[..., i] = sum of w over o s + k d = i
"""

import itertools

from refconv.checks import Array, namespace
from refconv.shapes import Shape, last_axes


def windows(x: Array, k: Shape, o: Shape, s: Shape, d: Shape) -> Array:
    """Return the view w[..., k, o] = x[..., o s + k d] of shape (..., *k, *o), to read only.

    >>> import numpy as np
    >>> windows(np.arange(5), (2,), (4,), (1,), (1,))  # ab, bc, cd, de as columns
    array([[0, 1, 2, 3],
           [1, 2, 3, 4]])
    """
    lead = x.ndim - len(k)
    steps = x.strides[lead:]
    # an axis of one has no next element, however far it would be
    by_tap = [step * d_ if k_ > 1 else 0 for step, d_, k_ in zip(steps, d, k, strict=True)]
    by_output = [step * s_ if o_ > 1 else 0 for step, s_, o_ in zip(steps, s, o, strict=True)]
    view: Array = namespace(x).lib.stride_tricks.as_strided(
        x, (*x.shape[:lead], *k, *o), (*x.strides[:lead], *by_tap, *by_output)
    )
    return view


def add_windows(phases: Array, w: Array, d: Shape) -> None:
    """Add the adjoint of `windows` onto x, tap by tap in the order of k: sums have one order.

    x is given by its phases, (..., *s, *t): phase r holds x[..., t s + r], so that all outputs of a
    tap k add to one plain run, t = o + k d // s of phase r = k d mod s.
    """
    rank = len(d)
    s, k, o = phases.shape[-2 * rank : -rank], w.shape[-2 * rank : -rank], w.shape[-rank:]
    for k_ in itertools.product(*map(range, k)):
        at = [tap * step for tap, step in zip(k_, d, strict=True)]
        r = [a % step for a, step in zip(at, s, strict=True)]
        t = [slice(a // step, a // step + n) for a, step, n in zip(at, s, o, strict=True)]
        phases[last_axes((*r, *t))] += w[last_axes((*k_, *(slice(None),) * rank))]


def interleaved(phases: Array, rank: int) -> Array:
    """Return the view (..., t0, s0, t1, s1, ...) of phases (..., *s, *t): x, but for its shape."""
    lead = phases.ndim - 2 * rank
    axes = [axis for a in range(rank) for axis in (lead + rank + a, lead + a)]
    return phases.transpose(*range(lead), *axes)
