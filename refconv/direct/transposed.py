"""Transposed convolution and its gradients by definition: one loop nest, three sums.

Each input lays the kernel, multiplied by its value, onto the output: x[i] w[k] is added to y at
i s + k d - p. The gradients send the same products back, as in `refconv.direct.convolution`.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from refconv import geometry
from refconv.direct.convolution import NUMBERS, conjugate, conv_grad_bias
from refconv.geometry import Array, Conv, Ints
from refconv.geometry.sizes import Shape


def products(geo: Conv) -> Iterator[tuple[Shape, Shape, Shape]]:
    """Yield the index into x, w and y of every product in y += x w.

    y[n, m', i s + k d - p] += x[n, c', i] w[c', m, k], c' = c + C/G (group), m' = m + M/G (group);
    what falls outside the output is left out, which is what padding means here.

    The geometry `geo` is that of the convolution from y to x: x has its outputs, y its inputs.
    """
    for n, g, c in np.ndindex(geo.n, geo.g, geo.m):
        for i in np.ndindex(geo.o):
            for m in range(geo.c):
                for k in np.ndindex(geo.k):
                    o = tuple(
                        i_ * s + k_ * d - before
                        for i_, s, k_, d, (before, _) in zip(i, geo.s, k, geo.d, geo.p, strict=True)
                    )
                    if all(0 <= o_ < size for o_, size in zip(o, geo.i, strict=True)):
                        channel = g * geo.m + c
                        yield (n, channel, *i), (channel, m, *k), (n, g * geo.c + m, *o)


@np.errstate(all="ignore")
def conv_transpose(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
) -> Array:
    """y[n, m, i s + k d - p] += x[n, c, i] w[c, m, k], plus b[m]; see `refconv.conv_transpose`."""
    x = geometry.array("x", x, NUMBERS)
    weight = geometry.array("weight", weight, NUMBERS)
    bias = None if bias is None else geometry.array("bias", bias, NUMBERS)
    geometry.same_dtype(("x", x), ("weight", weight), ("bias", bias))
    geo, unbatched = geometry.conv_transpose(
        x.shape, weight.shape, stride, padding, output_padding, groups, dilation
    )
    geometry.conv_bias(bias, geo.g * geo.c)

    acc = geometry.accumulator(x.dtype)
    xs, ws = x.reshape(geo.y_shape).astype(acc), weight.astype(acc)
    y = np.zeros(geo.x_shape, acc)
    for at_x, at_w, at_y in products(geo):
        y[at_y] += xs[at_x] * ws[at_w]
    if bias is not None:
        bs = bias.astype(acc)
        for at_y in np.ndindex(y.shape):
            y[at_y] += bs[at_y[1]]
    return y.astype(x.dtype).reshape(geo.x_shape[unbatched:])


@np.errstate(all="ignore")
def conv_transpose_grad_input(
    input_shape: Sequence[int],
    weight: Array,
    grad_output: Array,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
) -> Array:
    """gx[i] = sum of gy conj(w) over the products of x[i]: `refconv.conv_transpose_grad_input`."""
    weight = geometry.array("weight", weight, NUMBERS)
    grad_output = geometry.array("grad_output", grad_output, NUMBERS)
    geometry.same_dtype(("weight", weight), ("grad_output", grad_output))
    geo, unbatched = geometry.conv_transpose(
        input_shape, weight.shape, stride, padding, output_padding, groups, dilation, "input_shape"
    )
    geometry.matches("grad_output", grad_output, geo.x_shape[unbatched:])

    acc = geometry.accumulator(weight.dtype)
    ws, gy = conjugate(weight.astype(acc)), grad_output.reshape(geo.x_shape).astype(acc)
    gx = np.zeros(geo.y_shape, acc)
    for at_x, at_w, at_y in products(geo):
        gx[at_x] += gy[at_y] * ws[at_w]
    return gx.astype(weight.dtype).reshape(geo.y_shape[unbatched:])


@np.errstate(all="ignore")
def conv_transpose_grad_weight(
    x: Array,
    weight_shape: Sequence[int],
    grad_output: Array,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
) -> Array:
    """gw[k] = sum of gy conj(x) over the products of w[k]: `refconv.conv_transpose_grad_weight`."""
    x = geometry.array("x", x, NUMBERS)
    grad_output = geometry.array("grad_output", grad_output, NUMBERS)
    geometry.same_dtype(("x", x), ("grad_output", grad_output))
    geo, unbatched = geometry.conv_transpose(
        x.shape, weight_shape, stride, padding, output_padding, groups, dilation,
        weight_name="weight_shape",
    )  # fmt: skip
    geometry.matches("grad_output", grad_output, geo.x_shape[unbatched:])

    acc = geometry.accumulator(x.dtype)
    xs, gy = (
        conjugate(x.reshape(geo.y_shape).astype(acc)),
        grad_output.reshape(geo.x_shape).astype(acc),
    )
    gw = np.zeros(geo.w_shape, acc)
    for at_x, at_w, at_y in products(geo):
        gw[at_w] += gy[at_y] * xs[at_x]
    return gw.astype(x.dtype)


def conv_transpose_grad_bias(grad_output: Array) -> Array:
    """gb[m] = sum over n, o of gy[n, m, o]; see `refconv.conv_transpose_grad_bias`."""
    return conv_grad_bias(grad_output)
