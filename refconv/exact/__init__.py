"""The oracle: exact results of the operators, and how far a rounded result may lie from them.

A float is an integer times a power of two. Each input becomes an array of Python integers with one
common exponent, the products that `refconv.direct` enumerates are summed in integers, and nothing
is rounded until the end. What comes back is an `Exact`: the result y*, S = sum |a||b| (the same
operator on absolute values) and n, the number of terms of every sum. From these follow the
correctly rounded result, the error bound of any order of summation, and

    omega = |y - y*| / (u S),

the error on a scale that cancellation does not change. Any order of summation, with or without
fused multiply-add, that works in precision u and rounds the sum to u_out obeys

    |y - y*| <= n u S + u_out (|y*| + n u S) + underflow,

the second term only where the result is kept in a narrower format than the sum. Underflow costs at
most one smallest subnormal for every term and one for the result.

Sources: Higham, Accuracy and Stability of Numerical Algorithms (2002), chapters 2 to 4; Jeannerod
and Rump, Improved error bounds for inner products in floating-point arithmetic (2013), who drop the
denominator of gamma_n = n u / (1 - n u).

Roots of such sums, which `lp_pool` takes, are mostly irrational, and rounded correctly all the
same; they come as `Roots`, whose bound has the roundings of every step (see `refconv.exact.roots`).

Same names and signatures as `refconv` and `refconv.direct`; finite real numbers only. A complex
operator is two real ones for each complex operand: real and imaginary part of x * w are
xr * wr - xi * wi and xr * wi + xi * wr, each a sum of exact results.

>>> import numpy as np
>>> y = conv(np.array([[[0.1, 0.2, 0.3]]]), np.array([[[1.0, -1.0]]]))
>>> y.value[0, 0, 0]
Fraction(-3602879701896397, 36028797018963968)
>>> y.rounded(np.float64)
array([[[-0.1, -0.1]]])
"""

from refconv import signatures
from refconv.exact.adaptive_pooling import (
    adaptive_avg_pool,
    adaptive_avg_pool_grad,
    adaptive_max_pool,
    adaptive_max_pool_grad,
)
from refconv.exact.average_pooling import avg_pool, avg_pool_grad
from refconv.exact.convolution import conv, conv_grad_bias, conv_grad_input, conv_grad_weight
from refconv.exact.folding import fold, unfold
from refconv.exact.formats import (
    BFLOAT16,
    FLOAT16,
    FLOAT32,
    FLOAT64,
    Format,
    format_of,
    rounded,
    ulp_distance,
)
from refconv.exact.fractional_pooling import (
    fractional_max_pool,
    fractional_max_pool_grad,
)
from refconv.exact.max_pooling import (
    max_pool,
    max_pool_grad,
    max_pool_scatter,
    max_pool_select,
)
from refconv.exact.padding import pad, pad_grad
from refconv.exact.power_pooling import lp_pool, lp_pool_grad
from refconv.exact.roots import Root, Roots
from refconv.exact.sums import Exact, exactly
from refconv.exact.transposed import (
    conv_transpose,
    conv_transpose_grad_bias,
    conv_transpose_grad_input,
    conv_transpose_grad_weight,
)
from refconv.exact.unpooling import (
    max_unpool,
    max_unpool_grad,
)

__all__ = [
    "BFLOAT16",
    "FLOAT16",
    "FLOAT32",
    "FLOAT64",
    "Exact",
    "Format",
    "Root",
    "Roots",
    "adaptive_avg_pool",
    "adaptive_avg_pool_grad",
    "adaptive_max_pool",
    "adaptive_max_pool_grad",
    "avg_pool",
    "avg_pool_grad",
    "conv",
    "conv_grad_bias",
    "conv_grad_input",
    "conv_grad_weight",
    "conv_transpose",
    "conv_transpose_grad_bias",
    "conv_transpose_grad_input",
    "conv_transpose_grad_weight",
    "exactly",
    "fold",
    "format_of",
    "fractional_max_pool",
    "fractional_max_pool_grad",
    "lp_pool",
    "lp_pool_grad",
    "max_pool",
    "max_pool_grad",
    "max_pool_scatter",
    "max_pool_select",
    "max_unpool",
    "max_unpool_grad",
    "pad",
    "pad_grad",
    "rounded",
    "ulp_distance",
    "unfold",
]

signatures.shorten(__all__, globals())
