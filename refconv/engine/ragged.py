"""Windows of any start and size, laid out side by side.

    Input 12345 --(3 windows: 12 234 45)--> 12. 234 45.

Once every window has a place of its own, all as wide as the widest, tap k of all windows is a
slice, and taps come first in memory, so that it is a contiguous one. The places beyond a narrower
window hold what cannot matter: 0 for a sum, the lowest value for a maximum, which wins only if it
is larger. Axes are laid out one after the other, for one tile of planes and outputs at a time.
"""

import functools
import itertools
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from refconv import geometry
from refconv.engine import tiles
from refconv.engine.planes import plane_room, ravel
from refconv.engine.tiles import Box
from refconv.engine.winners import Arena, contest, gather, has_negative_zero, lowest
from refconv.geometry import Array, namespace

COPIES = 4  # of a tile's windows that there are at a time, while they are laid out


class Axis(NamedTuple):
    """The windows of a tile along one axis: P planes, or one that stands for all."""

    first: Array  # (P, o) where each window starts
    size: Array  # (o) how many taps it has

    def taps(self) -> tuple[Array, Array]:
        """Return the input that each tap reads, (P, o, k), and whether it lies beyond, (o, k)."""
        xp = namespace(self.first)
        k = xp.arange(int(self.size.max()) if self.size.size else 0)
        last = self.size[:, None] - 1
        return self.first[..., None] + xp.minimum(k, last), k > last


class Windows(NamedTuple):
    """The windows along one axis: how many, how wide at most, and those of a tile."""

    outputs: int
    widest: int
    of: Callable[[slice, slice], Axis]


Finish = Callable[[Array, Sequence[Axis]], None]  # ends the sums of a tile in place


def all_windows(windows: Sequence[Windows]) -> list[Axis]:
    """Return all windows of every axis, where one plane's stand for all."""
    return [w.of(slice(0, 1), slice(0, w.outputs)) for w in windows]


def inputs_of(axes: Sequence[Axis]) -> list[tuple[slice, ...]]:
    """Return the inputs of every window, where one plane's stand for all."""
    along = [slices(axis.first[0], axis.first[0] + axis.size) for axis in axes]
    return list(itertools.product(*along))


def slices(first: Array, end: Array) -> list[slice]:
    """Return the ranges from each first to its end."""
    return list(map(slice, first.tolist(), end.tolist()))


def side_by_side(
    planes: Array, axes: Sequence[Axis], block: slice, beyond: float, dtype: np.dtype[Any]
) -> Array:
    """Return x laid out for a block of planes, in scratch memory of a dtype: (*k, p, *o)."""
    xp, x = namespace(planes), planes[block]
    shape: list[int] = [len(x)]
    for number, windows in enumerate(axes, 1):
        at, outside = windows.taps()
        shape += at.shape[1:]
        flat, outside = at.reshape(-1), outside.reshape(-1)  # (o k)
        if (xp.diff(flat) == 1).all():  # side by side as they are
            first = int(flat[:1].sum())
            x = xp.moveaxis(xp.moveaxis(x, number, 0)[first : first + outside.size], 0, number)
        else:
            x = x.take(flat, number)
        if outside.any():  # x is a copy here: a tap beyond its window reads an element twice
            xp.moveaxis(x, number, 0)[outside] = beyond
    by_window = x.reshape(shape)  # (p, o_1, k_1, o_2, k_2, ...)
    k_first = (*range(2, len(shape), 2), 0, *range(1, len(shape), 2))
    laid = tiles.scratch(xp, tuple(shape[a] for a in k_first), dtype, "laid")
    xp.copyto(laid, by_window.transpose(k_first))
    return laid


