"""What the pools share: planes, and the part of a plane that one tap of the window reads.

A pool treats every image and channel alike, so (N, C, *i) is N C planes of shape i. It visits the
taps k of the window in order; for each, the outputs of a tile whose tap lies inside x form a box,
and so do the inputs read: o s + k d - p.
"""

import functools
import math
import operator
from collections.abc import Sequence
from typing import Any

from refconv import tiles
from refconv.checks import Array, Pool, namespace
from refconv.shapes import Shape, tap_range
from refconv.tiles import Box

TILE_BYTES = 1 << 18  # of outputs: they, their inputs and the masks beside them fit a core's cache


def room(xp: Any, itemsize: int) -> int:
    """Return how many outputs a tile may have."""
    return tiles.times(xp) * TILE_BYTES // itemsize


def output_boxes(xp: Any, f: Pool, itemsize: int) -> list[Box]:
    """Cut (N C, *o) into boxes of planes and outputs."""
    return tiles.boxes((f.n * f.c, *f.o), room(xp, itemsize))


def plane_blocks(xp: Any, f: Pool, itemsize: int) -> tuple[list[slice], list[Box]]:
    """Cut (N C) into blocks, and o into the boxes to visit in order within each."""
    inputs = max(1, math.prod(f.i))
    most = room(xp, itemsize)
    return tiles.blocks(f.n * f.c, most // inputs), tiles.boxes(f.o, most)


def tap(f: Pool, k: Shape, box: Box) -> tuple[Box, Box]:
    """Return the inputs that tap k reads for a box of outputs, and those outputs within the box."""
    of_x, of_y = [], []
    for k_, i, o, s, p, d, side in zip(k, f.i, f.o, f.s, f.p, f.d, box, strict=True):
        first, last = tap_range(i, o, k_, s, p, d)
        first, last = max(first, side.start), min(last, side.stop)
        count, at = max(0, last - first), first * s + k_ * d - p
        of_x.append(slice(at, at + (count - 1) * s + 1, s) if count else slice(0, 0))
        of_y.append(slice(first - side.start, first - side.start + count) if count else slice(0, 0))
    return tuple(of_x), tuple(of_y)


def reads(f: Pool, box: Box) -> Box:
    """Return the inputs from the first to the last that a box of outputs reads."""
    return tuple(
        slice(max(0, side.start * s - p), (side.stop - 1) * s + d * (k - 1) - p + 1)
        for side, k, s, p, d in zip(box, f.k, f.s, f.p, f.d, strict=True)
    )


def ravel(coordinates: Sequence[Array], sizes: Shape) -> Array:
    """Return the flat positions of a grid, given its coordinates along each axis.

    >>> import numpy as np
    >>> ravel([np.array([0, 2]), np.array([1, 2])], (3, 4))
    array([[ 1,  2],
           [ 9, 10]])
    """
    steps = [math.prod(sizes[axis + 1 :]) for axis in range(len(sizes))]
    grids = namespace(coordinates[0]).ix_(*coordinates)
    return functools.reduce(operator.add, [g * step for g, step in zip(grids, steps, strict=True)])
