"""Fractional max pooling: windows of one size at steps of a fraction, the fraction random.

    i = 9, k = 2, O = 4: alpha = 7 / 3, u = 0 --> starts 0 2 4 7, u = 0.3 --> starts 0 3 5 7

Window j starts at floor((j + u) alpha) - floor(u alpha), alpha = (i - k) / (O - 1), with one random
number u for every image, channel and axis; the last always ends where the input does. So the steps
are floor(alpha) or one more, at random places (where no product rounds: 1 + u may be 2).
"""

import math
from collections.abc import Sequence
from typing import Any, Literal, overload

import numpy as np

from refconv import geometry
from refconv.engine.ragged import Axis, Windows, largest
from refconv.engine.winners import scatter
from refconv.geometry import Array, Ints, Maps, Ratios, as_x, as_y, positions_as_y
from refconv.geometry.fractional_pooling import (
    fractional_max_pool_call,
    fractional_max_pool_grad_call,
)
from refconv.geometry.sizes import Shape


@overload
def fractional_max_pool(
    x: Array,
    kernel_size: Ints,
    output_size: Ints | None = None,
    output_ratio: Ratios | None = None,
    return_indices: Literal[False] = False,
    random_samples: Array | None = None,
) -> Array: ...


@overload
def fractional_max_pool(
    x: Array,
    kernel_size: Ints,
    output_size: Ints | None = None,
    output_ratio: Ratios | None = None,
    *,
    return_indices: Literal[True],
    random_samples: Array | None = None,
) -> tuple[Array, Array]: ...


@overload
def fractional_max_pool(
    x: Array,
    kernel_size: Ints,
    output_size: Ints | None,
    output_ratio: Ratios | None,
    return_indices: Literal[True],
    random_samples: Array | None = None,
) -> tuple[Array, Array]: ...


def fractional_max_pool(
    x: Array,
    kernel_size: Ints,
    output_size: Ints | None = None,
    output_ratio: Ratios | None = None,
    return_indices: bool = False,
    random_samples: Array | None = None,
) -> Array | tuple[Array, Array]:
    """Fractional max pooling over any number of spatial axes.

        y[n, c, o] = max over k of x[n, c, start[o] + k]
        start[o] = trunc((o + u) alpha) - trunc(u alpha), alpha = (i - k) / (O - 1)

    along every axis, and start[O - 1] = i - k. Of equal values the first wins; a NaN wins over all
    numbers, and of several the last, as in torch.

    Args:
        x: (N, C, *i), or (C, *i); of three axes, an integer `kernel_size` is refused as a guess.
        kernel_size: k, one integer or one per spatial axis.
        output_size: O, one integer or one per spatial axis; 0 gives an empty result.
        output_ratio: O = floor(i ratio), one number or one per spatial axis, where `output_size` is
            None.
        return_indices: also return the winners.
        random_samples: u, (N, C, rank), as a rule from 0 to 1, of the dtype of x (float64 for
            integers), in which starts are computed. As in torch u[..., 0] belongs to the last axis
            if there are two, and to the first otherwise. More images than N are ignored. None draws
            from a fresh `random.default_rng()` of x's library, different in every call: for a
            result that can be had again, pass `rng.random((N, C, rank))`.

    Returns:
        (N, C, *O), new, of the dtype of x; with `return_indices` also int64 indices of the same
        shape: the winner's flat position among the spatial axes of x.

    Raises:
        TypeError: an argument is not an array or an integer, or `output_ratio` not a number.
        NotImplementedError: the dtype is bool, complex or no number.
        ValueError: neither `output_size` nor `output_ratio` is given, or that has a wrong length.
        RuntimeError: shapes do not fit, a size or a sample is out of range, O + k - 1 exceeds i.

    Source: Graham, "Fractional Max-Pooling" (arXiv:1412.6071), pseudorandom regions. Counterpart of
    torch.nn.functional.fractional_max_pool2d, fractional_max_pool3d; takes every rank and integers,
    one ratio for all axes, and O + k - 1 = i in three axes too; refuses kernels of 0 and samples
    that are not numbers, with which torch may read outside x.

    >>> x = np.arange(9.0).reshape(1, 1, 9)
    >>> fractional_max_pool(x, (2,), 4, random_samples=np.array([[[0.3]]]))
    array([[[1., 4., 6., 8.]]])
    """
    geo, k, x, u = fractional_max_pool_call(
        x, kernel_size, output_size, output_ratio, return_indices, random_samples
    )
    y, indices = largest(x.reshape(geo.planes, *geo.i), windows(places(geo, k, u), k))
    return (as_y(geo, y), positions_as_y(geo, indices)) if return_indices else as_y(geo, y)


