"""The conv and pool functions of `torch.nn.functional`, computed by refconv.

Names, parameter order, defaults and the types of errors are torch's. Gradients of any order,
reverse and forward, are the reference's too.
"""

import torch_ext.functions  # noqa: F401  (the derivatives of the operators called here)
from torch_ext.functional.avg_pooling import avg_pool1d, avg_pool2d, avg_pool3d
from torch_ext.functional.convolution import conv1d, conv2d, conv3d
from torch_ext.functional.max_pooling import (
    max_pool1d,
    max_pool1d_with_indices,
    max_pool2d,
    max_pool2d_with_indices,
    max_pool3d,
    max_pool3d_with_indices,
)

__all__ = [
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "conv1d",
    "conv2d",
    "conv3d",
    "max_pool1d",
    "max_pool1d_with_indices",
    "max_pool2d",
    "max_pool2d_with_indices",
    "max_pool3d",
    "max_pool3d_with_indices",
]
