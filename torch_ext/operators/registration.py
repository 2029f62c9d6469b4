# mypy: allow-untyped-calls
"""How an operator becomes one of torch's, and the trip of a call.

    operators.conv(x, w, ...)      a typed name for torch.ops.refconv.convolution
      -> the Autograd key          `differentiate` put the derivative's `apply` there
      -> Convolution.forward       in `torch_ext.derivatives`, which saves what backward needs
      -> below_autograd            the same operator again, but below the Autograd key
      -> the kernel                the decorated function: tensors to arrays, refconv, and back

Backward is the same trip: `Convolution.backward` calls operators, whose derivatives are Functions
again. Where nothing needs a gradient the trip is the same, and nothing is saved.

All that torch does around an operator (autograd, torch.func, torch.compile, torch.export, make_fx,
fake and meta tensors) reaches it through the dispatcher, and so through what is registered here.
Some of the means are torch's own internals, as it has no public ones: they stay in this file.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor
from torch._functorch.autograd_function import (  # type: ignore[attr-defined]
    enable_single_level_autograd_function,
)
from torch._ops import OpOverload
from torch.autograd import Function, forward_ad
from torch.autograd.forward_ad import _set_fwd_grad_enabled
from torch.jit import is_tracing  # type: ignore[attr-defined]
from torch.utils.flop_counter import register_flop_formula

from refconv.engine import tiles
from torch_ext._bridge import in_place
from torch_ext.operators import batches, workers

Rule = Callable[..., tuple[Any, Any]]
P = ParamSpec("P")
R = TypeVar("R")

LIBRARY = torch.library.Library("refconv", "DEF")

tiles.before_threads(workers.rest)


def operator(
    schema: str,
    fake: Callable[..., Any],
    vmap: Rule | None = None,
    flops: Callable[..., int] | None = None,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make torch.ops.refconv.<name> of a schema and of the kernel that this decorates.

    The kernel computes the result, from tensors of any device, without autograd. Its name stands
    for the operator from then on: with the kernel's types, and called through the dispatcher.

    Args:
        schema: name, arguments and results, as torch writes them.
        fake: makes a tensor of the same shape, dtype, strides and device, from shapes alone; they
            may be symbolic.
        vmap: the rule (info, in_dims, *args) -> (result, out_dims), as for
            `torch.library.register_vmap`; None is that of operators that treat each
            image on its own.
        flops: what `torch.utils.flop_counter` counts for a call, from the arguments, with shapes in
            place of tensors, and `out_shape`; None counts nothing.
    """
    name = schema.partition("(")[0]

    def registered(kernel: Callable[P, R]) -> Callable[P, R]:
        LIBRARY.define(schema, tags=(torch.Tag.pt2_compliant_tag,))
        LIBRARY.impl(name, in_place(kernel), "CompositeExplicitAutograd")
        packet = getattr(torch.ops.refconv, name)  # by name: torch makes it of the schema
        torch.library.register_fake(f"refconv::{name}", fake, lib=LIBRARY)
        rule = batches.by_images(packet.default) if vmap is None else vmap
        torch.library.register_vmap(f"refconv::{name}", rule, lib=LIBRARY)
        if flops is not None:
            register_flop_formula(packet)(flops)
        return packet.default  # type: ignore[no-any-return]

    return registered


def below_autograd(operator: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call an operator as it is below autograd: its kernel, or what a mode puts in its place."""
    # the modes are those of the levels of torch.func below this one, whose turn is next
    with (
        torch.enable_grad(),
        _set_fwd_grad_enabled(True),
        torch._C._AutoDispatchBelowAutograd(),
    ):
        return operator(*args, **kwargs)


def untraced(backward: Callable[..., Any]) -> Callable[..., Any]:
    """Return a backward that a trace refuses: it is made for the sizes and options of one call."""

    @wraps(backward)
    def checked(*args: Any) -> Any:
        if is_tracing():
            raise RuntimeError(
                "torch.jit.trace does not record the gradients of torch_ext: "
                "trace the forward alone, and differentiate what the trace returns"
            )
        return backward(*args)

    return checked


def differentiated(args: tuple[Any, ...]) -> bool:
    """Return whether a call is to be recorded: some tensor needs a gradient, or has a tangent.

    Where nothing does, an autograd Function would only cost its 30 microseconds.
    """
    if forward_ad._current_level >= 0:  # within a dual level, torch.func's too
        return True
    return torch.is_grad_enabled() and any(
        isinstance(arg, Tensor) and arg.requires_grad for arg in args
    )


def differentiate(operator: Callable[..., Any], function: type[Function]) -> None:
    """Give an operator its derivatives, in both modes: those of an autograd Function.

    The Function has `setup_context`, and takes missing gradients and tangents as None: zeros made
    up for them would cost an operator each. A jvp that uses torch's own operators goes through
    `torch_ext.derivatives.keeping.through_levels`.
    """
    function.backward = staticmethod(untraced(function.backward))  # type: ignore[method-assign]
    apply = super(Function, function).apply  # type: ignore[misc]  # of this level alone

    def kernel(*args: Any) -> Any:
        if not differentiated(args):
            with torch._C._AutoDispatchBelowAutograd():
                return operator(*args)
        with enable_single_level_autograd_function():
            return apply(*args)

    assert isinstance(operator, OpOverload)
    LIBRARY.impl(operator, kernel, "Autograd")