def gathered(planes: Array, axes: Sequence[Axis], corners: Array, block: slice) -> Array:
    """Return x laid out likewise, where every plane has windows of its own, all of one size.

    They begin at `corners`, (p, *o).

    Element by element: axis after axis, 8 x 64 maps of 28 x 28 to 20 take one and a half times as
    long.
    """
    xp, x = namespace(planes), planes[block]
    k = tuple(int(axis.size[0]) for axis in axes)
    steps = math.prod(x.shape[1:]) * xp.arange(len(x))
    at = corners + steps.reshape(-1, *(1,) * len(k))  # (p, *o)
    laid = tiles.scratch(xp, (*k, *at.shape), x.dtype, "laid")
    flat, offsets = x.reshape(-1), ravel([xp.arange(k_) for k_ in k], x.shape[1:])
    for tap in np.ndindex(k):
        laid[tap] = flat.take(at + offsets[tap])
    return laid


def corner(axes: Sequence[Axis], i: Sequence[int]) -> Array:
    """Return the flat position of every window's first tap, (P, *o), in a plane of shape i."""
    positions = []
    for number, axis in enumerate(axes, 1):
        others = tuple(a for a in range(1, 1 + len(i)) if a != number)
        positions.append(
            namespace(axis.first).expand_dims(axis.first, others) * math.prod(i[number:])
        )
    return functools.reduce(operator.add, positions)


def ragged_boxes(xp: Any, planes: int, windows: Sequence[Windows], itemsize: int) -> list[Box]:
    """Cut (p, *o) into boxes of planes and outputs whose layout is small."""
    shape = planes, *(w.outputs for w in windows)
    each = COPIES * itemsize * max(1, math.prod(w.widest for w in windows))
    return tiles.boxes(shape, plane_room(xp, each, math.prod(shape)))


def axes_of(windows: Sequence[Windows], box: Box) -> list[Axis]:
    """Return the windows of a box of planes and outputs."""
    return [w.of(box[0], side) for w, side in zip(windows, box[1:], strict=True)]


# --------------------------------------------------------------------------- sum and maximum


def sums(
    planes: Array,
    windows: Sequence[Windows],
    dtype: np.dtype[Any],
    finish: Finish | None = None,
) -> Array:
    """Return the sum of every window, (p, *o), added in order of k; `finish` ends it in place."""
    xp, acc = namespace(planes), geometry.summing(dtype)
    y = geometry.result(xp, (len(planes), *(w.outputs for w in windows)), dtype)

    def task(box: Box) -> None:
        axes = axes_of(windows, box)
        laid = side_by_side(planes, axes, box[0], 0, acc)
        total = tiles.scratch(xp, tiles.extent(box), acc, "total")
        total.fill(0)
        for k in np.ndindex(laid.shape[: len(axes)]):
            total += laid[k]
        if finish is not None:
            finish(total, axes)
        y[box] = total

    tiles.run(xp, task, ragged_boxes(xp, len(planes), windows, acc.itemsize), products=False)
    return y


def largest(planes: Array, windows: Sequence[Windows]) -> tuple[Array, Array]:
    """Return the winner of every window and its flat position, both (p, *o)."""
    xp, i = namespace(planes), planes.shape[1:]
    shape = (len(planes), *(w.outputs for w in windows))
    y, indices = geometry.result(xp, shape, planes.dtype), geometry.result(xp, shape, np.int64)

    def task(box: Box) -> None:
        axes = axes_of(windows, box)
        corners = corner(axes, i)
        if len(corners) > 1:
            laid = gathered(planes, axes, corners, box[0])
        else:
            laid = side_by_side(planes, axes, box[0], lowest(planes.dtype), planes.dtype)
        best, wide = y[box], laid.shape[: len(axes)]
        offset = ravel([xp.arange(k) for k in wide], i).reshape(-1)  # of each tap
        number_type = np.min_scalar_type(max(0, math.prod(wide) - 1))
        winner = tiles.scratch(xp, best.shape, number_type, "winner")
        arena = Arena(lambda: ((laid[k], best, winner) for k in np.ndindex(wide)), best, winner)
        contest(arena, 0)
        xp.add(corners, offset.take(winner), out=indices[box])
        if has_negative_zero(laid, best):  # of 0 and -0 the first wins
            best[...] = gather(planes[box[0]], indices[box])

    tiles.run(
        xp, task, ragged_boxes(xp, len(planes), windows, planes.dtype.itemsize), products=False
    )
    return y, indices
