"""Convolution with few channels a group (depthwise): products with banded matrices.

Windows of one channel side by side make matrices of one row: no work for a matrix product. But the
outputs of a whole strip, `wide` of them beside each other, are one row times a band:

    y[0:4] = x[0:6] @ band      w = a b c      band  a . . .
                                                     b a . .
                                                     c b a .
                                                     . c b a
                                                     . . c b
                                                     . . . c

A strip reads a run of `s (wide - 1) + d (k - 1) + 1` inputs. Runs of all rows of an image lie one
below the other in memory, so the rows that one output reads are one longer run, and every q-th
output, q high enough that their runs do not overlap, is a row of a plain matrix:

    x, strips of a plane, image under image      outputs r, r + q, r + 2 q, ... for each r < q
    (g, strips, n, rows, c, run)  --view-->      (g, q, strips n J, height c run)

    correlate         outputs = inputs @ band
    transposed        inputs += outputs @ band^T
    sum_over_outputs  band    = inputs^T @ outputs, summed along its diagonals

The zeros of the band make the products exact but for infinities and NaN: where what comes out is
not finite, `taps` computes it again. Measured on 2 cores against windows side by side, float32,
batch 8: see docs/speed.md.
"""

import functools
import itertools
import math
from typing import Any, NamedTuple

import numpy as np

from refconv.engine import taps, tiles
from refconv.engine.columns import finite
from refconv.engine.patches import meeting
from refconv.geometry import Array, Conv
from refconv.geometry.sizes import window_extent

WIDE = 16  # outputs of a strip at most: more, and the band is mostly zeros
MOST_ZEROS = 12  # elements of the band for each that is no zero: beyond, windows cost less
CHANNELS = 6  # of a group, in or out: beyond, windows make matrices of their own
GROUPS = 4  # fewer, and windows are as fast


class Strips(NamedTuple):
    """How a convolution over two axes is cut into strips, and into tiles of images and groups."""

    wide: int  # outputs of a strip
    across: int  # strips beside each other
    height: int  # rows of inputs that an output reads
    run: int  # inputs of a row that a strip reads
    q: int  # outputs from one to the next whose inputs do not overlap
    rows: list[slice]  # of outputs, in tiles
    images: list[slice]
    groups: list[slice]


class Tile(NamedTuple):
    """Images, groups and rows of outputs; of each image j outputs, or j q s rows of inputs."""

    n: slice
    g: slice
    rows: slice
    j: int


def over_two_axes(geo: Conv) -> Conv:
    """Return a convolution over one axis as one over two, the first of which has one element."""
    if len(geo.k) == 2:
        return geo
    one, none = (1,), ((0, 0),)
    return geo._replace(
        i=one + geo.i, k=one + geo.k, o=one + geo.o, s=one + geo.s, p=none + geo.p, d=one + geo.d
    )


