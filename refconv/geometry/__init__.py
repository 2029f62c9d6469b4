"""Argument normalisation and errors: every operator, direct or fast, enters through here.

Errors are of the type torch raises for the same mistake (TypeError for a wrong Python type,
NotImplementedError for a dtype without the operator, ValueError for the output size of an unpooling
or of a fractional pooling, ZeroDivisionError for a norm of power 0, RuntimeError for everything
else) and name the argument, what it was and what was expected.
"""

from refconv.geometry.adaptive_pooling import Maps, adaptive, given
from refconv.geometry.arguments import (
    NUMBERS,
    ORDERED,
    Array,
    Ints,
    accumulator,
    array,
    as_x,
    as_y,
    flag,
    integer,
    integers,
    is_integer,
    library,
    matches,
    namespace,
    per_axis,
    positions_as_y,
    result,
    rounded,
    summing,
)
from refconv.geometry.average_pooling import divisor_override
from refconv.geometry.convolution import Conv, conv, conv_bias, grad_bias
from refconv.geometry.folding import fold, unfold
from refconv.geometry.fractional_pooling import Ratios, fractional, samples
from refconv.geometry.max_pooling import (
    Pool,
    every_window_has_an_index,
    every_window_holds,
    pool,
    selection,
)
from refconv.geometry.messages import shown
from refconv.geometry.padding import Pad, pad
from refconv.geometry.power_pooling import norm_type_of
from refconv.geometry.transposed import conv_transpose
from refconv.geometry.unpooling import unpool

__all__ = [
    "NUMBERS",
    "ORDERED",
    "Array",
    "Conv",
    "Ints",
    "Maps",
    "Pad",
    "Pool",
    "Ratios",
    "accumulator",
    "adaptive",
    "array",
    "as_x",
    "as_y",
    "conv",
    "conv_bias",
    "conv_transpose",
    "divisor_override",
    "every_window_has_an_index",
    "every_window_holds",
    "flag",
    "fold",
    "fractional",
    "given",
    "grad_bias",
    "integer",
    "integers",
    "is_integer",
    "library",
    "matches",
    "namespace",
    "norm_type_of",
    "pad",
    "per_axis",
    "pool",
    "positions_as_y",
    "result",
    "rounded",
    "samples",
    "selection",
    "shown",
    "summing",
    "unfold",
    "unpool",
]
