"""The averages and the power averages as torch operators, each with its gradient."""

from collections.abc import Sequence

from torch import Tensor

import refconv
from refconv import shapes
from torch_ext._bridge import to_array, to_tensor
from torch_ext.library import batches, strides
from torch_ext.library.registration import define

Sizes = Sequence[int]

# --------------------------------------------------------------------------- kernels


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


def adaptive_avg_pool(x: Tensor, output_size: Sizes) -> Tensor:
    """y = A x, with windows that share the input out evenly."""
    return strides.like_image(
        to_tensor(refconv.adaptive_avg_pool(to_array(x), output_size), like=x), x
    )


def adaptive_avg_pool_grad(input_shape: Sizes, grad_output: Tensor, output_size: Sizes) -> Tensor:
    """gx = A^T gy."""
    gx = refconv.adaptive_avg_pool_grad(input_shape, to_array(grad_output), output_size)
    return strides.like_image(to_tensor(gx, like=grad_output), grad_output)


def lp_pool(x: Tensor, norm_type: float, k: Sizes, s: Sizes, ceil_mode: bool) -> Tensor:
    """y = (sum of x^p)^(1/p), as torch has it."""
    y = refconv.lp_pool(to_array(x), norm_type, k, s, ceil_mode)
    return strides.like_image(to_tensor(y, like=x), x)


def lp_pool_grad(
    x: Tensor, grad_output: Tensor, norm_type: float, k: Sizes, s: Sizes, ceil_mode: bool
) -> Tensor:
    """gx, through the parts of the power average."""
    gx = refconv.lp_pool_grad(to_array(x), to_array(grad_output), norm_type, k, s, ceil_mode)
    return strides.like_image(to_tensor(gx, like=x), x)


# --------------------------------------------------------------------------- shapes


def fake_avg_pool(
    x: Tensor, k: Sizes, s: Sizes, p: Sizes, ceil_mode: bool, *divisor: int | None
) -> Tensor:
    """Return (N, C, *o)."""
    sizes = zip(x.shape[2:], k, s, p, strict=True)
    o = [shapes.pool_output_size(*each, 1, ceil_mode) for each in sizes]
    return strides.like_image(x.new_empty((*x.shape[:2], *o)), x)


def fake_gradient(input_shape: Sizes, grad_output: Tensor, *options: object) -> Tensor:
    """Return (N, C, *i)."""
    return strides.like_image(grad_output.new_empty(input_shape), grad_output)


def fake_adaptive_avg_pool(x: Tensor, output_size: Sizes) -> Tensor:
    """Return (N, C, *O)."""
    return strides.like_image(x.new_empty((*x.shape[:2], *output_size)), x)


def fake_lp_pool(x: Tensor, norm_type: float, k: Sizes, s: Sizes, ceil_mode: bool) -> Tensor:
    """Return (N, C, *o)."""
    return fake_avg_pool(x, k, s, (0,) * len(k), ceil_mode)


def fake_lp_pool_grad(x: Tensor, *options: object) -> Tensor:
    """Return (N, C, *i)."""
    return strides.like_image(x.new_empty(x.shape), x)


# --------------------------------------------------------------------------- operators

WINDOW = (
    "SymInt[] kernel_size, SymInt[] stride, SymInt[] padding, bool ceil_mode, "
    "bool count_include_pad, SymInt? divisor_override"
)
POWERS = "float norm_type, SymInt[] kernel_size, SymInt[] stride, bool ceil_mode"

AVG_POOL = define(
    f"avg_pool(Tensor x, {WINDOW}) -> Tensor",
    avg_pool, fake_avg_pool, batches.by_images("avg_pool"),
)  # fmt: skip
AVG_POOL_GRAD = define(
    f"avg_pool_grad(SymInt[] input_shape, Tensor grad_output, {WINDOW}) -> Tensor",
    avg_pool_grad, fake_gradient, batches.by_images("avg_pool_grad"),
)  # fmt: skip
ADAPTIVE_AVG_POOL = define(
    "adaptive_avg_pool(Tensor x, SymInt[] output_size) -> Tensor",
    adaptive_avg_pool, fake_adaptive_avg_pool, batches.by_images("adaptive_avg_pool"),
)  # fmt: skip
ADAPTIVE_AVG_POOL_GRAD = define(
    "adaptive_avg_pool_grad(SymInt[] input_shape, Tensor grad_output, SymInt[] output_size) "
    "-> Tensor",
    adaptive_avg_pool_grad, fake_gradient, batches.by_images("adaptive_avg_pool_grad"),
)  # fmt: skip
LP_POOL = define(
    f"lp_pool(Tensor x, {POWERS}) -> Tensor", lp_pool, fake_lp_pool, batches.by_images("lp_pool")
)
LP_POOL_GRAD = define(
    f"lp_pool_grad(Tensor x, Tensor grad_output, {POWERS}) -> Tensor",
    lp_pool_grad, fake_lp_pool_grad, batches.by_images("lp_pool_grad"),
)  # fmt: skip
