"""A convolution: its geometry, and what can be wrong with it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from refconv.geometry.arguments import (
    NUMBERS,
    Array,
    Ints,
    accumulator,
    batched,
    integer,
    integers,
    matches,
    operands,
    per_axis,
)
from refconv.geometry.messages import shown
from refconv.geometry.remembering import remembered
from refconv.geometry.sizes import (
    Pads,
    Shape,
    conv_output_size,
    same_padding,
    window_extent,
)


class Conv(NamedTuple):
    """A checked convolution: everything but the data.

    n images, g groups, m filters and c channels of each group; i, k, o are the spatial shapes.
    """

    n: int
    g: int
    m: int
    c: int
    i: Shape
    k: Shape
    o: Shape
    s: Shape
    p: Pads
    d: Shape
    unbatched: bool = False  # whether x came without a batch axis
    dtype: np.dtype[Any] = np.dtype(float)  # of what was given, and so of the result

    @property
    def x_shape(self) -> Shape:
        """(N, C, *i)."""
        return (self.n, self.g * self.c, *self.i)

    @property
    def w_shape(self) -> Shape:
        """(M, C / groups, *k)."""
        return (self.g * self.m, self.c, *self.k)

    @property
    def y_shape(self) -> Shape:
        """(N, M, *o)."""
        return (self.n, self.g * self.m, *self.o)

    @property
    def acc(self) -> np.dtype[Any]:
        """The dtype of the sums."""
        return accumulator(self.dtype)


def conv(
    x_shape: Sequence[int],
    weight_shape: Sequence[int],
    stride: Ints,
    padding: Ints | str,
    dilation: Ints,
    groups: int,
    x_name: str = "x",
    weight_name: str = "weight",
) -> Conv:
    """Return a checked convolution."""
    w, g = kernels(weight_shape, groups, weight_name, "(M, C / groups, *kernel_size)")
    rank = len(w) - 2
    x, unbatched = maps(x_shape, rank, w[1] * g, x_name, weight_name, w, g)
    s = per_axis("stride", stride, rank, 1)
    d = per_axis("dilation", dilation, rank, 1)
    p = conv_padding(padding, w[2:], s, d)
    o = tuple(map(conv_output_size, x[2:], w[2:], s, p, d))
    if min(o) < 1:
        padded = tuple(i + sum(pads) for i, pads in zip(x[2:], p, strict=True))
        extent = tuple(map(window_extent, w[2:], d))
        raise RuntimeError(
            f"{weight_name} has shape {shown(w)}: its kernel spans {shown(extent)}, "
            f"more than the padded input {shown(padded)}"
        )
    return Conv(x[0], g, w[0] // g, w[1], x[2:], w[2:], o, s, p, d, unbatched)


def kernels(weight_shape: Sequence[int], groups: int, name: str, layout: str) -> tuple[Shape, int]:
    """Return the shape of a weight, and the groups that its first axis falls into."""
    w = integers(name, weight_shape)
    if len(w) < 3:
        one = "; one kernel for one image of one channel is x[None], w[None, None]"
        raise RuntimeError(
            f"{name} has shape {shown(w)}, expected {layout}{'' if name.endswith('shape') else one}"
        )
    g = integer("groups", groups)
    if g < 1:
        raise RuntimeError(f"groups must be at least 1, got {shown(g)}")
    if w[0] < 1 or w[0] % g:
        raise RuntimeError(
            f"{name} has shape {shown(w)}: its first dimension, {w[0]}, "
            f"must be a positive multiple of groups={shown(g)}"
        )
    if min(w[2:]) < 1:
        raise RuntimeError(f"{name} has shape {shown(w)}: an empty kernel")
    return w, g


def maps(
    x_shape: Sequence[int],
    rank: int,
    channels: int,
    name: str,
    weight_name: str,
    w: Shape,
    g: int,
    transposed: bool = False,
) -> tuple[Shape, bool]:
    """Return the shape of an input with its batch axis, and whether that axis had to be added.

    A spatial axis may be empty in no image at all that is convolved transposed: what then comes out
    has a size, as in torch.
    """
    x, unbatched = batched(x_shape, rank, name, "a convolution")
    if x[1] != channels:
        raise RuntimeError(
            f"{name} has {x[1]} channels, shape {shown(x[unbatched:])}: "
            f"{weight_name} of shape {shown(w)} with groups={shown(g)} expects {channels}"
        )
    if min(x[2:]) < 1 and not (transposed and x[0] == 0):
        raise RuntimeError(f"{name} has shape {shown(x[unbatched:])}: a spatial axis is empty")
    return x, unbatched


def conv_padding(padding: Ints | str, k: Shape, s: Shape, d: Shape) -> Pads:
    """Return (before, after) for every axis, from integers, 'same' or 'valid'."""
    if not isinstance(padding, str):
        return tuple((p, p) for p in per_axis("padding", padding, len(k), 0))
    if padding == "valid":
        return ((0, 0),) * len(k)
    if padding != "same":
        raise RuntimeError(f"padding must be integers, 'same' or 'valid', got {shown(padding)}")
    if any(v != 1 for v in s):
        raise RuntimeError(f"padding='same' needs stride 1, got stride={shown(s)}")
    return tuple(map(same_padding, k, d))


def conv_bias(bias: Array | None, filters: int) -> None:
    """Raise unless there is no bias or one value for each output channel."""
    if bias is not None and bias.shape != (filters,):
        raise RuntimeError(
            f"bias has shape {shown(bias.shape)}, expected ({filters},), one per output channel"
        )


def grad_bias(grad_output_shape: Shape) -> None:
    """Raise unless the gradient is batched: without the batch axis its rank would be a guess."""
    if len(grad_output_shape) < 3:
        raise RuntimeError(
            f"grad_output has shape {shown(grad_output_shape)}, expected (N, M, *output_size), "
            "batched"
        )


# --------------------------------------------------------------------------- calls


def conv_call(
    x: Array,
    weight: Array,
    bias: Array | None,
    stride: Ints,
    padding: Ints | str,
    dilation: Ints,
    groups: int,
    kinds: str = NUMBERS,
) -> tuple[Conv, Array, Array, Array | None]:
    """Return what `conv` computes with: the geometry, x (N, C, *i), w and b, in the sums' dtype."""
    x, weight, bias = operands(kinds, x=x, weight=weight, bias=bias)
    geo = remembered(conv)(x.shape, weight.shape, stride, padding, dilation, groups)
    conv_bias(bias, geo.g * geo.m)
    geo = geo._replace(dtype=x.dtype)
    b = None if bias is None else wide(geo, bias)
    return geo, wide(geo, batch(geo, x)), wide(geo, weight), b


