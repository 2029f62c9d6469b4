"""Unfolding and folding in exact arithmetic: one list of taps, read one way and the other."""

import math

import numpy as np

from refconv import geometry
from refconv.direct.folding import taps as taps_by_definition
from refconv.exact.sums import Exact, scaled, total
from refconv.geometry import Array, Conv, Ints


def taps(geo: Conv) -> tuple[Array, Array]:
    """Return the flat positions in x and in the columns of every tap of every window."""
    shape = (geo.n, geo.c, *geo.k, *geo.o)
    found = [
        (np.ravel_multi_index(x, geo.x_shape), np.ravel_multi_index(cols, shape))
        for x, cols in taps_by_definition(geo)
    ]
    x, cols = np.array(found, np.int64).reshape(-1, 2).T
    return x, cols


def unfold(
    x: Array,
    kernel_size: Ints,
    dilation: Ints = 1,
    padding: Ints = 0,
    stride: Ints = 1,
) -> Exact:
    """cols[c k, o] = x[c, o s + k d - p], exactly; a tap in the padding is a sum of no terms.

    >>> unfold(np.array([[1.0, 2.0]]), (2,), padding=1).value.astype(float)
    array([[0., 1., 2.],
           [1., 2., 0.]])
    """
    ints, e = scaled("x", x)
    geo = geometry.unfold(x.shape, kernel_size, dilation, padding, stride)
    at_x, at_cols = taps(geo)
    cols = total(ints.ravel()[at_x], e, at_cols, (geo.n, geo.m, math.prod(geo.o)))
    return cols[0] if geo.unbatched else cols


def fold(
    cols: Array,
    output_size: Ints,
    kernel_size: Ints,
    dilation: Ints = 1,
    padding: Ints = 0,
    stride: Ints = 1,
) -> Exact:
    """x[c, i] = sum of cols[c k, o] over o s + k d - p = i, exactly."""
    ints, e = scaled("cols", cols)
    geo = geometry.fold(cols.shape, output_size, kernel_size, dilation, padding, stride)
    at_x, at_cols = taps(geo)
    x = total(ints.ravel()[at_cols], e, at_x, geo.x_shape)
    return x[0] if geo.unbatched else x
