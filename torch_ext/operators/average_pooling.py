"""Average pooling and its gradient as torch operators: an adjoint pair."""

from collections.abc import Sequence

from torch import Tensor

import refconv
from refconv.geometry.sizes import pool_output_size
from torch_ext._bridge import to_array, to_tensor
from torch_ext.operators import strides
from torch_ext.operators.registration import operator

Sizes = Sequence[int]
WINDOW = (
    "SymInt[] kernel_size, SymInt[] stride, SymInt[] padding, bool ceil_mode, "
    "bool count_include_pad, SymInt? divisor_override"
)

# --------------------------------------------------------------------------- shapes


def fake_avg_pool(
    x: Tensor, k: Sizes, s: Sizes, p: Sizes, ceil_mode: bool, *divisor: int | None
) -> Tensor:
    """Return (N, C, *o)."""
    sizes = zip(x.shape[2:], k, s, p, strict=True)
    o = [pool_output_size(*each, 1, ceil_mode) for each in sizes]
    return strides.like_image(x.new_empty((*x.shape[:2], *o)), x)


def fake_gradient(input_shape: Sizes, grad_output: Tensor, *options: object) -> Tensor:
    """Return (N, C, *i)."""
    return strides.like_image(grad_output.new_empty(input_shape), grad_output)


# --------------------------------------------------------------------------- operators


@operator(f"avg_pool(Tensor x, {WINDOW}) -> Tensor", fake_avg_pool)
def avg_pool(
    x: Tensor,
    k: Sizes,
    s: Sizes,
    p: Sizes,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Tensor:
    """y = A x: the averages of the windows."""
    y = refconv.avg_pool(to_array(x), k, s, p, ceil_mode, count_include_pad, divisor_override)
    return strides.like_image(to_tensor(y, like=x), x)


@operator(
    f"avg_pool_grad(SymInt[] input_shape, Tensor grad_output, {WINDOW}) -> Tensor", fake_gradient
)
def avg_pool_grad(
    input_shape: Sizes,
    grad_output: Tensor,
    k: Sizes,
    s: Sizes,
    p: Sizes,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Tensor:
    """gx = A^T gy."""
    window = k, s, p, ceil_mode, count_include_pad, divisor_override
    gx = refconv.avg_pool_grad(input_shape, to_array(grad_output), *window)
    return strides.like_image(to_tensor(gx, like=grad_output), grad_output)
