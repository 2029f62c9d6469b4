"""Transposed convolution and its gradients, as the convolution gradients that they are.

Let A be the convolution with this weight that leads from y back to x. Then

    conv_transpose    y = b + A^T x        the input gradient of A, without the conjugate
    grad_input       gx = conj(A) gy       A
    grad_weight      gw = conj(x) * gy     the weight gradient of A: it reads gy, its output is x
    grad_bias        gb = sum of gy

so nothing is computed here that `refconv.fast.convolution` does not compute already: `transposed`,
`correlate`, `sum_over_outputs`. The geometry `geo` is that of A: its input is y, its output x.
"""

from collections.abc import Sequence

from refconv.fast.convolution import (
    conjugate,
    conv_grad_bias,
    correlate,
    sum_over_outputs,
    transposed,
)
from refconv.geometry import Array, Ints, as_x, as_y, rounded
from refconv.geometry.transposed import (
    conv_transpose_call,
    conv_transpose_grad_input_call,
    conv_transpose_grad_weight_call,
)

# --------------------------------------------------------------------------- forward


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
    """Transposed convolution over any number of spatial axes.

        y[n, m', o] = b[m'] + sum over c, i, k with i s + k d - p = o of x[n, c, i] w[c, m, k]

    with c over one group and m' = (c // (C / groups)) (M / groups) + m: every input lays a copy of
    the kernel, multiplied by its value, onto the output.

        Input ab, kernel 123 --(stride 2)--> a1 a2 a3+b1 b2 b3

    Args:
        x: (N, C, *i), or (C, *i) without a batch.
        weight: (C, M / groups, *k); its rank sets the number of spatial axes.
        bias: (M,) or None.
        stride: s, one integer or one per spatial axis; at least 1.
        padding: p, integers of at least 0; what it removes from both ends of the output.
        output_padding: a, integers of at least 0, smaller than stride or dilation; what it adds to
            the output's far end. Not zeros: if p > 0, positions that were removed come back.
        groups: divides C and M.
        dilation: d, at least 1.

    Returns:
        (N, M, *o), C-contiguous and new, o = (i - 1) s - 2 p + d (k - 1) + a + 1, of the dtype of
        x. float16 is accumulated in float32, bias included, and rounded once; integers wrap.

    Raises:
        TypeError: an argument is not an array, or not an integer; `padding` is a word.
        NotImplementedError: the dtype is bool, object or no number.
        RuntimeError: dtypes differ, shapes do not fit, a size is out of range.

    Source: Dumoulin and Visin, arXiv:1603.07285, section 4. Counterpart of
    torch.nn.functional.conv_transpose1d, conv_transpose2d, conv_transpose3d; takes every rank and
    number dtype (torch: of the integers only int64).

    >>> import numpy as np
    >>> x, w = np.array([[[1.0, 10.0]]]), np.array([[[1.0, 2.0, 3.0]]])
    >>> conv_transpose(x, w, stride=2)
    array([[[ 1.,  2., 13., 20., 30.]]])
    >>> conv_transpose(x, w, stride=2, padding=1, output_padding=1)
    array([[[ 2., 13., 20., 30.]]])
    """
    geo, x, w, b = conv_transpose_call(
        x, weight, bias, stride, padding, output_padding, groups, dilation
    )
    return as_x(geo, transposed(geo, w, x, b))


# --------------------------------------------------------------------------- gradients


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
    """Gradient of `conv_transpose` for its input: a convolution of the output's gradient.

        gx[n, c, i] = sum over m, k of gy[n, m', i s + k d - p] conj(w[c, m, k])

    y = A^T x, so gx = (A^T)^H gy = conj(A) gy. It is linear in gy; its own gradients are
    `conv_transpose(ggx, w)` for gy and `conv_transpose_grad_weight(ggx, gy)` for w.

    Args:
        input_shape: shape of x: (N, C, *i) or (C, *i).
        weight: (C, M / groups, *k).
        grad_output: gy, (N, M, *o) or (M, *o).
        stride, padding, output_padding, groups, dilation: as in `conv_transpose`.

    Returns:
        gx of `input_shape`, new, of the dtype of `weight`.

    Raises:
        TypeError, NotImplementedError, RuntimeError: as `conv_transpose`; also if `grad_output` has
            another shape than the output.

    Source: Dumoulin and Visin, arXiv:1603.07285, section 4. Counterpart of the first result of
    torch.ops.aten.convolution_backward with transposed=True.

    >>> import numpy as np
    >>> gy, w = np.array([[[1.0, 2.0, 3.0, 4.0, 5.0]]]), np.array([[[1.0, 10.0, 100.0]]])
    >>> conv_transpose_grad_input((1, 1, 2), w, gy, stride=2)
    array([[[321., 543.]]])
    """
    geo, w, gy = conv_transpose_grad_input_call(
        input_shape, weight, grad_output, stride, padding, output_padding, groups, dilation
    )
    return as_y(geo, correlate(geo, gy, conjugate(w)))


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
    """Gradient of `conv_transpose` for its weight.

        gw[c, m, k] = sum over n, i of conj(x[n, c, i]) gy[n, m', i s + k d - p]

    The weight gradient of A, in which x is what A puts out and gy is what it reads. It is linear in
    gy; its own gradients are `conv_transpose(x, ggw)` for gy and `conv_transpose_grad_input(ggw,
    gy)` for x.

    Args:
        x: (N, C, *i) or (C, *i).
        weight_shape: (C, M / groups, *k).
        grad_output: gy, (N, M, *o) or (M, *o).
        stride, padding, output_padding, groups, dilation: as in `conv_transpose`.

    Returns:
        gw of `weight_shape`, new, of the dtype of `x`.

    Raises:
        TypeError, NotImplementedError, RuntimeError: as `conv_transpose`; also if `grad_output` has
            another shape than the output.

    Source: the transpose of the equation of `conv_transpose`. Counterpart of the second result of
    torch.ops.aten.convolution_backward with transposed=True.

    >>> import numpy as np
    >>> x, gy = np.array([[[1.0, 10.0]]]), np.array([[[1.0, 2.0, 3.0, 4.0, 5.0]]])
    >>> conv_transpose_grad_weight(x, (1, 1, 3), gy, stride=2)  # 1 + 10 * 3, 2 + 10 * 4, ...
    array([[[31., 42., 53.]]])
    """
    geo, x, gy = conv_transpose_grad_weight_call(
        x, weight_shape, grad_output, stride, padding, output_padding, groups, dilation
    )
    return rounded(sum_over_outputs(geo, gy, conjugate(x)), geo.dtype)


def conv_transpose_grad_bias(grad_output: Array) -> Array:
    """Gradient of `conv_transpose` for its bias: gb[m] = sum over n, o of gy[n, m, o].

    The bias enters as in `conv`, so this is `conv_grad_bias`.

    Args:
        grad_output: gy, (N, M, *o), batched.

    Returns:
        gb, (M,), of the dtype of `grad_output`; float16 is summed in float32 and rounded once.

    Raises:
        TypeError, NotImplementedError: as `conv_transpose`.
        RuntimeError: `grad_output` has fewer than three dimensions.

    Source: as `conv_grad_bias`. Counterpart of the third result of
    torch.ops.aten.convolution_backward with transposed=True.

    >>> import numpy as np
    >>> conv_transpose_grad_bias(np.array([[[1.0, 2.0], [3.0, 4.0]]]))
    array([3., 7.])
    """
    return conv_grad_bias(grad_output)
