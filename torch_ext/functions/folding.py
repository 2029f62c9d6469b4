"""unfold and fold, an adjoint pair: <unfold(x), y> = <x, fold(y)>."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from torch_ext.library import folding
from torch_ext.library.registration import differentiate

Sizes = tuple[int, ...]


class Unfold(Function):
    """cols = U x: (N, C, *i) -> (N, C K, L)."""

    @staticmethod
    def forward(x: Tensor, *window: Any) -> Any:
        return folding.UNFOLD(x, *window)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, *ctx.window = inputs
        ctx.sizes = x.shape[2:]
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx: Any, gy: Tensor | None) -> tuple[Any, ...]:
        """The adjoint of U: gx = U^T gy."""
        gx = None if gy is None else torch.ops.refconv.fold(gy, ctx.sizes, *ctx.window)
        return gx, *[None] * len(ctx.window)

    @staticmethod
    def jvp(ctx: Any, tx: Tensor | None, *_: None) -> Any:
        """Linear: cols' = U x'."""
        return None if tx is None else torch.ops.refconv.unfold(tx, *ctx.window)


class Fold(Function):
    """x = U^T cols: (N, C K, L) -> (N, C, *i)."""

    @staticmethod
    def forward(cols: Tensor, output_size: Sizes, *window: Any) -> Any:
        return folding.FOLD(cols, output_size, *window)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        _, ctx.sizes, *ctx.window = inputs
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx: Any, gx: Tensor | None) -> tuple[Any, ...]:
        """The adjoint of U^T: U gx."""
        gcols = None if gx is None else torch.ops.refconv.unfold(gx, *ctx.window)
        return gcols, None, *[None] * len(ctx.window)

    @staticmethod
    def jvp(ctx: Any, tcols: Tensor | None, *_: None) -> Any:
        """Linear: x' = U^T cols'."""
        return None if tcols is None else torch.ops.refconv.fold(tcols, ctx.sizes, *ctx.window)


differentiate("unfold", Unfold)
differentiate("fold", Fold)
