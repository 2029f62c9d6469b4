"""The windows of a tile side by side, as matrices: what turns convolution into matrix products.

    correlate         y = b + w @ columns(x)
    sum_over_outputs  w = y @ columns(x)^T              the adjoint in x is in `columns_back`

    columns (im2col)   row (c, k), column (n, o):   cols[c k, n o] = x[n, c, o s + k d - p]

At stride 1 along the axis that boxes are cut along, most often the first, its taps need no rows of
their own: the window of tap k is the window of tap 0, k d rows further down. One matrix, without
that kernel axis and with that many rows more, then serves every tap as a plain view of itself,
shifted (Cho and Brand, "MEC: memory-efficient convolution", 2017): a k-th of the copying, for one
matrix product a tap.

    x  abc --(taps 01 along the rows)--> ab bc      every tap a copy
       def                               de ef
       ghi                               gh hi      shift 0: rows 1-2, shift 1: rows 2-3
"""

import functools
import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from refconv.engine import tiles
from refconv.engine.patches import input_box, lies_inside, patch_fits, read_patch, windows
from refconv.engine.tiles import Box
from refconv.geometry import Array, Conv, namespace

COLUMNS = 256  # of one matrix product: fewer and the packing of w costs more than the product earns
PRODUCTS = 1 << 20  # multiply-adds of a tile: fewer and NumPy's calls cost more than the arithmetic
IMAGES = 8  # of a convolution without windows: fewer, and threads have too little to share
MAP = 32  # outputs of one: fewer, and images side by side take half (960 maps of 3 x 3 to 160)
SHIFT_ROWS = 128  # of a shifted matrix: fewer and adding up the products costs more than copying


class Plan(NamedTuple):
    """How a convolution is cut into tiles, and its columns into `shifts` matrices."""

    images: list[slice]
    groups: list[slice]
    filters: list[slice]
    channels: list[slice]
    boxes: list[Box]
    axis: int  # that is shifted along
    shifts: int
    rows_per_channel: int  # of each matrix: the taps that are not among its shifts

    def rows(self, c: slice) -> slice:
        """Return the rows of a block of channels."""
        return slice(c.start * self.rows_per_channel, c.stop * self.rows_per_channel)


def has_no_windows(geo: Conv) -> bool:
    """Return whether every output reads one input, its own: 1 x 1, stride 1, no padding."""
    return math.prod(geo.k) == max(geo.s) == 1 and geo.i == geo.o and not any(map(any, geo.p))


def used_as_it_lies(geo: Conv, xs: Array) -> bool:
    """Return whether xs, (N, g, c, *i), is its own columns, of enough images and large maps."""
    return (
        isinstance(xs, np.ndarray)
        and geo.n >= IMAGES
        and has_no_windows(geo)
        and math.prod(geo.o) >= MAP
        and xs.flags.c_contiguous
    )


class Limits(NamedTuple):
    """What the cut depends on besides the problem: two plans are one where these are the same."""

    host: bool  # whether the arrays are NumPy's
    room: int
    columns: int
    products: int
    shift_rows: int


def limits(xp: Any, itemsize: int) -> Limits:
    """Return the limits as they are now."""
    return Limits(xp is np, tiles.room(xp, itemsize), COLUMNS, PRODUCTS, SHIFT_ROWS)


