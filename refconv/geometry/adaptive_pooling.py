"""An adaptive pooling: the output size is given, the windows follow."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from refconv.geometry.arguments import (
    NUMBERS,
    ORDERED,
    Array,
    array,
    batched,
    flag,
    integer,
    integers,
    is_integer,
    library,
    matches,
    operands,
    per_axis,
    several,
    spatial_axes,
    summing,
)
from refconv.geometry.max_pooling import indices
from refconv.geometry.messages import shown
from refconv.geometry.remembering import remembered
from refconv.geometry.sizes import Shape


class Maps(NamedTuple):
    """N C maps of i inputs and o outputs: what a pooling without a fixed window is."""

    n: int
    c: int
    i: Shape
    o: Shape
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

    @property
    def planes(self) -> int:
        """N C."""
        return self.n * self.c


def adaptive(
    x_shape: Sequence[int], output_size: Any, channels: int = 0, x_name: str = "x"
) -> Maps:
    """Return a checked adaptive pooling.

    The rank is len(output_size); one integer means (N, C, *i), unless x has three axes. At least so
    many `channels` are asked for in a batch: by torch one for maxima.
    """
    shape = integers(x_name, x_shape)
    sizes: Sequence[int | None]
    if is_integer(output_size):
        rank = spatial_axes("output_size", output_size, shape, x_name)
        sizes = per_axis("output_size", output_size, rank, 0)
    else:
        sizes = given("output_size", output_size)
    if not sizes:
        raise RuntimeError(
            f"output_size must have one entry per spatial axis, got {shown(output_size)}"
        )
    x, unbatched = batched(shape, len(sizes), x_name, "an adaptive pooling")
    o = tuple(i if size is None else size for i, size in zip(x[2:], sizes, strict=True))
    if min(o) < 0:
        raise RuntimeError(
            f"output_size must be at least 0 in every axis, got {shown(output_size)}"
        )
    if (x[1] < channels and not unbatched) or min(x[2:]) < 1:
        raise RuntimeError(
            f"{x_name} has shape {shown(x[unbatched:])}: only the batch axis may be empty"
        )
    return Maps(x[0], x[1], x[2:], o, unbatched)


def given(name: str, value: Any) -> list[int | None]:
    """Return a sequence of integers or None as a list."""
    return [None if v is None else integer(name, v, value) for v in several(name, value)]


# --------------------------------------------------------------------------- calls


def adaptive_avg_pool_call(x: Array, output_size: Any, kinds: str = NUMBERS) -> tuple[Maps, Array]:
    """Return what `adaptive_avg_pool` computes with: the geometry, and x (N, C, *i)."""
    (x,) = operands(kinds, x=x)
    geo = remembered(adaptive)(x.shape, output_size)
    return geo._replace(dtype=x.dtype), x.reshape(geo.x_shape)


def adaptive_avg_pool_grad_call(
    input_shape: Sequence[int], grad_output: Array, output_size: Any, kinds: str = NUMBERS
) -> tuple[Maps, Array]:
    """Return what `adaptive_avg_pool_grad` computes with: the geometry, and gy (N, C, *O)."""
    (gy,) = operands(kinds, grad_output=grad_output)
    geo = remembered(adaptive)(input_shape, output_size, x_name="input_shape")
    matches("grad_output", gy, geo.y_shape[geo.unbatched :])
    return geo._replace(dtype=gy.dtype), gy.reshape(geo.y_shape)


def adaptive_max_pool_call(
    x: Array, output_size: Any, return_indices: bool, kinds: str = ORDERED
) -> tuple[Maps, Array]:
    """Return what `adaptive_max_pool` computes with: the geometry, and x (N, C, *i)."""
    (x,) = operands(kinds, x=x)
    flag("return_indices", return_indices)
    geo = remembered(adaptive)(x.shape, output_size)
    return geo._replace(dtype=x.dtype), x.reshape(geo.x_shape)


def adaptive_max_pool_grad_call(
    input_shape: Sequence[int],
    at: Array,
    grad_output: Array,
    output_size: Any,
    kinds: str = NUMBERS,
) -> tuple[Maps, Array, Array]:
    """Return what `adaptive_max_pool_grad` computes with: the geometry, indices and gy."""
    xp = library(kinds, indices=at, grad_output=grad_output)
    gy = array("grad_output", grad_output, kinds, xp)
    geo = remembered(adaptive)(input_shape, output_size, x_name="input_shape")
    return maps_and_winners(geo, at, gy, xp)


def maps_and_winners(geo: Maps, at: Array, gy: Array, xp: Any) -> tuple[Maps, Array, Array]:
    """Return the geometry, and the checked indices and gy of its outputs, both (N, C, *O)."""
    matches("grad_output", gy, geo.y_shape[geo.unbatched :])
    at = indices("indices", at, gy.shape, geo.i, xp)
    return geo._replace(dtype=gy.dtype), at.reshape(geo.y_shape), gy.reshape(geo.y_shape)
