"""unfold and fold, an adjoint pair: <unfold(x), y> = <x, fold(y)>."""

from typing import Any

from torch import Tensor
from torch.autograd import Function

from torch_ext import operators
from torch_ext.operators.registration import below_autograd, differentiate

Sizes = tuple[int, ...]


class Unfold(Function):
    """cols = U x: (N, C, *i) -> (N, C K, L)."""

    @staticmethod
    def forward(x: Tensor, *window: Any) -> Any:
        return below_autograd(operators.unfold, x, *window)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, *ctx.window = inputs
        ctx.sizes = x.shape[2:]
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx: Any, gy: Tensor | None) -> tuple[Any, ...]:
        """The adjoint of U: gx = U^T gy."""
        gx = None if gy is None else operators.fold(gy, ctx.sizes, *ctx.window)
        return gx, *[None] * len(ctx.window)

    @staticmethod
    def jvp(ctx: Any, tx: Tensor | None, *_: None) -> Any:
        """Linear: cols' = U x'."""
        return None if tx is None else operators.unfold(tx, *ctx.window)


class Fold(Function):
    """x = U^T cols: (N, C K, L) -> (N, C, *i)."""

    @staticmethod
    def forward(cols: Tensor, output_size: Sizes, *window: Any) -> Any:
        return below_autograd(operators.fold, cols, output_size, *window)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        _, ctx.sizes, *ctx.window = inputs
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx: Any, gx: Tensor | None) -> tuple[Any, ...]:
        """The adjoint of U^T: U gx."""
        gcols = None if gx is None else operators.unfold(gx, *ctx.window)
        return gcols, None, *[None] * len(ctx.window)

    @staticmethod
    def jvp(ctx: Any, tcols: Tensor | None, *_: None) -> Any:
        """Linear: x' = U^T cols'."""
        return None if tcols is None else operators.fold(tcols, ctx.sizes, *ctx.window)


differentiate(operators.unfold, Unfold)
differentiate(operators.fold, Fold)
