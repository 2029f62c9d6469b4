"""The conv, pool and fold layers of `torch.nn`, computed by refconv.

Each is a subclass of its namesake: constructor, parameters, state_dict, repr and pickling are
torch's, the forward alone is replaced. Padding modes other than zeros pad with torch first.
`torch.jit.trace` records them, `torch.jit.script` is refused.

>>> import torch
>>> layer = ConvTranspose2d(3, 8, 3, stride=2)
>>> layer, isinstance(layer, torch.nn.ConvTranspose2d)
(ConvTranspose2d(3, 8, kernel_size=(3, 3), stride=(2, 2)), True)
>>> layer(torch.ones(1, 3, 4, 4), output_size=[10, 10]).shape
torch.Size([1, 8, 10, 10])
"""

from torch_ext.nn.adaptive_pooling import (
    AdaptiveAvgPool1d,
    AdaptiveAvgPool2d,
    AdaptiveAvgPool3d,
    AdaptiveMaxPool1d,
    AdaptiveMaxPool2d,
    AdaptiveMaxPool3d,
)
from torch_ext.nn.average_pooling import AvgPool1d, AvgPool2d, AvgPool3d
from torch_ext.nn.convolution import Conv1d, Conv2d, Conv3d, LazyConv1d, LazyConv2d, LazyConv3d
from torch_ext.nn.folding import Fold, Unfold
from torch_ext.nn.fractional_pooling import FractionalMaxPool2d, FractionalMaxPool3d
from torch_ext.nn.max_pooling import MaxPool1d, MaxPool2d, MaxPool3d
from torch_ext.nn.power_pooling import LPPool1d, LPPool2d, LPPool3d
from torch_ext.nn.transposed import (
    ConvTranspose1d,
    ConvTranspose2d,
    ConvTranspose3d,
    LazyConvTranspose1d,
    LazyConvTranspose2d,
    LazyConvTranspose3d,
)
from torch_ext.nn.unpooling import MaxUnpool1d, MaxUnpool2d, MaxUnpool3d

__all__ = [
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveAvgPool3d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d",
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
    "Fold",
    "FractionalMaxPool2d",
    "FractionalMaxPool3d",
    "LPPool1d",
    "LPPool2d",
    "LPPool3d",
    "LazyConv1d",
    "LazyConv2d",
    "LazyConv3d",
    "LazyConvTranspose1d",
    "LazyConvTranspose2d",
    "LazyConvTranspose3d",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "MaxUnpool1d",
    "MaxUnpool2d",
    "MaxUnpool3d",
    "Unfold",
]
