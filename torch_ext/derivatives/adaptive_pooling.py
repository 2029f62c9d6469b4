"""Adaptive pools: averages are an adjoint pair; maxima select, in windows of any kind."""

from typing import Any

from torch import Tensor

from torch_ext import operators
from torch_ext.derivatives.average_pooling import Adjoint, Linear
from torch_ext.derivatives.keeping import laid_out
from torch_ext.derivatives.max_pooling import Winners
from torch_ext.operators.registration import below_autograd, differentiate

Sizes = tuple[int, ...]


class AdaptiveAvgPool(Linear):
    """A of as many windows as asked for."""

    @staticmethod
    def forward(x: Tensor, output_size: Sizes) -> Any:
        return below_autograd(operators.adaptive_avg_pool, x, output_size)

    @staticmethod
    def backward(ctx: Any, gy: Tensor | None) -> tuple[Any, None]:
        """The adjoint of A: gx = A^T gy."""
        grad = operators.adaptive_avg_pool_grad
        gx = None if gy is None else grad(ctx.x_shape, laid_out(gy, ctx.last), *ctx.window)
        return gx, None

    @staticmethod
    def jvp(ctx: Any, tx: Tensor | None, _: None) -> Any:
        """Linear: y' = A x'."""
        return None if tx is None else operators.adaptive_avg_pool(tx, *ctx.window)


class AdaptiveAvgPoolGrad(Adjoint):
    """A^T of as many windows as asked for."""

    @staticmethod
    def forward(x_shape: Sizes, gy: Tensor, output_size: Sizes) -> Any:
        return below_autograd(operators.adaptive_avg_pool_grad, x_shape, gy, output_size)

    @staticmethod
    def backward(ctx: Any, ggx: Tensor | None) -> tuple[None, Any, None]:
        """The adjoint of A^T: ggy = A ggx."""
        pool = operators.adaptive_avg_pool
        return None, None if ggx is None else pool(ggx, *ctx.window), None

    @staticmethod
    def jvp(ctx: Any, _x: None, tgy: Tensor | None, _: None) -> Any:
        """Linear: gx' = A^T gy'."""
        grad = operators.adaptive_avg_pool_grad
        return None if tgy is None else grad(ctx.x_shape, tgy, *ctx.window)


class AdaptiveMaxPool(Winners):
    """The largest x of every window, of which there are as many as asked for."""

    @staticmethod
    def forward(x: Tensor, output_size: Sizes) -> Any:
        return below_autograd(operators.adaptive_max_pool, x, output_size)


differentiate(operators.adaptive_avg_pool, AdaptiveAvgPool)
differentiate(operators.adaptive_avg_pool_grad, AdaptiveAvgPoolGrad)
differentiate(operators.adaptive_max_pool, AdaptiveMaxPool)
