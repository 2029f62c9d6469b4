# mypy: allow-untyped-calls
"""Convolution and its gradients, which differentiate into one another.

Every product x w of a convolution feeds one y. Three sums over the same products:

    C(x, w)    y  = sum x w
    GI(w, gy)  gx = sum gy conj(w)
    GW(x, gy)  gw = sum gy conj(x)

They are the three derivatives of one form, and so each other's adjoints:

    Re sum conj(gy) C(x, w)  =  Re sum conj(GI(w, gy)) x  =  Re sum conj(GW(x, gy)) w

Each is additive in both of its arguments, so F(a, b)' = F(a', b) + F(a, b'), which is its jvp.
The conjugates are those of complex data; on real data there are none.
"""

from typing import Any, NamedTuple

from torch import Tensor
from torch.autograd import Function

import refconv
from refconv.shapes import Shape
from torch_ext._bridge import to_array, to_tensor


class ConvOptions(NamedTuple):
    """What a convolution and its gradients are called with beside the data, in refconv's order."""

    stride: Shape
    padding: Shape | str
    dilation: Shape
    groups: int


class Conv(Function):
    """y = C(x, w) + b, with x (N, C, *i), w (M, C / groups, *k), b (M), y (N, M, *o)."""

    @staticmethod
    def forward(x: Tensor, w: Tensor, b: Tensor | None, options: ConvOptions) -> Tensor:
        bias = None if b is None else to_array(b)
        return to_tensor(refconv.conv(to_array(x), to_array(w), bias, *options), like=x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, w, _, ctx.options = inputs
        ctx.y_shape = output.shape
        save(ctx, x, w)

    @staticmethod
    def backward(ctx: Any, gy: Tensor | None) -> tuple[Tensor | None, ...]:
        """The adjoints in x, w and b: gx = GI(w, gy), gw = GW(x, gy), gb = sum gy."""
        if gy is None:
            return None, None, None, None
        x, w = ctx.saved_tensors
        need_x, need_w, need_b, _ = ctx.needs_input_grad
        gx = ConvGradInput.apply(x.shape, w, gy, ctx.options) if need_x else None
        gw = ConvGradWeight.apply(x, w.shape, gy, ctx.options) if need_w else None
        gb = ConvGradBias.apply(gy) if need_b else None
        return gx, gw, gb, None

    @staticmethod
    def jvp(ctx: Any, tx: Tensor | None, tw: Tensor | None, tb: Tensor | None, _: None) -> Any:
        """The product rule: y' = C(x', w) + C(x, w') + b'."""
        x, w = ctx.saved_tensors
        return total(
            None if tx is None else Conv.apply(tx, w, None, ctx.options),
            None if tw is None else Conv.apply(x, tw, None, ctx.options),
            None if tb is None else ConvBias.apply(tb, ctx.y_shape),
        )


class ConvGradInput(Function):
    """gx = GI(w, gy), with w (M, C / groups, *k), gy (N, M, *o), gx (N, C, *i)."""

    @staticmethod
    def forward(x_shape: Shape, w: Tensor, gy: Tensor, options: ConvOptions) -> Tensor:
        gx = refconv.conv_grad_input(x_shape, to_array(w), to_array(gy), *options)
        return to_tensor(gx, like=gy)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.x_shape, w, gy, ctx.options = inputs
        save(ctx, w, gy)

    @staticmethod
    def backward(ctx: Any, ggx: Tensor | None) -> tuple[Tensor | None, ...]:
        """The adjoints in w and gy: gw = GW(ggx, gy), ggy = C(ggx, w).

        Re sum conj(ggx) GI(w, gy) = Re sum conj(C(ggx, w)) gy = Re sum conj(GW(ggx, gy)) w.
        """
        if ggx is None:
            return None, None, None, None
        w, gy = ctx.saved_tensors
        _, need_w, need_gy, _ = ctx.needs_input_grad
        gw = ConvGradWeight.apply(ggx, w.shape, gy, ctx.options) if need_w else None
        ggy = Conv.apply(ggx, w, None, ctx.options) if need_gy else None
        return None, gw, ggy, None

    @staticmethod
    def jvp(ctx: Any, _x: None, tw: Tensor | None, tgy: Tensor | None, _: None) -> Any:
        """The product rule: gx' = GI(w', gy) + GI(w, gy')."""
        w, gy = ctx.saved_tensors
        return total(
            None if tw is None else ConvGradInput.apply(ctx.x_shape, tw, gy, ctx.options),
            None if tgy is None else ConvGradInput.apply(ctx.x_shape, w, tgy, ctx.options),
        )


class ConvGradWeight(Function):
    """gw = GW(x, gy), with x (N, C, *i), gy (N, M, *o), gw (M, C / groups, *k)."""

    @staticmethod
    def forward(x: Tensor, w_shape: Shape, gy: Tensor, options: ConvOptions) -> Tensor:
        gw = refconv.conv_grad_weight(to_array(x), w_shape, to_array(gy), *options)
        return to_tensor(gw, like=gy)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, ctx.w_shape, gy, ctx.options = inputs
        save(ctx, x, gy)

    @staticmethod
    def backward(ctx: Any, ggw: Tensor | None) -> tuple[Tensor | None, ...]:
        """The adjoints in x and gy: gx = GI(ggw, gy), ggy = C(x, ggw).

        Re sum conj(ggw) GW(x, gy) = Re sum conj(C(x, ggw)) gy = Re sum conj(GI(ggw, gy)) x.
        """
        if ggw is None:
            return None, None, None, None
        x, gy = ctx.saved_tensors
        need_x, _, need_gy, _ = ctx.needs_input_grad
        gx = ConvGradInput.apply(x.shape, ggw, gy, ctx.options) if need_x else None
        ggy = Conv.apply(x, ggw, None, ctx.options) if need_gy else None
        return gx, None, ggy, None

    @staticmethod
    def jvp(ctx: Any, tx: Tensor | None, _w: None, tgy: Tensor | None, _: None) -> Any:
        """The product rule: gw' = GW(x', gy) + GW(x, gy')."""
        x, gy = ctx.saved_tensors
        return total(
            None if tx is None else ConvGradWeight.apply(tx, ctx.w_shape, gy, ctx.options),
            None if tgy is None else ConvGradWeight.apply(x, ctx.w_shape, tgy, ctx.options),
        )


class ConvGradBias(Function):
    """gb[m] = sum over n, o of gy[n, m, o]; linear, and the adjoint of `ConvBias`."""

    @staticmethod
    def forward(gy: Tensor) -> Tensor:
        return to_tensor(refconv.conv_grad_bias(to_array(gy)), like=gy)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.y_shape = inputs[0].shape

    @staticmethod
    def backward(ctx: Any, ggb: Tensor) -> Tensor:
        """The adjoint: ggy[n, m, o] = ggb[m], as every gy[n, m, o] enters gb[m] once."""
        return ConvBias.apply(ggb, ctx.y_shape)  # type: ignore[no-any-return]

    @staticmethod
    def jvp(ctx: Any, tgy: Tensor) -> Any:
        """Linear: gb' = sum gy'."""
        return ConvGradBias.apply(tgy)


class ConvBias(Function):
    """y[n, m, o] = b[m]: the share of the bias in a convolution; linear."""

    @staticmethod
    def forward(b: Tensor, y_shape: Shape) -> Tensor:
        per_filter = b.view(-1, *[1] * len(y_shape[2:]))  # (M) -> (M, 1, ...)
        return per_filter.expand(y_shape).clone()  # (N, M, *o)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Shape], output: Tensor) -> None:
        ctx.y_shape = inputs[1]

    @staticmethod
    def backward(ctx: Any, gy: Tensor) -> tuple[Tensor, None]:
        """The adjoint: gb[m] = sum over n, o of gy[n, m, o], as b[m] is read once for each."""
        return ConvGradBias.apply(gy), None

    @staticmethod
    def jvp(ctx: Any, tb: Tensor, _: None) -> Any:
        """Linear: y'[n, m, o] = b'[m]."""
        return ConvBias.apply(tb, ctx.y_shape)


def save(ctx: Any, *tensors: Tensor) -> None:
    """Keep the tensors for both modes; gradients and tangents that do not exist stay None."""
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*tensors)
    ctx.save_for_forward(*tensors)


def total(*terms: Tensor | None) -> Tensor | None:
    """Return the sum of the terms that exist."""
    present = [term for term in terms if term is not None]
    return sum(present[1:], start=present[0]) if present else None
