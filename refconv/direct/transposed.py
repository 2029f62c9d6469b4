"""Transposed convolution and its gradients by definition: one loop nest, three sums.

Each input lays the kernel, multiplied by its value, onto the output: x[i] w[k] is added to y at
i s + k d - p. The gradients send the same products back, as in `refconv.direct.convolution`.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from refconv.direct.convolution import NUMBERS, conv_grad_bias, plus
from refconv.geometry import Array, Conv, Ints, as_x, as_y
from refconv.geometry.sizes import Shape
from refconv.geometry.transposed import (
    conv_transpose_call,
    conv_transpose_grad_input_call,
    conv_transpose_grad_weight_call,
)


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
    geo, x, w, b = conv_transpose_call(
        x, weight, bias, stride, padding, output_padding, groups, dilation, NUMBERS
    )
    y = np.zeros(geo.x_shape, geo.acc)
    for at_x, at_w, at_y in products(geo):
        y[at_y] += x[at_x] * w[at_w]
    return as_x(geo, plus(y, b))


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
    geo, w, gy = conv_transpose_grad_input_call(
        input_shape, weight, grad_output, stride, padding, output_padding, groups, dilation, NUMBERS
    )
    gx = np.zeros(geo.y_shape, geo.acc)
    for at_x, at_w, at_y in products(geo):
        gx[at_x] += gy[at_y] * w[at_w].conjugate()
    return as_y(geo, gx)


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
    geo, x, gy = conv_transpose_grad_weight_call(
        x, weight_shape, grad_output, stride, padding, output_padding, groups, dilation, NUMBERS
    )
    gw = np.zeros(geo.w_shape, geo.acc)
    for at_x, at_w, at_y in products(geo):
        gw[at_w] += gy[at_y] * x[at_x].conjugate()
    return gw.astype(geo.dtype)


def conv_transpose_grad_bias(grad_output: Array) -> Array:
    """gb[m] = sum over n, o of gy[n, m, o]; see `refconv.conv_transpose_grad_bias`."""
    return conv_grad_bias(grad_output)
