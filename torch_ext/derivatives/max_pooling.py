"""The max pools, and the two linear maps their derivatives are made of.

Let the winner of each window be known: indices[n, c, o] is its flat position in x[n, c].

    select(x)    y[n, c, o] = x[n, c, indices[n, c, o]]                    S x
    scatter(gy)  gx[n, c, i] = sum of gy[n, c, o] where indices[n, c, o] = i   S^T gy

Pooling is y = S(x) x, and S is constant wherever no two elements of a window tie: the derivative is
S, the gradient S^T, and S^T and S differentiate into one another with the same indices. How
the windows were chosen, fixed, adaptive or fractional, does not matter then.
"""

from typing import Any

from torch import Tensor
from torch.autograd import Function

from torch_ext import operators
from torch_ext.derivatives.keeping import keep
from torch_ext.operators.registration import below_autograd, differentiate

Sizes = tuple[int, ...]


class Winners(Function):
    """y = S(x) x and the indices that are S: (N, C, *i) -> two of (N, C, *o); x is argument 0."""

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        ctx.x_shape, ctx.arguments = inputs[0].shape, len(inputs)
        ctx.mark_non_differentiable(output[1])
        keep(ctx, output[1])

    @staticmethod
    def backward(ctx: Any, gy: Tensor | None, _: None) -> tuple[Tensor | None, ...]:
        """The adjoint of S: gx = S^T gy, all of gy[o] goes to the winner of window o."""
        gx = None
        if gy is not None:
            (indices,) = ctx.saved_tensors
            rank = len(ctx.x_shape) - 2
            gx = operators.max_pool_scatter(ctx.x_shape, indices, gy, rank)
        return gx, *[None] * (ctx.arguments - 1)

    @staticmethod
    def jvp(ctx: Any, tx: Tensor | None, *_: None) -> tuple[Tensor | None, None]:
        """S is constant while the winners are: y' = S x'."""
        if tx is None:
            return None, None
        (indices,) = ctx.saved_tensors
        return operators.max_pool_select(tx, indices, len(ctx.x_shape) - 2), None


class MaxPool(Winners):
    """The largest x of every window."""

    @staticmethod
    def forward(x: Tensor, *window: Any) -> Any:
        return below_autograd(operators.max_pool, x, *window)


class MaxPoolSelect(Function):
    """y = S x, linear in x: (N, C, *i) -> (N, C, *o)."""

    @staticmethod
    def forward(x: Tensor, indices: Tensor, rank: int) -> Any:
        return below_autograd(operators.max_pool_select, x, indices, rank)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, indices, ctx.rank = inputs
        ctx.x_shape = x.shape
        keep(ctx, indices)

    @staticmethod
    def backward(ctx: Any, gy: Tensor | None) -> tuple[Tensor | None, None, None]:
        """The adjoint of S: gx = S^T gy."""
        if gy is None:
            return None, None, None
        (indices,) = ctx.saved_tensors
        gx = operators.max_pool_scatter(ctx.x_shape, indices, gy, ctx.rank)
        return gx, None, None

    @staticmethod
    def jvp(ctx: Any, tx: Tensor | None, _i: None, _: None) -> Any:
        """Linear: y' = S x'."""
        (indices,) = ctx.saved_tensors
        return None if tx is None else operators.max_pool_select(tx, indices, ctx.rank)


class MaxPoolScatter(Function):
    """gx = S^T gy, linear in gy: (N, C, *o) -> (N, C, *i)."""

    @staticmethod
    def forward(x_shape: Sizes, indices: Tensor, gy: Tensor, rank: int) -> Any:
        return below_autograd(operators.max_pool_scatter, x_shape, indices, gy, rank)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.x_shape, indices, _, ctx.rank = inputs
        keep(ctx, indices)

    @staticmethod
    def backward(ctx: Any, ggx: Tensor | None) -> tuple[Tensor | None, ...]:
        """The adjoint of S^T: ggy = S ggx."""
        if ggx is None:
            return None, None, None, None
        (indices,) = ctx.saved_tensors
        return None, None, operators.max_pool_select(ggx, indices, ctx.rank), None

    @staticmethod
    def jvp(ctx: Any, _x: None, _i: None, tgy: Tensor | None, _: None) -> Any:
        """Linear: gx' = S^T gy'."""
        if tgy is None:
            return None
        (indices,) = ctx.saved_tensors
        return operators.max_pool_scatter(ctx.x_shape, indices, tgy, ctx.rank)


differentiate(operators.max_pool, MaxPool)
differentiate(operators.max_pool_select, MaxPoolSelect)
differentiate(operators.max_pool_scatter, MaxPoolScatter)
