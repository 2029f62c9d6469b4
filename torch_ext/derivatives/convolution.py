"""Convolution and its gradients, which differentiate into one another.

Every product x w of a convolution feeds one y. Three sums over the same products:

    C(x, w)    y  = sum x w
    GI(w, gy)  gx = sum gy conj(w)
    GW(x, gy)  gw = sum gy conj(x)

They are the three derivatives of one form, and so each other's adjoints:

    Re sum conj(gy) C(x, w)  =  Re sum conj(GI(w, gy)) x  =  Re sum conj(GW(x, gy)) w

Each is additive in both of its arguments, so F(a, b)' = F(a', b) + F(a, b'), which is its jvp.
The conjugates are those of complex data; on real data there are none. Nothing here asks which way
the products go, so the transposed convolution, whose sums have the same form, is among the options.
"""

from typing import Any

from torch import Tensor
from torch.autograd import Function

from torch_ext import operators
from torch_ext.derivatives.keeping import keep, laid_out, primals, through_levels
from torch_ext.operators import strides
from torch_ext.operators.registration import below_autograd, differentiate

Sizes = tuple[int, ...]


class Convolution(Function):
    """y = C(x, w) + b, with x (N, C, *i), w (M, C / groups, *k), b (M), y (N, M, *o)."""

    @staticmethod
    def forward(x: Tensor, w: Tensor, b: Tensor | None, *options: Any) -> Any:
        return below_autograd(operators.conv, x, w, b, *options)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, w, _, *ctx.options = inputs
        ctx.y_shape, ctx.last = output.shape, strides.channels_last(output)
        keep(ctx, x, w)

    @staticmethod
    def backward(ctx: Any, gy: Tensor | None) -> tuple[Tensor | None, ...]:
        """The adjoints in x, w and b: gx = GI(w, gy), gw = GW(x, gy), gb = sum gy."""
        gx = gw = gb = None
        if gy is not None:
            x, w = ctx.saved_tensors
            gy = laid_out(gy, ctx.last)
            need_x, need_w, need_b, *_ = ctx.needs_input_grad
            if need_x:
                gx = operators.conv_grad_input(x.shape, w, gy, *ctx.options)
            if need_w:
                gw = operators.conv_grad_weight(x, w.shape, gy, *ctx.options)
            if need_b:
                gb = operators.conv_grad_bias(gy)
        return gx, gw, gb, *[None] * len(ctx.options)

    @staticmethod
    @through_levels
    def jvp(ctx: Any, tx: Tensor | None, tw: Tensor | None, tb: Tensor | None, *_: None) -> Any:
        """The product rule: y' = C(x', w) + C(x, w') + b'."""
        x, w = primals(ctx)
        conv = operators.conv
        return total(
            None if tx is None else conv(tx, w, None, *ctx.options),
            None if tw is None else conv(x, tw, None, *ctx.options),
            None if tb is None else operators.conv_bias(tb, ctx.y_shape),
        )


class ConvolutionGradInput(Function):
    """gx = GI(w, gy), with w (M, C / groups, *k), gy (N, M, *o), gx (N, C, *i)."""

    @staticmethod
    def forward(x_shape: Sizes, w: Tensor, gy: Tensor, *options: Any) -> Any:
        return below_autograd(operators.conv_grad_input, x_shape, w, gy, *options)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.x_shape, w, gy, *ctx.options = inputs
        keep(ctx, w, gy)

    @staticmethod
    def backward(ctx: Any, ggx: Tensor | None) -> tuple[Tensor | None, ...]:
        """The adjoints in w and gy: gw = GW(ggx, gy), ggy = C(ggx, w).

        Re sum conj(ggx) GI(w, gy) = Re sum conj(C(ggx, w)) gy = Re sum conj(GW(ggx, gy)) w.
        """
        gw = ggy = None
        if ggx is not None:
            w, gy = ctx.saved_tensors
            _, need_w, need_gy, *_ = ctx.needs_input_grad
            if need_w:
                gw = operators.conv_grad_weight(ggx, w.shape, gy, *ctx.options)
            if need_gy:
                ggy = operators.conv(ggx, w, None, *ctx.options)
        return None, gw, ggy, *[None] * len(ctx.options)

    @staticmethod
    @through_levels
    def jvp(ctx: Any, _x: None, tw: Tensor | None, tgy: Tensor | None, *_: None) -> Any:
        """The product rule: gx' = GI(w', gy) + GI(w, gy')."""
        w, gy = primals(ctx)
        grad_input = operators.conv_grad_input
        return total(
            None if tw is None else grad_input(ctx.x_shape, tw, gy, *ctx.options),
            None if tgy is None else grad_input(ctx.x_shape, w, tgy, *ctx.options),
        )


