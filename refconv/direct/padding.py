"""Padding and its gradient by definition: where does each element of the output come from?"""

from collections.abc import Iterator, Sequence

import numpy as np

from refconv import geometry
from refconv.geometry import Array, Pad, accumulator
from refconv.geometry.padding import pad_call, pad_grad_call
from refconv.geometry.sizes import Shape

NUMBERS = geometry.NUMBERS + "O"  # object arrays (fractions, big integers) run here too


def source(o: int, i: int, before: int, after: int, mode: str) -> int | None:
    """Return the position that output o of one axis copies; None where it holds the value.

    >>> [source(o, 4, 2, 1, "reflect") for o in range(7)]
    [2, 1, 0, 1, 2, 3, 2]
    >>> [source(o, 4, -1, 2, "circular") for o in range(5)]  # cropped first, then repeated
    [1, 2, 3, 1, 2]
    """
    t = o - before
    if mode == "circular":
        first, end = max(0, -before), i - max(0, -after)
        return first + (t - first) % (end - first)
    if 0 <= t < i:
        return t
    if mode == "reflect":
        return -t if t < 0 else 2 * (i - 1) - t
    if mode == "replicate":
        return 0 if t < 0 else i - 1
    return None


def copies(geo: Pad, mode: str) -> Iterator[tuple[Shape, Shape]]:
    """Yield the index into x and y of every element that is copied."""
    for o in np.ndindex(geo.o):
        found = [
            source(o_, i, before, after, mode)
            for o_, i, (before, after) in zip(o, geo.i, geo.p, strict=True)
        ]
        i = tuple(v for v in found if v is not None)
        if len(i) == len(o):
            for lead in np.ndindex(geo.lead):
                yield (*lead, *i), (*lead, *o)


def pad(
    x: Array,
    padding: Sequence[int],
    mode: str = "constant",
    value: complex | None = 0,
) -> Array:
    """y[o] = x[source of o], or the value where there is none; see `refconv.pad`."""
    geo, x, fill = pad_call(x, padding, mode, value, NUMBERS)
    y = np.full(geo.y_shape, fill, x.dtype)
    for at_x, at_y in copies(geo, mode):
        y[at_y] = x[at_x]
    return y


@np.errstate(all="ignore")
def pad_grad(
    input_shape: Sequence[int],
    grad_output: Array,
    padding: Sequence[int],
    mode: str = "constant",
) -> Array:
    """gx[i] = sum of gy over the outputs that copy x[i]; see `refconv.pad_grad`."""
    geo, gy = pad_grad_call(input_shape, grad_output, padding, mode, NUMBERS)
    gx = np.zeros(geo.x_shape, accumulator(gy.dtype))
    for at_x, at_y in copies(geo, mode):
        gx[at_x] += gy[at_y]
    return gx.astype(gy.dtype)
