"""What the max pools share: the contest between taps, and gather and scatter on the winners.

    gather    y[o]  = x[indices[o]]                          S x
    scatter   gx[i] = sum of gy[o] with indices[o] = i       S' gy

With the indices fixed the two are linear and each other's adjoint, whatever pool found the indices.
"""

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from refconv import checks, tiles
from refconv.checks import Array
from refconv.pooling import taps


def lowest(dtype: np.dtype[Any]) -> Any:
    """Return the value below all others."""
    return -np.inf if dtype.kind == "f" else np.iinfo(dtype).min


def visit(number: int, v: Array, best: Array, winner: Array) -> None:
    """Let tap `number`, of values v, win where it is larger than the best so far, or NaN."""
    wins = np.greater(v, best, out=tiles.scratch(v.shape, np.dtype(bool), "wins"))
    if v.dtype.kind == "f":
        wins |= np.not_equal(v, v, out=tiles.scratch(v.shape, np.dtype(bool), "nan"))
    np.maximum(best, v, out=best)
    # taps come in order: the last to win has the largest number, 0 where it does not win
    scored = tiles.scratch(v.shape, winner.dtype, "scored")
    np.multiply(wins.view(np.uint8), winner.dtype.type(number), out=scored)
    np.maximum(winner, scored, out=winner)


def has_negative_zero(x: Array) -> bool:
    """Return whether x holds -0.0."""
    return x.dtype.kind == "f" and bool(np.any(np.signbit(x) & (x == 0)))


def gather(planes: Array, indices: Array) -> Array:
    """Return planes (p, *i) at flat positions (p, *o), as (p, *o)."""
    flat = planes.reshape(len(planes), math.prod(planes.shape[1:]))
    at = indices.reshape(len(indices), math.prod(indices.shape[1:]))
    return np.take_along_axis(flat, at, 1).reshape(indices.shape)


def scatter(indices: Array, values: Array, size: int) -> Array:
    """Return planes (p, size) of zeros, values (p, *o) added at flat positions in order of o.

    float16 is summed in float32 and rounded once.
    """
    planes = np.zeros((len(indices), size), checks.accumulator(values.dtype))
    write(indices, values, planes, np.add.at)
    return planes.astype(values.dtype, copy=False)


def place(indices: Array, values: Array, size: int) -> Array:
    """Return planes (p, size) of zeros, values (p, *o) put at flat positions: the last stays."""
    planes = np.zeros((len(indices), size), values.dtype)
    write(indices, values, planes, operator.setitem)
    return planes


def write(indices: Array, values: Array, planes: Array, how: Callable[..., Any]) -> None:
    """Call how(plane, positions, values) for all planes (p, size), in order of o."""
    count, size = math.prod(indices.shape[1:]), planes.shape[1]
    at, v = indices.reshape(len(indices), count), values.reshape(len(values), count)
    most = taps.TILE_BYTES // planes.itemsize
    runs = tiles.blocks(count, most)

    def task(block: slice) -> None:
        onto, each = planes[block].reshape(-1), np.arange(block.stop - block.start) * size
        for run in runs:
            spread = at[block, run] + each[:, None]
            how(onto, spread.reshape(-1), v[block, run].reshape(-1).astype(onto.dtype, copy=False))

    tiles.run(task, tiles.blocks(len(indices), most // max(1, size)))
