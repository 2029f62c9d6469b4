"""An adaptive pooling: the output size is given, the windows follow."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from refconv.geometry.arguments import (
    batched,
    integer,
    integers,
    is_integer,
    per_axis,
    several,
    spatial_axes,
)
from refconv.geometry.messages import shown
from refconv.geometry.sizes import Shape


class Maps(NamedTuple):
    """N C maps of i inputs and o outputs: what a pooling without a fixed window is."""

    n: int
    c: int
    i: Shape
    o: Shape

    @property
    def x_shape(self) -> Shape:
        """(N, C, *i)."""
        return (self.n, self.c, *self.i)

    @property
    def y_shape(self) -> Shape:
        """(N, C, *o)."""
        return (self.n, self.c, *self.o)

    @property
    def planes(self) -> int:
        """N C."""
        return self.n * self.c


def adaptive(
    x_shape: Sequence[int], output_size: Any, channels: int = 0, x_name: str = "x"
) -> tuple[Maps, bool]:
    """Return a checked adaptive pooling, and whether the input came without a batch axis.

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
    return Maps(x[0], x[1], x[2:], o), unbatched


def given(name: str, value: Any) -> list[int | None]:
    """Return a sequence of integers or None as a list."""
    return [None if v is None else integer(name, v, value) for v in several(name, value)]
