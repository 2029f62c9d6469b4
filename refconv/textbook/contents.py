"""From the number of an equation to its functions; each docstring's Source leads back.

The first function of a row is the equation's own; the others use it further on.
"""

from collections.abc import Callable
from typing import Any

from refconv.textbook import bank, correlation, deltas, errata, layer, notebook, pooling, weights

Function = Callable[..., Any]

EQUATIONS: dict[str, tuple[Function, ...]] = {  # of [J]
    "(1)": (correlation.cross_correlation,),
    "(2)": (correlation.convolution, correlation.full_convolution),
    "(3)": (correlation.convolution_by_flipping,),
    "(4)": (bank.bank_forward,),
    "(5)": (bank.grayscale_forward,),
    "(6)": (layer.layer_sum_by_convolution, correlation.rot180),
    "(7)": (layer.layer_sum, layer.layers_forward, bank.strided_forward),
    "(8)": (layer.relu, layer.layers_forward),
    "(9)": (layer.squared_error, deltas.output_delta),
    "(10)": (weights.dE_dw_by_chain, weights.dE_db, bank.bank_backward),
    "(11)": (weights.dx_dw_by_difference,),
    "(12)": (weights.dx_dw,),
    "(13)": (weights.dE_dw, bank.bank_backward, bank.strided_backward),
    "(14)": (weights.dE_dw_by_convolution,),
    "(15)": (deltas.delta_by_difference, deltas.output_delta),
    "(16)": (deltas.delta_over_Q, deltas.region_Q),
    "(17)": (deltas.delta_over_mn,),
    "(18)": (deltas.dx_dx_by_difference,),
    "(19)": (deltas.dx_dx, layer.relu_prime),
    "(20)": (
        deltas.delta_by_taps,
        bank.bank_backward,
        bank.strided_backward,
        pooling.delta_through_pool_max,
    ),
    "(21)": (deltas.delta_by_flipped_taps,),
    "(22)": (deltas.delta_by_rot180,),
}

STEPS: dict[str, tuple[Function, ...]] = {  # of [N]
    "N1": (notebook.conv_forward,),
    "N2": (notebook.chain_rule,),
    "N3": (notebook.local_gradient_filter,),
    "N4": (notebook.conv_filter_gradient_by_chain,),
    "N5": (notebook.conv_filter_gradient,),
    "N6": (notebook.local_gradient_input,),
    "N7": (notebook.conv_input_gradient_by_chain,),
    "N8": (notebook.conv_input_gradient, correlation.rot180, correlation.full_convolution),
    "N9": (notebook.conv_backward,),
}

ERRATA: dict[str, tuple[Function, Function]] = {  # as printed, and the right form
    "E1": (errata.convolution_by_flipping_as_printed, correlation.convolution_by_flipping),
    "E2": (errata.bank_forward_as_printed, bank.bank_forward),
    "E3": (errata.layer_sum_as_printed, layer.layer_sum),
    "E4": (errata.dE_dw_by_convolution_as_printed, weights.dE_dw_by_convolution),
    "E5": (errata.delta_by_flipped_taps_as_printed, deltas.delta_by_flipped_taps),
    "E6": (errata.delta_by_rot180_as_printed, deltas.delta_by_rot180),
    "E7": (errata.layers_forward_as_printed, layer.layers_forward),
    "E8": (errata.conv_backward_as_printed, notebook.conv_backward),
    "E9": (errata.conv_filter_gradient_as_printed, notebook.conv_filter_gradient),
}
