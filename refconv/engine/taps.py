"""Convolution tap by tap: the products that exist, and no other.

A tap k of the window meets the outputs o with 0 <= o s + k d - p < i, a box; the inputs it reads
there are a box with steps of s. One matrix product for each tap is what the definition says:

    y[:, :, o]  += w[:, :, k] @ x[:, :, o s + k d - p]
    x[:, :, o s + k d - p]  += w[:, :, k]^T @ y[:, :, o]          its adjoint
    w[:, :, k]  += y[:, :, o] @ x[:, :, o s + k d - p]^T          the sum over all outputs

No zero of the padding is ever multiplied, so that 0 * inf makes no NaN, and neither time nor memory
depends on how far kernel, padding or stride reach beyond x. `columns` has the fast form.
"""

import functools
import math
from collections.abc import Iterator

import numpy as np

from refconv.engine import tiles
from refconv.engine.tiles import Box
from refconv.engine.visits import axis_visits, reaching_taps, visits
from refconv.geometry import Array, Conv, namespace
from refconv.geometry.sizes import Shape, last_axes, window_extent


@functools.lru_cache(tiles.PLANS)
def reached(geo: Conv) -> tuple[Conv, Box]:
    """Return the same convolution without the taps that never meet x, and which taps it keeps.

    A stride with one output, and a dilation with one tap, step nowhere: they become 1.

    >>> geo = Conv(1, 1, 1, 1, i=(2,), k=(9,), o=(1,), s=(5,), p=((4, 4),), d=(1,))
    >>> small, kept = reached(geo)
    >>> kept, small.k, small.p, small.s
    ((slice(4, 6, None),), (2,), ((0, 0),), (1,))
    """
    axes = []
    for i, k, o, s, (lo, _), d in zip(geo.i, geo.k, geo.o, geo.s, geo.p, geo.d, strict=True):
        reach = reaching_taps(i, k, s, lo, d, slice(0, o))
        first, last = (reach[0], reach[-1] + 1) if reach else (0, 0)
        count = last - first
        step, spread = s if o > 1 else 1, d if count > 1 else 1
        before = lo - first * d
        after = (o - 1) * step + window_extent(max(1, count), spread) - before - i
        axes.append((slice(first, last), count, step, (before, after), spread))
    kept, k, s, p, d = zip(*axes, strict=True)
    return geo._replace(k=k, s=s, p=p, d=d), kept


def conv_visits(geo: Conv, box: Box) -> Iterator[tuple[Shape, Box, Box]]:
    """Return every tap that meets x in a box of outputs: it, its inputs, its outputs in the box."""
    sizes = zip(geo.i, geo.k, geo.o, geo.s, (lo for lo, _ in geo.p), geo.d, box, strict=True)
    return visits(axis_visits(*each) for each in sizes)


def runs(geo: Conv, like: Array) -> Iterator[tuple[slice, Box]]:
    """Yield images and boxes of outputs whose operands fit the scratch."""
    most = tiles.room(namespace(like), like.itemsize) // max(1, geo.g * max(geo.c, geo.m))
    for n in range(geo.n):
        for box in tiles.boxes(geo.o, most):
            yield slice(n, n + 1), box


def flat(a: Array) -> Array:
    """Return (1, g, c, *o) as (g, c, P)."""
    return a.reshape(*a.shape[1:3], math.prod(a.shape[3:]))


def correlate(geo: Conv, x: Array, w: Array, y: Array) -> None:
    """Add w times the windows of x, (N, g, c, *i), onto y, (N, g, m, *o)."""
    xp = namespace(x)
    with np.errstate(all="ignore"):
        for n, box in runs(geo, x):
            for tap, of_x, of_y in conv_visits(geo, box):
                onto = y[n][last_axes(box)][last_axes(of_y)]
                product = xp.matmul(w[last_axes(tap)], flat(x[n][last_axes(of_x)]))
                onto += product.reshape(onto.shape)


def transposed(geo: Conv, w: Array, gy: Array, gx: Array) -> None:
    """Add w^T times gy, (N, g, m, *o), onto the inputs of its windows, (N, g, c, *i)."""
    xp = namespace(gy)
    with np.errstate(all="ignore"):
        for n, box in runs(geo, gy):
            for tap, of_x, of_y in conv_visits(geo, box):
                onto = gx[n][last_axes(of_x)]
                each = flat(gy[n][last_axes(box)][last_axes(of_y)])
                onto += xp.matmul(w[last_axes(tap)].swapaxes(1, 2), each).reshape(onto.shape)


def sum_over_outputs(geo: Conv, x: Array, gy: Array, gw: Array) -> None:
    """Add gy, (N, g, m, *o), times the windows of x, (N, g, c, *i), onto gw, (g, m, c, *k)."""
    xp = namespace(x)
    with np.errstate(all="ignore"):
        for n, box in runs(geo, x):
            for tap, of_x, of_y in conv_visits(geo, box):
                each = flat(gy[n][last_axes(box)][last_axes(of_y)])
                onto = gw[last_axes(tap)]
                onto += xp.matmul(each, flat(x[n][last_axes(of_x)]).swapaxes(1, 2))
