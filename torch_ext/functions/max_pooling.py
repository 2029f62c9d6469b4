# mypy: allow-untyped-calls
"""Max pooling, and the two linear maps its derivatives are made of.

Let the winner of each window be known: indices[n, c, o] is its flat position in x[n, c].

    select(x)    y[n, c, o] = x[n, c, indices[n, c, o]]                    S x
    scatter(gy)  gx[n, c, i] = sum of gy[n, c, o] where indices[n, c, o] = i   S^T gy

Pooling is y = S(x) x, and S is constant wherever no two elements of a window tie: the derivative is
S, the gradient S^T, and S^T and S differentiate into one another with the same indices.
"""

from typing import Any, NamedTuple

from torch import Tensor
from torch.autograd import Function

import refconv
from refconv.shapes import Shape
from torch_ext._bridge import to_array, to_tensor


class MaxPoolOptions(NamedTuple):
    """What max pooling and its gradient are called with beside the data, in refconv's order."""

    kernel_size: Shape
    stride: Shape
    padding: Shape
    dilation: Shape
    ceil_mode: bool


class MaxPool(Function):
    """y = the largest x of every window, and where it was: (N, C, *i) -> two of (N, C, *o)."""

    @staticmethod
    def forward(x: Tensor, options: MaxPoolOptions) -> tuple[Tensor, Tensor]:
        y, indices = refconv.max_pool(to_array(x), *options, return_indices=True)
        return to_tensor(y, like=x), to_tensor(indices, like=x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        x, ctx.options = inputs
        ctx.x_shape = x.shape
        _, indices = output
        ctx.mark_non_differentiable(indices)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(indices)
        ctx.save_for_forward(indices)

    @staticmethod
    def backward(ctx: Any, gy: Tensor | None, _: None) -> tuple[Tensor | None, None]:
        """The adjoint of S: gx = S^T gy, all of gy[o] goes to the winner of window o."""
        if gy is None:
            return None, None
        (indices,) = ctx.saved_tensors
        return MaxPoolGrad.apply(ctx.x_shape, indices, gy, ctx.options), None

    @staticmethod
    def jvp(ctx: Any, tx: Tensor, _: None) -> tuple[Tensor, None]:
        """S is constant while the winners are: y' = S x'."""
        (indices,) = ctx.saved_tensors
        return MaxPoolSelect.apply(tx, indices, ctx.options), None


class MaxPoolGrad(Function):
    """gx = S^T gy, linear in gy: (N, C, *o) -> (N, C, *i)."""

    @staticmethod
    def forward(x_shape: Shape, indices: Tensor, gy: Tensor, options: MaxPoolOptions) -> Tensor:
        gx = refconv.max_pool_grad(x_shape, to_array(indices), to_array(gy), *options)
        return to_tensor(gx, like=gy)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.x_shape, indices, _, ctx.options = inputs
        ctx.save_for_backward(indices)
        ctx.save_for_forward(indices)

    @staticmethod
    def backward(ctx: Any, ggx: Tensor) -> tuple[Tensor | None, ...]:
        """The adjoint of S^T: ggy = S ggx."""
        (indices,) = ctx.saved_tensors
        return None, None, MaxPoolSelect.apply(ggx, indices, ctx.options), None

    @staticmethod
    def jvp(ctx: Any, _x: None, _i: None, tgy: Tensor, _: None) -> Any:
        """Linear: gx' = S^T gy'."""
        (indices,) = ctx.saved_tensors
        return MaxPoolGrad.apply(ctx.x_shape, indices, tgy, ctx.options)


class MaxPoolSelect(Function):
    """y = S x, linear in x: (N, C, *i) -> (N, C, *o)."""

    @staticmethod
    def forward(x: Tensor, indices: Tensor, options: MaxPoolOptions) -> Tensor:
        rank = len(options.kernel_size)
        y = refconv.max_pool_select(to_array(x), to_array(indices), rank)
        return to_tensor(y, like=x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, indices, ctx.options = inputs
        ctx.x_shape = x.shape
        ctx.save_for_backward(indices)
        ctx.save_for_forward(indices)

    @staticmethod
    def backward(ctx: Any, gy: Tensor) -> tuple[Tensor | None, ...]:
        """The adjoint of S: gx = S^T gy."""
        (indices,) = ctx.saved_tensors
        return MaxPoolGrad.apply(ctx.x_shape, indices, gy, ctx.options), None, None

    @staticmethod
    def jvp(ctx: Any, tx: Tensor, _i: None, _: None) -> Any:
        """Linear: y' = S x'."""
        (indices,) = ctx.saved_tensors
        return MaxPoolSelect.apply(tx, indices, ctx.options)
