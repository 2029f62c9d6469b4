"""The operators of refconv as operators of torch, torch.ops.refconv.*, each by a typed name.

`operators.max_pool(x, ...)` calls torch.ops.refconv.max_pool through the dispatcher, and is defined
where its kernel is: the schema stands on it. `registration` tells what happens on the way.

Each file has, for its family, the shapes of the results for tensors without data, the kernels
(tensors to arrays, refconv, and back), and the vmap rules that are not the usual one. Inputs are
batched and options complete, one for each axis: `torch_ext.functional` is the way in. The
derivatives are in `torch_ext.derivatives`.
"""

from torch_ext.operators.adaptive_pooling import (
    adaptive_avg_pool,
    adaptive_avg_pool_grad,
    adaptive_max_pool,
)
from torch_ext.operators.average_pooling import avg_pool, avg_pool_grad
from torch_ext.operators.convolution import (
    conv,
    conv_bias,
    conv_grad_bias,
    conv_grad_input,
    conv_grad_weight,
)
from torch_ext.operators.folding import fold, unfold
from torch_ext.operators.fractional_pooling import fractional_max_pool
from torch_ext.operators.max_pooling import max_pool, max_pool_scatter, max_pool_select
from torch_ext.operators.power_pooling import lp_pool, lp_pool_grad
from torch_ext.operators.unpooling import max_unpool

__all__ = [
    "adaptive_avg_pool",
    "adaptive_avg_pool_grad",
    "adaptive_max_pool",
    "avg_pool",
    "avg_pool_grad",
    "conv",
    "conv_bias",
    "conv_grad_bias",
    "conv_grad_input",
    "conv_grad_weight",
    "fold",
    "fractional_max_pool",
    "lp_pool",
    "lp_pool_grad",
    "max_pool",
    "max_pool_scatter",
    "max_pool_select",
    "max_unpool",
    "unfold",
]
