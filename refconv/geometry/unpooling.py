"""An unpooling: the size it leads to, and what can be wrong with it."""

from collections.abc import Sequence

from refconv.geometry.adaptive_pooling import Maps
from refconv.geometry.arguments import (
    NUMBERS,
    Array,
    Ints,
    array,
    batched,
    flag,
    integers,
    library,
    matches,
    per_axis,
    spatial_axes,
)
from refconv.geometry.max_pooling import indices
from refconv.geometry.messages import shown
from refconv.geometry.remembering import remembered
from refconv.geometry.sizes import unpool_output_size


def unpool(
    x_shape: Sequence[int],
    kernel_size: Ints,
    stride: Ints | None,
    padding: Ints,
    output_size: Sequence[int] | None,
    x_name: str = "x",
    channels: int = 0,
) -> Maps:
    """Return a checked unpooling.

    The rank is len(kernel_size); one integer means (N, C, *i), unless x has three axes. Sizes
    that no such pool could have had are ValueErrors, as in torch.
    """
    shape = integers(x_name, x_shape)
    rank = spatial_axes("kernel_size", kernel_size, shape, x_name)
    k = per_axis("kernel_size", kernel_size, rank, 1)
    x, unbatched = batched(shape, rank, x_name, "an unpooling")
    s = k if stride is None else per_axis("stride", stride, rank, 1)
    p = per_axis("padding", padding, rank, 0)
    if min(x[2:]) < 1 or (x[1] < channels and not unbatched):
        raise RuntimeError(
            f"{x_name} has shape {shown(x[unbatched:])}: only the batch axis may be empty"
        )
    o = least = tuple(map(unpool_output_size, x[2:], k, s, p))
    if output_size is not None:
        given = integers("output_size", output_size)
        if len(given) not in (rank, rank + 2):
            raise ValueError(
                f"output_size must have one entry per spatial axis ({rank}), or two more before "
                f"them, got {shown(output_size)}"
            )
        o = given[-rank:]
        if any(abs(o_ - l_) >= s_ for o_, l_, s_ in zip(o, least, s, strict=True)):
            raise ValueError(
                f"output_size must be less than stride={shown(s)} away from {shown(least)}, got "
                f"{shown(output_size)}"
            )
    if min(o) < 0:
        raise ValueError(f"padding={shown(padding)} leaves an output of negative size {shown(o)}")
    return Maps(x[0], x[1], x[2:], o, unbatched)


# --------------------------------------------------------------------------- calls


def max_unpool_call(
    x: Array,
    at: Array,
    kernel_size: Ints,
    stride: Ints | None,
    padding: Ints,
    output_size: Sequence[int] | None,
    kinds: str = NUMBERS,
) -> tuple[Maps, Array, Array]:
    """Return what `max_unpool` computes with: the geometry, x and the indices, (N, C, *i)."""
    xp = library(kinds, x=x, indices=at)
    x = array("x", x, kinds, xp)
    geo = remembered(unpool)(x.shape, kernel_size, stride, padding, output_size)
    at = indices("indices", at, x.shape, geo.o, xp)
    return geo._replace(dtype=x.dtype), x.reshape(geo.x_shape), at.reshape(geo.x_shape)


def max_unpool_grad_call(
    at: Array,
    grad_output: Array,
    kernel_size: Ints,
    stride: Ints | None,
    padding: Ints,
    output_size: Sequence[int] | None,
    strict: bool,
    kinds: str = NUMBERS,
) -> tuple[Maps, Array, Array]:
    """Return what `max_unpool_grad` computes with: the geometry, indices and gy (N, C, *o)."""
    xp = library(kinds, indices=at, grad_output=grad_output)
    gy = array("grad_output", grad_output, kinds, xp)
    shape = array("indices", at, "i", xp).shape
    flag("strict", strict)
    geo = remembered(unpool)(shape, kernel_size, stride, padding, output_size, "indices")
    matches("grad_output", gy, geo.y_shape[geo.unbatched :])
    at = indices("indices", at, shape, geo.o, xp)
    return geo._replace(dtype=gy.dtype), at.reshape(geo.x_shape), gy.reshape(geo.y_shape)
