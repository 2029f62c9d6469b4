"""Sums over adaptive windows of small planes, as one matrix product.

    Input 12345 --(3 windows)--> 12 234 45          1 . .
                                            (1 x 5) 1 1 .  = 3 9 9
                                                    . 1 .
                                                    . 1 1
                                                    . . 1

A plane, flat, times a matrix of ones and zeros has the sums of all its windows; over several axes
the matrix is the Kronecker product of theirs. A product may add in any order: it serves the mean of
a whole map, which has none in torch either, and gradients where no two windows share an input.
Where what comes out is not finite, a zero may have met an infinity: `shared_windows` adds up those
planes again, tap by tap, as it does everything else. On 2 cores, in float32, the mean of 2048 x 7
takes 0.3 ms for eight images where it took 2.6.
"""

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from refconv import geometry
from refconv.engine import shared_windows, tiles
from refconv.engine.columns import finite
from refconv.engine.ragged import Finish, Windows, all_windows
from refconv.geometry import Array, namespace
from refconv.geometry.sizes import Shape, adaptive_range

DIRECT = 1 << 20  # elements of x in a tile that reads it as it lies: fewer, and threads cost more
MOST = 1 << 17  # elements of the matrix: beyond, adding tap by tap takes no longer


@functools.lru_cache(maxsize=16)
def matrix(i: Shape, o: Shape, dtype: np.dtype[Any]) -> Array:
    """Return the matrix (inputs, outputs) that is 1 where a window holds an input."""

    def along(i: int, o: int) -> Array:
        outputs: Any = np.arange(o)
        first, end = adaptive_range(i, o, outputs)
        inputs = np.arange(i)[:, None]
        held: Array = ((first <= inputs) & (inputs < end)).astype(dtype)
        return held

    found: Array = functools.reduce(np.kron, map(along, i, o))
    found.flags.writeable = False
    return found


def serves(planes: Array, o: Shape, ordered: bool) -> bool:
    """Return whether one product takes less time than sums of windows, and has their bits.

    An `ordered` sum of rounded numbers has, if it is of one of them.
    """
    i = planes.shape[1:]
    size = math.prod(i) * math.prod(o)
    if ordered and any(outputs % inputs for inputs, outputs in zip(i, o, strict=True) if inputs):
        return False
    return bool(
        namespace(planes) is np and planes.dtype.kind == "f" and len(planes) and 0 < size <= MOST
    )


def sums(
    planes: Array,
    windows: Sequence[Windows],
    dtype: np.dtype[Any],
    finish: Finish | None = None,
    ordered: bool = True,
) -> Array:
    """Return the sum of every window, (p, *o), of planes (p, *i); `finish` ends it in place.

    Where it is `ordered`, the order of the sum tells in its bits.
    """
    i, o = planes.shape[1:], tuple(w.outputs for w in windows)
    if math.prod(i) == 1 and finish is None:  # every window holds the one input
        one: Array = geometry.result(namespace(planes), (len(planes), *o), dtype)
        one[...] = planes
        return one
    if not serves(planes, o, ordered):
        return shared_windows.sums(planes, windows, dtype, finish)
    acc = geometry.summing(dtype)
    ones, y = matrix(i, o, acc), geometry.result(np, (len(planes), *o), dtype)
    axes = all_windows(windows)

    def task(block: slice) -> None:
        x, onto = planes[block], y[block]
        if x.dtype != acc or not x.flags.c_contiguous:
            x = tiles.scratch(np, x.shape, acc, "planes")
            x[...] = planes[block]
        total = tiles.scratch(np, onto.shape, acc, "total")
        flat = len(x), -1
        np.matmul(x.reshape(flat), ones, out=total.reshape(flat))  # (p, I) @ (I, O)
        if not finite(total):
            onto[...] = shared_windows.sums(planes[block], windows, dtype, finish)
            return
        if finish is not None:
            finish(total, axes)
        onto[...] = total

    in_place = planes.dtype == acc and planes.flags.c_contiguous  # x needs no scratch
    most = max(1, DIRECT // math.prod(i)) if in_place else len(planes)
    room = tiles.room(np, acc.itemsize) // (math.prod(o) if in_place else max(ones.shape))
    tiles.run(np, task, tiles.blocks(len(planes), min(most, room)))
    return y
