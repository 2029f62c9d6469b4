"""An unfolding or folding: its geometry, and what can be wrong with it.

It is that of the convolution whose filters are all one-hot kernels: C K of them, one for each
channel and tap, and the output of each is one row of the columns.
"""

import math
from collections.abc import Sequence
from typing import Any

from refconv.geometry.arguments import (
    NUMBERS,
    Array,
    Ints,
    batched,
    integers,
    is_integer,
    operands,
    per_axis,
    spatial_axes,
)
from refconv.geometry.convolution import Conv
from refconv.geometry.messages import shown
from refconv.geometry.remembering import remembered
from refconv.geometry.sizes import Shape, conv_output_size, window_extent


def unfold(
    x_shape: Sequence[int],
    kernel_size: Ints,
    dilation: Ints,
    padding: Ints,
    stride: Ints,
    x_name: str = "x",
) -> Conv:
    """Return a checked unfolding.

    The rank is len(kernel_size); one integer means (N, C, *i), unless x has three axes.
    """
    shape = integers(x_name, x_shape)
    rank = spatial_axes("kernel_size", kernel_size, shape, x_name)
    x, unbatched = batched(shape, rank, x_name, "an unfolding")
    if min(x[1:]) < 1:
        raise RuntimeError(f"{x_name} has shape {shown(shape)}: only the batch axis may be empty")
    k, d, p, s = window(rank, kernel_size, dilation, padding, stride)
    return windows(x[0], x[1], x[2:], k, d, p, s)._replace(unbatched=unbatched)


def fold(
    cols_shape: Sequence[int],
    output_size: Ints,
    kernel_size: Ints,
    dilation: Ints,
    padding: Ints,
    stride: Ints,
    cols_name: str = "cols",
) -> Conv:
    """Return a checked folding.

    The rank is len(output_size) or len(kernel_size); two integers mean 2 axes, as in torch.
    """
    shape = integers(cols_name, cols_shape)
    rank = axes("output_size", output_size) or axes("kernel_size", kernel_size) or 2
    i = per_axis("output_size", output_size, rank, 1)
    k, d, p, s = window(rank, kernel_size, dilation, padding, stride)
    cols, unbatched = batched(shape, 1, cols_name, "a folding (of columns, (C K, L))")
    taps = math.prod(k)
    if min(cols[1:]) < 1:
        raise RuntimeError(
            f"{cols_name} has shape {shown(shape)}: only the batch axis may be empty"
        )
    if cols[1] % taps:
        raise RuntimeError(
            f"{cols_name} has shape {shown(shape)}: {cols[1]} rows are no multiple of the {taps} "
            "taps of "
            f"kernel_size={shown(kernel_size)} in {rank} axes"
        )
    geo = windows(cols[0], cols[1] // taps, i, k, d, p, s)
    if cols[2] != math.prod(geo.o):
        raise RuntimeError(
            f"{cols_name} has shape {shown(shape)}: {cols[2]} columns, but "
            f"output_size={shown(output_size)} and kernel_size={shown(kernel_size)} make "
            f"{shown(geo.o)} windows"
        )
    return geo._replace(unbatched=unbatched)


def axes(name: str, value: Any) -> int | None:
    """Return the number of axes that an argument is for; None if it is an integer, for any."""
    return None if is_integer(value) else len(integers(name, value))


def window(
    rank: int, kernel_size: Ints, dilation: Ints, padding: Ints, stride: Ints
) -> tuple[Shape, Shape, Shape, Shape]:
    """Return k, d, p and s for every axis."""
    return (
        per_axis("kernel_size", kernel_size, rank, 1),
        per_axis("dilation", dilation, rank, 1),
        per_axis("padding", padding, rank, 0),
        per_axis("stride", stride, rank, 1),
    )


def windows(n: int, c: int, i: Shape, k: Shape, d: Shape, p: Shape, s: Shape) -> Conv:
    """Return the geometry of all windows of maps of shape i."""
    pads = tuple((p_, p_) for p_ in p)
    o = tuple(map(conv_output_size, i, k, s, pads, d))
    if min(o) < 1:
        extent = tuple(map(window_extent, k, d))
        padded = tuple(i_ + 2 * p_ for i_, p_ in zip(i, p, strict=True))
        raise RuntimeError(
            f"kernel_size={shown(k)} spans {shown(extent)}, more than the padded size "
            f"{shown(padded)} of the maps"
        )
    return Conv(n, 1, c * math.prod(k), c, i, k, o, s, pads, d)


# --------------------------------------------------------------------------- calls


def unfold_call(
    x: Array, kernel_size: Ints, dilation: Ints, padding: Ints, stride: Ints, kinds: str = NUMBERS
) -> tuple[Conv, Array]:
    """Return what `unfold` computes with: the geometry, and x (N, C, *i)."""
    (x,) = operands(kinds + "b", x=x)
    geo = remembered(unfold)(x.shape, kernel_size, dilation, padding, stride)
    return geo._replace(dtype=x.dtype), x.reshape(geo.x_shape)


def fold_call(
    cols: Array,
    output_size: Ints,
    kernel_size: Ints,
    dilation: Ints,
    padding: Ints,
    stride: Ints,
    kinds: str = NUMBERS,
) -> tuple[Conv, Array]:
    """Return what `fold` computes with: the geometry, and the columns (N, C, *k, *o)."""
    (cols,) = operands(kinds + "b", cols=cols)
    geo = remembered(fold)(cols.shape, output_size, kernel_size, dilation, padding, stride)
    by_window = cols.reshape(geo.n, geo.c, *geo.k, *geo.o)
    return geo._replace(dtype=cols.dtype), by_window
