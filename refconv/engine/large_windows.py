"""Windows of hundreds of inputs, one after the other: each is a run of memory of its own.

Tap by tap, every input would cost a call of NumPy's. Here a window of one plane is copied to a run,
and added up or searched in a few calls: 3 x 3 windows of a 900 x 900 map take milliseconds where
tap by tap took seconds. Runs are cut where they are long, and added in order all the same.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from refconv import geometry
from refconv.engine import ragged, tiles
from refconv.engine.ragged import Finish, Windows, all_windows, inputs_of
from refconv.geometry import Array, namespace

LARGE = 256  # inputs of a window, on average: with fewer, tap by tap costs less
RUN = 1 << 17  # inputs of a run at most
WORTH = 1 << 18  # inputs of a tile, where there are so many


def plane_tiles(planes: Array, windows: Sequence[Windows]) -> list[slice]:
    """Cut planes (p, *i) into tiles; [] where windows are too small."""
    i, o = math.prod(planes.shape[1:]), math.prod(w.outputs for w in windows)
    if namespace(planes) is not np or not len(planes) or not o or i < LARGE * o:
        return []
    return tiles.blocks(len(planes), WORTH // i)


def sums(
    planes: Array,
    windows: Sequence[Windows],
    dtype: np.dtype[Any],
    finish: Finish | None = None,
) -> Array:
    """Return the sum of every window, (p, *o), added in order of k; `finish` ends it in place."""
    cut = plane_tiles(planes, windows)
    if not cut:
        return ragged.sums(planes, windows, dtype, finish)
    acc, axes = geometry.summing(dtype), all_windows(windows)
    y = geometry.result(np, (len(planes), *(w.outputs for w in windows)), dtype)
    everything = inputs_of(axes)

    def task(block: slice) -> None:
        total = tiles.scratch(np, y[block].shape, acc, "total")
        for x, found in zip(planes[block], total.reshape(len(total), -1), strict=True):
            for number, inputs in enumerate(everything):
                found[number] = in_order(x[inputs], acc)
        if finish is not None:
            finish(total, axes)
        y[block] = total

    tiles.run(np, task, cut, products=False)
    return y


def in_order(window: Array, acc: np.dtype[Any]) -> Any:
    """Return the sum of a window, one input after the other."""
    total = acc.type(0)
    for box in tiles.boxes(window.shape, RUN):
        part = window[box]
        run = tiles.scratch(np, (part.size + 1,), acc, "run")
        run[0], run[1:] = total, part.reshape(-1)
        total = np.add.accumulate(run, out=run)[-1]
    return total


def largest(planes: Array, windows: Sequence[Windows]) -> tuple[Array, Array]:
    """Return the winner of every window and its flat position, both (p, *o)."""
    cut = plane_tiles(planes, windows)
    if not cut:
        return ragged.largest(planes, windows)
    everything = inputs_of(all_windows(windows))
    shape = len(planes), *(w.outputs for w in windows)
    y, indices = geometry.result(np, shape, planes.dtype), geometry.result(np, shape, np.int64)

    def task(block: slice) -> None:
        x = planes[block]
        best, at = (a[block].reshape(len(x), -1) for a in (y, indices))
        for number, inputs in enumerate(everything):
            best[:, number], at[:, number] = winners(x, inputs)

    tiles.run(np, task, cut, products=False)
    return y, indices


def winners(x: Array, inputs: tuple[slice, ...]) -> tuple[Array, Array]:
    """Return the largest of a window in every plane, and its flat position.

    Of equals it is the first, and of NaN, which win, the last.
    """
    best: Any = None
    sizes = tuple(side.stop - side.start for side in inputs)
    for box in tiles.boxes(sizes, RUN // len(x)):
        part = tuple(
            slice(a.start + b.start, a.start + b.stop) for a, b in zip(inputs, box, strict=True)
        )
        run = x[(slice(None), *part)].reshape(len(x), -1)
        at = run.argmax(1)
        for plane in np.flatnonzero(np.isnan(run[range(len(x)), at])):
            at[plane] = np.flatnonzero(np.isnan(run[plane]))[-1]
        v = run[range(len(x)), at]
        within = np.unravel_index(at, tiles.extent(part))
        where = np.ravel_multi_index(
            [a + side.start for a, side in zip(within, part, strict=True)], x.shape[1:]
        )
        if best is None:
            best, found = v, where
        else:
            wins = (v > best) | np.isnan(v)
            best, found = np.where(wins, v, best), np.where(wins, where, found)
    return best, found