def strips(xp: Any, geo: Conv, like: np.dtype[Any]) -> Strips | None:
    """Return how to cut a convolution into strips, or None where bands do not serve it."""
    if xp is not np or like.kind not in "fc":
        return None
    return cut_strips(geo, 3 * tiles.room(xp, like.itemsize) // 2)


@functools.lru_cache(tiles.PLANS)
def cut_strips(geo: Conv, room: int) -> Strips | None:
    """Return how to cut a convolution into strips that fit the room, or None."""
    if (
        len(geo.k) > 2
        or geo.g < GROUPS
        or max(geo.c, geo.m) > CHANNELS
        or math.prod(geo.k) == 1
        or 0 in (geo.n, geo.g, geo.c, geo.m, *geo.k, *geo.o, *geo.i)
    ):
        return None
    geo = over_two_axes(geo)
    (_, k), (rows, o), (down, s), (_, d) = geo.k, geo.o, geo.s, geo.d
    wide = -(-o // -(-o // WIDE))
    height, run = window_extent(geo.k[0], geo.d[0]), s * (wide - 1) + window_extent(k, d)
    band = height * geo.c * run * geo.m * wide
    if height * run > MOST_ZEROS * math.prod(geo.k) or band > room:
        return None
    across, q = -(-o // wide), -(-height // down)
    row = across * max(down * geo.c * run, geo.m * wide)  # elements that a row of outputs holds
    at_once = max(1, room // row - height)
    cut = tiles.blocks(rows, at_once)
    plane = row * (cut[0].stop + height + q)
    images = tiles.blocks(geo.n, room // plane)
    return Strips(
        wide, across, height, run, q, cut, images,
        groups=tiles.blocks(geo.g, min(room // (plane * images[0].stop), room // band)),
    )  # fmt: skip


def cost(geo: Conv) -> float:
    """Return roughly how many nanoseconds a convolution takes one thread."""
    return 7.0 * geo.n * geo.g * max(geo.c, geo.m) * math.prod(geo.o)


def tile_of(geo: Conv, cut: Strips, n: slice, g: slice, rows: slice) -> Tile:
    """Return a tile."""
    read = (rows.stop - rows.start - 1) * geo.s[0] + cut.height
    return Tile(n, g, rows, -(-read // (cut.q * geo.s[0])))


# --------------------------------------------------------------------------- inputs


class Inputs(NamedTuple):
    """What a tile reads of x, in scratch memory: by strip and row, and as rows of a matrix."""

    by_strip: Array  # (g, strips, n, rows, c, run)
    by_output: Array  # (g, q, strips n j, height c run): the same memory


def empty_inputs(geo: Conv, cut: Strips, tile: Tile, like: np.dtype[Any]) -> Inputs:
    """Return the inputs of a tile, all zero."""
    g, n = tile.g.stop - tile.g.start, tile.n.stop - tile.n.start
    height = tile.j * cut.q * geo.s[0]
    length, width = cut.across * n * height, geo.c * cut.run
    behind = max(0, cut.height - geo.s[0])  # the last outputs read beyond the last image
    flat = tiles.scratch(np, (g, length + behind, width), like, "inputs")
    flat.fill(0)
    step = width * like.itemsize
    by_output = np.lib.stride_tricks.as_strided(
        flat,
        (g, cut.q, cut.across * n * tile.j, cut.height * width),
        (flat.strides[0], geo.s[0] * step, cut.q * geo.s[0] * step, like.itemsize),
    )
    by_strip = flat[:, :length].reshape(g, cut.across, n, height, geo.c, cut.run)
    return Inputs(by_strip, by_output)


def input_pairs(
    geo: Conv, cut: Strips, tile: Tile, by_strip: Array, xs: Array
) -> list[tuple[Array, Array]]:
    """Return pairs of views that hold the same inputs: of a tile's, and of xs (N, g, c, *i).

    Strips within x are one pair; each of those that begin before it or end behind it is another.
    """
    x = xs[tile.n, tile.g].transpose(1, 0, 3, 2, 4)  # (g, n, row, c, column)
    (top, _), (left, _) = geo.p
    first, step = tile.rows.start * geo.s[0] - top, cut.wide * geo.s[1]
    height, pairs = by_strip.shape[3], []
    inside = [
        strip
        for strip in range(cut.across)
        if strip * step >= left and strip * step - left + cut.run <= geo.i[1]
    ]
    for strip in range(cut.across):
        at = strip * step - left
        sides = slice(first, first + height), slice(at, at + cut.run)
        (down, along), (row, column) = meeting(sides, geo.i)
        theirs = x[:, :, down, :, along]
        if strip not in inside:
            pairs.append((by_strip[:, strip, :, row, :, column], theirs))
        elif strip == inside[0]:
            all_of_them = np.lib.stride_tricks.as_strided(
                theirs,
                (len(theirs), len(inside), *theirs.shape[1:]),
                (theirs.strides[0], step * theirs.strides[-1], *theirs.strides[1:]),
            )
            pairs.append((by_strip[:, inside[0] : inside[-1] + 1, :, row], all_of_them))
    return pairs


def read_inputs(geo: Conv, cut: Strips, tile: Tile, xs: Array) -> Inputs:
    """Return the inputs of a tile, from xs (N, g, c, *i), zeros too."""
    found = empty_inputs(geo, cut, tile, xs.dtype)
    for mine, theirs in input_pairs(geo, cut, tile, found.by_strip, xs):
        mine[...] = theirs
    return found


def add_inputs(geo: Conv, cut: Strips, tile: Tile, found: Inputs, gxs: Array) -> None:
    """Add the inputs of a tile onto gxs, (N, g, c, *i): the adjoint of `read_inputs`.

    Strips overlap: they are added one after the other.
    """
    for mine, theirs in input_pairs(geo, cut, tile, found.by_strip, gxs):
        if mine.ndim == theirs.ndim == 5:
            theirs += mine
        else:
            for strip in range(mine.shape[1]):
                onto = theirs[:, strip]
                onto += mine[:, strip]


# --------------------------------------------------------------------------- outputs


def empty_outputs(geo: Conv, cut: Strips, tile: Tile, like: np.dtype[Any]) -> Array:
    """Return the outputs of a tile, in scratch memory: (g, q, strips n j, m wide)."""
    n, g = tile.n.stop - tile.n.start, tile.g.stop - tile.g.start
    shape = g, cut.q, cut.across * n * tile.j, geo.m * cut.wide
    return tiles.scratch(np, shape, like, "outputs")


def output_pairs(
    geo: Conv, cut: Strips, tile: Tile, outputs: Array, ys: Array
) -> list[tuple[Array, Array]]:
    """Return pairs of views that hold the same outputs: of a tile's, and of ys (N, g, m, *o).

    Row j q + r of y is row j of the outputs r. Beyond the last row, and beside the last column, the
    tile holds what no output is.
    """
    n, g = tile.n.stop - tile.n.start, tile.g.stop - tile.g.start
    strips = outputs.reshape(g, cut.q, cut.across, n, tile.j, geo.m, cut.wide)
    y = ys[tile.n, tile.g, :, tile.rows]  # (n, g, m, row, column)
    mine = strips.transpose(3, 0, 5, 4, 1, 2, 6)  # (g, r, s, n, j, m, t) -> (n, g, m, j, r, s, t)
    pairs = []
    for (js, rs), (ss, ts) in itertools.product(
        parts_of(y.shape[3], cut.q), parts_of(geo.o[1], cut.wide)
    ):
        part = mine[..., js, rs, ss, ts]
        first = y[..., js.start * cut.q :, ss.start * cut.wide :]
        down, beside = y.strides[3:]
        steps = *y.strides[:3], cut.q * down, down, cut.wide * beside, beside
        pairs.append((part, np.lib.stride_tricks.as_strided(first, part.shape, steps)))
    return pairs


def parts_of(size: int, step: int) -> list[tuple[slice, slice]]:
    """Cut range(size) into the whole runs of a step and the rest: which runs, and what of each.

    >>> parts_of(7, 3)
    [(slice(0, 2, None), slice(0, 3, None)), (slice(2, 3, None), slice(0, 1, None))]
    """
    whole, rest = divmod(size, step)
    both = [(slice(0, whole), slice(0, step)), (slice(whole, whole + 1), slice(0, rest))]
    return [pair for pair, there in zip(both, (whole, rest), strict=True) if there]


def read_outputs(geo: Conv, cut: Strips, tile: Tile, gys: Array) -> Array:
    """Return the outputs of a tile, from gys (N, g, m, *o): zero where none is."""
    outputs = empty_outputs(geo, cut, tile, gys.dtype)
    outputs.fill(0)
    for mine, theirs in output_pairs(geo, cut, tile, outputs, gys):
        mine[...] = theirs
    return outputs


# --------------------------------------------------------------------------- bands


def diagonals(geo: Conv, cut: Strips, band: Array) -> Array:
    """Return the view of a band (g, height c run, m wide) by what w is: (g, m, c, *k, wide)."""
    d, s, item = geo.d, geo.s[1], band.itemsize
    column, row = item, geo.m * cut.wide * item
    steps = (
        band.strides[0],
        cut.wide * column,
        cut.run * row,
        d[0] * geo.c * cut.run * row,
        d[1] * row,
        s * row + column,
    )
    shape = (len(band), geo.m, geo.c, *geo.k, cut.wide)
    view: Array = np.lib.stride_tricks.as_strided(band, shape, steps)
    return view


def band_of(geo: Conv, cut: Strips, w: Array) -> Array:
    """Return the bands (g, height c run, m wide) of w, (g, m, c, *k)."""
    shape = len(w), cut.height * geo.c * cut.run, geo.m * cut.wide
    band = tiles.scratch(np, shape, w.dtype, "band")
    band.fill(0)
    diagonals(geo, cut, band)[...] = w[..., None]
    return band


# --------------------------------------------------------------------------- the three


def correlate(geo: Conv, cut: Strips, xs: Array, w: Array, bias: Array | None, ys: Array) -> None:
    """Write b + w times the windows of xs, (N, g, c, *i), to ys, (N, g, m, *o)."""
    geo, narrow = over_two_axes(geo), geo
    x, y = xs.reshape(*xs.shape[:3], *geo.i), ys.reshape(*ys.shape[:3], *geo.o)
    kernel = w.reshape(*w.shape[:3], *geo.k)
    bs = None if bias is None else bias.reshape(geo.g, geo.m, 1, 1)
    again: set[tuple[int, int]] = set()

    def task(at: tuple[tuple[int, slice], tuple[int, slice], slice]) -> None:
        (number_n, n), (number_g, g), rows = at
        tile = tile_of(geo, cut, n, g, rows)
        inputs, band = read_inputs(geo, cut, tile, x), band_of(geo, cut, kernel[g])
        outputs = empty_outputs(geo, cut, tile, x.dtype)
        # (g, q, strips n j, height c run) @ (g, 1, height c run, m wide)
        np.matmul(inputs.by_output, band[:, None], out=outputs)
        if not finite(outputs):
            again.add((number_n, number_g))
        for mine, theirs in output_pairs(geo, cut, tile, outputs, y):
            theirs[...] = mine
        if bs is not None:
            y[n, g, :, rows] += bs[g]

    images, groups = list(enumerate(cut.images)), list(enumerate(cut.groups))
    tiles.run(np, task, list(itertools.product(images, groups, cut.rows)), cost=cost(geo))
    for number_n, number_g in sorted(again):
        n, g = cut.images[number_n], cut.groups[number_g]
        ys[n, g] = 0
        taps.correlate(part(narrow, n, g), xs[n, g], w[g], ys[n, g])
        if bias is not None:
            with np.errstate(all="ignore"):
                ys[n, g] += bias.reshape(geo.g, geo.m, *(1,) * len(narrow.o))[g]


def transposed(geo: Conv, cut: Strips, w: Array, gys: Array, gxs: Array) -> None:
    """Add w^T times gys, (N, g, m, *o), onto gxs, (N, g, c, *i), which is zero."""
    geo, narrow = over_two_axes(geo), geo
    gx, gy = gxs.reshape(*gxs.shape[:3], *geo.i), gys.reshape(*gys.shape[:3], *geo.o)
    kernel = w.reshape(*w.shape[:3], *geo.k)
    again: set[tuple[int, int]] = set()

    def task(at: tuple[tuple[int, slice], tuple[int, slice]]) -> None:
        (number_n, n), (number_g, g) = at  # owns gx[n, g]: rows of tiles overlap
        band = band_of(geo, cut, kernel[g])
        for rows in cut.rows:
            tile = tile_of(geo, cut, n, g, rows)
            outputs = read_outputs(geo, cut, tile, gy)
            inputs = empty_inputs(geo, cut, tile, gy.dtype)
            product = tiles.scratch(
                np, inputs.by_output[:, 0].shape, gy.dtype, "products"
            )  # of every q-th output: those of one r do not overlap
            for r in range(cut.q):
                np.matmul(outputs[:, r], band.swapaxes(1, 2), out=product)
                inputs.by_output[:, r] += product
            add_inputs(geo, cut, tile, inputs, gx)
        if not finite(gx[n, g]):
            again.add((number_n, number_g))

    items = list(itertools.product(enumerate(cut.images), enumerate(cut.groups)))
    tiles.run(np, task, items, cost=cost(geo))
    for number_n, number_g in sorted(again):
        n, g = cut.images[number_n], cut.groups[number_g]
        gxs[n, g] = 0
        taps.transposed(part(narrow, n, g), w[g], gys[n, g], gxs[n, g])


def sum_over_outputs(geo: Conv, cut: Strips, xs: Array, gys: Array) -> Array:
    """Return gys, (N, g, m, *o), times the windows of xs, (N, g, c, *i): (g, m, c, *k)."""
    geo, narrow = over_two_axes(geo), geo
    x, gy = xs.reshape(*xs.shape[:3], *geo.i), gys.reshape(*gys.shape[:3], *geo.o)
    outer = list(itertools.product(cut.images, cut.rows))
    shares = tiles.blocks(len(outer), -(-len(outer) * len(cut.groups) // tiles.PARTS))
    sums = np.empty((len(shares), geo.g, geo.m, geo.c, *geo.k), x.dtype)

    def task(at: tuple[int, slice]) -> None:
        share, g = at
        shape = g.stop - g.start, cut.height * geo.c * cut.run, geo.m * cut.wide
        total = tiles.scratch(np, shape, x.dtype, "band")
        total.fill(0)
        product = tiles.scratch(np, shape, x.dtype, "products")
        for n, rows in outer[shares[share]]:
            tile = tile_of(geo, cut, n, g, rows)
            inputs = read_inputs(geo, cut, tile, x)
            outputs = read_outputs(geo, cut, tile, gy)
            for r in range(cut.q):
                np.matmul(inputs.by_output[:, r].swapaxes(1, 2), outputs[:, r], out=product)
                total += product
        sums[share, g] = diagonals(geo, cut, total).sum(-1)

    tiles.run(np, task, list(itertools.product(range(len(shares)), cut.groups)), cost=cost(geo))
    with np.errstate(all="ignore"):
        gw: Array = sums.sum(0).reshape(geo.g, geo.m, geo.c, *narrow.k)
    if not finite(gw):
        gw.fill(0)
        taps.sum_over_outputs(narrow, xs, gys, gw)
    return gw


def part(geo: Conv, n: slice, g: slice) -> Conv:
    """Return the convolution of some images and groups."""
    return geo._replace(n=n.stop - n.start, g=g.stop - g.start)
