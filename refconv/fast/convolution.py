"""Convolution and its three gradients, N-d, as windows and matrix products over tiles.

    conv          y = b + w @ columns(x)
    grad_weight  gw = gy @ columns(x)^H
    grad_input   gx = columns^H (w^H @ gy); at stride 1 the full correlation of gy with flipped w
    grad_bias    gb = sum of gy

Each has three forms, in `refconv.engine`. `columns` lays the windows of a tile side by side, one
row for each channel and tap, one column for each output (im2col), its adjoint adds them back
(col2im). Few channels a group (depthwise) go through `bands`, and an input gradient at a stride
above 1 goes by `phases`, so that nothing is added back. Where none of them would serve, `taps`
computes the same, one tap after the other.

Letters: n images, g groups, c channels and m filters of one group, i k o input, kernel and output
shape; P = prod(o) outputs of a tile, K = prod(k) taps.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from refconv import geometry
from refconv.engine import bands, columns, columns_back, phases, pointwise, taps, tiles
from refconv.geometry import Array, Conv, Ints, accumulator, as_x, as_y, rounded
from refconv.geometry.convolution import (
    conv_call,
    conv_grad_bias_call,
    conv_grad_input_call,
    conv_grad_weight_call,
)
from refconv.geometry.sizes import Pads, last_axes, window_extent

MANY = 4  # filters a channel: as many, and adding columns back takes a fourth (3 x 224 to 64)
SUMMED = 1 << 15  # elements that a task sums at least, for the bias: fewer, and threads cost more


# --------------------------------------------------------------------------- forward


def conv(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Ints = 1,
    padding: Ints | str = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Array:
    """Convolution (cross-correlation, as in every framework) over any number of spatial axes.

        y[n, m, o] = b[m] + sum over c, k of x[n, c', o s + k d - p] w[m, c, k]

    with c' = (m // (M / groups)) (C / groups) + c and zeros outside x.

    Args:
        x: (N, C, *i), or (C, *i) without a batch.
        weight: (M, C / groups, *k); its rank sets the number of spatial axes.
        bias: (M,) or None.
        stride: s, one integer or one per spatial axis; at least 1.
        padding: p, integers of at least 0, or 'valid' (none), or 'same' (stride 1 only: o = i; an
            odd zero goes to the right).
        dilation: d, at least 1.
        groups: divides C and M.

    Returns:
        (N, M, *o), C-contiguous and new, o = floor((i + 2 p - d (k - 1) - 1) / s) + 1, of the dtype
        of x. float16 is accumulated in float32 and rounded once; integers wrap.

    Raises:
        TypeError: an argument is not an array, or not an integer.
        NotImplementedError: the dtype is bool, object or no number.
        RuntimeError: dtypes differ, shapes do not fit, a size is out of range.

    Source: Dumoulin and Visin, arXiv:1603.07285; the letters are theirs. Counterpart of
    torch.nn.functional.conv1d, conv2d, conv3d; takes every rank and number dtype.

    >>> import numpy as np
    >>> x = np.arange(5.0).reshape(1, 1, 5)
    >>> conv(x, np.array([[[1.0, 10.0]]]), stride=2)  # 0 + 10 * 1, 2 + 10 * 3
    array([[[10., 32.]]])
    """
    geo, x, w, b = conv_call(x, weight, bias, stride, padding, dilation, groups)
    return as_y(geo, correlate(geo, x, w, b))


def correlate(geo: Conv, x: Array, w: Array, bias: Array | None = None) -> Array:
    """Return y = b + w @ columns(x), (N, M, *o); `geo.p` may crop (negative) as well as pad."""
    xp = geometry.namespace(x)
    y = geometry.result(xp, geo.y_shape, x.dtype)
    geo, w = without_far_taps(geo, w)
    xs, ys = x.reshape(geo.n, geo.g, geo.c, *geo.i), y.reshape(geo.n, geo.g, geo.m, *geo.o)
    if (cut := bands.strips(xp, geo, x.dtype)) is not None:
        bands.correlate(geo, cut, xs, w, bias, ys)
        return y
    if columns.used_as_it_lies(geo, xs):
        pointwise.correlate(geo, xs, w, bias, ys)
        return y
    plan = columns.plan_columns(xp, geo, x.itemsize, beside=w)
    if plan is None:
        y.fill(0)
        taps.correlate(geo, xs, w, ys)
        return plus(y, bias)
    columns.correlate(geo, plan, xs, w, bias, y.reshape(geo.n, geo.g, geo.m, -1))
    return y


def without_far_taps(geo: Conv, w: Array) -> tuple[Conv, Array]:
    """Return the convolution and its weight, (g, m, c, *k), without taps that never meet x."""
    by_group = w.reshape(geo.g, geo.m, geo.c, *geo.k)
    geo, kept = taps.reached(geo)
    return geo, by_group[last_axes(kept)]


def plus(y: Array, bias: Array | None) -> Array:
    """Add one value for each channel onto y, (N, M, *o), and return it."""
    if bias is not None:
        with np.errstate(all="ignore"):
            y += bias.reshape(-1, *(1,) * (y.ndim - 2))
    return y


# --------------------------------------------------------------------------- gradient of the input


def conv_grad_input(
    input_shape: Sequence[int],
    weight: Array,
    grad_output: Array,
    stride: Ints = 1,
    padding: Ints | str = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Array:
    """Gradient of `conv` for its input; also transposed convolution.

        gx[n, c', i] = sum over m, o, k with o s + k d - p = i of gy[n, m, o] conj(w[m, c, k])

    y is linear in x, y = A x, so the gradient is the adjoint, gx = A^H gy: every product x w that
    fed y[o] sends gy[o] conj(w) back to the same x. It is linear in gy, and its own gradients are
    `conv(ggx, w)` for gy and `conv_grad_weight(ggx, gy)` for w.

    Args:
        input_shape: shape of x: (N, C, *i) or (C, *i).
        weight: (M, C / groups, *k).
        grad_output: gy, (N, M, *o) or (M, *o).
        stride, padding, dilation, groups: as in `conv`.

    Returns:
        gx of `input_shape`, new, of the dtype of `weight`.

    Raises:
        TypeError, NotImplementedError, RuntimeError: as `conv`; also if `grad_output` has another
            shape than the output.

    Source: Dumoulin and Visin, arXiv:1603.07285, section 4. Counterpart of
    torch.nn.grad.conv2d_input.

    >>> import numpy as np
    >>> gy = np.array([[[1.0, 2.0]]])
    >>> conv_grad_input((1, 1, 5), np.array([[[1.0, 10.0]]]), gy, stride=2)
    array([[[ 1., 10.,  2., 20.,  0.]]])
    """
    geo, w, gy = conv_grad_input_call(
        input_shape, weight, grad_output, stride, padding, dilation, groups
    )
    return as_x(geo, transposed(geo, conjugate(w), gy))


def transposed(geo: Conv, w: Array, gy: Array, bias: Array | None = None) -> Array:
    """Return gx = bias + columns^T (w^T @ gy), (N, C, *i): `correlate` with its matrix transposed.

    The bias, one value for each channel of x, is that of a transposed convolution.
    """
    small, by_group = without_far_taps(geo, w)
    mostly_padding = math.prod(small.i) >= 2 * math.prod(small.o)  # a full correlation's windows
    many = small.m >= MANY * small.c
    if max(small.s) == 1 and 0 not in small.k and not many and not mostly_padding:
        return full_correlation(small, by_group, gy, bias)
    xp = geometry.namespace(gy)
    gx = geometry.result(xp, geo.x_shape, gy.dtype, zeros=True)
    gys, gxs = gy.reshape(geo.n, geo.g, geo.m, *geo.o), gx.reshape(geo.n, geo.g, geo.c, *geo.i)
    if (cut := bands.strips(xp, small, gy.dtype)) is not None:
        bands.transposed(small, cut, by_group, gys, gxs)
    elif (by_phase := phases.plan_phases(xp, small, by_group)) is not None:
        phases.transposed(small, by_phase, by_group, gys, gxs)
    elif (plan := columns.plan_columns(xp, small, gy.itemsize, adjoint=True)) is None:
        taps.transposed(small, by_group, gys, gxs)
    else:
        columns_back.transposed(small, plan, by_group, gys, gxs)
    return plus(gx, bias)


def full_correlation(geo: Conv, w: Array, gy: Array, bias: Array | None) -> Array:
    """Return gx at stride 1: gy padded by d (k - 1) - p, correlated with w flipped, m c swapped.

    With k' = k_last - k the condition o + k d - p = i reads o = i + k' d - (d (k_last) - p): the
    same form again, reading gy.
    """
    spans = [window_extent(k, d) - 1 for k, d in zip(geo.k, geo.d, strict=True)]
    p: Pads = tuple((a - lo, a - hi) for a, (lo, hi) in zip(spans, geo.p, strict=True))
    back = geo._replace(m=geo.c, c=geo.m, i=geo.o, o=geo.i, p=p)
    # (g, m, c, *k) -> (g, c, m, *k), flipped
    by_channel = w.reshape(geo.g, geo.m, geo.c, *geo.k).swapaxes(1, 2)
    xp = geometry.namespace(w)
    return correlate(back, gy, xp.flip(by_channel, tuple(range(3, by_channel.ndim))), bias)


# --------------------------------------------------------------------------- gradient of the weight


def conv_grad_weight(
    x: Array,
    weight_shape: Sequence[int],
    grad_output: Array,
    stride: Ints = 1,
    padding: Ints | str = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Array:
    """Gradient of `conv` for its weight.

        gw[m, c, k] = sum over n, o of gy[n, m, o] conj(x[n, c', o s + k d - p])

    y is linear in w: every product x w that fed y[o] sends gy[o] conj(x) back to the same w. Read
    as a convolution, gy is the kernel that slides over x, stride and dilation exchanged. It is
    linear in gy; its own gradients are `conv(x, ggw)` for gy and `conv_grad_input(ggw, gy)` for x.

    Args:
        x: (N, C, *i) or (C, *i).
        weight_shape: (M, C / groups, *k).
        grad_output: gy, (N, M, *o) or (M, *o).
        stride, padding, dilation, groups: as in `conv`.

    Returns:
        gw of `weight_shape`, new, of the dtype of `x`.

    Raises:
        TypeError, NotImplementedError, RuntimeError: as `conv`; also if `grad_output` has another
            shape than the output.

    Source: the transpose of the equation of `conv`. Counterpart of torch.nn.grad.conv2d_weight.

    >>> import numpy as np
    >>> x, gy = np.arange(5.0).reshape(1, 1, 5), np.array([[[1.0, 2.0]]])
    >>> conv_grad_weight(x, (1, 1, 2), gy, stride=2)  # 1 * 0 + 2 * 2, 1 * 1 + 2 * 3
    array([[[4., 7.]]])
    """
    geo, x, gy = conv_grad_weight_call(
        x, weight_shape, grad_output, stride, padding, dilation, groups
    )
    return rounded(sum_over_outputs(geo, conjugate(x), gy), geo.dtype)


def sum_over_outputs(geo: Conv, x: Array, gy: Array) -> Array:
    """Return gw = gy @ columns(x)^T, (M, c, *k): zero for a tap that never meets x."""
    xp = geometry.namespace(x)
    gw = geometry.result(xp, geo.w_shape, x.dtype, zeros=True)
    xs, gys = x.reshape(geo.n, geo.g, geo.c, *geo.i), gy.reshape(geo.n, geo.g, geo.m, *geo.o)
    geo, met = without_far_taps(geo, gw)
    if (cut := bands.strips(xp, geo, x.dtype)) is not None:
        met[...] = bands.sum_over_outputs(geo, cut, xs, gys)
    elif (plan := columns.plan_columns(xp, geo, x.itemsize, beside=gy)) is None:
        taps.sum_over_outputs(geo, xs, gys, met)
    else:
        columns.sum_over_outputs(geo, plan, xs, gys, met)
    return gw


# --------------------------------------------------------------------------- gradient of the bias


def conv_grad_bias(grad_output: Array) -> Array:
    """Gradient of `conv` for its bias: gb[m] = sum over n, o of gy[n, m, o].

    Every output of filter m has b[m] added once.

    Args:
        grad_output: gy, (N, M, *o), batched.

    Returns:
        gb, (M,), of the dtype of `grad_output`; float16 is summed in float32 and rounded once.

    Raises:
        TypeError, NotImplementedError: as `conv`.
        RuntimeError: `grad_output` has fewer than three dimensions.

    Source: Jefkine, "Backpropagation in Convolutional Neural Networks" (2016), readers' question.
    Counterpart of the third result of torch.ops.aten.convolution_backward.

    >>> import numpy as np
    >>> conv_grad_bias(np.array([[[1.0, 2.0], [3.0, 4.0]]]))
    array([3., 7.])
    """
    gy = conv_grad_bias_call(grad_output)
    gb: Array = geometry.namespace(gy).empty(gy.shape[1], gy.dtype)

    def task(m: slice) -> None:
        gb[m] = gy[:, m].sum((0, *range(2, gy.ndim)), dtype=accumulator(gy.dtype))

    least = SUMMED * len(gb) // max(1, gy.size)  # channels
    channels = tiles.blocks(len(gb), max(least, -(-len(gb) // tiles.PARTS)))
    tiles.run(geometry.namespace(gy), task, channels, products=False)
    return gb


def conjugate(a: Array) -> Any:
    """Return conj(a): `a` itself unless it is complex."""
    return a.conj() if a.dtype.kind == "c" else a
