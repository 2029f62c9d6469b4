"""The gradient of the input at a stride above 1, by phases: nothing is added back.

Phase r of x holds every s-th element from the r-th on. Tap k of a window reads phase (k d - p) mod
s and no other, for all outputs, so that along each axis

    x[t s + r]  =  sum over the taps k of phase r     w[k]^T y[t + q]      q = (r + p - k d) / s

    s = 2, k = 4, p = 1       phase 0: taps 3, 1 at q = -1, 0      phase 1: taps 2, 0 at q = 0, 1

which is a correlation at stride 1 for every phase. All of them read the same windows of y, so these
are laid side by side once: a row for each (q, m), the rows of a phase one below the other, a column
for each (t, n). Along the first axis q needs no rows: there it is a shift of the columns, as in
`columns`, whose own adjoint writes c K products for each output and then adds them onto x, tap by
tap; this copies m Q outputs, Q the number of q, and writes each x once.

Against that, batch 8, float32, 2 cores: 3 x 3 at stride 2, 128 channels of 56 x 56 from 128 of 28 x
28, takes 0.7 of the time; 2 x 2, from 256 channels of 32 x 32 to 128, 0.8; 4 x 4, from 128 of 16 x
16 to 64, 0.7; 7 x 7, 64 to 64, 0.3.
"""

import functools
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from refconv.engine import columns, tiles
from refconv.engine.patches import box_of, windows
from refconv.engine.tiles import Box
from refconv.geometry import Array, Conv
from refconv.geometry.sizes import Shape, last_axes

FILTERS = 4  # for each channel at most: beyond (8 of x, 64 of y), adding back takes less
OUTPUTS = 2  # for each filter at least: with fewer, laying out w takes longer than adding back
TAPS = 256  # of a window at most: each may be a product of its own
ALONE = 4  # taps at most where each is of a phase of its own: 4 x 4 at stride 4 is slower
CELLS = 2  # read for each cell of a phase at most: more is mostly what lies between tiles
SHARE = 64  # channels of a tile at least: fewer, and products are too flat
COPIED = 1 << 15  # elements of w at once, so that they are still in the cache when read again


class Axis(NamedTuple):
    """The phases along one axis."""

    cells: int  # of phase 0: no other has more
    q: range  # of any tap
    taps: dict[int, list[tuple[int, int]]]  # (q, k) of each phase that has any, by q

    def rows(self, r: int) -> slice:
        """Return which of all q the taps of a phase have."""
        first = self.taps[r][0][0] - self.q.start
        return slice(first, first + len(self.taps[r]))

    def order(self) -> list[int]:
        """Return all taps, those of a phase behind one another."""
        return [k for each in self.taps.values() for _, k in each]


class Product(NamedTuple):
    """A matrix product: which taps, in the order of `kernels`, and which rows of windows."""

    taps: tuple[int | slice, ...]
    rows: tuple[int | slice, ...]
    shift: int  # cells of the first axis


class Plan(NamedTuple):
    """The phases that have taps, with their products, and how their cells are cut into tiles."""

    axes: list[Axis]
    phases: dict[Shape, list[Product]]
    images: list[slice]
    groups: list[slice]
    filters: list[slice]
    channels: list[slice]
    boxes: list[Box]


