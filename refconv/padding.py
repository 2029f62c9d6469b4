"""Reading and writing a box that reaches outside an array: zero padding, tile by tile.

`read_box` and `add_box` are adjoint: <read_box(x), y> = <x, add_box(y)>.
"""

from collections.abc import Sequence

from refconv.checks import Array
from refconv.shapes import last_axes

Sides = Sequence[tuple[int, int]]  # [first, end) for every spatial axis; may lie outside the array


def inside(sides: Sides, sizes: Sequence[int]) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Return the part of a box that lies in an array of these sizes, as slices of array and of box.

    >>> inside([(-1, 3)], [5])
    ((slice(0, 3, None),), (slice(1, 4, None),))
    """
    kept = [
        (min(max(first, 0), size), max(min(end, size), 0))
        for (first, end), size in zip(sides, sizes, strict=True)
    ]
    of_array = tuple(slice(lo, max(lo, hi)) for lo, hi in kept)
    of_box = tuple(
        slice(s.start - first, s.stop - first)
        for s, (first, _) in zip(of_array, sides, strict=True)
    )
    return of_array, of_box


def read_box(x: Array, sides: Sides, out: Array) -> Array:
    """Copy x[..., box] into `out`, zero where the box lies outside x.

    Input 1234 --(box from -1 to 3)--> 0123
    """
    of_array, of_box = inside(sides, x.shape[x.ndim - len(sides) :])
    out.fill(0)
    out[last_axes(of_box)] = x[last_axes(of_array)]
    return out


def add_box(x: Array, sides: Sides, box: Array) -> None:
    """Add the box onto x[..., box]; what lies outside x is dropped."""
    of_array, of_box = inside(sides, x.shape[x.ndim - len(sides) :])
    x[last_axes(of_array)] += box[last_axes(of_box)]
