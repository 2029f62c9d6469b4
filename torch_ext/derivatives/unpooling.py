"""Unpooling puts values where the indices say, and of several on one place the last stays.

Its gradient is the selection S all the same, as torch's is: every value fetches the gradient of its
place.
"""

from typing import Any

from torch import Tensor
from torch.autograd import Function

from torch_ext import operators
from torch_ext.derivatives.keeping import keep
from torch_ext.operators.registration import below_autograd, differentiate

Sizes = tuple[int, ...]


class MaxUnpool(Function):
    """y[n, c, indices[n, c, i]] = x[n, c, i], linear in x: (N, C, *i) -> (N, C, *o)."""

    @staticmethod
    def forward(x: Tensor, indices: Tensor, *window: Any) -> Any:
        return below_autograd(operators.max_unpool, x, indices, *window)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, indices, *ctx.window = inputs
        ctx.rank = x.dim() - 2
        keep(ctx, indices)

    @staticmethod
    def backward(ctx: Any, gy: Tensor | None) -> tuple[Tensor | None, ...]:
        """gx = S gy; where indices are duplicates that is torch's gradient, not the adjoint."""
        gx = None
        if gy is not None:
            (indices,) = ctx.saved_tensors
            gx = operators.max_pool_select(gy, indices, ctx.rank)
        return gx, None, *[None] * len(ctx.window)

    @staticmethod
    def jvp(ctx: Any, tx: Tensor | None, *_: None) -> Any:
        """Linear: tangents are put where their values are."""
        (indices,) = ctx.saved_tensors
        return None if tx is None else operators.max_unpool(tx, indices, *ctx.window)


differentiate(operators.max_unpool, MaxUnpool)
