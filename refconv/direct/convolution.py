"""Convolution and its gradients by definition: one loop nest, three sums.

A convolution is linear in x and in w. Each of its products x w feeds one output y; the gradients
send the same products back: to x with weight w, to w with weight x.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from refconv import geometry
from refconv.geometry import Array, Conv, Ints, accumulator, as_x, as_y
from refconv.geometry.convolution import (
    conv_call,
    conv_grad_bias_call,
    conv_grad_input_call,
    conv_grad_weight_call,
)
from refconv.geometry.sizes import Shape

NUMBERS = geometry.NUMBERS + "O"  # object arrays (fractions, big integers) run here too


def products(geo: Conv) -> Iterator[tuple[Shape, Shape, Shape]]:
    """Yield the index into x, w and y of every product in y += x w.

    y[n, m, o] = sum over c, k of x[n, c', o s + k d - p] w[m, c, k], c' = c + C/G (group of m);
    a product outside the input is left out, which is what zero padding means.
    """
    for n, g, m in np.ndindex(geo.n, geo.g, geo.m):
        for o in np.ndindex(geo.o):
            for c in range(geo.c):
                for k in np.ndindex(geo.k):
                    i = tuple(
                        o_ * s + k_ * d - before
                        for o_, s, k_, d, (before, _) in zip(o, geo.s, k, geo.d, geo.p, strict=True)
                    )
                    if all(0 <= i_ < size for i_, size in zip(i, geo.i, strict=True)):
                        filter_ = g * geo.m + m
                        yield (n, g * geo.c + c, *i), (filter_, c, *k), (n, filter_, *o)


@np.errstate(all="ignore")
def conv(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Ints = 1,
    padding: Ints | str = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Array:
    """y[n, m, o] = b[m] + sum of x[n, c, o s + k d - p] w[m, c, k]; see `refconv.conv`."""
    geo, x, w, b = conv_call(x, weight, bias, stride, padding, dilation, groups, NUMBERS)
    y = np.zeros(geo.y_shape, geo.acc)
    for at_x, at_w, at_y in products(geo):
        y[at_y] += x[at_x] * w[at_w]
    return as_y(geo, plus(y, b))


@np.errstate(all="ignore")
def conv_grad_input(
    input_shape: Sequence[int],
    weight: Array,
    grad_output: Array,
    stride: Ints = 1,
    padding: Ints | str = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Array:
    """gx[i] = sum of gy conj(w) over the products that read x[i]; see `refconv.conv_grad_input`."""
    geo, w, gy = conv_grad_input_call(
        input_shape, weight, grad_output, stride, padding, dilation, groups, NUMBERS
    )
    gx = np.zeros(geo.x_shape, geo.acc)
    for at_x, at_w, at_y in products(geo):
        gx[at_x] += gy[at_y] * w[at_w].conjugate()
    return as_x(geo, gx)


@np.errstate(all="ignore")
def conv_grad_weight(
    x: Array,
    weight_shape: Sequence[int],
    grad_output: Array,
    stride: Ints = 1,
    padding: Ints | str = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Array:
    """gw[k] = sum of gy conj(x) over the products that use w[k]; see `refconv.conv_grad_weight`."""
    geo, x, gy = conv_grad_weight_call(
        x, weight_shape, grad_output, stride, padding, dilation, groups, NUMBERS
    )
    gw = np.zeros(geo.w_shape, geo.acc)
    for at_x, at_w, at_y in products(geo):
        gw[at_w] += gy[at_y] * x[at_x].conjugate()
    return gw.astype(geo.dtype)


@np.errstate(all="ignore")
def conv_grad_bias(grad_output: Array) -> Array:
    """gb[m] = sum over n, o of gy[n, m, o]; see `refconv.conv_grad_bias`."""
    gy = conv_grad_bias_call(grad_output, NUMBERS)
    gb = np.zeros(gy.shape[1], accumulator(gy.dtype))
    for at_y in np.ndindex(gy.shape):
        gb[at_y[1]] += gy[at_y]
    return gb.astype(gy.dtype)


def plus(y: Array, b: Array | None) -> Array:
    """Add b[m] onto every y[n, m, o]; None adds nothing."""
    if b is not None:
        for at_y in np.ndindex(y.shape):
            y[at_y] += b[at_y[1]]
    return y
