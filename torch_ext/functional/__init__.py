"""The conv, pool and fold functions of `torch.nn.functional`, computed by refconv.

Names, parameter order and defaults are torch's, and so is the type of an error, whose message has
torch's own after ours ("torch: ..."); what an error is where torch has none is said under "Raises".
Other layouts than torch.strided (sparse, oneDNN's) and nested tensors are refused. Gradients of any
order, reverse and forward, are the reference's too. `__torch_function__` is asked first, so that
torch.fx traces these functions. `torch.jit.trace` records a call whole, for inputs of every size;
TorchScript compiles none of these functions.
"""

import torch_ext.derivatives  # noqa: F401  (the derivatives of the operators called here)
from refconv import signatures
from torch_ext.functional.adaptive_pooling import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_avg_pool3d,
    adaptive_max_pool1d,
    adaptive_max_pool1d_with_indices,
    adaptive_max_pool2d,
    adaptive_max_pool2d_with_indices,
    adaptive_max_pool3d,
    adaptive_max_pool3d_with_indices,
)
from torch_ext.functional.average_pooling import (
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
)
from torch_ext.functional.convolution import (
    conv1d,
    conv2d,
    conv3d,
    conv_tbc,
)
from torch_ext.functional.folding import (
    fold,
    unfold,
)
from torch_ext.functional.fractional_pooling import (
    fractional_max_pool2d,
    fractional_max_pool2d_with_indices,
    fractional_max_pool3d,
    fractional_max_pool3d_with_indices,
)
from torch_ext.functional.max_pooling import (
    max_pool1d,
    max_pool1d_with_indices,
    max_pool2d,
    max_pool2d_with_indices,
    max_pool3d,
    max_pool3d_with_indices,
)
from torch_ext.functional.power_pooling import (
    lp_pool1d,
    lp_pool2d,
    lp_pool3d,
)
from torch_ext.functional.transposed import (
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
)
from torch_ext.functional.unpooling import (
    max_unpool1d,
    max_unpool2d,
    max_unpool3d,
)

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool1d_with_indices",
    "adaptive_max_pool2d",
    "adaptive_max_pool2d_with_indices",
    "adaptive_max_pool3d",
    "adaptive_max_pool3d_with_indices",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_tbc",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "fold",
    "fractional_max_pool2d",
    "fractional_max_pool2d_with_indices",
    "fractional_max_pool3d",
    "fractional_max_pool3d_with_indices",
    "lp_pool1d",
    "lp_pool2d",
    "lp_pool3d",
    "max_pool1d",
    "max_pool1d_with_indices",
    "max_pool2d",
    "max_pool2d_with_indices",
    "max_pool3d",
    "max_pool3d_with_indices",
    "max_unpool1d",
    "max_unpool2d",
    "max_unpool3d",
    "unfold",
]

signatures.shorten(__all__, globals())
