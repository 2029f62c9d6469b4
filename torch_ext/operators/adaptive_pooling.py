"""The adaptive pools as torch operators; the gradient of the maxima is `max_pool_scatter`."""

from collections.abc import Sequence

from torch import Tensor

import refconv
from torch_ext._bridge import to_array, to_tensor
from torch_ext.operators import strides
from torch_ext.operators.average_pooling import fake_gradient
from torch_ext.operators.max_pooling import Pair, fake_pair, pair
from torch_ext.operators.registration import operator

Sizes = Sequence[int]

# --------------------------------------------------------------------------- shapes


def fake_adaptive_avg_pool(x: Tensor, output_size: Sizes) -> Tensor:
    """Return (N, C, *O)."""
    return strides.like_image(x.new_empty((*x.shape[:2], *output_size)), x)


def fake_adaptive_max_pool(x: Tensor, output_size: Sizes) -> Pair:
    """Return two of (N, C, *O)."""
    y, indices = fake_pair(x, output_size)
    return strides.like_image(y, x), strides.like_image(indices, x)


# --------------------------------------------------------------------------- operators


@operator("adaptive_avg_pool(Tensor x, SymInt[] output_size) -> Tensor", fake_adaptive_avg_pool)
def adaptive_avg_pool(x: Tensor, output_size: Sizes) -> Tensor:
    """y = A x, with windows that share the input out evenly."""
    return strides.like_image(
        to_tensor(refconv.adaptive_avg_pool(to_array(x), output_size), like=x), x
    )


@operator(
    "adaptive_avg_pool_grad(SymInt[] input_shape, Tensor grad_output, SymInt[] output_size) "
    "-> Tensor",
    fake_gradient,
)
def adaptive_avg_pool_grad(input_shape: Sizes, grad_output: Tensor, output_size: Sizes) -> Tensor:
    """gx = A^T gy."""
    gx = refconv.adaptive_avg_pool_grad(input_shape, to_array(grad_output), output_size)
    return strides.like_image(to_tensor(gx, like=grad_output), grad_output)


@operator(
    "adaptive_max_pool(Tensor x, SymInt[] output_size) -> (Tensor, Tensor)", fake_adaptive_max_pool
)
def adaptive_max_pool(x: Tensor, output_size: Sizes) -> Pair:
    """The same with windows that share the input out evenly."""
    y, indices = pair(*refconv.adaptive_max_pool(to_array(x), output_size, return_indices=True), x)
    return strides.like_image(y, x), strides.like_image(indices, x)
