"""The two source derivations, equation by equation, and a network trained by hand.

    [J]  Jefkine, Backpropagation in Convolutional Neural Networks, 2016; equations (1) to (22)
    [N]  Back Propagation in Convolutional Neural Networks, a teaching notebook; its steps, N1 to N9

Their letters are kept: I (H, W) is an image, K or w (k1, k2) a filter, b a bias, x the sum that
enters the activation f = ReLU, o = f(x), and delta = dE/dx.  Unless said otherwise there is one
channel, stride 1 and no padding, so that x has shape (H - k1 + 1, W - k2 + 1).

    I (x) K   cross-correlation, (1)          I * K   convolution, (2)

The same things have three sets of letters.  Here they are for one layer; each function gives its
own in a line "Letters: the text's | refconv's | torch's", with - where there is none.

    [J], [N]              refconv   torch
    I, o^{l-1}, X         x         input
    K, w, W, F            w         weight
    b                     b         bias
    x^l, H, O             y         output
    delta, dH, dL/dO      gy        grad_output
    dE/do, dX, dL/dX      gx        grad_input
    dE/dw, dW, dL/dF      gw        grad_weight
    dE/db                 gb        grad_bias
    f (its size), N       k         kernel_size
    s                     s         stride

Beware of x: the text's x^l is what a layer gives, refconv's x what it takes.  In (16) to (22) the
operator in question is activation and filter together: it takes x^l, and delta^l is its gx.

Read in this order: `correlation`, `notebook`, `layer`, `weights`, `deltas`, `bank`, `pooling`,
`errata`, `network`.  All but the last are a statement of the mathematics of their own: NumPy
alone, loops and one-line sums.  Arrays or nested lists of real numbers in, new arrays out: booleans
and integers become int64, floats keep their dtype, and a result has the dtype of the product, a
floating one where there is a division or an error.  Integers never wrap.  ValueError, naming the
argument, for a wrong number of axes, an empty axis, sizes that do not match, or sums that int64
may not hold; TypeError for what is not a real number, or not an integer where a size is due.
`network` stands on the operators of the package and is imported by itself.

`EQUATIONS`, `STEPS` and `ERRATA` lead from a number to its functions.  What is printed in the texts
and does not hold, E1 to E9, is in `errata`, to be run and compared, not to be used.
"""

from refconv.textbook.bank import (
    bank_backward,
    bank_forward,
    grayscale_forward,
    strided_backward,
    strided_forward,
)
from refconv.textbook.contents import (
    EQUATIONS,
    ERRATA,
    STEPS,
)
from refconv.textbook.correlation import (
    convolution,
    convolution_by_flipping,
    cross_correlation,
    full_convolution,
    rot180,
)
from refconv.textbook.deltas import (
    delta_by_difference,
    delta_by_flipped_taps,
    delta_by_rot180,
    delta_by_taps,
    delta_over_mn,
    delta_over_Q,
    dx_dx,
    dx_dx_by_difference,
    output_delta,
    region_Q,
)
from refconv.textbook.errata import (
    bank_forward_as_printed,
    conv_backward_as_printed,
    conv_filter_gradient_as_printed,
    convolution_by_flipping_as_printed,
    dE_dw_by_convolution_as_printed,
    delta_by_flipped_taps_as_printed,
    delta_by_rot180_as_printed,
    layer_sum_as_printed,
    layers_forward_as_printed,
)
from refconv.textbook.layer import (
    layer_sum,
    layer_sum_by_convolution,
    layers_forward,
    relu,
    relu_prime,
    squared_error,
)
from refconv.textbook.notebook import (
    chain_rule,
    conv_backward,
    conv_filter_gradient,
    conv_filter_gradient_by_chain,
    conv_forward,
    conv_input_gradient,
    conv_input_gradient_by_chain,
    local_gradient_filter,
    local_gradient_input,
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
from refconv.textbook.weights import (
    dE_db,
    dE_dw,
    dE_dw_by_chain,
    dE_dw_by_convolution,
    dx_dw,
    dx_dw_by_difference,
)

__all__ = [
    "EQUATIONS",
    "ERRATA",
    "STEPS",
    "bank_backward",
    "bank_forward",
    "bank_forward_as_printed",
    "chain_rule",
    "conv_backward",
    "conv_backward_as_printed",
    "conv_filter_gradient",
    "conv_filter_gradient_as_printed",
    "conv_filter_gradient_by_chain",
    "conv_forward",
    "conv_input_gradient",
    "conv_input_gradient_by_chain",
    "convolution",
    "convolution_by_flipping",
    "convolution_by_flipping_as_printed",
    "cross_correlation",
    "dE_db",
    "dE_dw",
    "dE_dw_by_chain",
    "dE_dw_by_convolution",
    "dE_dw_by_convolution_as_printed",
    "delta_by_difference",
    "delta_by_flipped_taps",
    "delta_by_flipped_taps_as_printed",
    "delta_by_rot180",
    "delta_by_rot180_as_printed",
    "delta_by_taps",
    "delta_over_Q",
    "delta_over_mn",
    "delta_through_pool_max",
    "dx_dw",
    "dx_dw_by_difference",
    "dx_dx",
    "dx_dx_by_difference",
    "full_convolution",
    "grayscale_forward",
    "layer_sum",
    "layer_sum_as_printed",
    "layer_sum_by_convolution",
    "layers_forward",
    "layers_forward_as_printed",
    "local_gradient_filter",
    "local_gradient_input",
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
