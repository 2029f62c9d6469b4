"""Unpooling: values go back to where max pooling found them; its gradient fetches them there.

    Values ab, indices 3 0 --(size 4)--> b00a      values ab, indices 1 1 --(size 3)--> 0b0

Without duplicate indices this is the scatter that is the gradient of max pooling, and its adjoint
the gather. With duplicates (overlapping windows that share a winner) the last value overwrites the
others. The derivative of that sends nothing to those overwritten; torch sends gy to all of them.
"""

import math
from collections.abc import Sequence

from refconv import geometry
from refconv.engine.winners import gather, place
from refconv.geometry import Array, Ints, as_x, as_y
from refconv.geometry.unpooling import max_unpool_call, max_unpool_grad_call


def max_unpool(
    x: Array,
    indices: Array,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    output_size: Sequence[int] | None = None,
) -> Array:
    """Partial inverse of `max_pool` over any number of spatial axes.

        y[n, c, indices[n, c, i]] = x[n, c, i], and 0 elsewhere

    in order of i: of values with the same index the last stays.

    Args:
        x: (N, C, *i), or (C, *i); of three axes, an integer `kernel_size` is refused as a guess.
        indices: int64 flat positions in y, of the shape of x, as returned by `max_pool`.
        kernel_size, stride, padding: k, s, p of the pool that is undone; s is k if None.
        output_size: o, with or without N and C before it; less than s away, along every axis, from
            (i - 1) s - 2 p + k, which is used if None.

    Returns:
        (N, C, *o), new, of the dtype of x.

    Raises:
        TypeError: an argument is not an array, or not an integer.
        NotImplementedError: the dtype is bool, object or no number.
        ValueError: `output_size` does not fit, or the output would have a negative size.
        RuntimeError: shapes do not fit, a size is out of range, or `indices` is not int64 or holds
            a position outside y.

    Source: Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks" (2013), the
    switches. Counterpart of torch.nn.functional.max_unpool1d, max_unpool2d, max_unpool3d, which
    choose among duplicates at random on several threads, and take a kernel or stride of 0; takes
    every number dtype.

    >>> import numpy as np
    >>> max_unpool(np.array([[[5.0, 7.0]]]), np.array([[[1, 2]]]), (2,))
    array([[[0., 5., 7., 0.]]])
    """
    geo, x, at = max_unpool_call(x, indices, kernel_size, stride, padding, output_size)
    planes = (geo.planes, *geo.i)
    return as_y(geo, place(at.reshape(planes), x.reshape(planes), math.prod(geo.o)))


def max_unpool_grad(
    indices: Array,
    grad_output: Array,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    output_size: Sequence[int] | None = None,
    *,
    strict: bool = False,
) -> Array:
    """Gradient of `max_unpool`: every value fetches the gradient from where it was put.

        gx[n, c, i] = gy[n, c, indices[n, c, i]]

    With `strict` only the values that stayed do, and those overwritten get 0: the true derivative,
    the adjoint of `max_unpool` as a linear map of x. Its own gradient for gy is then
    `max_unpool(ggx)`; without `strict` it is `max_pool_scatter(y_shape, indices, ggx, rank)`.
    Without duplicates the two are the same.

    Args:
        indices: as in `max_unpool`, of the shape of x.
        grad_output: gy, of the shape of y.
        kernel_size, stride, padding, output_size: as in `max_unpool`.
        strict: give nothing to values that were overwritten.

    Returns:
        gx of the shape of `indices`, new, of the dtype of `grad_output`.

    Raises:
        TypeError, NotImplementedError, ValueError, RuntimeError: as `max_unpool`; also if
            `grad_output` has another shape than y.

    Source: the adjoint. Counterpart of the gradient of torch.nn.functional.max_unpool2d; torch has
    no strict form.

    >>> import numpy as np
    >>> at, gy = np.array([[[1, 1]]]), np.array([[[0.0, 7.0, 0.0, 0.0]]])
    >>> max_unpool_grad(at, gy, (2,))
    array([[[7., 7.]]])
    >>> max_unpool_grad(at, gy, (2,), strict=True)
    array([[[0., 7.]]])
    """
    geo, at, gy = max_unpool_grad_call(
        indices, grad_output, kernel_size, stride, padding, output_size, strict
    )
    at = at.reshape(geo.planes, *geo.i)
    gx = gather(gy.reshape(geo.planes, *geo.o), at)
    if strict:
        xp = geometry.namespace(gx)
        number = xp.broadcast_to(xp.arange(math.prod(geo.i)).reshape(geo.i), at.shape)
        owner = place(at, number, math.prod(geo.o))
        gx[gather(owner, at) != number] = 0
    return as_x(geo, gx)
