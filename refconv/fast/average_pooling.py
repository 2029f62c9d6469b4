"""Average pooling: a sum and a division for each window; its gradient gives each tap its share.

Average pooling is linear, y = A x, so its gradient is the adjoint, gx = A' gy, whose own gradient
is average pooling again.
"""

import functools
import operator
from collections.abc import Sequence
from typing import Any

from refconv import geometry
from refconv.engine import tiles
from refconv.engine.planes import output_boxes, plane_blocks, tap_axes
from refconv.engine.shifts import apart, bytes_each, empty, grid, read_phases, shifts, write_phases
from refconv.engine.tiles import Box
from refconv.engine.visits import visits
from refconv.geometry import Array, Ints, Pool, as_x, as_y
from refconv.geometry.average_pooling import avg_pool_call, avg_pool_grad_call
from refconv.geometry.sizes import last_axes


def avg_pool(
    x: Array,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Array:
    """Average pooling over any number of spatial axes.

        y[n, c, o] = (sum over k of x[n, c, o s + k - p]) / divisor[o]

    with zeros outside x. The divisor is `divisor_override` if given; else the number of taps inside
    x and its padding, or inside x alone without `count_include_pad`.

    Args:
        x: (N, C, *i), or (C, *i); of three axes, an integer `kernel_size` is refused as a guess.
        kernel_size: k, one integer or one per spatial axis.
        stride: s; `kernel_size` if None.
        padding: p, at most half of `kernel_size`.
        ceil_mode: round the output size up; the last window still starts inside x or its left
            padding, and taps beyond the right padding do not count.
        count_include_pad: count taps in the padding.
        divisor_override: any integer but 0.

    Returns:
        (N, C, *o), new, of the dtype of x: one correctly rounded division of the sum. float16 is
        summed in float32 and rounded once more; integers are summed in 64 bits and truncated toward
        zero.

    Raises:
        TypeError: an argument is not an array, or not an integer.
        NotImplementedError: the dtype is bool, object or no number.
        RuntimeError: shapes do not fit, a size is out of range.

    Source: Jefkine, "Backpropagation in Convolutional Neural Networks" (2016), average pooling.
    Counterpart of torch.nn.functional.avg_pool1d, avg_pool2d, avg_pool3d; takes every number dtype
    in every rank, and an unpadded input smaller than the kernel in three axes too.

    >>> import numpy as np
    >>> avg_pool(np.array([[[1.0, 3.0, 5.0]]]), (2,), ceil_mode=True)
    array([[[2., 5.]]])
    """
    geo, x, override = avg_pool_call(
        x, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )
    xp, planes = geometry.namespace(x), x.reshape(geo.n * geo.c, *geo.i)
    y = geometry.result(xp, (geo.n * geo.c, *geo.o), x.dtype)

    def task(box: Box) -> None:
        total = sums(geo, planes[box[0]], box)
        divisor = divisors(xp, geo, box[1:], count_include_pad, override)
        if y.dtype == geo.acc:
            divide(total, divisor, y[box])
        else:
            divide(total, divisor, total)
            y[box] = total

    each = bytes_each(xp, geo, geo.acc.itemsize, 0)
    tiles.run(xp, task, output_boxes(xp, geo, each), products=False)
    return as_y(geo, y)


def sums(geo: Pool, planes: Array, box: Box) -> Array:
    """Return the sum of every window of a box, (p, *o), in scratch memory: taps in order."""
    xp = geometry.namespace(planes)
    found = grid(xp, geo, box, geo.acc.itemsize, 0)
    if found is None:
        total = tiles.scratch(xp, tiles.extent(box), geo.acc, "total")
        total.fill(0)
        for _, of_x, of_y in visits(tap_axes(geo, box[1:])):
            total[last_axes(of_y)] += planes[(slice(None), *of_x)]
        return total
    phases = read_phases(found, planes, 0, geo.acc)
    flat, total = empty(found, len(planes), geo.acc, "total")
    flat.fill(0)
    for v in shifts(found, phases):
        flat[: len(v)] += v
    return total


def avg_pool_grad(
    input_shape: Sequence[int],
    grad_output: Array,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Array:
    """Gradient of `avg_pool`: each tap of a window gets the same share.

        gx[n, c, i] = sum over o, k with o s + k - p = i of gy[n, c, o] / divisor[o]

    It is the adjoint of `avg_pool`; its own gradient for gy is `avg_pool(ggx)`.

    Args:
        input_shape: shape of x.
        grad_output: gy, of the shape of y.
        kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override: as in
            `avg_pool`.

    Returns:
        gx of `input_shape`, new, of the dtype of `grad_output`. Each share is one correctly rounded
        division, in float32 for float16, truncated for integers.

    Raises:
        TypeError, NotImplementedError, RuntimeError: as `avg_pool`; also if `grad_output` has
            another shape than y.

    Source: Jefkine (2016), gradient routing. Counterpart of torch.ops.aten.avg_pool2d_backward.

    >>> import numpy as np
    >>> avg_pool_grad((1, 1, 3), np.array([[[2.0, 5.0]]]), (2,), ceil_mode=True)
    array([[[1., 1., 5.]]])
    """
    geo, gy, override = avg_pool_grad_call(
        input_shape, grad_output, kernel_size, stride, padding, ceil_mode, count_include_pad,
        divisor_override,
    )  # fmt: skip
    xp, gys = geometry.namespace(gy), gy.reshape(geo.n * geo.c, *geo.o)
    gx = geometry.result(xp, (geo.n * geo.c, *geo.i), geo.acc, zeros=True)
    share_too = geo.acc.itemsize
    planes, boxes = plane_blocks(xp, geo, bytes_each(xp, geo, geo.acc.itemsize, share_too))

    def task(block: slice) -> None:
        for box in boxes:
            share = tiles.scratch(xp, gys[(block, *box)].shape, geo.acc, "share")
            share[...] = gys[(block, *box)]
            divide(share, divisors(xp, geo, box, count_include_pad, override), share)
            spread(geo, share, (block, *box), gx[block])

    tiles.run(xp, task, planes, products=False)
    return as_x(geo, gx)


def spread(geo: Pool, share: Array, box: Box, onto: Array) -> None:
    """Add the shares of a box, (p, *o), onto the windows of planes (p, *i): adjoint of `sums`.

    The last tap of an output reads what the first tap of a later one does: so an input gets its
    shares in order of o, however the outputs are cut into boxes.
    """
    xp = geometry.namespace(share)
    found = grid(xp, geo, box, geo.acc.itemsize, share.itemsize)
    if found is None:
        for _, of_x, of_y in reversed(list(visits(tap_axes(geo, box[1:])))):
            if apart(geo):
                onto[last_axes(of_x)] = share[last_axes(of_y)]
            else:
                onto[last_axes(of_x)] += share[last_axes(of_y)]
        return
    phases = read_phases(found, onto, 0, geo.acc)
    flat, outputs = empty(found, len(onto), geo.acc, "total")
    flat.fill(0)
    outputs[...] = share
    for v in reversed(list(shifts(found, phases))):
        v += flat[: len(v)]
    write_phases(found, phases, onto)


def divisors(xp: Any, geo: Pool, side: Box, count_include_pad: bool, override: int | None) -> Array:
    """Return the divisor of every output of a box, (*o): a product of one count for each axis.

    Input 1234 --(k = 3, s = 2, ceil mode)--> windows 123 34, divisors 3 2
    Input 1234 --(k = 3, s = 2, p = 1)--> windows 012 234, divisors 3 3, or 2 3 without the padding
    """
    if override is not None:
        given: Array = xp.full(tiles.extent(side), override)
        return given
    counts = []
    for i, k, b, s, p in zip(geo.i, geo.k, side, geo.s, geo.p, strict=True):
        first = xp.arange(b.start, b.stop) * s - p
        lo, hi = (-p, i + p) if count_include_pad else (0, i)
        last = first + min(k, i + 2 * p)  # all windows end at i + p
        counts.append(xp.minimum(last, hi) - xp.maximum(first, lo))
    divisor: Array = functools.reduce(operator.mul, xp.ix_(*counts))
    return divisor


def divide(total: Array, divisor: Array, out: Array) -> None:
    """Write total / divisor: each real or imaginary part rounded once; integers truncate.

    An integer divided down, and one more where it is not a whole quotient and below zero.
    """
    xp = geometry.namespace(total)
    if total.dtype.kind in "iu":
        by = divisor.astype(total.dtype)
        down = total // by
        inexact = total - down * by != 0
        below = (total < 0) != (by < 0)
        xp.add(down, (inexact & below).astype(total.dtype), out=out)
        return
    real = total.real.dtype
    count = out.dtype.itemsize // real.itemsize
    parts = out.view(real).reshape(*out.shape, count)  # (..., 1), or (..., 2) for complex
    xp.divide(total.view(real).reshape(parts.shape), divisor[..., None].astype(real), out=parts)
    parts += 0  # a zero is +0, as in torch, for all signs of sum and divisor
