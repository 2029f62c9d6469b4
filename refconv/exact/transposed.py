"""Transposed convolution and its gradients in exact arithmetic: the products of its convolution.

The convolution that leads from y back to x has the same products, x and y exchanged.
"""

from collections.abc import Sequence

from refconv import geometry
from refconv.exact.convolution import conv_grad_bias, plus_bias, products
from refconv.exact.sums import Exact, scaled, total
from refconv.geometry import Array, Ints


def conv_transpose(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
) -> Exact:
    """y[n, m, i s + k d - p] += x[n, c, i] w[c, m, k], plus b[m], exactly.

    >>> import numpy as np
    >>> y = conv_transpose(np.array([[[1.0, 2.0]]]), np.array([[[3.0, 0.5]]]))
    >>> y.value.astype(float), y.terms
    (array([[[3. , 6.5, 1. ]]]), array([[[1, 2, 1]]], dtype=object))
    """
    (x_ints, ex), (w_ints, ew) = scaled("x", x), scaled("weight", weight)
    geo = geometry.conv_transpose(
        x.shape, weight.shape, stride, padding, output_padding, groups, dilation
    )
    if bias is not None:
        geometry.array("bias", bias, geometry.ORDERED)
    geometry.conv_bias(bias, geo.g * geo.c)
    at_y, at_w, at_x = products(geo)
    y = total(x_ints.ravel()[at_x] * w_ints.ravel()[at_w], ex + ew, at_y, geo.x_shape)
    y = plus_bias(y, bias)
    return y[0] if geo.unbatched else y


def conv_transpose_grad_input(
    input_shape: Sequence[int],
    weight: Array,
    grad_output: Array,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
) -> Exact:
    """gx[i] = sum of gy w over the products of x[i], exactly."""
    (gy, ey), (w, ew) = scaled("grad_output", grad_output), scaled("weight", weight)
    geo = geometry.conv_transpose(
        input_shape, weight.shape, stride, padding, output_padding, groups, dilation, "input_shape"
    )
    geometry.matches("grad_output", grad_output, geo.x_shape[geo.unbatched :])
    at_y, at_w, at_x = products(geo)
    gx = total(gy.ravel()[at_y] * w.ravel()[at_w], ey + ew, at_x, geo.y_shape)
    return gx[0] if geo.unbatched else gx


def conv_transpose_grad_weight(
    x: Array,
    weight_shape: Sequence[int],
    grad_output: Array,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
) -> Exact:
    """gw[k] = sum of gy x over the products of w[k], exactly."""
    (gy, ey), (x_ints, ex) = scaled("grad_output", grad_output), scaled("x", x)
    geo = geometry.conv_transpose(
        x.shape, weight_shape, stride, padding, output_padding, groups, dilation,
        weight_name="weight_shape",
    )  # fmt: skip
    geometry.matches("grad_output", grad_output, geo.x_shape[geo.unbatched :])
    at_y, at_w, at_x = products(geo)
    return total(gy.ravel()[at_y] * x_ints.ravel()[at_x], ey + ex, at_w, geo.w_shape)


def conv_transpose_grad_bias(grad_output: Array) -> Exact:
    """gb[m] = sum over n, o of gy[n, m, o], exactly."""
    return conv_grad_bias(grad_output)
