"""A transposed convolution: its geometry, and what can be wrong with it."""

from collections.abc import Sequence

from refconv.geometry.arguments import NUMBERS, Array, Ints, matches, operands, per_axis
from refconv.geometry.convolution import Conv, batch, conv_bias, kernels, maps, wide
from refconv.geometry.messages import shown
from refconv.geometry.remembering import remembered
from refconv.geometry.sizes import conv_transpose_output_size


def conv_transpose(
    x_shape: Sequence[int],
    weight_shape: Sequence[int],
    stride: Ints,
    padding: Ints,
    output_padding: Ints,
    groups: int,
    dilation: Ints,
    x_name: str = "x",
    weight_name: str = "weight",
) -> Conv:
    """Return the convolution that is transposed.

    It leads from the output to the input: its `i` and `c` belong to y, its `o` and `m` to x. An
    output padding as large as the stride adds positions that could hold a window; none is there.
    """
    w, g = kernels(weight_shape, groups, weight_name, "(C, M / groups, *kernel_size)")
    rank = len(w) - 2
    x, unbatched = maps(x_shape, rank, w[0], x_name, weight_name, w, g, transposed=True)
    if w[1] < 1:
        raise RuntimeError(f"{weight_name} has shape {shown(w)}: no output channels")
    s = per_axis("stride", stride, rank, 1)
    p = per_axis("padding", padding, rank, 0)
    a = per_axis("output_padding", output_padding, rank, 0)
    d = per_axis("dilation", dilation, rank, 1)
    if any(a_ >= max(s_, d_) for a_, s_, d_ in zip(a, s, d, strict=True)):
        raise RuntimeError(
            f"output_padding must be smaller than stride or dilation in every axis, "
            f"got output_padding={shown(a)} with stride={shown(s)}, dilation={shown(d)}"
        )
    o = tuple(map(conv_transpose_output_size, x[2:], w[2:], s, p, d, a))
    if min(o) < 1:
        raise RuntimeError(
            f"padding={shown(padding)} leaves nothing of {x_name} {shown(x[unbatched:])}: output "
            f"size {shown(o)}"
        )
    pads = tuple((p_, p_) for p_ in p)
    return Conv(x[0], g, w[0] // g, w[1], o, w[2:], x[2:], s, pads, d, unbatched)


# --------------------------------------------------------------------------- calls


def conv_transpose_call(
    x: Array,
    weight: Array,
    bias: Array | None,
    stride: Ints,
    padding: Ints,
    output_padding: Ints,
    groups: int,
    dilation: Ints,
    kinds: str = NUMBERS,
) -> tuple[Conv, Array, Array, Array | None]:
    """Return what `conv_transpose` computes with: the geometry, x (N, C, *i), w and b."""
    x, weight, bias = operands(kinds, x=x, weight=weight, bias=bias)
    geo = remembered(conv_transpose)(
        x.shape, weight.shape, stride, padding, output_padding, groups, dilation
    )
    conv_bias(bias, geo.g * geo.c)
    geo = geo._replace(dtype=x.dtype)
    b = None if bias is None else wide(geo, bias)
    return geo, wide(geo, batch(geo, x)), wide(geo, weight), b


def conv_transpose_grad_input_call(
    input_shape: Sequence[int],
    weight: Array,
    grad_output: Array,
    stride: Ints,
    padding: Ints,
    output_padding: Ints,
    groups: int,
    dilation: Ints,
    kinds: str = NUMBERS,
) -> tuple[Conv, Array, Array]:
    """Return what `conv_transpose_grad_input` computes with: the geometry, w and gy (N, M, *o)."""
    weight, gy = operands(kinds, weight=weight, grad_output=grad_output)
    geo = remembered(conv_transpose)(
        input_shape, weight.shape, stride, padding, output_padding, groups, dilation, "input_shape"
    )
    matches("grad_output", gy, geo.x_shape[geo.unbatched :])
    geo = geo._replace(dtype=gy.dtype)
    return geo, wide(geo, weight), wide(geo, batch(geo, gy))


def conv_transpose_grad_weight_call(
    x: Array,
    weight_shape: Sequence[int],
    grad_output: Array,
    stride: Ints,
    padding: Ints,
    output_padding: Ints,
    groups: int,
    dilation: Ints,
    kinds: str = NUMBERS,
) -> tuple[Conv, Array, Array]:
    """Return what `conv_transpose_grad_weight` computes with: the geometry, x and gy."""
    x, gy = operands(kinds, x=x, grad_output=grad_output)
    geo = remembered(conv_transpose)(
        x.shape, weight_shape, stride, padding, output_padding, groups, dilation,
        weight_name="weight_shape",
    )  # fmt: skip
    matches("grad_output", gy, geo.x_shape[geo.unbatched :])
    geo = geo._replace(dtype=x.dtype)
    return geo, wide(geo, batch(geo, x)), wide(geo, batch(geo, gy))
