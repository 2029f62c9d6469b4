"""Convolution and its gradients by definition: one loop nest, three sums.

A convolution is linear in x and in w. Each of its products x w feeds one output y; the gradients
send the same products back: to x with weight w, to w with weight x.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from refconv import geometry
from refconv.geometry import Array, Conv, Ints
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
    x = geometry.array("x", x, NUMBERS)
    weight = geometry.array("weight", weight, NUMBERS)
    bias = None if bias is None else geometry.array("bias", bias, NUMBERS)
    geometry.same_dtype(("x", x), ("weight", weight), ("bias", bias))
    geo, unbatched = geometry.conv(x.shape, weight.shape, stride, padding, dilation, groups)
    geometry.conv_bias(bias, geo.g * geo.m)

    acc = geometry.accumulator(x.dtype)
    xs, ws = x.reshape(geo.x_shape).astype(acc), weight.astype(acc)
    y = np.zeros(geo.y_shape, acc)
    for at_x, at_w, at_y in products(geo):
        y[at_y] += xs[at_x] * ws[at_w]
    if bias is not None:
        for n, m in np.ndindex(geo.n, geo.g * geo.m):
            y[n, m] += bias[m].astype(acc) if acc.kind != "O" else bias[m]
    y = y.astype(x.dtype)
    return y[0] if unbatched else y


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
    weight = geometry.array("weight", weight, NUMBERS)
    grad_output = geometry.array("grad_output", grad_output, NUMBERS)
    geometry.same_dtype(("weight", weight), ("grad_output", grad_output))
    geo, unbatched = geometry.conv(
        input_shape, weight.shape, stride, padding, dilation, groups, "input_shape"
    )
    geometry.matches("grad_output", grad_output, geo.y_shape[unbatched:])

    acc = geometry.accumulator(weight.dtype)
    ws, gy = conjugate(weight.astype(acc)), grad_output.reshape(geo.y_shape).astype(acc)
    gx = np.zeros(geo.x_shape, acc)
    for at_x, at_w, at_y in products(geo):
        gx[at_x] += gy[at_y] * ws[at_w]
    gx = gx.astype(weight.dtype)
    return gx[0] if unbatched else gx


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
    x = geometry.array("x", x, NUMBERS)
    grad_output = geometry.array("grad_output", grad_output, NUMBERS)
    geometry.same_dtype(("x", x), ("grad_output", grad_output))
    geo, unbatched = geometry.conv(
        x.shape, weight_shape, stride, padding, dilation, groups, "x", "weight_shape"
    )
    geometry.matches("grad_output", grad_output, geo.y_shape[unbatched:])

    acc = geometry.accumulator(x.dtype)
    xs, gy = (
        conjugate(x.reshape(geo.x_shape).astype(acc)),
        grad_output.reshape(geo.y_shape).astype(acc),
    )
    gw = np.zeros(geo.w_shape, acc)
    for at_x, at_w, at_y in products(geo):
        gw[at_w] += gy[at_y] * xs[at_x]
    return gw.astype(x.dtype)


@np.errstate(all="ignore")
def conv_grad_bias(grad_output: Array) -> Array:
    """gb[m] = sum over n, o of gy[n, m, o]; see `refconv.conv_grad_bias`."""
    grad_output = geometry.array("grad_output", grad_output, NUMBERS)
    geometry.grad_bias(grad_output.shape)
    acc = geometry.accumulator(grad_output.dtype)
    gy = grad_output.astype(acc)
    gb = np.zeros(gy.shape[1], acc)
    for at_y in np.ndindex(gy.shape):
        gb[at_y[1]] += gy[at_y]
    return gb.astype(grad_output.dtype)


def conjugate(a: Array) -> Array:
    """Return conj(a): `a` itself unless it is complex."""
    return a.conj() if a.dtype.kind == "c" else a
