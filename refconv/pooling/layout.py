"""Windows of any start and size, laid out side by side.

    Input 12345 --(3 windows: 12 234 45)--> 12. 234 45.

Once every window has a place of its own, all as wide as the widest, tap k of all windows is a
slice, and taps come first in memory, so that it is a contiguous one. The places beyond a narrower
window hold what cannot matter: 0 for a sum, the lowest value for a maximum, which wins only if it
is larger. Axes are laid out one after the other, for one tile of planes and outputs at a time.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from refconv import tiles
from refconv.checks import Array, namespace
from refconv.pooling import taps
from refconv.pooling.winners import gather, has_negative_zero, lowest, visit
from refconv.shapes import Shape
from refconv.tiles import Box


class Axis(NamedTuple):
    """The windows along one axis: P planes, or one that stands for all."""

    first: Array  # (P, o) where each window starts
    at: Array  # (P, o, k) the input that each tap reads
    beyond: Array  # (o, k) whether the tap lies beyond its window


def axis(first: Array, size: Array) -> Axis:
    """Return the windows that start at `first` (P, o) and have `size` (o) taps."""
    xp = namespace(first)
    k = xp.arange(int(size.max()) if size.size else 0)
    last = size[:, None] - 1
    return Axis(first, first[..., None] + xp.minimum(k, last), k > last)


def kernel(axes: Sequence[Axis]) -> Shape:
    """Return the size of the widest window."""
    return tuple(a.at.shape[-1] for a in axes)


def side_by_side(planes: Array, axes: Sequence[Axis], box: Box, beyond: float) -> Array:
    """Return x laid out for a box of planes and outputs, in scratch memory: (*k, p, *o)."""
    xp, x = namespace(planes), planes[box[0]]
    shape: list[int] = [len(x)]
    for number, (windows, side) in enumerate(zip(axes, box[1:], strict=True), 1):
        at, outside = windows.at[:, side], windows.beyond[side].reshape(-1)
        shape += at.shape[1:]
        flat = at.reshape(len(at), outside.size)  # (P, o k)
        if len(flat) > 1:  # every plane its own
            others = tuple(a for a in range(1, x.ndim) if a != number)
            x = xp.take_along_axis(x, xp.expand_dims(flat[box[0]], others), number)
        elif (xp.diff(flat[0]) == 1).all():  # side by side as they are
            first = int(flat[0, :1].sum())
            x = xp.moveaxis(xp.moveaxis(x, number, 0)[first : first + outside.size], 0, number)
        else:
            x = x.take(flat[0], number)
        if outside.any():  # x is a copy here: a tap beyond its window reads an element twice
            xp.moveaxis(x, number, 0)[outside] = beyond
    by_window = x.reshape(shape)  # (p, o_1, k_1, o_2, k_2, ...)
    k_first = (*range(2, len(shape), 2), 0, *range(1, len(shape), 2))
    laid = tiles.scratch(xp, tuple(shape[a] for a in k_first), x.dtype, "laid")
    xp.copyto(laid, by_window.transpose(k_first))
    return laid


def output_boxes(planes: Array, axes: Sequence[Axis]) -> list[Box]:
    """Cut (p, *o) into boxes of planes and outputs whose layout is small."""
    most = taps.room(namespace(planes), planes.itemsize) // max(1, math.prod(kernel(axes)))
    return tiles.boxes((len(planes), *(a.at.shape[1] for a in axes)), most)


# --------------------------------------------------------------------------- sum and maximum


def sums(planes: Array, axes: Sequence[Axis]) -> Array:
    """Return the sum of every window, (p, *o), added in order of k."""
    xp = namespace(planes)
    total: Array = xp.zeros((len(planes), *(a.at.shape[1] for a in axes)), planes.dtype)

    def task(box: Box) -> None:
        laid, onto = side_by_side(planes, axes, box, 0), total[box]
        for k in np.ndindex(kernel(axes)):
            onto += laid[k]

    tiles.run(xp, task, output_boxes(planes, axes))
    return total


def largest(planes: Array, axes: Sequence[Axis]) -> tuple[Array, Array]:
    """Return the winner of every window and its flat position, both (p, *o)."""
    xp, i, wide = namespace(planes), planes.shape[1:], kernel(axes)
    y = xp.empty((len(planes), *(a.at.shape[1] for a in axes)), planes.dtype)
    indices = xp.empty(y.shape, np.int64)
    offset = taps.ravel([xp.arange(k) for k in wide], i).reshape(-1)  # of each tap from the first
    number_type = np.min_scalar_type(max(0, math.prod(wide) - 1))
    steps = [math.prod(i[a + 1 :]) for a in range(len(i))]

    def corner(box: Box) -> Array:
        """Return the flat position of every window's first tap, (P, *o)."""
        total: Array = xp.zeros((1,) * (1 + len(i)), np.int64)
        for number, (windows, side, step) in enumerate(zip(axes, box[1:], steps, strict=True), 1):
            first = windows.first[box[0] if len(windows.first) > 1 else slice(None), side]
            others = tuple(a for a in range(1, 1 + len(i)) if a != number)
            total = total + xp.expand_dims(first, others) * step
        return total

    def task(box: Box) -> None:
        laid, best = side_by_side(planes, axes, box, lowest(planes.dtype)), y[box]
        winner = tiles.scratch(xp, best.shape, number_type, "winner")
        winner.fill(0)
        best.fill(lowest(planes.dtype))
        for number, k in enumerate(np.ndindex(wide)):
            visit(number, laid[k], best, winner)
        xp.add(corner(box), offset.take(winner), out=indices[box])
        if has_negative_zero(laid):  # of 0 and -0 the first wins
            best[...] = gather(planes[box[0]], indices[box])

    tiles.run(xp, task, output_boxes(planes, axes))
    return y, indices