def axis_of(i: int, k: int, s: int, p: int, d: int) -> Axis | None:
    """Return the phases of an axis, or None where the taps of one do not follow one another.

    >>> axis_of(8, 4, 2, 1, 1)
    Axis(cells=4, q=range(-1, 2), taps={1: [(0, 2), (1, 0)], 0: [(-1, 3), (0, 1)]})
    >>> axis_of(9, 2, 2, 0, 4) is None  # q = 0 and -2
    True
    """
    taps: dict[int, list[tuple[int, int]]] = {}
    for tap in reversed(range(k)):
        r = (tap * d - p) % s
        taps.setdefault(r, []).append(((r + p - tap * d) // s, tap))
    found = [q for each in taps.values() for q, _ in each]
    reach = range(min(found), max(found) + 1)
    apart = any(each[-1][0] - each[0][0] >= len(each) for each in taps.values())
    if apart or len(reach) > k:
        return None
    return Axis(-(-i // s), reach, dict(sorted(taps.items(), reverse=True)))


def products(axes: Sequence[Axis], phase: Shape) -> Iterator[Product]:
    """Yield the products of a phase: taps along the last axis are rows, along the first a shift."""
    taps = [axis.taps[r] for axis, r in zip(axes, phase, strict=True)]
    if len(axes) == 1:
        for q, k in taps[0]:
            yield Product((axes[0].order().index(k),), (), q - axes[0].q.start)
        return
    *lead, last = taps
    first = axes[-1].order().index(last[0][1])
    for each in itertools.product(*lead):
        (shift, _), *middle = each
        between = [q - axis.q.start for (q, _), axis in zip(middle, axes[1:], strict=False)]
        yield Product(
            (*(k for _, k in each), slice(first, first + len(last))),
            (*between, axes[-1].rows(phase[-1])),
            shift - axes[0].q.start,
        )


@functools.lru_cache(tiles.PLANS)
def cut(geo: Conv, room: int, least: int) -> Plan | None:
    """Return how to cut an input gradient into phases and tiles, of at least so many cells."""
    sizes = zip(geo.i, geo.k, geo.s, (lo for lo, _ in geo.p), geo.d, strict=True)
    axes = [axis for each in sizes if (axis := axis_of(*each)) is not None]
    if len(axes) < len(geo.k):  # of one there is no such way
        return None
    with_taps = itertools.product(*(axis.taps for axis in axes))
    phases = {tuple(r): list(products(axes, r)) for r in with_taps}
    rows, sums = geo.m * math.prod(len(axis.q) for axis in axes[1:]), geo.c * len(phases)
    each = max(least, room // max(rows, sums))
    boxes = tiles.boxes(tuple(axis.cells for axis in axes), each)
    first, *rest = tiles.extent(boxes[0])
    images = tiles.blocks(geo.n, each // (first * math.prod(rest)))
    written = images[0].stop * math.prod(rest) * first
    read = images[0].stop * math.prod(rest) * (first + len(axes[0].q) - 1)
    if read > CELLS * written:
        return None
    tasks = len(images) * len(boxes)
    fit = min(room // max(rows * read, sums * written), -(-geo.g * tasks // tiles.PARTS))
    groups = tiles.blocks(geo.g, fit)
    share = max(SHARE, -(-geo.c * tasks * len(groups) // tiles.PARTS))
    return Plan(
        axes, phases, images, groups,
        filters=tiles.blocks(geo.m, room * geo.m // (rows * read)),
        channels=tiles.blocks(geo.c, min(share, room // (len(phases) * written))),
        boxes=boxes,
    )  # fmt: skip


def plan_phases(xp: Any, geo: Conv, w: Array) -> Plan | None:
    """Return how to cut an input gradient into phases, or None where they do not serve it.

    Zeros beside y are multiplied by w, (g, m, c, *k), which must be finite.
    """
    taps = math.prod(geo.k)
    if (
        xp is not np
        or max(geo.s) == 1
        or 0 in (geo.n, geo.g, geo.c, geo.m, *geo.k, *geo.o, *geo.i)
        or geo.m > FILTERS * geo.c
        or taps > TAPS
        or (taps > ALONE and all(k <= s for k, s in zip(geo.k, geo.s, strict=True)))
        or (taps > 1 and geo.n * math.prod(geo.o) < OUTPUTS * geo.m)
    ):
        return None
    plan = cut(geo, 3 * tiles.room(xp, w.itemsize) // 4, columns.COLUMNS)  # w is copied beside
    return plan if plan and columns.finite(w) else None


def kernels(geo: Conv, plan: Plan, w: Array) -> list[Array]:
    """Return w, (g, m, c, *k), as (g, *k, m, c), for each block of filters.

    Along the last axis taps are in the order that makes those of a phase the rows of one matrix.
    """
    rank = len(geo.k)
    order = plan.axes[-1].order()
    blocks = [np.empty((geo.g, *geo.k, m.stop - m.start, geo.c), w.dtype) for m in plan.filters]
    by_tap = w.transpose(0, *range(3, 3 + rank), 1, 2)

    def task(item: tuple[int, slice]) -> None:
        block, m = item
        theirs = by_tap[..., plan.filters[block], :][..., m, :]
        for at, k in enumerate(order):
            blocks[block][..., at, m, :] = theirs[..., k, :, :]

    few = COPIED // (geo.c * math.prod(geo.k))
    items = [
        (number, m)
        for number, block in enumerate(blocks)
        for m in tiles.blocks(block.shape[-2], few)
    ]
    tiles.run(np, task, items, products=False, cost=2.0 * w.size)
    return blocks


def read_windows(plan: Plan, gys: Array, n: slice, g: slice, m: slice, box: Box) -> Array:
    """Return what a tile reads of gys, (N, g, m, *o), zeros too: (g, *q, m, t and further, n, *t).

    q are those of all axes but the first, and that of the first axis is how much further.
    """
    y, o, rank = gys[n, g, m], tiles.extent(box), len(box)
    read = tuple(
        slice(side.start + axis.q.start, side.stop + axis.q.stop - 1)
        for side, axis in zip(box, plan.axes, strict=True)
    )
    q, further = [len(axis.q) for axis in plan.axes], o[0] + len(plan.axes[0].q) - 1
    ones = (1,) * rank
    view = windows(box_of(y, read), (1, *q[1:]), (further, *o[1:]), ones, ones)[:, :, :, 0]
    # (n, g, m, *q, *t) -> (g, *q, m, t, n, *t)
    by_row = (1, *range(3, 2 + rank), 2, 2 + rank, 0, *range(3 + rank, 2 + 2 * rank))
    matrix = tiles.scratch(np, tuple(view.shape[axis] for axis in by_row), y.dtype, "columns")
    np.copyto(matrix, view.transpose(by_row))
    return matrix


def transposed(geo: Conv, plan: Plan, w: Array, gys: Array, gxs: Array) -> None:
    """Write w^T times gys, (N, g, m, *o), to gxs, (N, g, c, *i), which is zero."""
    ws = kernels(geo, plan, w)

    def task(tile: tuple[slice, slice, slice, Box]) -> None:
        n, g, c, box = tile
        first, *rest = tiles.extent(box)
        cells = first, n.stop - n.start, *rest
        shape = len(plan.phases), g.stop - g.start, c.stop - c.start, math.prod(cells)
        sums = tiles.scratch(np, shape, gys.dtype, "outputs")
        more = tiles.scratch(np, shape[1:], gys.dtype, "more")
        for block, m in enumerate(plan.filters):
            found = read_windows(plan, gys, n, g, m, box)
            for each, total in zip(plan.phases.values(), sums, strict=True):
                for number, product in enumerate(each):
                    by_tap = ws[block][(slice(None), *product.taps)][g, ..., c]
                    kernel = by_tap.reshape(shape[1], -1, shape[2])  # (g, q m, c)
                    rows = found[(slice(None), *product.rows)]
                    start = product.shift * math.prod(cells[1:])
                    matrix = rows.reshape(*kernel.shape[:2], -1)[..., start : start + shape[3]]
                    if block == number == 0:
                        np.matmul(kernel.swapaxes(1, 2), matrix, out=total)
                    else:
                        total += np.matmul(kernel.swapaxes(1, 2), matrix, out=more)
        for r, total in zip(plan.phases, sums.reshape(*shape[:3], *cells), strict=True):
            write_phase(geo, r, total, gxs[n, g, c], box)

    items = list(itertools.product(plan.images, plan.groups, plan.channels, plan.boxes))
    thin, outputs = min(geo.c, geo.m), geo.n * math.prod(axis.cells for axis in plan.axes)
    sizes = thin, geo.c * geo.m * math.prod(geo.k) // thin, outputs  # as flat as any product
    takes_threads = tiles.takes_threads(gys.dtype, *sizes)
    tiles.run(np, task, items, takes_threads, columns.cost(geo))


def write_phase(geo: Conv, r: Shape, cells: Array, gx: Array, box: Box) -> None:
    """Write a box of cells of phase r, (g, c, t, n, *t), to every s-th of gx, (n, g, c, *i)."""
    every = tuple(slice(r_, None, s) for r_, s in zip(r, geo.s, strict=True))
    onto = gx[last_axes(every)][last_axes(box)]
    by_image = cells.transpose(3, 0, 1, 2, *range(4, cells.ndim))
    onto[...] = by_image[last_axes(slice(size) for size in onto.shape[3:])]