class ConvolutionGradWeight(Function):
    """gw = GW(x, gy), with x (N, C, *i), gy (N, M, *o), gw (M, C / groups, *k)."""

    @staticmethod
    def forward(x: Tensor, w_shape: Sizes, gy: Tensor, *options: Any) -> Any:
        return below_autograd(operators.conv_grad_weight, x, w_shape, gy, *options)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, ctx.w_shape, gy, *ctx.options = inputs
        keep(ctx, x, gy)

    @staticmethod
    def backward(ctx: Any, ggw: Tensor | None) -> tuple[Tensor | None, ...]:
        """The adjoints in x and gy: gx = GI(ggw, gy), ggy = C(x, ggw).

        Re sum conj(ggw) GW(x, gy) = Re sum conj(C(x, ggw)) gy = Re sum conj(GI(ggw, gy)) x.
        """
        gx = ggy = None
        if ggw is not None:
            x, gy = ctx.saved_tensors
            need_x, _, need_gy, *_ = ctx.needs_input_grad
            if need_x:
                gx = operators.conv_grad_input(x.shape, ggw, gy, *ctx.options)
            if need_gy:
                ggy = operators.conv(x, ggw, None, *ctx.options)
        return gx, None, ggy, *[None] * len(ctx.options)

    @staticmethod
    @through_levels
    def jvp(ctx: Any, tx: Tensor | None, _w: None, tgy: Tensor | None, *_: None) -> Any:
        """The product rule: gw' = GW(x', gy) + GW(x, gy')."""
        x, gy = primals(ctx)
        grad_weight = operators.conv_grad_weight
        return total(
            None if tx is None else grad_weight(tx, ctx.w_shape, gy, *ctx.options),
            None if tgy is None else grad_weight(x, ctx.w_shape, tgy, *ctx.options),
        )


class ConvolutionGradBias(Function):
    """gb[m] = sum over n, o of gy[n, m, o]; linear, and the adjoint of `ConvolutionBias`."""

    @staticmethod
    def forward(gy: Tensor) -> Any:
        return below_autograd(operators.conv_grad_bias, gy)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.y_shape = inputs[0].shape
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx: Any, ggb: Tensor | None) -> Any:
        """The adjoint: ggy[n, m, o] = ggb[m], as every gy[n, m, o] enters gb[m] once."""
        return None if ggb is None else operators.conv_bias(ggb, ctx.y_shape)

    @staticmethod
    def jvp(ctx: Any, tgy: Tensor | None) -> Any:
        """Linear: gb' = sum gy'."""
        return None if tgy is None else operators.conv_grad_bias(tgy)


class ConvolutionBias(Function):
    """y[n, m, o] = b[m]: the share of the bias in a convolution; linear."""

    @staticmethod
    def forward(b: Tensor, y_shape: Sizes) -> Any:
        return below_autograd(operators.conv_bias, b, y_shape)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Sizes], output: Tensor) -> None:
        ctx.y_shape = inputs[1]
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx: Any, gy: Tensor | None) -> tuple[Any, None]:
        """The adjoint: gb[m] = sum over n, o of gy[n, m, o], as b[m] is read once for each."""
        return None if gy is None else operators.conv_grad_bias(gy), None

    @staticmethod
    def jvp(ctx: Any, tb: Tensor | None, _: None) -> Any:
        """Linear: y'[n, m, o] = b'[m]."""
        return None if tb is None else operators.conv_bias(tb, ctx.y_shape)


def total(*terms: Tensor | None) -> Tensor | None:
    """Return the sum of the terms that exist."""
    present = [term for term in terms if term is not None]
    return sum(present[1:], start=present[0]) if present else None


differentiate(operators.conv, Convolution)
differentiate(operators.conv_grad_input, ConvolutionGradInput)
differentiate(operators.conv_grad_weight, ConvolutionGradWeight)
differentiate(operators.conv_grad_bias, ConvolutionGradBias)
differentiate(operators.conv_bias, ConvolutionBias)
