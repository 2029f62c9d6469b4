"""The derivatives of the operators: autograd Functions, in small families closed under them.

The backward and the jvp of each Function call operators of its family (`torch_ext.operators`),
whose derivatives are again Functions here: every derivative of any order, reverse or forward, is
the reference's. Importing this package gives the operators their derivatives.

A gradient follows torch's convention for complex numbers: dL = Re sum conj(gz) dz.
"""

from torch_ext.derivatives import (
    adaptive_pooling,
    average_pooling,
    convolution,
    folding,
    fractional_pooling,
    max_pooling,
    power_pooling,
    unpooling,
)

__all__ = [
    "adaptive_pooling",
    "average_pooling",
    "convolution",
    "folding",
    "fractional_pooling",
    "max_pooling",
    "power_pooling",
    "unpooling",
]
