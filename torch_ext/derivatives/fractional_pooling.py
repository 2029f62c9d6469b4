"""Fractional max pooling: it selects, at places that are constant."""

from typing import Any

from torch import Tensor

from torch_ext import operators
from torch_ext.derivatives.max_pooling import Winners
from torch_ext.operators.registration import below_autograd, differentiate

Sizes = tuple[int, ...]


class FractionalMaxPool(Winners):
    """The largest x of every window, at places that the samples choose; constant in the samples."""

    @staticmethod
    def forward(x: Tensor, samples: Tensor, k: Sizes, output_size: Sizes) -> Any:
        return below_autograd(operators.fractional_max_pool, x, samples, k, output_size)


differentiate(operators.fractional_max_pool, FractionalMaxPool)
