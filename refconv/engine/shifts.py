"""The windows of a tile of planes as shifts of flat runs: every tap is one plain stretch of memory.

NumPy walks over the rows of a map one by one, and over every s-th element one by one: for rows of
20 elements that costs six times what as much memory in one stretch costs. So what a tile reads is
copied once, its padding too, by phases: phase r holds every s-th element from the r-th on. In the
plane of a phase the input of tap k for output o lies k d // s behind o, along every axis, for all
outputs: in flat memory the tap is the same stretch again, further on.

    x  abcd --(s = 2: phases 0, 1)-->  a c   b d     tap 0 of windows ab cd: phase 0 from a on,
       efgh                            e g   f h     tap 1: phase 1 from b on

The stretch also holds what lies between the rows of outputs: those results are not read. A 5 x 5
max pool of 256 maps of 20 x 20, eight images, takes 8 ms where rows take 28 (2 cores, float32).
"""

import itertools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from refconv.engine import tiles
from refconv.engine.tiles import Box
from refconv.geometry import Array, Pool
from refconv.geometry.sizes import Shape, last_axes, window_extent

TAPS = 256  # of a window: more, and shifts of padding cost more than rows
MOST_BYTES = 15 << 18  # of scratch memory: a tile of rows needs no more
MOST_CELLS = 3  # copied for each that x has, or each output: more is mostly gaps or padding


class Grid(NamedTuple):
    """The phases of what a box of outputs reads: s of them, each of t cells a plane."""

    first: Shape  # what the first output reads first, o s - p: at a negative place in the padding
    s: Shape
    d: Shape
    k: Shape
    t: Shape
    o: Shape  # outputs of the box

    def bytes(self, itemsize: int, beside: int) -> int:
        """Return what a plane needs: its phases and outputs, and so many bytes beside an output."""
        return math.prod(self.t) * ((math.prod(self.s) + 1) * itemsize + beside)


def apart(geo: Pool) -> bool:
    """Return whether no input is of two windows, dilation aside."""
    return all(k <= s for k, s in zip(geo.k, geo.s, strict=True))


def phases_of(xp: Any, geo: Pool, side: Box) -> Grid | None:
    """Return the phases for a box of outputs, or None where rows serve better.

    They do where windows lie apart: copying earns nothing where all is read once.
    """
    o = tiles.extent(side)
    if xp is not np or math.prod(geo.k) > TAPS or apart(geo) or 0 in o:
        return None
    read = [
        (o_ - 1) * s + window_extent(k, d)
        for o_, s, k, d in zip(o, geo.s, geo.k, geo.d, strict=True)
    ]
    t = tuple(-(-size // s) for size, s in zip(read, geo.s, strict=True))
    cells, outputs = math.prod(t), math.prod(o)
    inputs = math.prod(map(min, read, geo.i))
    if cells > MOST_CELLS * outputs or cells * math.prod(geo.s) > MOST_CELLS * inputs:
        return None
    first = tuple(b.start * s - p for b, s, p in zip(side, geo.s, geo.p, strict=True))
    return Grid(first, geo.s, geo.d, geo.k, t, o)


def grid(xp: Any, geo: Pool, box: Box, itemsize: int, beside: int) -> Grid | None:
    """Return the phases for a box of planes and outputs, or None: also where they need too much."""
    found = phases_of(xp, geo, box[1:])
    planes = box[0].stop - box[0].start
    return found if found and planes * found.bytes(itemsize, beside) <= MOST_BYTES else None


def bytes_each(xp: Any, geo: Pool, itemsize: int, beside: int) -> int:
    """Return how much scratch memory an output needs, with so many bytes beside each."""
    found = phases_of(xp, geo, tuple(slice(0, o) for o in geo.o))
    if found is None:
        return itemsize + beside
    return -(-found.bytes(itemsize, beside) // math.prod(geo.o))


# --------------------------------------------------------------------------- phases


def read_phases(found: Grid, planes: Array, beyond: float, dtype: np.dtype[Any]) -> Array:
    """Return what a tile reads of planes (p, *i), in scratch memory: (*s, p, *t)."""
    phases = tiles.scratch(np, (*found.s, len(planes), *found.t), dtype, "phases")
    phases.fill(beyond)
    for of_x, r, of_t in pairs(found, planes.shape[1:]):
        phases[r][last_axes(of_t)] = planes[last_axes(of_x)]
    return phases


def write_phases(found: Grid, phases: Array, planes: Array) -> None:
    """Write phases (*s, p, *t) to planes (p, *i), where they were read; padding is dropped."""
    for of_x, r, of_t in pairs(found, planes.shape[1:]):
        planes[last_axes(of_x)] = phases[r][last_axes(of_t)]


def pairs(found: Grid, i: Shape) -> Iterator[tuple[Box, Shape, Box]]:
    """Yield for every phase its part of x, which phase it is, and the cells that hold it."""
    for r in itertools.product(*map(range, found.s)):
        of_x, of_t = [], []
        for r_, first, s, t, size in zip(r, found.first, found.s, found.t, i, strict=True):
            at = first + r_  # of cell 0
            lo = max(0, -(at // s))  # the first cell within x
            hi = max(lo, min(t, -((at - size) // s)))
            of_t.append(slice(lo, hi))
            of_x.append(slice(at + lo * s, max(0, at + (hi - 1) * s + 1), s))
        yield tuple(of_x), r, tuple(of_t)


# --------------------------------------------------------------------------- stretches


def empty(found: Grid, planes: int, dtype: np.dtype[Any], slot: str) -> tuple[Array, Array]:
    """Return outputs of a tile in scratch memory: flat, and as outputs (p, *o)."""
    whole = tiles.scratch(np, (planes, *found.t), dtype, slot)
    return whole.reshape(-1), whole[last_axes(slice(0, o) for o in found.o)]


def shifts(found: Grid, phases: Array) -> Iterator[Array]:
    """Yield the stretch of every tap, in order of k: as long as the outputs' own."""
    rank = len(found.s)
    steps = [math.prod(found.t[axis + 1 :]) for axis in range(rank)]
    spans = [(k - 1) * d // s for k, d, s in zip(found.k, found.d, found.s, strict=True)]
    last = sum(span * step for span, step in zip(spans, steps, strict=True))
    length = math.prod(phases.shape[rank:]) - last
    for k in itertools.product(*map(range, found.k)):
        at = [tap * d for tap, d in zip(k, found.d, strict=True)]
        r = tuple(a % s for a, s in zip(at, found.s, strict=True))
        shift = sum(a // s * step for a, s, step in zip(at, found.s, steps, strict=True))
        yield phases[r].reshape(-1)[shift : shift + length]
