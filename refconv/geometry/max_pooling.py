"""A pooling: its geometry, and what can be wrong with it."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from refconv.geometry.arguments import (
    NUMBERS,
    ORDERED,
    Array,
    Ints,
    array,
    batched,
    flag,
    integer,
    integers,
    library,
    matches,
    operands,
    per_axis,
    spatial_axes,
    summing,
)
from refconv.geometry.messages import shown
from refconv.geometry.remembering import remembered
from refconv.geometry.sizes import Shape, pool_output_size, window_extent


class Pool(NamedTuple):
    """A checked pooling: everything but the data."""

    n: int
    c: int
    i: Shape
    k: Shape
    o: Shape
    s: Shape
    p: Shape
    d: Shape
    unbatched: bool = False  # whether x came without a batch axis
    dtype: np.dtype[Any] = np.dtype(float)  # of what was given, and so of the result

    @property
    def x_shape(self) -> Shape:
        """(N, C, *i)."""
        return (self.n, self.c, *self.i)

    @property
    def y_shape(self) -> Shape:
        """(N, C, *o)."""
        return (self.n, self.c, *self.o)

    @property
    def acc(self) -> np.dtype[Any]:
        """The dtype of the sums."""
        return summing(self.dtype)


def pool(
    x_shape: Sequence[int],
    kernel_size: Ints,
    stride: Ints | None,
    padding: Ints,
    dilation: Ints,
    ceil_mode: bool,
    x_name: str = "x",
) -> Pool:
    """Return a checked pooling.

    The rank is len(kernel_size); one integer means (N, C, *i), unless x has three axes.
    """
    shape = integers(x_name, x_shape)
    rank = spatial_axes("kernel_size", kernel_size, shape, x_name)
    k = per_axis("kernel_size", kernel_size, rank, 1)
    x, unbatched = batched(shape, rank, x_name, "a pooling")
    s = (
        k
        if stride is None or (isinstance(stride, tuple | list) and not stride)
        else per_axis("stride", stride, rank, 1)
    )
    p = per_axis("padding", padding, rank, 0)
    d = per_axis("dilation", dilation, rank, 1)
    up = flag("ceil_mode", ceil_mode)
    if any(2 * before > size for before, size in zip(p, k, strict=True)):
        raise RuntimeError(
            f"padding must be at most half of kernel_size={shown(kernel_size)}, got "
            f"{shown(padding)}"
        )
    if min(x[1:]) < 1:
        raise RuntimeError(f"{x_name} has shape {shown(shape)}: only the batch axis may be empty")
    o = tuple(pool_output_size(*sizes, up) for sizes in zip(x[2:], k, s, p, d, strict=True))
    if min(o) < 1:
        extent = tuple(map(window_extent, k, d))
        raise RuntimeError(
            f"kernel_size={shown(kernel_size)} spans {shown(extent)}, more than the padded input "
            f"{shown(tuple(i + 2 * before for i, before in zip(x[2:], p, strict=True)))}"
        )
    return Pool(x[0], x[1], x[2:], k, o, s, p, d, unbatched)


def every_window_holds(geo: Pool) -> bool:
    """Return whether every window holds an element of x."""
    return not any(
        i < d and any((j * s - p) % d >= i for j in range(min(o, -(-p // s))))
        for i, o, s, p, d in zip(geo.i, geo.o, geo.s, geo.p, geo.d, strict=True)
    )


def every_window_has_an_index(geo: Pool, x_name: str = "x") -> None:
    """Raise where a window holds no element of x: its maximum is nowhere."""
    if not every_window_holds(geo):
        raise RuntimeError(
            f"padding={shown(geo.p)} with dilation={shown(geo.d)} leaves a window of "
            f"kernel_size={shown(geo.k)} without any "
            f"element of {x_name} {shown(geo.x_shape)}: it has no index"
        )


def indices(
    name: str, value: Any, shape: Shape, spatial: Shape, xp: Any = np, least: int = 0
) -> Array:
    """Return int64 flat positions within `spatial`, of this shape; -1 is none, if it may be."""
    found = array(name, value, "i", xp)
    if found.dtype != np.int64:
        raise RuntimeError(f"{name} has dtype {found.dtype}, expected int64")
    matches(name, found, shape)
    if found.size and not least <= found.min() <= found.max() < math.prod(spatial):
        raise RuntimeError(
            f"{name} holds {found.min()} to {found.max()}, expected positions in a map of "
            f"{shown(spatial)}"
        )
    return found


def selection(x_shape: Shape, indices_: Array, rank: int, xp: Any = np) -> Array:
    """Return int64 flat positions in the last `rank` axes of x; the axes before agree with x."""
    r = integer("rank", rank)
    if not 1 <= r < len(x_shape):
        raise RuntimeError(
            f"rank must be from 1 to {len(x_shape) - 1} for x {shown(x_shape)}, got {shown(r)}"
        )
    lead = x_shape[:-r]
    outputs = array("indices", indices_, "i", xp).shape[-r:]
    return indices("indices", indices_, (*lead, *outputs), x_shape[-r:], xp, least=-1)


# --------------------------------------------------------------------------- calls


def max_pool_call(
    x: Array,
    kernel_size: Ints,
    stride: Ints | None,
    padding: Ints,
    dilation: Ints,
    ceil_mode: bool,
    return_indices: bool,
    kinds: str = ORDERED,
) -> tuple[Pool, Array]:
    """Return what `max_pool` computes with: the geometry, and x (N, C, *i)."""
    (x,) = operands(kinds, x=x)
    flag("return_indices", return_indices)
    geo = remembered(pool)(x.shape, kernel_size, stride, padding, dilation, ceil_mode)
    if return_indices:
        every_window_has_an_index(geo)
    return geo._replace(dtype=x.dtype), x.reshape(geo.x_shape)


def max_pool_grad_call(
    input_shape: Sequence[int],
    at: Array,
    grad_output: Array,
    kernel_size: Ints,
    stride: Ints | None,
    padding: Ints,
    dilation: Ints,
    ceil_mode: bool,
    kinds: str = NUMBERS,
) -> tuple[Pool, Array, Array]:
    """Return what `max_pool_grad` computes with: the geometry, indices and gy (N, C, *o)."""
    xp = library(kinds, indices=at, grad_output=grad_output)
    gy = array("grad_output", grad_output, kinds, xp)
    geo = remembered(pool)(
        input_shape, kernel_size, stride, padding, dilation, ceil_mode, "input_shape"
    )
    matches("grad_output", gy, geo.y_shape[geo.unbatched :])
    at = indices("indices", at, gy.shape, geo.i, xp, least=-1)
    geo = geo._replace(dtype=gy.dtype)
    return geo, at.reshape(geo.y_shape), gy.reshape(geo.y_shape)


def max_pool_select_call(
    x: Array, at: Array, rank: int, kinds: str = NUMBERS
) -> tuple[Array, Array, int]:
    """Return what `max_pool_select` computes with: x, flat positions in its last axes, how many."""
    xp = library(kinds, x=x, indices=at)
    x = array("x", x, kinds, xp)
    rank = integer("rank", rank)
    return x, selection(x.shape, at, rank, xp), rank


def max_pool_scatter_call(
    input_shape: Sequence[int],
    at: Array,
    grad_output: Array,
    rank: int,
    kinds: str = NUMBERS,
) -> tuple[Shape, Array, Array, int]:
    """Return what `max_pool_scatter` computes with: the shape of x, indices, gy, and the rank."""
    xp = library(kinds, indices=at, grad_output=grad_output)
    gy = array("grad_output", grad_output, kinds, xp)
    shape = integers("input_shape", input_shape)
    rank = integer("rank", rank)
    at = selection(shape, at, rank, xp)
    matches("grad_output", gy, at.shape)
    return shape, at, gy, rank
