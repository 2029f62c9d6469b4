"""Max pooling: select the winner of each window; its gradient goes back to the winner.

With the winners' indices saved, forward is a gather, y = x[indices], and the gradient its adjoint,
a scatter, gx[indices] += gy. Each is the derivative of the other, so every order exists.
"""

import math
from collections.abc import Sequence
from typing import Any, Literal, overload

import numpy as np

from refconv import geometry
from refconv.engine import tiles
from refconv.engine.planes import output_boxes, ravel, reads, tap_axes
from refconv.engine.shifts import bytes_each, grid
from refconv.engine.tiles import Box
from refconv.engine.winners import (
    Arena,
    by_rows,
    contest,
    fetch,
    gather,
    has_negative_zero,
    in_stretches,
    lowest,
    scatter,
)
from refconv.geometry import Array, Ints, Pool, as_x, as_y, positions_as_y
from refconv.geometry.max_pooling import (
    max_pool_call,
    max_pool_grad_call,
    max_pool_scatter_call,
    max_pool_select_call,
)
from refconv.geometry.sizes import last_axes

MASKS = 8  # bytes for each output: who wins, who has won, what is NaN or zero


@overload
def max_pool(
    x: Array,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: Literal[False] = False,
) -> Array: ...


@overload
def max_pool(
    x: Array,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    *,
    return_indices: Literal[True],
) -> tuple[Array, Array]: ...


@overload
def max_pool(
    x: Array,
    kernel_size: Ints,
    stride: Ints | None,
    padding: Ints,
    dilation: Ints,
    ceil_mode: bool,
    return_indices: Literal[True],
) -> tuple[Array, Array]: ...


