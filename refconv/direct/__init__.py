"""The definitions: every operator as nested loops over `np.ndindex`, the equation in view.

Same names and signatures as the fast forms in `refconv`; slow, and written to be read. Beside the
shape arithmetic and the argument checks nothing is shared with the fast forms: the index arithmetic
is stated here once more, on purpose, so that the two can be held against each other.
"""

from refconv.direct.adaptive_pooling import (
    adaptive_avg_pool,
    adaptive_avg_pool_grad,
    adaptive_max_pool,
    adaptive_max_pool_grad,
)
from refconv.direct.average_pooling import avg_pool, avg_pool_grad
from refconv.direct.convolution import conv, conv_grad_bias, conv_grad_input, conv_grad_weight
from refconv.direct.folding import fold, unfold
from refconv.direct.fractional_pooling import (
    fractional_max_pool,
    fractional_max_pool_grad,
)
from refconv.direct.max_pooling import (
    max_pool,
    max_pool_grad,
    max_pool_scatter,
    max_pool_select,
)
from refconv.direct.padding import pad, pad_grad
from refconv.direct.power_pooling import (
    lp_pool,
    lp_pool_grad,
)
from refconv.direct.transposed import (
    conv_transpose,
    conv_transpose_grad_bias,
    conv_transpose_grad_input,
    conv_transpose_grad_weight,
)
from refconv.direct.unpooling import (
    max_unpool,
    max_unpool_grad,
)

__all__ = [
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
    "fold",
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
    "unfold",
]