@functools.lru_cache(tiles.PLANS)
def cut_tiles(geo: Conv, most_of: Limits, adjoint: bool = False) -> Plan:
    """Cut images, groups, channels and outputs so that the columns of one tile fit the scratch.

    Boxes of at least COLUMNS outputs come first, of several images where that is little work; then
    as many channels as fit, then as many groups; and as many filters as their products fit.
    The adjoint adds the columns onto a patch, which holds s inputs along an axis for each output:
    more than the taps where windows leave gaps; its outputs, of all filters, fit too. It does not
    shift; nor does a device, where copying costs less than more products, and which takes as many
    images as fit.
    """
    taps, room = math.prod(geo.k), most_of.room
    axis = None if adjoint or not most_of.host else shifted_axis(geo, most_of)
    if axis is not None:
        shifts, rows, images = geo.k[axis], taps // geo.k[axis], 1
        boxes = shifted_boxes(geo, axis, most_of)
        sides = tiles.extent(boxes[0])
        most = (sides[axis] + geo.d[axis] * (shifts - 1)) * math.prod(sides[axis + 1 :])
    else:
        shifts, rows = 1, taps
        taps = max(taps, math.prod(geo.s)) if adjoint else taps
        fits, least = room // (taps * geo.c), most_of.columns
        least = min(least, max(1, room // geo.m)) if adjoint else least
        boxes = tiles.boxes(geo.o, max(least, fits))
        most = math.prod(tiles.extent(boxes[0]))
        worth = most_of.products // (geo.m * geo.c * taps) if most_of.host else fits
        wanted = max(least, min(fits, worth))
        images = max(1, min(geo.n, wanted // most))
    filters = tiles.blocks(geo.m, room // (most * images))
    room //= taps // shifts * most * images
    return Plan(
        images=tiles.blocks(geo.n, images),
        filters=filters,
        groups=tiles.blocks(geo.g, room // geo.c),
        channels=tiles.blocks(geo.c, room),
        boxes=boxes,
        axis=axis or 0,
        shifts=shifts,
        rows_per_channel=rows,
    )


def shifted_axis(geo: Conv, most_of: Limits) -> int | None:
    """Return the axis along which to shift: the one that boxes are cut along, or None.

    Three axes are cut along the second where one output of the first fills a tile: 64 channels of
    8 x 28 x 28 to 64 take three quarters of the time that all taps side by side take.
    """
    for axis, (k, s, d) in enumerate(zip(geo.k, geo.s, geo.d, strict=True)):
        sides = tiles.extent(shifted_boxes(geo, axis, most_of)[0])
        if (
            max(sides[:axis], default=1) == 1 < k
            and s == 1
            and 2 * d <= sides[axis]
            and geo.c * (math.prod(geo.k) // k) >= most_of.shift_rows
            and math.prod(sides) >= most_of.columns
        ):
            return axis
    return None


def shifted_boxes(geo: Conv, axis: int, most_of: Limits) -> list[Box]:
    """Return the boxes of a convolution that is shifted along an axis.

    With the rows that shifts read beside them they fit, unless that leaves few outputs: a tile
    that does not fit is cut into channels, and 64 of 128 x 128 to 64 take a tenth longer so.
    """
    each = most_of.room // (geo.c * (math.prod(geo.k) // geo.k[axis]))
    further = geo.d[axis] * (geo.k[axis] - 1) * math.prod(geo.o[axis + 1 :])
    fits = each - further if each - further >= most_of.columns else each
    return tiles.boxes(geo.o, max(most_of.columns, fits))


def plan_columns(
    xp: Any,
    geo: Conv,
    itemsize: int,
    beside: Array | None = None,
    adjoint: bool = False,
) -> Plan | None:
    """Return how to cut a convolution, or None where matrices of windows do not serve it.

    They do not where an axis is empty; where a tile would hold mostly gaps or padding; and where
    zeros of the padding would be multiplied by what is `beside` them, which is not finite.
    """
    if 0 in (geo.n, geo.g, geo.c, geo.m, *geo.k, *geo.o, *geo.i):
        return None
    plan = cut_tiles(geo, limits(xp, itemsize), adjoint)
    padded = reads_padding(geo)
    planes = plan.images[0].stop * plan.groups[0].stop * plan.channels[0].stop
    if (adjoint or padded) and not patch_fits(xp, geo, planes * itemsize, plan.boxes[0]):
        return None
    if padded and beside is not None and not finite(beside):
        return None
    return plan


@functools.lru_cache(tiles.PLANS)
def reads_padding(geo: Conv) -> bool:
    """Return whether any window reaches beyond x."""
    return not lies_inside(input_box(geo, tuple(slice(0, o) for o in geo.o)), geo.i)


def finite(a: Array) -> bool:
    """Return whether every element is finite, so that zeros may be multiplied by it.

    Almost always their sum tells.
    """
    if a.dtype.kind not in "fc":
        return True
    xp = namespace(a)
    with np.errstate(all="ignore"):
        return bool(xp.isfinite(a.sum())) or bool(xp.isfinite(a).all())


def flat(box: Box, o: Sequence[int]) -> slice:
    """Return the range of a box in flat outputs: boxes are whole in the axes behind the cut one."""
    first = np.ravel_multi_index([side.start for side in box], tuple(o))
    return slice(int(first), int(first) + math.prod(tiles.extent(box)))


def takes_threads(geo: Conv, dtype: np.dtype[Any]) -> bool:
    """Return whether BLAS might share the product of a convolution that is one tile."""
    taps, outputs = math.prod(geo.k), math.prod(geo.o)
    return tiles.takes_threads(dtype, geo.m, geo.c * taps, geo.n * outputs)


def cost(geo: Conv) -> float:
    """Return roughly how many nanoseconds a convolution takes one thread: copies, then products."""
    read = geo.n * geo.g * geo.c * math.prod(geo.k) * math.prod(geo.o)
    return read * (0.4 + 0.02 * geo.m) + geo.n * geo.g * geo.m * math.prod(geo.o)


def columns(
    geo: Conv, plan: Plan, xs: Array, n: slice, g: slice, c: slice, box: Box
) -> list[Array]:
    """Return the matrices of a tile, each (g, c taps, n P), from xs (N, g, c, *i)."""
    xp, x, o = namespace(xs), xs[n, g, c], tiles.extent(box)
    as_it_lies = plan.rows_per_channel == max(geo.s) == len(x) == 1  # one tap a row, one image
    patch = read_patch(geo, x, box, "columns" if as_it_lies else "patch")
    k, further, rank = list(geo.k), list(o), len(o)
    if plan.shifts > 1:
        k[plan.axis] = 1
        further[plan.axis] += geo.d[plan.axis] * (plan.shifts - 1)
    view = windows(patch, tuple(k), tuple(further), geo.s, geo.d)
    # (n, g, c, *k, *o) -> (g, c, *k, n, *o)
    view = view.transpose(*range(1, 3 + rank), 0, *range(3 + rank, 3 + 2 * rank))
    if as_it_lies:
        matrix = view.reshape(*view.shape[:2], -1)
    else:
        matrix = tiles.scratch(xp, view.shape, x.dtype, "columns")
        xp.copyto(matrix, view)
        matrix = matrix.reshape(len(matrix), view.shape[1] * plan.rows_per_channel, -1)
    step, outputs = geo.d[plan.axis] * math.prod(o[plan.axis + 1 :]), len(x) * math.prod(o)
    return [matrix[..., t * step : t * step + outputs] for t in range(plan.shifts)]


def matrices_of(geo: Conv, plan: Plan, w: Array) -> Array:
    """Return w as the matrices that go with `columns`: (shifts, g, m, c taps)."""
    shape = plan.shifts, geo.g, geo.m, geo.c * plan.rows_per_channel
    if plan.shifts == 1:
        view: Array = w.reshape(shape)
        return view
    theirs = by_shift(plan, w)
    matrices = np.empty((*shape[:3], geo.c, plan.rows_per_channel), w.dtype)

    def task(item: tuple[int, tuple[Any, ...]]) -> None:
        row, tap = item  # one by one: as many loops as rows, of w, take four times as long
        matrices[..., row] = theirs[(..., *tap)]

    tiles.run(np, task, list(enumerate(np.ndindex(*theirs.shape[4:]))), False, 1.5 * w.size)
    return matrices.reshape(shape)


def by_shift(plan: Plan, w: Array) -> Array:
    """Return the view (shifts, g, m, c, rest of k) of w, (g, m, c, *k)."""
    return w[None] if plan.shifts == 1 else namespace(w).moveaxis(w, 3 + plan.axis, 0)


def side_by_side(gys: Array, n: slice, g: slice, m: slice, box: Box) -> Array:
    """Return the outputs of a tile side by side, (g, m, n P), from gys (N, g, m, *o)."""
    gy: Array = gys[(n, g, m, *box)]
    shape = (gy.shape[1], gy.shape[2], -1)
    xp = namespace(gy)
    by_group: Array = gy.transpose(1, 2, 0, *range(3, gy.ndim))  # (n, g, m, *o) -> (g, m, n, *o)
    if len(gy) == 1:
        return by_group.reshape(shape)
    side = tiles.scratch(xp, by_group.shape, gy.dtype, "outputs")
    xp.copyto(side, by_group)
    return side.reshape(shape)


# --------------------------------------------------------------------------- products


def correlate(geo: Conv, plan: Plan, xs: Array, w: Array, bias: Array | None, y: Array) -> None:
    """Write b + w @ columns(x) to y, (N, g, m, P), tile by tile."""
    xp = namespace(xs)
    ws = matrices_of(geo, plan, w)  # (shifts, g, m, c taps)
    bs = None if bias is None else bias.reshape(geo.g, geo.m, 1, 1)

    def task(tile: tuple[slice, slice, slice, Box]) -> None:
        n, g, m, box = tile
        at = flat(box, geo.o)
        images, single = n.stop - n.start, plan.shifts == len(plan.channels) == 1
        shape = (g.stop - g.start, m.stop - m.start, images * (at.stop - at.start))
        onto = y[n, g, m, at].transpose(1, 2, 0, 3)  # (g, m, n, P)
        # in place, or beside: y is not in the cache, and its rows are far apart
        out = (
            onto[:, :, 0]
            if images == 1 and single
            else tiles.scratch(xp, shape, y.dtype, "products")
        )
        for c in plan.channels:
            for shift, cols in enumerate(columns(geo, plan, xs, n, g, c, box)):
                kernel = ws[shift, g, m, plan.rows(c)]
                if c.start == shift == 0:
                    xp.matmul(kernel, cols, out=out)  # (g, m, c taps) @ (g, c taps, nP)
                else:
                    more = tiles.scratch(xp, shape, y.dtype, "patch")  # which has been read
                    out += xp.matmul(kernel, cols, out=more)
        found = out.reshape(*shape[:2], images, -1)
        if bs is not None:
            xp.add(found, bs[g, m], out=onto)
        elif images > 1 or not single:
            onto[...] = found

    cut = list(itertools.product(plan.images, plan.groups, plan.filters, plan.boxes))
    tiles.run(xp, task, cut, takes_threads(geo, xs.dtype), cost(geo))


def cut_sums(
    geo: Conv, plan: Plan, room: int, outputs: int
) -> tuple[list[slice], list[slice], list[slice]]:
    """Return the groups and channels of a weight gradient's tasks, and the parts of the outputs.

    Sums are over all outputs, in order. Where that makes few tasks, a small gradient is summed in
    parts; of a large one those would not fit the scratch, and its channels are shared.
    """
    wanted = tiles.PARTS if cost(geo) >= tiles.SHARED else 1  # tasks
    fit = max(1, 2 * room // math.prod(geo.w_shape))  # parts whose sums are little memory
    parts = min(wanted, 1 << (fit.bit_length() - 1))
    most = room // (geo.m * plan.rows_per_channel)  # channels whose products fit
    groups = tiles.blocks(geo.g, min(plan.groups[0].stop, most // geo.c))
    share = -(-geo.c * len(groups) * parts // wanted)
    channels = tiles.blocks(geo.c, min(plan.channels[0].stop, most, share))
    parts = -(-wanted // (len(groups) * len(channels)))
    return groups, channels, tiles.blocks(outputs, -(-outputs // min(parts, fit)))


def sum_over_outputs(geo: Conv, plan: Plan, xs: Array, gys: Array, gw: Array) -> None:
    """Write gy @ columns(x)^T to gw, (g, m, c, *k), tile by tile."""
    xp = namespace(xs)
    outputs = list(itertools.product(plan.images, plan.boxes))
    groups, channels, parts = cut_sums(geo, plan, tiles.room(xp, xs.itemsize), len(outputs))
    onto = by_shift(plan, gw)
    shape = plan.shifts, geo.g, geo.m, geo.c * plan.rows_per_channel
    sums = xp.empty((len(parts), *shape), xs.dtype) if len(parts) > 1 else None

    def task(tile: tuple[int, slice, slice]) -> None:
        part, g, c = tile
        rows = plan.rows(c)
        size = plan.shifts, g.stop - g.start, geo.m, rows.stop - rows.start
        total = (
            tiles.scratch(xp, size, xs.dtype, "total")
            if sums is None
            else sums[part, :, g, :, rows]  # (shifts, g, m, c taps)
        )
        for number, (n, box) in enumerate(outputs[parts[part]]):
            matrices = columns(geo, plan, xs, n, g, c, box)
            for m in plan.filters:
                beside = side_by_side(gys, n, g, m, box)  # (g, m, nP)
                for shift, cols in enumerate(matrices):
                    mine = total[shift, :, m]
                    if number == 0:
                        xp.matmul(beside, cols.swapaxes(1, 2), out=mine)
                    else:
                        more = tiles.scratch(xp, mine.shape, xs.dtype, "products")
                        mine += xp.matmul(beside, cols.swapaxes(1, 2), out=more)
        if sums is None:
            result = onto[:, g, :, c]
            result[...] = total.reshape(result.shape)

    cut = list(itertools.product(range(len(parts)), groups, channels))
    tiles.run(xp, task, cut, takes_threads(geo, xs.dtype), cost(geo))
    if sums is not None:
        with np.errstate(all="ignore"):
            onto[...] = sums.sum(0).reshape(onto.shape)
