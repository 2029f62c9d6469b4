"""What the max pools share: the contest between taps, and gather and scatter on the winners.

    gather    y[o]  = x[indices[o]]                          S x
    scatter   gx[i] = sum of gy[o] with indices[o] = i       S' gy

With the indices fixed the two are linear and each other's adjoint, for the indices of any pool.
An index of -1 is that of a window without any element: nothing is fetched from it, nothing added.
"""

import math
import operator
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from refconv import geometry
from refconv.engine import tiles
from refconv.engine.planes import plane_room
from refconv.geometry import Array, namespace


def lowest(dtype: np.dtype[Any]) -> Any:
    """Return the value below all others."""
    return -np.inf if dtype.kind == "f" else np.iinfo(dtype).min


def visit(number: int, v: Array, best: Array, winner: Array) -> None:
    """Let tap `number`, of values v, win where it is larger than the best so far, or NaN."""
    xp, of_bool = namespace(v), np.dtype(bool)
    wins = xp.greater(v, best, out=tiles.scratch(xp, v.shape, of_bool, "wins"))
    if v.dtype.kind == "f":
        wins |= xp.not_equal(v, v, out=tiles.scratch(xp, v.shape, of_bool, "nan"))
    xp.maximum(best, v, out=best)
    # taps come in order: the last to win has the largest number, 0 where it does not win
    scored = tiles.scratch(xp, v.shape, winner.dtype, "scored")
    xp.multiply(wins.view(np.uint8), winner.dtype.type(number), out=scored)
    xp.maximum(winner, scored, out=winner)


def has_negative_zero(x: Array) -> bool:
    """Return whether x holds -0.0."""
    return x.dtype.kind == "f" and bool((namespace(x).signbit(x) & (x == 0)).any())


def gather(planes: Array, indices: Array) -> Array:
    """Return planes (p, *i) at flat positions (p, *o), as (p, *o)."""
    flat = planes.reshape(len(planes), math.prod(planes.shape[1:]))
    at = indices.reshape(len(indices), math.prod(indices.shape[1:]))
    xp = namespace(flat)
    if flat.shape[1] == 0:
        return xp.zeros(indices.shape, planes.dtype)  # type: ignore[no-any-return]
    taken: Array = xp.take_along_axis(flat, at, 1).reshape(indices.shape)
    if indices.size and bool((indices < 0).any()):
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
    most = plane_room(xp, planes.itemsize)
    runs = tiles.blocks(count, most)

    def task(block: slice) -> None:
        onto, each = planes[block].reshape(-1), xp.arange(block.stop - block.start) * size
        for run in runs:
            spread = (at[block, run] + each[:, None]).reshape(-1)
            added = v[block, run].reshape(-1).astype(onto.dtype, copy=False)
            none = at[block, run].reshape(-1) < 0
            if bool(none.any()):
                spread, added = spread[~none], added[~none]
            for turn in turns(spread):
                how(onto, spread[turn], added[turn])

    tiles.run(xp, task, tiles.blocks(len(indices), most // max(1, size)))


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
