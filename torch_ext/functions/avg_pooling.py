# mypy: allow-untyped-calls
"""Average pooling and its gradient, an adjoint pair.

    A x     y[n, c, o]  = sum over the window of o of x[n, c, i] / divisor[o]
    A^T gy  gx[n, c, i] = sum over the windows that hold i of gy[n, c, o] / divisor[o]

Both are linear with real coefficients, so each is its own derivative and the other's gradient.
"""

from typing import Any, NamedTuple

from torch import Tensor
from torch.autograd import Function

import refconv
from refconv.shapes import Shape
from torch_ext._bridge import to_array, to_tensor


class AvgPoolOptions(NamedTuple):
    """What average pooling and its gradient are called with beside the data, in refconv's order."""

    kernel_size: Shape
    stride: Shape
    padding: Shape
    ceil_mode: bool
    count_include_pad: bool
    divisor_override: int | None


class AvgPool(Function):
    """y = A x: (N, C, *i) -> (N, C, *o)."""

    @staticmethod
    def forward(x: Tensor, options: AvgPoolOptions) -> Tensor:
        return to_tensor(refconv.avg_pool(to_array(x), *options), like=x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, ctx.options = inputs
        ctx.x_shape = x.shape

    @staticmethod
    def backward(ctx: Any, gy: Tensor) -> tuple[Tensor, None]:
        """The adjoint of A: gx = A^T gy."""
        return AvgPoolGrad.apply(ctx.x_shape, gy, ctx.options), None

    @staticmethod
    def jvp(ctx: Any, tx: Tensor, _: None) -> Any:
        """Linear: y' = A x'."""
        return AvgPool.apply(tx, ctx.options)


class AvgPoolGrad(Function):
    """gx = A^T gy: (N, C, *o) -> (N, C, *i)."""

    @staticmethod
    def forward(x_shape: Shape, gy: Tensor, options: AvgPoolOptions) -> Tensor:
        return to_tensor(refconv.avg_pool_grad(x_shape, to_array(gy), *options), like=gy)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.x_shape, _, ctx.options = inputs

    @staticmethod
    def backward(ctx: Any, ggx: Tensor) -> tuple[None, Tensor, None]:
        """The adjoint of A^T: ggy = A ggx."""
        return None, AvgPool.apply(ggx, ctx.options), None

    @staticmethod
    def jvp(ctx: Any, _x: None, tgy: Tensor, _: None) -> Any:
        """Linear: gx' = A^T gy'."""
        return AvgPoolGrad.apply(ctx.x_shape, tgy, ctx.options)
