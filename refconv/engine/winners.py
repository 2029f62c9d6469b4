"""What the max pools share: the contest between taps, and gather and scatter on the winners.

    gather    y[o]  = x[indices[o]]                          S x
    scatter   gx[i] = sum of gy[o] with indices[o] = i       S' gy

With the indices fixed the two are linear and each other's adjoint, for the indices of any pool.
An index of -1 is that of a window without any element: nothing is fetched from it, nothing added.
"""

import math
import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from refconv import geometry
from refconv.engine import shifts, tiles
from refconv.engine.planes import plane_room
from refconv.engine.tiles import Box
from refconv.engine.visits import Visits, visits
from refconv.geometry import Array, namespace
from refconv.geometry.sizes import last_axes

LOOKED_AT = 1 << 17  # elements at a time: a mask of a tile's inputs may be more than its scratch


def lowest(dtype: np.dtype[Any]) -> Any:
    """Return the value below all others."""
    return -np.inf if dtype.kind == "f" else np.iinfo(dtype).min


class Arena(NamedTuple):
    """Where taps contend: what each brings, where it is compared, and what comes out."""

    contenders: Callable[[], Iterable[tuple[Array, Array, Array]]]  # values, their best and winner
    best: Array  # (p, *o)
    winner: Array  # (p, *o) the number of a tap
    taps: Sequence[Sequence[int]] = ()  # along every axis, where they make its position


def by_rows(found: Sequence[Visits], xs: Array, box: Box) -> Arena:
    """Return taps that bring what they read of planes, (p, *i), row by row."""
    xp, count = namespace(xs), math.prod(map(len, found))
    shape, number_type = tiles.extent(box), np.min_scalar_type(count - 1)
    best = tiles.scratch(xp, shape, xs.dtype, "best")
    winner = tiles.scratch(xp, shape, number_type, "winner")

    def contenders() -> Iterator[tuple[Array, Array, Array]]:
        for _, of_x, of_y in visits(found):
            yield xs[last_axes(of_x)], best[last_axes(of_y)], winner[last_axes(of_y)]

    return Arena(contenders, best, winner, [[tap for tap, _, _ in axis] for axis in found])


def in_stretches(found: shifts.Grid, xs: Array) -> Arena:
    """Return taps that bring a stretch of memory each, from planes (p, *i)."""
    phases = shifts.read_phases(found, xs, lowest(xs.dtype), xs.dtype)
    number_type = np.min_scalar_type(math.prod(found.k) - 1)
    flat_best, best = shifts.empty(found, len(xs), xs.dtype, "best")
    flat_winner, winner = shifts.empty(found, len(xs), number_type, "winner")

    def contenders() -> Iterator[tuple[Array, Array, Array]]:
        for v in shifts.shifts(found, phases):
            yield v, flat_best[: len(v)], flat_winner[: len(v)]

    return Arena(contenders, best, winner, [list(range(k)) for k in found.k])


def contest(arena: Arena, first: Any = None) -> None:
    """Find the best of all taps, and the number of the winner: `first` where none is above lowest.

    A NaN wins over all numbers, and of several the last. They are rare: where none is among the
    best, comparing was right; else all taps play again, each asked whether it is one. Without
    `first` there is only a best, no winner.
    """
    xp, (best, winner) = namespace(arena.best), arena[1:3]
    for with_nan in (False, True):
        best.fill(lowest(best.dtype))
        if first is not None:
            winner[...] = first
        for number, (v, best_so_far, winner_so_far) in enumerate(arena.contenders()):
            if first is not None:
                visit(number, v, best_so_far, winner_so_far, with_nan)
            xp.maximum(best_so_far, v, out=best_so_far)
        if first is None or best.dtype.kind != "f" or not bool((best != best).any()):
            return


def visit(number: int, v: Array, best: Array, winner: Array, with_nan: bool) -> None:
    """Let tap `number`, of values v, win where it is larger than the best so far, or NaN."""
    xp, of_bool = namespace(v), np.dtype(bool)
    wins = xp.greater(v, best, out=tiles.scratch(xp, v.shape, of_bool, "wins"))
    if with_nan:
        wins |= xp.not_equal(v, v, out=tiles.scratch(xp, v.shape, of_bool, "nan"))
    # taps come in order: the last to win has the largest number, 0 where it does not win
    scored = tiles.scratch(xp, v.shape, winner.dtype, "scored")
    xp.multiply(wins.view(np.uint8), winner.dtype.type(number), out=scored)
    xp.maximum(winner, scored, out=winner)


