"""The operators as autograd Functions: small families closed under differentiation.

The backward and the jvp of each Function call other Functions of its family, so every derivative of
any order, reverse or forward, is again the reference. Inputs are batched and options are complete
tuples: `torch_ext.functional` is the way in.

A gradient follows torch's convention for complex numbers: dL = Re sum conj(gz) dz.
"""

from torch_ext.functions.avg_pooling import AvgPool, AvgPoolGrad, AvgPoolOptions
from torch_ext.functions.convolution import (
    Conv,
    ConvBias,
    ConvGradBias,
    ConvGradInput,
    ConvGradWeight,
    ConvOptions,
)
from torch_ext.functions.max_pooling import MaxPool, MaxPoolGrad, MaxPoolOptions, MaxPoolSelect

__all__ = [
    "AvgPool",
    "AvgPoolGrad",
    "AvgPoolOptions",
    "Conv",
    "ConvBias",
    "ConvGradBias",
    "ConvGradInput",
    "ConvGradWeight",
    "ConvOptions",
    "MaxPool",
    "MaxPoolGrad",
    "MaxPoolOptions",
    "MaxPoolSelect",
]
