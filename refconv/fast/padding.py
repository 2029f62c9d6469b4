"""Padding in four modes and its adjoint.

    constant      1234 --(2, 1)--> 00 1234 0
    reflect       1234 --(2, 1)--> 32 1234 3
    replicate     1234 --(2, 1)--> 11 1234 4
    circular      1234 --(2, 1)--> 34 1234 1

Along one axis an output falls into three pieces, before, within and after the input, and each is a
slice of x: forward, backward or one element repeated. Padding copies the pieces, its adjoint adds
them back.
"""

import itertools
import math
from collections.abc import Sequence
from typing import Any

from refconv import geometry
from refconv.engine import tiles
from refconv.engine.tiles import Box
from refconv.geometry import Array, Pad, accumulator
from refconv.geometry.padding import pad_call, pad_grad_call

# --------------------------------------------------------------------------- the operator


def pad(
    x: Array,
    padding: Sequence[int],
    mode: str = "constant",
    value: complex | None = 0,
) -> Array:
    """Padding of the last axes, each side by its own number.

        y[..., o] = x[..., t], t = o - p along every padded axis; where t < 0 or t >= i,

        constant   y = value
        reflect    t -> -t or 2 (i - 1) - t: the edge is a mirror, and not repeated
        replicate  t -> 0 or i - 1
        circular   t -> t + i or t - i

        Input 1234 --(circular padding)--> 412341

    A negative number crops. The circular mode crops first and repeats what is left; the others find
    their elements in the whole of x.

        Input 1234 --(circular padding -1, 2)--> 23423     --(reflect padding -1, 2)--> 23432

    Args:
        x: (..., *i), of any rank.
        padding: (before, after) of the last axis, then of the one in front of it, ...: torch's
            order.
        mode: 'constant', 'reflect' (less than i on each side), 'replicate' or 'circular' (at most
            what is left of i after cropping).
        value: what the constant mode puts outside; None is 0. Truncated toward zero for integers.

    Returns:
        (..., *o), C-contiguous and new, o = before + i + after, of the dtype of x.

    Raises:
        TypeError: `x` is not an array, `padding` not integers, `mode` not a string, `value` not a
            number, or a complex one for a dtype that is not.
        NotImplementedError: the dtype is object or no number; the mode is unknown.
        RuntimeError: `padding` is not pairs, for more axes than x has, or beyond the limits of the
            mode; a value is given without the constant mode, or does not fit the dtype; in the
            reflect and replicate modes, an axis other than a batch in front is empty or would be.

    Source: torch.nn.functional.pad, whose modes these are, and which this answers to. Takes every
    rank and number of axes in every mode, and bool too; refuses a circular padding larger than what
    cropping leaves, for which torch may return memory that was never written.

    >>> import numpy as np
    >>> x = np.array([[1, 2, 3, 4]])
    >>> pad(x, (1, 1), "circular")
    array([[4, 1, 2, 3, 4, 1]])
    >>> pad(x, (-1, 2, 0, 1), value=9)
    array([[2, 3, 4, 9, 9],
           [9, 9, 9, 9, 9]])
    """
    geo, x, fill = pad_call(x, padding, mode, value)
    xp, planes = geometry.namespace(x), math.prod(geo.lead)
    xs, y = x.reshape(planes, *geo.i), geometry.result(xp, (planes, *geo.o), x.dtype)
    copied = pieces(geo, mode)

    def task(block: slice) -> None:
        if mode == "constant":
            xp.copyto(y[block], fill)  # CuPy's y[block] = -0.0 would write 0
        for of_x, of_y in copied:
            y[(block, *of_y)] = xs[(block, *of_x)]

    tiles.run(xp, task, plane_blocks(xp, geo, x.itemsize), products=False)
    return y.reshape(geo.y_shape)