def batch(geo: Conv, a: Array) -> Array:
    """Return an array with the batch axis that the call left out."""
    return a[None] if geo.unbatched else a


def wide(geo: Conv, a: Array) -> Array:
    """Return an array in the dtype of the sums."""
    return a.astype(geo.acc, copy=False)


def conv_grad_input_call(
    input_shape: Sequence[int],
    weight: Array,
    grad_output: Array,
    stride: Ints,
    padding: Ints | str,
    dilation: Ints,
    groups: int,
    kinds: str = NUMBERS,
) -> tuple[Conv, Array, Array]:
    """Return what `conv_grad_input` computes with: the geometry, w and gy (N, M, *o)."""
    weight, gy = operands(kinds, weight=weight, grad_output=grad_output)
    geo = remembered(conv)(
        input_shape, weight.shape, stride, padding, dilation, groups, "input_shape"
    )
    matches("grad_output", gy, geo.y_shape[geo.unbatched :])
    geo = geo._replace(dtype=gy.dtype)
    return geo, wide(geo, weight), wide(geo, batch(geo, gy))


def conv_grad_weight_call(
    x: Array,
    weight_shape: Sequence[int],
    grad_output: Array,
    stride: Ints,
    padding: Ints | str,
    dilation: Ints,
    groups: int,
    kinds: str = NUMBERS,
) -> tuple[Conv, Array, Array]:
    """Return what `conv_grad_weight` computes with: the geometry, x (N, C, *i), gy (N, M, *o)."""
    x, gy = operands(kinds, x=x, grad_output=grad_output)
    geo = remembered(conv)(
        x.shape, weight_shape, stride, padding, dilation, groups, "x", "weight_shape"
    )
    matches("grad_output", gy, geo.y_shape[geo.unbatched :])
    geo = geo._replace(dtype=x.dtype)
    return geo, wide(geo, batch(geo, x)), wide(geo, batch(geo, gy))


def conv_grad_bias_call(grad_output: Array, kinds: str = NUMBERS) -> Array:
    """Return gy, (N, M, *o), as it is given."""
    (gy,) = operands(kinds, grad_output=grad_output)
    grad_bias(gy.shape)
    return gy  # type: ignore[no-any-return]
