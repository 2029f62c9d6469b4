"""The derivatives of the operators: autograd Functions, in small families closed under them.

The backward and the jvp of each Function call operators of its family (`torch.ops.refconv`), whose
derivatives are again Functions here: every derivative of any order, reverse or forward, is the
reference's. Importing this package gives the operators their derivatives.

A gradient follows torch's convention for complex numbers: dL = Re sum conj(gz) dz.
"""

from torch_ext.functions import averaging, convolution, folding, max_pooling, powers

__all__ = ["averaging", "convolution", "folding", "max_pooling", "powers"]