def has_negative_zero(x: Array, best: Array) -> bool:
    """Return whether x holds -0.0 and a zero is among the best: a maximum takes them for equal."""
    if x.dtype.kind != "f" or not bool((best == 0).any()):
        return False
    xp, each = namespace(x), max(1, math.prod(x.shape[1:]))
    few = tiles.blocks(len(x), LOOKED_AT // each) if xp is np else [slice(None)]
    return any(bool((xp.signbit(x[block]) & (x[block] == 0)).any()) for block in few)


def fetch(table: Array, at: Array, out: Array) -> None:
    """Write the elements, or rows, of a table that are at positions within it to `out`."""
    if namespace(table) is np:
        table.take(at, 0, out, mode="clip")  # else NumPy copies `out`, lest one is out of range
    else:
        out[...] = table.take(at, 0)


def gather(planes: Array, indices: Array) -> Array:
    """Return planes (p, *i) at flat positions (p, *o), as (p, *o)."""
    flat = planes.reshape(len(planes), math.prod(planes.shape[1:]))
    at = indices.reshape(len(indices), math.prod(indices.shape[1:]))
    xp = namespace(flat)
    if flat.shape[1] == 0:
        return xp.zeros(indices.shape, planes.dtype)  # type: ignore[no-any-return]
    taken: Array = xp.take_along_axis(flat, at, 1).reshape(indices.shape)
    if indices.size and bool(indices.min() < 0):
        taken[indices < 0] = 0
    return taken


def scatter(indices: Array, values: Array, size: int) -> Array:
    """Return planes (p, size) of zeros, values (p, *o) added at flat positions in order of o.

    float16 is summed in float32 and rounded once.
    """
    xp = namespace(values)
    planes = geometry.result(
        xp, (len(indices), size), geometry.accumulator(values.dtype), zeros=True
    )
    write(indices, values, planes, np.add.at if xp is np else add_once)
    return geometry.rounded(planes, values.dtype)


def place(indices: Array, values: Array, size: int) -> Array:
    """Return planes (p, size) of zeros, values (p, *o) put at flat positions: the last stays."""
    planes = geometry.result(namespace(values), (len(indices), size), values.dtype, zeros=True)
    write(indices, values, planes, operator.setitem)
    return planes


def write(indices: Array, values: Array, planes: Array, how: Callable[..., Any]) -> None:
    """Call how(plane, positions, values) for all planes (p, size), in order of o."""
    xp, count, size = namespace(planes), math.prod(indices.shape[1:]), planes.shape[1]
    at, v = indices.reshape(len(indices), count), values.reshape(len(values), count)
    most = plane_room(xp, 2 * indices.itemsize, indices.size)
    with_none = bool(indices.size) and bool(indices.min() < 0)
    # in this thread: NumPy holds the interpreter while it writes, and two threads take longer
    for block in tiles.blocks(len(indices), most // max(1, count)):
        onto, each = planes[block].reshape(-1), xp.arange(block.stop - block.start) * size
        for run in tiles.blocks(count, most):
            shape = len(each), run.stop - run.start
            spread = tiles.scratch(xp, shape, indices.dtype, "spread")
            spread = xp.add(at[block, run], each[:, None], out=spread).reshape(-1)
            added = v[block, run].reshape(-1).astype(onto.dtype, copy=False)
            if with_none:
                there = at[block, run].reshape(-1) >= 0
                spread, added = spread[there], added[there]
            for turn in turns(spread):
                with np.errstate(all="ignore"):
                    how(onto, spread[turn], added[turn])


def turns(at: Array) -> Iterator[Any]:
    """Yield, in order, parts of the positions that may be written at once.

    NumPy writes one after another, so they are one part. A device writes all at once, whichever of
    equal positions comes last: there each part holds a position only once, its first occurrence in
    the first part, its second in the second, ...

    Positions 3 5 3 3 5 --(a device's turns)--> 3 5 . . .   . . 3 . 5   . . . 3 .
    """
    xp = namespace(at)
    if xp is np:
        yield slice(None)
        return
    order = xp.argsort(at, kind="stable")
    ordered = at[order]
    turn = xp.arange(len(at)) - xp.searchsorted(ordered, ordered)
    for number in range(int(turn.max()) + 1):
        yield order[turn == number]


def add_once(plane: Array, at: Array, values: Array) -> None:
    """Add values at positions that occur only once; CuPy's own add.at takes few dtypes."""
    plane[at] += values