def places(geo: Maps, k: Shape, u: Array) -> list[Array]:
    """Return where the windows start along every axis, each plane's own, (P, O)."""
    u = u.reshape(geo.planes, len(k))
    u = u[:, ::-1] if len(k) == 2 else u
    sizes = zip(geo.i, geo.o, k, strict=True)
    return [starts(*each, u[:, number]) for number, each in enumerate(sizes)]


def windows(firsts: Sequence[Array], k: Shape) -> list[Windows]:
    """Return the windows of every axis, of k taps from where they start, (P, O)."""

    def axis(first: Array, k: int) -> Windows:
        def of(planes: slice, side: slice) -> Axis:
            at = first[planes, side]
            return Axis(at, geometry.namespace(at).full(at.shape[1], k))

        return Windows(first.shape[1], k, of)

    return list(map(axis, firsts, k))


@np.errstate(all="ignore")
def starts(i: int, o: int, k: int, u: Array) -> Array:
    """Return where the windows of every plane start, (P, o), for its random number u (P).

    >>> starts(9, 4, 2, np.array([0.0, 0.3]))
    array([[0, 2, 4, 7],
           [0, 3, 5, 7]])
    """
    xp = geometry.namespace(u)
    last: Array = xp.full((len(u), min(o, 1)), i - k)
    if o < 2:
        return last
    number: Any = u.dtype.type
    alpha = number(i - k) / number(o - 1)
    j = xp.arange(o - 1).astype(u.dtype)
    first = ((j + u[:, None]) * alpha).astype(np.int64) - (u[:, None] * alpha).astype(np.int64)
    inside = xp.clip(first, 0, i - k)  # float16 may round beyond
    both: Array = xp.concatenate([inside, last], axis=1)
    return both


def fractional_max_pool_grad(
    input_shape: Sequence[int],
    indices: Array,
    grad_output: Array,
    kernel_size: Ints,
    output_size: Ints | None = None,
    output_ratio: Ratios | None = None,
) -> Array:
    """Gradient of `fractional_max_pool`: everything to the winner.

        gx[n, c, i] = sum over o with indices[n, c, o] = i of gy[n, c, o]

    With the winners held fixed this is the adjoint of y = x[indices]; its own gradient for gy is
    `max_pool_select(ggx, indices)`. Overlapping windows are added in order of o.

    Args:
        input_shape: shape of x.
        indices: int64, as returned by `fractional_max_pool`, of the shape of y.
        grad_output: gy, of the shape of y.
        kernel_size, output_size, output_ratio: as in `fractional_max_pool`.

    Returns:
        gx of `input_shape`, new, of the dtype of `grad_output`; float16 is summed in float32.

    Raises:
        TypeError, NotImplementedError, ValueError, RuntimeError: as `fractional_max_pool`; also if
            `indices` is not int64, or holds a position outside x.

    Source: gradient routing, as in `max_pool_grad`. Counterpart of
    torch.ops.aten.fractional_max_pool2d_backward.

    >>> at, gy = np.array([[[1, 1]]]), np.array([[[3.0, 4.0]]])
    >>> fractional_max_pool_grad((1, 1, 3), at, gy, (2,), 2)
    array([[[0., 7., 0.]]])
    """
    geo, at, gy = fractional_max_pool_grad_call(
        input_shape, indices, grad_output, kernel_size, output_size, output_ratio
    )
    planes = (geo.planes, *geo.o)
    return as_x(geo, scatter(at.reshape(planes), gy.reshape(planes), math.prod(geo.i)))
