"""Windows of any start and size that all planes share: a tap of them all is some rows of a matrix.

With the planes side by side, x is a matrix of one row for each input, one column for each plane.
Tap k of every window is then a few of its rows, in one long stretch each; `ragged`, which lays out
the windows of one plane after the other, copies element by element: it takes 10 ms for the average
of 512 maps of 20 x 20 over 3 x 3 windows, eight images, where this takes one.

    x  abcde  --(one row an input)-->  a1 a2     tap 0 of windows abc cde: rows a, c
       (planes 1, 2)                   b1 b2     tap 1: rows b, d
                                       ...

A window with fewer taps than the largest reads its last input again, which must not count.
"""

import functools
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from refconv import geometry
from refconv.engine import large_windows, tiles
from refconv.engine.planes import ravel, scratch_room
from refconv.engine.ragged import Axis, Finish, Windows, all_windows, inputs_of, slices
from refconv.engine.winners import Arena, contest, fetch, gather, has_negative_zero, lowest
from refconv.geometry import Array, namespace
from refconv.geometry.sizes import Shape

ROW = 4  # planes of a tile at least: shorter rows take longer than single elements
MOST = 512  # and at most: longer rows take longer to turn


def plane_tiles(planes: Array, windows: Sequence[Windows], each: int) -> list[slice]:
    """Cut planes (p, *i) into tiles, with so many bytes for an input or output; [] if too small."""
    i, o = math.prod(planes.shape[1:]), math.prod(w.outputs for w in windows)
    most = scratch_room(np, each * max(1, i + 3 * o))
    if namespace(planes) is not np or min(most, len(planes)) < ROW or not o:
        return []
    return tiles.blocks(len(planes), min(most, MOST))


def rows(axes: Sequence[Axis], i: Shape) -> list[tuple[Array, Array | None]]:
    """Return, for every tap, the input of each window, flat (O,), and which windows have none."""
    steps = [math.prod(i[axis + 1 :]) for axis in range(len(i))]
    at, outside = np.zeros((1, 1), np.int64), np.zeros((1, 1), bool)  # (K, O)
    for axis, step in zip(axes, steps, strict=True):
        inputs, beyond = axis.taps()  # (1, o, k), (o, k)
        size = at.shape[0] * beyond.shape[1], at.shape[1] * beyond.shape[0]
        # (K, 1, O, 1) and (1, k, 1, o) -> (K k, O o)
        at = (at[:, None, :, None] + (inputs[0].T * step)[None, :, None, :]).reshape(size)
        outside = (outside[:, None, :, None] | beyond.T[None, :, None, :]).reshape(size)
    return [(each, some if some.any() else None) for each, some in zip(at, outside, strict=True)]


def matrix(planes: Array, dtype: np.dtype[Any]) -> Array:
    """Return planes (p, *i) as a matrix (I, p), in scratch memory."""
    by_plane = planes.reshape(len(planes), -1)
    laid = tiles.scratch(np, by_plane.shape[::-1], dtype, "rows")
    laid[...] = by_plane.T
    return laid


def sums(
    planes: Array,
    windows: Sequence[Windows],
    dtype: np.dtype[Any],
    finish: Finish | None = None,
) -> Array:
    """Return the sum of every window, (p, *o), added in order of k; `finish` ends it in place."""
    acc, o = geometry.summing(dtype), tuple(w.outputs for w in windows)
    cut = plane_tiles(planes, windows, acc.itemsize)
    if not cut:
        return large_windows.sums(planes, windows, dtype, finish)
    y, axes = geometry.result(np, (len(planes), *o), dtype), all_windows(windows)
    add = way_to_add(axes, planes.shape[1:], o)

    def task(block: slice) -> None:
        laid = matrix(planes[block], acc)
        total = tiles.scratch(np, (math.prod(o), laid.shape[1]), acc, "total")
        total.fill(0)
        add(laid, total)
        onto = y[block]
        done = onto if y.dtype == acc else tiles.scratch(np, onto.shape, acc, "done")
        done.reshape(len(onto), -1)[...] = total.T
        if finish is not None:
            finish(done, axes)
        if done is not onto:
            onto[...] = done

    tiles.run(np, task, cut, products=False)
    return y


