"""Power-average pooling and its gradient as torch operators."""

from collections.abc import Sequence

from torch import Tensor

import refconv
from torch_ext._bridge import to_array, to_tensor
from torch_ext.operators import strides
from torch_ext.operators.average_pooling import fake_avg_pool
from torch_ext.operators.registration import operator

Sizes = Sequence[int]
POWERS = "float norm_type, SymInt[] kernel_size, SymInt[] stride, bool ceil_mode"

# --------------------------------------------------------------------------- shapes


def fake_lp_pool(x: Tensor, norm_type: float, k: Sizes, s: Sizes, ceil_mode: bool) -> Tensor:
    """Return (N, C, *o)."""
    return fake_avg_pool(x, k, s, (0,) * len(k), ceil_mode)


def fake_lp_pool_grad(x: Tensor, *options: object) -> Tensor:
    """Return (N, C, *i)."""
    return strides.like_image(x.new_empty(x.shape), x)


# --------------------------------------------------------------------------- operators


@operator(f"lp_pool(Tensor x, {POWERS}) -> Tensor", fake_lp_pool)
def lp_pool(x: Tensor, norm_type: float, k: Sizes, s: Sizes, ceil_mode: bool) -> Tensor:
    """y = (sum of x^p)^(1/p), as torch has it."""
    y = refconv.lp_pool(to_array(x), norm_type, k, s, ceil_mode)
    return strides.like_image(to_tensor(y, like=x), x)


@operator(f"lp_pool_grad(Tensor x, Tensor grad_output, {POWERS}) -> Tensor", fake_lp_pool_grad)
def lp_pool_grad(
    x: Tensor, grad_output: Tensor, norm_type: float, k: Sizes, s: Sizes, ceil_mode: bool
) -> Tensor:
    """gx, through the parts of the power average."""
    gx = refconv.lp_pool_grad(to_array(x), to_array(grad_output), norm_type, k, s, ceil_mode)
    return strides.like_image(to_tensor(gx, like=x), x)
