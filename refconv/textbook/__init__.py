"""The two source derivations, equation by equation, and a network trained by hand.

    [J]  Jefkine, Backpropagation in Convolutional Neural Networks, 2016; cited by equation number
    [N]  Back Propagation in Convolutional Neural Networks, a teaching notebook

Their letters are kept: I (H, W) is an image, K or w (k1, k2) a filter, b a bias, x the sum that
enters the activation f = ReLU, o = f(x), and delta = dE/dx.  Unless said otherwise there is one
channel, stride 1 and no padding, so that x has shape (H - k1 + 1, W - k2 + 1).

    I (x) K   cross-correlation, (1)          I * K   convolution, (2)

Read in this order: `correlation`, `layer`, `bank`, `pooling`, `network`.  The first four are a
statement of the mathematics of their own: NumPy alone, loops and one-line sums, any real
dtype in and the dtype of the product out (a floating one where they divide); nested lists will
do for arrays, and results are new arrays.  They raise ValueError, naming the argument, for a
wrong number of axes, an empty axis, or sizes that do not match.  `network` stands on the
operators of the package and is imported by itself.
"""

from refconv.textbook.bank import bank_backward, bank_forward, strided_backward, strided_forward
from refconv.textbook.correlation import (
    conv_backward,
    conv_filter_gradient,
    conv_forward,
    conv_input_gradient,
    convolution,
    convolution_by_flipping,
    cross_correlation,
    full_convolution,
    rot180,
)
from refconv.textbook.layer import (
    dE_db,
    dE_dw,
    dE_dw_by_convolution,
    delta_by_rot180,
    delta_by_taps,
    delta_over_Q,
    dx_dw,
    layer_sum,
    layer_sum_by_convolution,
    output_delta,
    region_Q,
    relu,
    relu_prime,
    squared_error,
)
from refconv.textbook.pooling import (
    delta_through_pool_max,
    pool_average,
    pool_average_backward,
    pool_l2,
    pool_l2_backward,
    pool_max,
    pool_max_backward,
)

__all__ = [
    "bank_backward",
    "bank_forward",
    "conv_backward",
    "conv_filter_gradient",
    "conv_forward",
    "conv_input_gradient",
    "convolution",
    "convolution_by_flipping",
    "cross_correlation",
    "dE_db",
    "dE_dw",
    "dE_dw_by_convolution",
    "delta_by_rot180",
    "delta_by_taps",
    "delta_over_Q",
    "delta_through_pool_max",
    "dx_dw",
    "full_convolution",
    "layer_sum",
    "layer_sum_by_convolution",
    "output_delta",
    "pool_average",
    "pool_average_backward",
    "pool_l2",
    "pool_l2_backward",
    "pool_max",
    "pool_max_backward",
    "region_Q",
    "relu",
    "relu_prime",
    "rot180",
    "squared_error",
    "strided_backward",
    "strided_forward",
]
