"""Adaptive pooling: the number of windows is given, and they share the input out evenly.

    Input 12345 --(2 outputs)--> 123 345      --(3 outputs)--> 12 234 45
    Input 123   --(5 outputs)--> 1 12 2 23 3

Window o of an axis holds the inputs floor(o i / O) <= m < ceil((o + 1) i / O). Exchanging inputs
and outputs, input m is held by the windows floor(m O / i) <= o < ceil((m + 1) O / i): the gradient
of a sum over windows is again a sum over windows, with the two sizes exchanged.
"""

import math
from collections.abc import Sequence
from typing import Any, Literal, overload

from refconv import geometry
from refconv.engine.adaptive_sums import sums
from refconv.engine.planes import by_planes
from refconv.engine.ragged import Axis, Windows, all_windows
from refconv.engine.shared_windows import largest
from refconv.engine.winners import scatter
from refconv.fast.average_pooling import divide
from refconv.geometry import Array, Maps, as_x, as_y, positions_as_y
from refconv.geometry.adaptive_pooling import (
    adaptive_avg_pool_call,
    adaptive_avg_pool_grad_call,
    adaptive_max_pool_call,
    adaptive_max_pool_grad_call,
)
from refconv.geometry.sizes import Shape, adaptive_range

COPIES = 4  # of a few planes that there are at a time in a gradient: their shares, sums, ...


