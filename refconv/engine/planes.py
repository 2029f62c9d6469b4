"""What the pools share: planes, and the part of a plane that one tap of the window reads.

A pool treats all images and channels the same way, so (N, C, *i) is N C planes of shape i. It
visits the taps k of the window in order; for each, the outputs of a tile whose tap lies inside x
form a box, and so do the inputs read: o s + k d - p.
"""

import functools
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from refconv.engine import tiles
from refconv.engine.tiles import Box
from refconv.engine.visits import Visits, axis_visits
from refconv.geometry import Array, Pool, namespace
from refconv.geometry.sizes import Shape

TILE_BYTES = 3 << 20  # of all scratch arrays of a tile: with fewer, NumPy's calls cost more
PARTS = 4  # tiles at least, so that threads have something to share, ...
WORTH = 1 << 15  # ... if each has so many outputs: with fewer, threads cost more


def scratch_room(xp: Any, each: int) -> int:
    """Return how many things of so many bytes each the scratch of a tile holds."""
    return tiles.times(xp) * TILE_BYTES // max(1, each)


def plane_room(xp: Any, each: int, total: int) -> int:
    """Return how many of `total` outputs a tile may have, with so many bytes of scratch each."""
    most = scratch_room(xp, each)
    return min(most, max(WORTH, -(-total // PARTS))) if xp is np else most


def output_boxes(xp: Any, geo: Pool, each: int) -> list[Box]:
    """Cut (N C, *o) into boxes of planes and outputs, with so many bytes of scratch each."""
    shape = geo.n * geo.c, *geo.o
    return tiles.boxes(shape, plane_room(xp, each, math.prod(shape)))


def plane_blocks(xp: Any, geo: Pool, each: int) -> tuple[list[slice], list[Box]]:
    """Cut (N C) into blocks, and o into the boxes to visit in order within each."""
    outputs = math.prod(geo.o)
    most = plane_room(xp, each, geo.n * geo.c * outputs)
    return tiles.blocks(geo.n * geo.c, most // max(1, outputs)), tiles.boxes(geo.o, most)


def by_planes(function: Callable[..., Array], out: Array, *maps: Array, copies: int) -> Array:
    """Write what a function makes of maps (p, ...) to `out`, (p, ...), a few planes at a time.

    It makes so many `copies` of the largest of them.
    """
    xp, planes = namespace(out), len(out)
    each = max(1, *(math.prod(a.shape[1:]) for a in (out, *maps)))
    most = plane_room(xp, copies * out.itemsize, planes * each) // each

    def task(block: slice) -> None:
        out[block] = function(*(a[block] for a in maps))

    tiles.run(xp, task, tiles.blocks(planes, most), products=False)
    return out


def tap_axes(geo: Pool, side: Box) -> list[Visits]:
    """Return, for every axis, the taps that read inside x for a box of outputs, as `axis_visits`.

    Taps that lie beyond x for all of them are left out, and cost nothing, however many they are.
    """
    sizes = zip(geo.i, geo.k, geo.o, geo.s, geo.p, geo.d, side, strict=True)
    return [axis_visits(*each) for each in sizes]


def reads(found: Sequence[Visits]) -> Box:
    """Return the inputs from the first to the last that any tap reads."""
    return tuple(
        slice(min(at.start for _, at, _ in axis), max(at.stop for _, at, _ in axis))
        for axis in found
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
