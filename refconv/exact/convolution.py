"""Convolution and its gradients in exact arithmetic: one list of products, three sums."""

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from refconv import geometry
from refconv.direct.convolution import products as products_by_definition
from refconv.exact.sums import Exact, exactly, scaled, total
from refconv.geometry import Array, Conv, Ints


@lru_cache(maxsize=64)
def products(geo: Conv) -> tuple[Array, Array, Array]:
    """Return the flat positions in x, w and y of every product of y += x w, kept for the next use.

    Outputs, gradients and second gradients of one convolution are all sums over this one list. The
    definition is asked for one map and one filter; images, groups, filters and channels repeat it.
    """
    one_map = geo._replace(n=1, g=1, m=1, c=1)
    found = list(products_by_definition(one_map))
    if not found:  # every window lies in the padding
        return (np.zeros(0, np.int64),) * 3
    i, k, o = (np.array(at, np.int64)[:, 2:].T for at in zip(*found, strict=True))
    n, g, m, c, t = np.ogrid[: geo.n, : geo.g, : geo.m, : geo.c, : len(found)]
    at_x = ((n * geo.g + g) * geo.c + c) * math.prod(geo.i) + np.ravel_multi_index(tuple(i), geo.i)[
        t
    ]
    at_w = ((g * geo.m + m) * geo.c + c) * math.prod(geo.k) + np.ravel_multi_index(tuple(k), geo.k)[
        t
    ]
    at_y = ((n * geo.g + g) * geo.m + m) * math.prod(geo.o) + np.ravel_multi_index(tuple(o), geo.o)[
        t
    ]
    at_x, at_w, at_y = np.broadcast_arrays(at_x, at_w, at_y)
    return at_x.ravel(), at_w.ravel(), at_y.ravel()


def conv(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Ints = 1,
    padding: Ints | str = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Exact:
    """y[n, m, o] = b[m] + sum over c, k of x[n, c, o s + k d - p] w[m, c, k], exactly.

    >>> x, w = np.array([[[1.0, 2.0, 4.0]]]), np.array([[[3.0, 0.5]]])
    >>> y = conv(x, w, padding=1)
    >>> y.value.astype(float), y.terms
    (array([[[ 0.5,  4. ,  8. , 12. ]]]), array([[[1, 2, 2, 1]]], dtype=object))
    """
    (a, ea), (b, eb) = scaled("x", x), scaled("weight", weight)
    geo = geometry.conv(x.shape, weight.shape, stride, padding, dilation, groups)
    if bias is not None:
        geometry.array("bias", bias, geometry.ORDERED)
    geometry.conv_bias(bias, geo.g * geo.m)
    at_x, at_w, at_y = products(geo)
    y = total(a.ravel()[at_x] * b.ravel()[at_w], ea + eb, at_y, geo.y_shape)
    y = plus_bias(y, bias)
    return y[0] if geo.unbatched else y


def plus_bias(y: Exact, bias: Array | None) -> Exact:
    """Return y, (N, M, *o), with the bias of its channel added to every sum."""
    if bias is None:
        return y
    channels = np.arange(y.shape[1]).reshape(-1, *(1,) * (len(y.shape) - 2))
    return y + exactly("bias", bias)[np.broadcast_to(channels, y.shape)]


def conv_grad_input(
    input_shape: Sequence[int],
    weight: Array,
    grad_output: Array,
    stride: Ints = 1,
    padding: Ints | str = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Exact:
    """gx[i] = sum of gy w over the products that read x[i], exactly."""
    (a, ea), (b, eb) = scaled("grad_output", grad_output), scaled("weight", weight)
    geo = geometry.conv(input_shape, weight.shape, stride, padding, dilation, groups, "input_shape")
    geometry.matches("grad_output", grad_output, geo.y_shape[geo.unbatched :])
    at_x, at_w, at_y = products(geo)
    gx = total(a.ravel()[at_y] * b.ravel()[at_w], ea + eb, at_x, geo.x_shape)
    return gx[0] if geo.unbatched else gx


def conv_grad_weight(
    x: Array,
    weight_shape: Sequence[int],
    grad_output: Array,
    stride: Ints = 1,
    padding: Ints | str = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Exact:
    """gw[k] = sum of gy x over the products that use w[k], exactly."""
    (a, ea), (b, eb) = scaled("grad_output", grad_output), scaled("x", x)
    geo = geometry.conv(
        x.shape, weight_shape, stride, padding, dilation, groups, "x", "weight_shape"
    )
    geometry.matches("grad_output", grad_output, geo.y_shape[geo.unbatched :])
    at_x, at_w, at_y = products(geo)
    return total(a.ravel()[at_y] * b.ravel()[at_x], ea + eb, at_w, geo.w_shape)


def conv_grad_bias(grad_output: Array) -> Exact:
    """gb[m] = sum over n, o of gy[n, m, o], exactly."""
    ints, e = scaled("grad_output", grad_output)
    geometry.grad_bias(grad_output.shape)
    filters = np.arange(grad_output.shape[1]).reshape(-1, *(1,) * (grad_output.ndim - 2))
    at = np.broadcast_to(filters, grad_output.shape).ravel()
    return total(ints.ravel(), e, at, grad_output.shape[1:2])
