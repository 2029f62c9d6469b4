"""What a Function keeps for its derivatives, and how a tangent is made of it."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from torch_ext.operators.strides import channels_last


def keep(ctx: Any, *tensors: Tensor) -> None:
    """Keep the tensors for both modes; gradients and tangents that do not exist stay None."""
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*tensors)
    ctx.save_for_forward(*tensors)


def through_levels(jvp: Callable[..., Any]) -> Callable[..., Any]:
    """Let a jvp that adds or multiplies tensors itself be differentiated again in forward mode.

    While a jvp runs, torch turns forward mode off, for its own level and for those of torch.func
    around it: their tangents would be lost in each of torch's operators, silently. The operators
    of refconv turn it on again where it is due; here it is on, and the tangents of this level,
    which must not count twice, are taken off what was kept (`primals`).
    """

    @wraps(jvp)
    def differentiable(ctx: Any, *tangents: Tensor | None) -> Any:
        with forward_ad._set_fwd_grad_enabled(True):
            return jvp(ctx, *tangents)

    return differentiable


def primals(ctx: Any) -> tuple[Tensor, ...]:
    """Return the tensors that were kept, without their tangents of this level."""
    kept = ctx.saved_tensors
    return tuple(forward_ad.unpack_dual(each).primal for each in kept)  # type: ignore[no-untyped-call]


def laid_out(gy: Tensor, last: bool) -> Tensor:
    """Return the gradient with its channels last, or not, as those of y are.

    The gradients of what y was made of follow, as torch's do: it is they that agree with y, and
    not gy, which may come from a mean or a sum and have no layout at all.
    """
    if channels_last(gy) == last:
        return gy
    if not last:
        return gy.clone(memory_format=torch.contiguous_format)
    return gy.movedim(1, -1).clone(memory_format=torch.contiguous_format).movedim(-1, 1)