def way_to_add(axes: Sequence[Axis], i: Shape, o: Shape) -> Callable[[Array, Array], None]:
    """Return how to add the windows of a matrix (I, p) onto (O, p) in the fewest calls.

    All three add the inputs of a window one after the other, in order.
    """
    taps = 3 * math.prod(int(axis.size.max()) for axis in axes)
    if math.prod(o) < min(taps, math.prod(i)):
        return functools.partial(by_windows, inputs_of(axes), i)
    if math.prod(i) < taps:
        return functools.partial(by_inputs, outputs_of(axes, i), o)
    return functools.partial(by_taps, rows(axes, i))


def outputs_of(axes: Sequence[Axis], i: Shape) -> list[tuple[slice, ...]]:
    """Return the windows that hold an input, for every input: neighbours, as windows follow so."""
    along = []
    for axis, size in zip(axes, i, strict=True):
        first, inputs = axis.first[0], np.arange(size)
        lo = np.searchsorted(first + axis.size, inputs, side="right")
        hi = np.searchsorted(first, inputs, side="right")
        along.append(slices(lo, hi))
    return list(itertools.product(*along))


def by_windows(found: Sequence[tuple[slice, ...]], i: Shape, laid: Array, total: Array) -> None:
    """Add all inputs of a window at once: NumPy adds row by row."""
    x = laid.reshape(*i, laid.shape[1])
    for number, inputs in enumerate(found):
        np.add.reduce(x[inputs], axis=tuple(range(len(i))), out=total[number])


def by_inputs(found: Sequence[tuple[slice, ...]], o: Shape, laid: Array, total: Array) -> None:
    """Add an input onto all its windows at once."""
    y = total.reshape(*o, total.shape[1])
    for x, outputs in zip(laid, found, strict=True):
        y[outputs] += x


def by_taps(found: Sequence[tuple[Array, Any]], laid: Array, total: Array) -> None:
    """Add a tap of all windows at once."""
    v = tiles.scratch(np, total.shape, total.dtype, "tap")
    for at, beyond in found:
        fetch(laid, at, v)
        if beyond is not None:
            v[beyond] = 0
        total += v


def largest(planes: Array, windows: Sequence[Windows]) -> tuple[Array, Array]:
    """Return the winner of every window and its flat position, both (p, *o)."""
    i, o = planes.shape[1:], tuple(w.outputs for w in windows)
    cut = plane_tiles(planes, windows, max(planes.itemsize, 8))
    if not cut or large_windows.plane_tiles(planes, windows):
        return large_windows.largest(planes, windows)
    shape = len(planes), *o
    y, indices = geometry.result(np, shape, planes.dtype), geometry.result(np, shape, np.int64)
    axes = all_windows(windows)
    found = rows(axes, i)
    corner = ravel([axis.first[0] for axis in axes], i).reshape(-1, 1)
    wide = [int(axis.size.max()) for axis in axes]
    offset = ravel([np.arange(k) for k in wide], i).reshape(-1)  # of each tap

    def task(block: slice) -> None:
        laid = matrix(planes[block], planes.dtype)
        flat = math.prod(o), laid.shape[1]
        best, v = (tiles.scratch(np, flat, planes.dtype, slot) for slot in ("best", "tap"))
        number_type = np.min_scalar_type(max(0, math.prod(wide) - 1))
        winner = tiles.scratch(np, flat, number_type, "winner")

        def contenders() -> Iterator[tuple[Array, Array, Array]]:
            for at, beyond in found:
                fetch(laid, at, v)
                if beyond is not None:
                    v[beyond] = lowest(planes.dtype)  # wins only if it is larger
                yield v, best, winner

        contest(Arena(contenders, best, winner), 0)
        at = tiles.scratch(np, flat, np.dtype(np.int64), "at")
        fetch(offset, winner, at)
        at += corner
        indices[block].reshape(flat[::-1])[...] = at.T
        y[block].reshape(flat[::-1])[...] = best.T
        if has_negative_zero(planes[block], y[block]):  # of 0 and -0 the first wins
            y[block] = gather(planes[block], indices[block])

    tiles.run(np, task, cut, products=False)
    return y, indices
