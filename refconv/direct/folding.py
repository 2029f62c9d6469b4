"""Unfolding and folding by definition: every tap of every window, one way and the other."""

import math
from collections.abc import Iterator

import numpy as np

from refconv import geometry
from refconv.geometry import Array, Conv, Ints, as_x
from refconv.geometry.folding import fold_call, unfold_call
from refconv.geometry.sizes import Shape

NUMBERS = geometry.NUMBERS + "O"  # object arrays (fractions, big integers) run here too


def taps(geo: Conv) -> Iterator[tuple[Shape, Shape]]:
    """Yield the index into x, (N, C, *i), and into the columns, (N, C, *k, *o), of every tap.

    A tap outside x is left out, which is what zero padding means.
    """
    for n, c in np.ndindex(geo.n, geo.c):
        for k in np.ndindex(geo.k):
            for o in np.ndindex(geo.o):
                i = tuple(
                    o_ * s + k_ * d - before
                    for o_, s, k_, d, (before, _) in zip(o, geo.s, k, geo.d, geo.p, strict=True)
                )
                if all(0 <= i_ < size for i_, size in zip(i, geo.i, strict=True)):
                    yield (n, c, *i), (n, c, *k, *o)


def unfold(
    x: Array,
    kernel_size: Ints,
    dilation: Ints = 1,
    padding: Ints = 0,
    stride: Ints = 1,
) -> Array:
    """cols[c k, o] = x[c, o s + k d - p]; see `refconv.unfold`."""
    geo, x = unfold_call(x, kernel_size, dilation, padding, stride, NUMBERS)
    cols = np.zeros((geo.n, geo.c, *geo.k, *geo.o), x.dtype)
    for at_x, at_cols in taps(geo):
        cols[at_cols] = x[at_x]
    return cols.reshape((geo.n, geo.m, math.prod(geo.o))[geo.unbatched :])


@np.errstate(all="ignore")
def fold(
    cols: Array,
    output_size: Ints,
    kernel_size: Ints,
    dilation: Ints = 1,
    padding: Ints = 0,
    stride: Ints = 1,
) -> Array:
    """x[c, i] = sum of cols[c k, o] over o s + k d - p = i; see `refconv.fold`."""
    geo, cols = fold_call(cols, output_size, kernel_size, dilation, padding, stride, NUMBERS)
    x = np.zeros(geo.x_shape, geo.acc)
    for at_x, at_cols in taps(geo):
        x[at_x] += cols[at_cols]
    return as_x(geo, x)
