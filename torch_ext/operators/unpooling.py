"""Unpooling as a torch operator; its gradient is `max_pool_select`."""

from collections.abc import Sequence

from torch import Tensor

import refconv
from torch_ext._bridge import to_array, to_tensor
from torch_ext.operators import strides
from torch_ext.operators.registration import operator

Sizes = Sequence[int]

# --------------------------------------------------------------------------- shapes


def fake_unpool(
    x: Tensor, indices: Tensor, k: Sizes, s: Sizes, p: Sizes, output_size: Sizes
) -> Tensor:
    """Return (N, C, *o)."""
    return strides.like_image(x.new_empty((*x.shape[:2], *output_size)), x)


# --------------------------------------------------------------------------- operators


@operator(
    "max_unpool(Tensor x, Tensor indices, SymInt[] kernel_size, SymInt[] stride, "
    "SymInt[] padding, SymInt[] output_size) -> Tensor",
    fake_unpool,
)
def max_unpool(
    x: Tensor, indices: Tensor, k: Sizes, s: Sizes, p: Sizes, output_size: Sizes
) -> Tensor:
    """y[n, c, indices[n, c, i]] = x[n, c, i]."""
    y = refconv.max_unpool(to_array(x), to_array(indices), k, s, p, output_size)
    return strides.like_image(to_tensor(y, like=x), x)