def windows(xp: Any, i: Shape, o: Shape) -> list[Windows]:
    """Return the windows of every axis: one plane's stand for all."""

    def axis(i: int, o: int) -> Windows:
        def of(_: slice, side: slice) -> Axis:
            outputs: Any = xp.arange(side.start, side.stop)
            first, end = adaptive_range(i, o, outputs)
            return Axis(first[None], end - first)

        return Windows(o, -(-i // max(1, o)) + 1, of)

    return list(map(axis, i, o))


def adaptive_avg_pool(x: Array, output_size: Any) -> Array:
    """Adaptive average pooling over any number of spatial axes.

        y[n, c, o] = (sum of x[n, c, m] over floor(o i / O) <= m < ceil((o + 1) i / O)) / divisor[o]

    along every axis. The sum is divided by the number of inputs along one axis after the other, and
    by the whole number at once where every O is 1, as in torch.

    Args:
        x: (N, C, *i), or (C, *i); of three axes, an integer `output_size` is refused as a guess.
        output_size: O, one integer or one per spatial axis; None keeps the size of an axis. 0 gives
            an empty result.

    Returns:
        (N, C, *O), new, of the dtype of x. Sums are taken in order, but for a whole map's; each
        division rounds correctly.
        float16 is summed and divided in float32 and rounded once; integers are summed in 64 bits
        and truncated toward zero.

    Raises:
        TypeError: `x` is not an array, or `output_size` holds something other than integers and
            None.
        NotImplementedError: the dtype is bool, object or no number.
        RuntimeError: shapes do not fit, a size is negative, a spatial axis of x is empty.

    Source: He et al., "Spatial Pyramid Pooling" (2014), for bins of a given number. Counterpart of
    torch.nn.functional.adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d; takes every
    number dtype, None in one axis too, and no channels in three.

    >>> import numpy as np
    >>> adaptive_avg_pool(np.array([[[1.0, 2.0, 3.0, 4.0, 8.0]]]), (2,))
    array([[[2., 5.]]])
    """
    geo, x = adaptive_avg_pool_call(x, output_size)

    def divided(total: Array, axes: Sequence[Axis]) -> None:
        divide_in_turn(total, [axis.size for axis in axes], geo)

    ordered = math.prod(geo.o) > 1  # the sum of a whole map has no order in torch either
    planes, each = x.reshape(geo.planes, *geo.i), windows(geometry.namespace(x), geo.i, geo.o)
    return as_y(geo, sums(planes, each, x.dtype, divided, ordered))


def adaptive_avg_pool_grad(
    input_shape: Sequence[int], grad_output: Array, output_size: Any
) -> Array:
    """Gradient of `adaptive_avg_pool`: each input of a window gets the same share.

        gx[n, c, m] = sum of gy[n, c, o] / divisor[o] over floor(m O / i) <= o < ceil((m + 1) O / i)

    It is the adjoint of `adaptive_avg_pool`, its windows with i and O exchanged; its own gradient
    for gy is `adaptive_avg_pool(ggx)`.

    Args:
        input_shape: shape of x.
        grad_output: gy, of the shape of y.
        output_size: as in `adaptive_avg_pool`.

    Returns:
        gx of `input_shape`, new, of the dtype of `grad_output`; rounding as in `adaptive_avg_pool`.

    Raises:
        TypeError, NotImplementedError, RuntimeError: as `adaptive_avg_pool`; also if `grad_output`
            has another shape than y.

    Source: the adjoint. Counterpart of torch.ops.aten._adaptive_avg_pool2d_backward.

    >>> import numpy as np
    >>> adaptive_avg_pool_grad((1, 1, 5), np.array([[[3.0, 6.0]]]), (2,))
    array([[[1., 1., 3., 2., 2.]]])
    """
    geo, gy = adaptive_avg_pool_grad_call(input_shape, grad_output, output_size)
    xp = geometry.namespace(gy)
    sizes = [axis.size for axis in all_windows(windows(xp, geo.i, geo.o))]
    holding = windows(xp, geo.o, geo.i)  # the windows of every input

    def gradient(gy: Array) -> Array:
        share = gy.astype(geo.acc, order="C")
        divide_in_turn(share, sizes, geo)
        return sums(share, holding, geo.acc)

    gx = geometry.result(xp, (geo.planes, *geo.i), geo.acc)
    return as_x(geo, by_planes(gradient, gx, gy.reshape(geo.planes, *geo.o), copies=COPIES))


def divide_in_turn(total: Array, sizes: Sequence[Array], geo: Maps) -> None:
    """Divide (p, *o) in place by the sizes of the windows, one axis after the other."""
    if math.prod(geo.o) == 1:
        divide(total, geometry.namespace(total).array(math.prod(geo.i)), total)
        return
    for number, size in enumerate(sizes, 1):
        divide(total, size.reshape(-1, *(1,) * (len(sizes) - number)), total)


# --------------------------------------------------------------------------- maximum


@overload
def adaptive_max_pool(
    x: Array, output_size: Any, return_indices: Literal[False] = False
) -> Array: ...


@overload
def adaptive_max_pool(
    x: Array, output_size: Any, return_indices: Literal[True]
) -> tuple[Array, Array]: ...


def adaptive_max_pool(
    x: Array, output_size: Any, return_indices: bool = False
) -> Array | tuple[Array, Array]:
    """Adaptive max pooling over any number of spatial axes.

        y[n, c, o] = max of x[n, c, m] over floor(o i / O) <= m < ceil((o + 1) i / O)

    along every axis. Of equal values the first wins; a NaN wins over all numbers, and of several
    the last, as in torch.

    Args:
        x: (N, C, *i), or (C, *i); of three axes, an integer `output_size` is refused as a guess.
        output_size: O, one integer or one per spatial axis; None keeps the size of an axis. 0 gives
            an empty result.
        return_indices: also return the winners.

    Returns:
        (N, C, *O), new, of the dtype of x; with `return_indices` also int64 indices of the same
        shape: the winner's flat position among the spatial axes of x.

    Raises:
        TypeError: `x` is not an array, or `output_size` holds something other than integers and
            None.
        NotImplementedError: the dtype is bool, complex or no number.
        RuntimeError: shapes do not fit, a size is negative, a spatial axis of x is empty.

    Source: He et al., "Spatial Pyramid Pooling" (2014), for bins of a given number. Counterpart of
    torch.nn.functional.adaptive_max_pool1d, adaptive_max_pool2d, adaptive_max_pool3d; takes
    integers, and None in one axis too.

    >>> import numpy as np
    >>> adaptive_max_pool(np.array([[[1.0, 2.0, 8.0, 4.0, 3.0]]]), (2,), return_indices=True)
    (array([[[8., 8.]]]), array([[[2, 2]]]))
    """
    geo, x = adaptive_max_pool_call(x, output_size, return_indices)
    each = windows(geometry.namespace(x), geo.i, geo.o)
    y, indices = largest(x.reshape(geo.planes, *geo.i), each)
    return (as_y(geo, y), positions_as_y(geo, indices)) if return_indices else as_y(geo, y)


def adaptive_max_pool_grad(
    input_shape: Sequence[int], indices: Array, grad_output: Array, output_size: Any
) -> Array:
    """Gradient of `adaptive_max_pool`: everything to the winner.

        gx[n, c, i] = sum over o with indices[n, c, o] = i of gy[n, c, o]

    With the winners held fixed this is the adjoint of y = x[indices]; its own gradient for gy is
    `max_pool_select(ggx, indices)`. Overlapping windows are added in order of o.

    Args:
        input_shape: shape of x.
        indices: int64, as returned by `adaptive_max_pool`, of the shape of y.
        grad_output: gy, of the shape of y.
        output_size: as in `adaptive_max_pool`.

    Returns:
        gx of `input_shape`, new, of the dtype of `grad_output`; float16 is summed in float32.

    Raises:
        TypeError, NotImplementedError, RuntimeError: as `adaptive_max_pool`; also if `indices` is
            not int64, or holds a position outside x.

    Source: gradient routing, as in `max_pool_grad`. Counterpart of
    torch.ops.aten.adaptive_max_pool2d_backward.

    >>> import numpy as np
    >>> adaptive_max_pool_grad((1, 1, 5), np.array([[[2, 2]]]), np.array([[[3.0, 4.0]]]), (2,))
    array([[[0., 0., 7., 0., 0.]]])
    """
    geo, at, gy = adaptive_max_pool_grad_call(input_shape, indices, grad_output, output_size)
    planes = (geo.planes, *geo.o)
    return as_x(geo, scatter(at.reshape(planes), gy.reshape(planes), math.prod(geo.i)))