def pad_grad(
    input_shape: Sequence[int],
    grad_output: Array,
    padding: Sequence[int],
    mode: str = "constant",
) -> Array:
    """Gradient of `pad` for its input.

        gx[..., i] = sum of gy[..., o] over all o that copy x[..., i]

    y is P x plus a constant, so the gradient is the adjoint, gx = P^T gy: a mirrored or repeated
    piece is added onto the place that it was copied from.

        Gradient abcdef of 1234 --(circular padding)--> b+geo c d e+a

    It is linear in gy, and its own gradient is `pad(ggx, padding, mode)` with value 0.

    Args:
        input_shape: shape of x.
        grad_output: gy, (..., *o).
        padding, mode: as in `pad`.

    Returns:
        gx of `input_shape`, new, of the dtype of `grad_output`; float16 is summed in float32 and
        rounded once.

    Raises:
        TypeError, NotImplementedError, RuntimeError: as `pad`; also if `grad_output` is bool or has
            another shape than the output.

    Source: the transpose of the equation of `pad`. Counterpart of the backward pass of
    torch.nn.functional.pad.

    >>> import numpy as np
    >>> pad_grad((4,), np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), (1, 1), "circular")
    array([8., 3., 4., 6.])
    """
    geo, gy = pad_grad_call(input_shape, grad_output, padding, mode)
    xp, planes, acc = geometry.namespace(gy), math.prod(geo.lead), accumulator(gy.dtype)
    gx = geometry.result(xp, (planes, *geo.i), acc, zeros=True)
    gys = gy.astype(acc, copy=False).reshape(planes, *geo.o)
    copied = pieces(geo, mode)

    def task(block: slice) -> None:
        for of_x, of_y in copied:
            target, share = gx[(block, *of_x)], gys[(block, *of_y)]
            sizes = zip(target.shape, share.shape, strict=True)
            repeated = tuple(axis for axis, (once, times) in enumerate(sizes) if once < times)
            target += share.sum(repeated, keepdims=True) if repeated else share

    tiles.run(xp, task, plane_blocks(xp, geo, gx.itemsize), products=False)
    return geometry.rounded(gx, gy.dtype).reshape(geo.x_shape)


def plane_blocks(xp: Any, geo: Pad, itemsize: int) -> list[slice]:
    """Cut the axes that are not padded, as one, into blocks of outputs that fit the scratch."""
    plane = max(1, math.prod(geo.o))
    return tiles.blocks(math.prod(geo.lead), tiles.room(xp, itemsize) // plane)


def pieces(geo: Pad, mode: str) -> list[tuple[Box, Box]]:
    """Return the boxes (of x, of y) that are copied: one piece of every axis, in all ways."""
    each = (axis_pieces(i, *p, mode) for i, p in zip(geo.i, geo.p, strict=True))
    return [
        (tuple(of_x for of_x, _ in box), tuple(of_y for _, of_y in box))
        for box in itertools.product(*each)
    ]


def axis_pieces(i: int, before: int, after: int, mode: str) -> list[tuple[slice, slice]]:
    """Return the slices (of x, of y) that are copied along one axis: within, before and after it.

    >>> for of_x, _ in axis_pieces(4, 2, 1, "reflect"):
    ...     print("1234"[of_x])
    1234
    32
    3
    """
    first, end = max(0, -before), i + min(0, after)  # of x, after cropping
    within = (first, end, slice(first, end))
    found = [within]
    left, right = (-before, min(0, i + after)), (max(i, -before), i + after)
    if mode == "reflect":
        found += [
            (*left, backward(before, left)),
            (*right, backward(2 * (i - 1) - right[0], right)),
        ]
    if mode == "replicate":
        found += [(*left, slice(0, 1)), (*right, slice(i - 1, i))]
    if mode == "circular":
        turn = end - first
        found += [
            (*left, slice(left[0] + turn, left[1] + turn)),
            (*right, slice(right[0] - turn, right[1] - turn)),
        ]
    return [(of_x, slice(a + before, b + before)) for a, b, of_x in found if a < b]


def backward(start: int, side: tuple[int, int]) -> slice:
    """Return the slice from `start` downward that is as long as a side."""
    stop = start - (side[1] - side[0])
    return slice(start, stop if stop >= 0 else None, -1)
