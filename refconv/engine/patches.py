"""What a tile reads of x: a box of it, zeros too, its windows as a view, and the adjoints of both.

    read_patch  x (..., *i) -> (..., *box)      zero outside x
    add_patch   (..., *k, *o) -> x (..., *i)    adds the windows of a patch back onto x

    windows     x (..., *i) -> (..., *k, *o)    w[..., k, o] = x[..., o s + k d]             no copy
    its adjoint (..., *k, *o) -> x (..., *i)    x[..., i] = sum of w over o s + k d = i

A box is a slice [first, end) for every spatial axis. The box of x that a tile reads may begin
before x, at a negative number, and end behind it: there is the padding.
"""

import itertools
import math
from collections.abc import Sequence
from typing import Any

from refconv.engine import tiles
from refconv.engine.tiles import Box
from refconv.geometry import Array, Conv, namespace
from refconv.geometry.sizes import Shape, last_axes, window_extent

PATCH_BYTES = 1 << 24  # of what a tile reads of x, padded: more is mostly gaps or padding

# --------------------------------------------------------------------------- boxes


def input_box(geo: Conv, box: Box) -> Box:
    """Return the box of x that a box of outputs reads: o s - p to the end of its last window."""
    return tuple(
        slice(side.start * s - lo, (side.stop - 1) * s + window_extent(k, d) - lo)
        for side, s, k, d, (lo, _) in zip(box, geo.s, geo.k, geo.d, geo.p, strict=True)
    )


def lies_inside(box: Box, sizes: Sequence[int]) -> bool:
    """Return whether no part of a box lies outside an array of these sizes."""
    return all(side.start >= 0 and side.stop <= i for side, i in zip(box, sizes, strict=True))


def meeting(box: Box, sizes: Sequence[int]) -> tuple[Box, Box]:
    """Return the part of a box that lies in an array of these sizes, as a box of either.

    >>> meeting((slice(-1, 3),), [5])
    ((slice(0, 3, None),), (slice(1, 4, None),))
    """
    kept = [
        (min(max(side.start, 0), size), max(min(side.stop, size), 0))
        for side, size in zip(box, sizes, strict=True)
    ]
    of_array = tuple(slice(lo, max(lo, hi)) for lo, hi in kept)
    of_box = tuple(
        slice(part.start - side.start, part.stop - side.start)
        for part, side in zip(of_array, box, strict=True)
    )
    return of_array, of_box


def read_box(x: Array, box: Box, out: Array) -> Array:
    """Copy x[..., box] into `out`, zero where the box lies outside x.

    Input 1234 --(box from -1 to 3)--> 0123
    """
    of_array, of_box = meeting(box, x.shape[x.ndim - len(box) :])
    out.fill(0)
    out[last_axes(of_box)] = x[last_axes(of_array)]
    return out


def add_box(x: Array, box: Box, values: Array) -> None:
    """Add values onto x[..., box], the adjoint of `read_box`; what lies outside x is dropped."""
    of_array, of_box = meeting(box, x.shape[x.ndim - len(box) :])
    x[last_axes(of_array)] += values[last_axes(of_box)]


# --------------------------------------------------------------------------- patches


def patch_fits(xp: Any, geo: Conv, itemsize: int, box: Box) -> bool:
    """Return whether what a box of outputs reads of x, gaps and padding too, fits a tile."""
    inputs = math.prod(tiles.extent(input_box(geo, box)))
    return inputs * itemsize <= tiles.times(xp) * PATCH_BYTES


def read_patch(geo: Conv, x: Array, box: Box, slot: str = "patch") -> Array:
    """Return what a box of outputs reads of x, (..., *i), as `box_of` does."""
    return box_of(x, input_box(geo, box), slot)


def box_of(x: Array, box: Box, slot: str = "patch") -> Array:
    """Return a box of x, (..., *i), zeros too: a view where it can be, else in a scratch slot."""
    if lies_inside(box, x.shape[x.ndim - len(box) :]):
        view: Array = x[last_axes(box)]
        return view
    return read_box(x, box, tiles.scratch(namespace(x), patch_shape(x, box), x.dtype, slot))


def add_patch(geo: Conv, x: Array, by_window: Array, box: Box) -> None:
    """Add the windows of a box of outputs, (..., *k, *o), back onto x: adjoint of `read_patch`."""
    xp, read = namespace(x), input_box(geo, box)
    sizes = patch_shape(x, read)
    lead, rank = sizes[: -len(geo.s)], len(geo.s)
    t = tuple(-(-size // s) for size, s in zip(sizes[-rank:], geo.s, strict=True))
    phases = tiles.scratch(xp, (*lead, *geo.s, *t), x.dtype, "phases")
    phases.fill(0)
    add_windows(phases, by_window, geo.d)
    view = interleaved(phases, rank)
    if max(geo.s) > 1:
        view, by_phase = tiles.scratch(xp, view.shape, x.dtype, "patch"), view
        xp.copyto(view, by_phase)
    patch = view.reshape(*lead, *(n * s for n, s in zip(t, geo.s, strict=True)))
    add_box(x, read, patch[last_axes(slice(size) for size in sizes[-rank:])])


def patch_shape(x: Array, read: Box) -> Shape:
    """Return the shape of a box of x, (..., *box)."""
    return (*x.shape[: x.ndim - len(read)], *tiles.extent(read))


# --------------------------------------------------------------------------- windows


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
