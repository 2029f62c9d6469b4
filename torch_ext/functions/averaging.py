"""Average pools and their gradients, adjoint pairs.

    A x     y[n, c, o]  = sum over the window of o of x[n, c, i] / divisor[o]
    A^T gy  gx[n, c, i] = sum over the windows that hold i of gy[n, c, o] / divisor[o]

Both are linear with real coefficients, so each is its own derivative and the other's gradient.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from torch_ext.functions.keeping import laid_out
from torch_ext.library import averaging, strides
from torch_ext.library.registration import differentiate

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
        return averaging.AVG_POOL(x, *window)

    @staticmethod
    def backward(ctx: Any, gy: Tensor | None) -> tuple[Any, ...]:
        """The adjoint of A: gx = A^T gy."""
        grad = torch.ops.refconv.avg_pool_grad
        gx = None if gy is None else grad(ctx.x_shape, laid_out(gy, ctx.last), *ctx.window)
        return gx, *[None] * len(ctx.window)

    @staticmethod
    def jvp(ctx: Any, tx: Tensor | None, *_: None) -> Any:
        """Linear: y' = A x'."""
        return None if tx is None else torch.ops.refconv.avg_pool(tx, *ctx.window)


class AvgPoolGrad(Adjoint):
    """A^T of a window with a stride."""

    @staticmethod
    def forward(x_shape: Sizes, gy: Tensor, *window: Any) -> Any:
        return averaging.AVG_POOL_GRAD(x_shape, gy, *window)

    @staticmethod
    def backward(ctx: Any, ggx: Tensor | None) -> tuple[Any, ...]:
        """The adjoint of A^T: ggy = A ggx."""
        ggy = None if ggx is None else torch.ops.refconv.avg_pool(ggx, *ctx.window)
        return None, ggy, *[None] * len(ctx.window)

    @staticmethod
    def jvp(ctx: Any, _x: None, tgy: Tensor | None, *_: None) -> Any:
        """Linear: gx' = A^T gy'."""
        grad = torch.ops.refconv.avg_pool_grad
        return None if tgy is None else grad(ctx.x_shape, tgy, *ctx.window)


class AdaptiveAvgPool(Linear):
    """A of as many windows as asked for."""

    @staticmethod
    def forward(x: Tensor, output_size: Sizes) -> Any:
        return averaging.ADAPTIVE_AVG_POOL(x, output_size)

    @staticmethod
    def backward(ctx: Any, gy: Tensor | None) -> tuple[Any, None]:
        """The adjoint of A: gx = A^T gy."""
        grad = torch.ops.refconv.adaptive_avg_pool_grad
        gx = None if gy is None else grad(ctx.x_shape, laid_out(gy, ctx.last), *ctx.window)
        return gx, None

    @staticmethod
    def jvp(ctx: Any, tx: Tensor | None, _: None) -> Any:
        """Linear: y' = A x'."""
        return None if tx is None else torch.ops.refconv.adaptive_avg_pool(tx, *ctx.window)


class AdaptiveAvgPoolGrad(Adjoint):
    """A^T of as many windows as asked for."""

    @staticmethod
    def forward(x_shape: Sizes, gy: Tensor, output_size: Sizes) -> Any:
        return averaging.ADAPTIVE_AVG_POOL_GRAD(x_shape, gy, output_size)

    @staticmethod
    def backward(ctx: Any, ggx: Tensor | None) -> tuple[None, Any, None]:
        """The adjoint of A^T: ggy = A ggx."""
        pool = torch.ops.refconv.adaptive_avg_pool
        return None, None if ggx is None else pool(ggx, *ctx.window), None

    @staticmethod
    def jvp(ctx: Any, _x: None, tgy: Tensor | None, _: None) -> Any:
        """Linear: gx' = A^T gy'."""
        grad = torch.ops.refconv.adaptive_avg_pool_grad
        return None if tgy is None else grad(ctx.x_shape, tgy, *ctx.window)


differentiate("avg_pool", AvgPool)
differentiate("avg_pool_grad", AvgPoolGrad)
differentiate("adaptive_avg_pool", AdaptiveAvgPool)
differentiate("adaptive_avg_pool_grad", AdaptiveAvgPoolGrad)