def max_pool(
    x: Array,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Array | tuple[Array, Array]:
    """Max pooling over any number of spatial axes.

        y[n, c, o] = max over k of x[n, c, o s + k d - p]

    over the taps inside x: padding is never selected. Of equal values the first tap wins; a NaN
    wins over all numbers, and of several the last, as in torch.

    Args:
        x: (N, C, *i), or (C, *i); of three axes, an integer `kernel_size` is refused as a guess.
        kernel_size: k, one integer or one per spatial axis.
        stride: s; `kernel_size` if None.
        padding: p, at most half of `kernel_size`.
        dilation: d.
        ceil_mode: round the output size up; the last window still starts inside x or its left
            padding.
        return_indices: also return the winners.

    Returns:
        (N, C, *o), new, of the dtype of x; with `return_indices` also int64 indices of the same
        shape: the winner's flat position among the spatial axes of x.

    Raises:
        TypeError: an argument is not an array, or not an integer.
        NotImplementedError: the dtype is bool, complex or no number.
        RuntimeError: shapes do not fit, a size is out of range.

    Source: Jefkine, "Backpropagation in Convolutional Neural Networks" (2016), the "winning unit".
    Counterpart of torch.nn.functional.max_pool1d, max_pool2d, max_pool3d; takes integers in every
    rank. A window without any element (padding and dilation together) gives the lowest value, as in
    torch; it has no index: asked for indices, this raises where torch's would lie outside x.

    >>> max_pool(np.array([[[1.0, 3.0, 2.0, 2.0]]]), (2,), return_indices=True)
    (array([[[3., 2.]]]), array([[[1, 2]]]))
    """
    geo, x = max_pool_call(x, kernel_size, stride, padding, dilation, ceil_mode, return_indices)
    y, indices = winners(geo, x, return_indices)
    return as_y(geo, y) if indices is None else (as_y(geo, y), positions_as_y(geo, indices))


def winners(geo: Pool, x: Array, with_indices: bool = True) -> tuple[Array, Any]:
    """Return the largest x of every window, (N C, *o), and its flat position, -1 if it has none.

    The second is None unless it is asked for.
    """
    xp, planes = geometry.namespace(x), x.reshape(geo.n * geo.c, *geo.i)
    shape = (geo.n * geo.c, *geo.o)
    y = geometry.result(xp, shape, x.dtype)
    indices = geometry.result(xp, shape, np.int64) if with_indices else None

    def task(box: Box) -> None:
        xs, found = planes[box[0]], tap_axes(geo, box[1:])
        if not all(found):  # one window without any element: it is then the only one of its axis
            y[box] = lowest(x.dtype)
            if indices is not None:
                indices[box] = -1
            return
        by_shifts = grid(xp, geo, box, x.itemsize, MASKS)
        arena = by_rows(found, xs, box) if by_shifts is None else in_stretches(by_shifts, xs)
        contest(arena, first_taps(xp, geo, box[1:], arena) if with_indices else None)
        signed = has_negative_zero(xs[last_axes(reads(found))], arena.best)
        if signed and not with_indices:
            contest(arena, first_taps(xp, geo, box[1:], arena))
        if indices is not None or signed:
            at = xp.empty(arena.best.shape, np.int64) if indices is None else indices[box]
            positions(geo, box[1:], arena, at)
        y[box] = gather(xs, at) if signed else arena.best  # of 0 and -0 the first wins

    each = bytes_each(xp, geo, x.itemsize, MASKS)
    tiles.run(xp, task, output_boxes(xp, geo, each), products=False)
    return y, indices


def window_starts(xp: Any, geo: Pool, side: Box) -> list[Array]:
    """Return o s - p along every axis, for a box of outputs."""
    sizes = zip(side, geo.s, geo.p, strict=True)
    return [xp.arange(b.start, b.stop) * s - p for b, s, p in sizes]


def first_taps(xp: Any, geo: Pool, side: Box, arena: Arena) -> Array | int:
    """Return, for every output, the number of its first tap inside x: the winner among all -inf."""
    if not any(geo.p):
        return 0
    numbers = []
    for start, d, taps in zip(window_starts(xp, geo, side), geo.d, arena.taps, strict=True):
        number = xp.searchsorted(xp.array(taps), xp.maximum(0, -(start // d)))
        numbers.append(xp.minimum(number, len(taps) - 1))
    return ravel(numbers, tuple(map(len, arena.taps)))


def positions(geo: Pool, side: Box, arena: Arena, out: Array) -> None:
    """Write the winners' flat positions o s - p + k d: one part for o and one for k."""
    xp = geometry.namespace(out)
    corner = ravel(window_starts(xp, geo, side), geo.i)
    steps = [xp.array(taps) * d for taps, d in zip(arena.taps, geo.d, strict=True)]
    fetch(ravel(steps, geo.i).reshape(-1), arena.winner, out)
    out += corner


# --------------------------------------------------------------------------- gradient


def max_pool_grad(
    input_shape: Sequence[int],
    indices: Array,
    grad_output: Array,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
) -> Array:
    """Gradient of `max_pool`: everything to the winner.

        gx[n, c, i] = sum over o with indices[n, c, o] = i of gy[n, c, o]

    With the winners held fixed y = x[indices] is linear in x, and this is its adjoint; the gradient
    of this for gy is `max_pool_select(ggx, indices)`. Overlapping windows are added in order of o.

    Args:
        input_shape: shape of x.
        indices: int64, as returned by `max_pool`, of the shape of y; -1 for a window without any
            element, which gives nothing.
        grad_output: gy, of the shape of y.
        kernel_size, stride, padding, dilation, ceil_mode: as in `max_pool`.

    Returns:
        gx of `input_shape`, new, of the dtype of `grad_output`; float16 is summed in float32.

    Raises:
        TypeError, NotImplementedError, RuntimeError: as `max_pool`; also if `indices` is not int64,
            or holds a position outside x.

    Source: Jefkine (2016), gradient routing. Counterpart of
    torch.ops.aten.max_pool2d_with_indices_backward.

    >>> max_pool_grad((1, 1, 4), np.array([[[1, 2]]]), np.array([[[5.0, 7.0]]]), (2,))
    array([[[0., 5., 7., 0.]]])
    """
    geo, at, gy = max_pool_grad_call(
        input_shape, indices, grad_output, kernel_size, stride, padding, dilation, ceil_mode
    )
    planes = (geo.n * geo.c, *geo.o)
    return as_x(geo, scatter(at.reshape(planes), gy.reshape(planes), math.prod(geo.i)))


def max_pool_select(x: Array, indices: Array, rank: int) -> Array:
    """Take x at the winners of `max_pool`: y[n, c, o] = x[n, c, indices[n, c, o]].

    It is the derivative of `max_pool` along x, and of `max_pool_grad` for its `grad_output`.

    Args:
        x: (..., *i).
        indices: int64 flat positions among the last `rank` axes of x, (..., *o).
        rank: the number of spatial axes.

    Returns:
        (..., *o), new, of the dtype of x.

    Raises:
        TypeError, NotImplementedError: x or `indices` is not an array of numbers, or of int64.
        RuntimeError: shapes do not fit, or a position lies outside x.

    Source: the gather whose adjoint is `max_pool_grad`. Counterpart of torch.gather on flat planes.

    >>> max_pool_select(np.array([[[4.0, 5.0, 6.0]]]), np.array([[[2, 0]]]), 1)
    array([[[6., 4.]]])
    """
    x, at, rank = max_pool_select_call(x, indices, rank)
    planes = math.prod(at.shape[:-rank])
    flat = x.reshape(planes, *x.shape[-rank:])
    return gather(flat, at.reshape(planes, *at.shape[-rank:])).reshape(at.shape)


def max_pool_scatter(
    input_shape: Sequence[int], indices: Array, grad_output: Array, rank: int
) -> Array:
    """Add values onto the winners of any max pool: gx[n, c, indices[n, c, o]] += gy[n, c, o].

    It is the adjoint of `max_pool_select`, in order of o: `max_pool_grad` and its kin without the
    geometry, and the derivative of `max_unpool_grad`, which knows no pool.

    Args:
        input_shape: (..., *i).
        indices: int64 flat positions among the last `rank` axes of `input_shape`, (..., *o).
        grad_output: gy, of the shape of `indices`.
        rank: the number of spatial axes.

    Returns:
        gx of `input_shape`, new, of the dtype of `grad_output`; float16 is summed in float32.

    Raises:
        TypeError, NotImplementedError: an argument is not an array of numbers, or of int64.
        RuntimeError: shapes do not fit, or a position lies outside x.

    Source: the adjoint of a gather. Counterpart of torch.scatter_add on flat planes.

    >>> max_pool_scatter((1, 1, 3), np.array([[[2, 0, 2]]]), np.array([[[1.0, 2.0, 4.0]]]), 1)
    array([[[2., 0., 5.]]])
    """
    shape, at, gy, rank = max_pool_scatter_call(input_shape, indices, grad_output, rank)
    planes = (math.prod(shape[:-rank]), *at.shape[-rank:])
    return scatter(at.reshape(planes), gy.reshape(planes), math.prod(shape[-rank:])).reshape(shape)
