"""Average pools and their gradients, adjoint pairs.

    A x     y[n, c, o]  = sum over the window of o of x[n, c, i] / divisor[o]
    A^T gy  gx[n, c, i] = sum over the windows that hold i of gy[n, c, o] / divisor[o]

Both are linear with real coefficients, so each is its own derivative and the other's gradient.
"""

from typing import Any

from torch import Tensor
from torch.autograd import Function

from torch_ext import operators
from torch_ext.derivatives.keeping import laid_out
from torch_ext.operators import strides
from torch_ext.operators.registration import below_autograd, differentiate

Sizes = tuple[int, ...]


class Linear(Function):
    """y = A x: (N, C, *i) -> (N, C, *o)."""

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, *ctx.window = inputs
        ctx.x_shape, ctx.last = x.shape, strides.channels_last(output)
        ctx.set_materialize_grads(False)


class Adjoint(Function):
    """gx = A^T gy: (N, C, *o) -> (N, C, *i)."""

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.x_shape, _, *ctx.window = inputs
        ctx.set_materialize_grads(False)


class AvgPool(Linear):
    """A of a window with a stride."""

    @staticmethod
    def forward(x: Tensor, *window: Any) -> Any:
        return below_autograd(operators.avg_pool, x, *window)

    @staticmethod
    def backward(ctx: Any, gy: Tensor | None) -> tuple[Any, ...]:
        """The adjoint of A: gx = A^T gy."""
        grad = operators.avg_pool_grad
        gx = None if gy is None else grad(ctx.x_shape, laid_out(gy, ctx.last), *ctx.window)
        return gx, *[None] * len(ctx.window)

    @staticmethod
    def jvp(ctx: Any, tx: Tensor | None, *_: None) -> Any:
        """Linear: y' = A x'."""
        return None if tx is None else operators.avg_pool(tx, *ctx.window)


class AvgPoolGrad(Adjoint):
    """A^T of a window with a stride."""

    @staticmethod
    def forward(x_shape: Sizes, gy: Tensor, *window: Any) -> Any:
        return below_autograd(operators.avg_pool_grad, x_shape, gy, *window)

    @staticmethod
    def backward(ctx: Any, ggx: Tensor | None) -> tuple[Any, ...]:
        """The adjoint of A^T: ggy = A ggx."""
        ggy = None if ggx is None else operators.avg_pool(ggx, *ctx.window)
        return None, ggy, *[None] * len(ctx.window)

    @staticmethod
    def jvp(ctx: Any, _x: None, tgy: Tensor | None, *_: None) -> Any:
        """Linear: gx' = A^T gy'."""
        grad = operators.avg_pool_grad
        return None if tgy is None else grad(ctx.x_shape, tgy, *ctx.window)


differentiate(operators.avg_pool, AvgPool)
differentiate(operators.avg_pool_grad, AvgPoolGrad)
