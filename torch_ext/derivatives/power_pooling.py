"""Power-average pooling, and its derivatives through its parts.

    x --(power p)--> u --(sum over the window: A)--> v --(power 1 / p)--> y

With r(v) = v^(1/p - 1) / p and s(x) = p x^(p - 1), the derivatives of the two powers, and A linear:

    y'    = r(v) A(s(x) x')
    G gy  = s(x) A^T(r(v) gy)                                             the gradient
    (G gy)' = s'(x) x' A^T(r(v) gy) + s(x) A^T(r'(v) A(s(x) x') gy)       in the direction x'

The last is symmetric in x' and what it is tested with, as a second derivative is, so it is the
gradient of G as well. It is written in torch's powers and the average of refconv, whose derivatives
exist: so all orders do. Where v is 0, r is taken as 0, as torch does.
"""

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from torch_ext import operators
from torch_ext.derivatives.keeping import keep, primals, through_levels
from torch_ext.operators.registration import below_autograd, differentiate

Sizes = tuple[int, ...]


class LpPool(Function):
    """y = v^(1/p), v = A x^p: (N, C, *i) -> (N, C, *o)."""

    @staticmethod
    def forward(x: Tensor, *powers: Any) -> Any:
        return below_autograd(operators.lp_pool, x, *powers)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, *ctx.powers = inputs
        keep(ctx, x)

    @staticmethod
    def backward(ctx: Any, gy: Tensor | None) -> tuple[Any, ...]:
        """gx = G gy."""
        (x,) = ctx.saved_tensors
        gx = None if gy is None else operators.lp_pool_grad(x, gy, *ctx.powers)
        return gx, *[None] * len(ctx.powers)

    @staticmethod
    @through_levels
    def jvp(ctx: Any, tx: Tensor | None, *_: None) -> Any:
        """y' = r(v) A(s(x) x')."""
        if tx is None:
            return None
        (x,) = primals(ctx)
        return Parts(x, *ctx.powers).tangent(tx)


class LpPoolGrad(Function):
    """gx = G gy: (N, C, *i), (N, C, *o) -> (N, C, *i)."""

    @staticmethod
    def forward(x: Tensor, gy: Tensor, *powers: Any) -> Any:
        return below_autograd(operators.lp_pool_grad, x, gy, *powers)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, gy, *ctx.powers = inputs
        keep(ctx, x, gy)

    @staticmethod
    def backward(ctx: Any, ggx: Tensor | None) -> tuple[Any, ...]:
        """The adjoints: in gy the tangent y' of x' = ggx, in x the second derivative."""
        gx = ggy = None
        if ggx is not None:
            x, gy = ctx.saved_tensors
            parts = Parts(x, *ctx.powers)
            need_x, need_gy, *_ = ctx.needs_input_grad
            gx = parts.second(gy, ggx) if need_x else None
            ggy = parts.tangent(ggx) if need_gy else None
        return gx, ggy, *[None] * len(ctx.powers)

    @staticmethod
    @through_levels
    def jvp(ctx: Any, tx: Tensor | None, tgy: Tensor | None, *_: None) -> Any:
        """The second derivative in x, and G gy' as G is linear in gy."""
        x, gy = primals(ctx)
        second = None if tx is None else Parts(x, *ctx.powers).second(gy, tx)
        if tgy is None:
            return second
        first = operators.lp_pool_grad(x, tgy, *ctx.powers)
        return first if second is None else first + second


class Parts:
    """The parts of one power average, differentiable in x."""

    def __init__(self, x: Tensor, p: float, k: Sizes, s: Sizes, ceil_mode: bool) -> None:
        self.x, self.p = x, p
        self.window = k, s, (0,) * len(k), ceil_mode, True, None
        self.taps = math.prod(k)
        self.v = self.average(x.pow(p))
        self.slope = power_slope(x, p)

    def average(self, u: Tensor) -> Tensor:
        """A u: the average times the size of the kernel, which in torch stands for the sum."""
        return self.taps * operators.avg_pool(u, *self.window)

    def spread(self, g: Tensor) -> Tensor:
        """A^T g."""
        grad = operators.avg_pool_grad(self.x.shape, g, *self.window)
        return self.taps * grad

    def root(self, order: int) -> Tensor:
        """The derivative of v^(1/p) of this order, and 0 where v is."""
        e = 1 / self.p
        factor = math.prod(e - n for n in range(order))
        zero = self.v == 0
        return torch.where(zero, 0, factor * torch.where(zero, 1, self.v).pow(e - order))

    def tangent(self, tx: Tensor) -> Tensor:
        """y' = r(v) A(s(x) x')."""
        return self.root(1) * self.average(self.slope * tx)

    def second(self, gy: Tensor, tx: Tensor) -> Tensor:
        """s'(x) x' A^T(r(v) gy) + s(x) A^T(r'(v) A(s(x) x') gy)."""
        bend = self.p * power_slope(self.x, self.p - 1)
        along = self.root(2) * self.average(self.slope * tx) * gy
        return bend * tx * self.spread(self.root(1) * gy) + self.slope * self.spread(along)


def power_slope(x: Tensor, e: float) -> Tensor:
    """Return the derivative of x^e."""
    return torch.zeros_like(x) if e == 0 else e * x.pow(e - 1)


differentiate(operators.lp_pool, LpPool)
differentiate(operators.lp_pool_grad, LpPoolGrad)
