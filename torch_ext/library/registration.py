# mypy: allow-untyped-calls
"""How an operator becomes one of torch's: definition, kernels, shapes, vmap rule, derivative.

Everything torch does around an operator (autograd, torch.func, torch.compile, torch.export,
make_fx, fake and meta tensors) reaches it through the dispatcher, and so through what is registered
here. Some of the means are torch's own internals, as it has no public ones: they stay in this file.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch._functorch.autograd_function import (  # type: ignore[attr-defined]
    enable_single_level_autograd_function,
)
from torch.autograd import Function
from torch.autograd.forward_ad import _set_fwd_grad_enabled
from torch.jit import is_tracing  # type: ignore[attr-defined]
from torch.utils.flop_counter import register_flop_formula

from torch_ext._bridge import in_place

Rule = Callable[..., tuple[Any, Any]]

LIBRARY = torch.library.Library("refconv", "DEF")


def define(
    schema: str,
    kernel: Callable[..., Any],
    fake: Callable[..., Any],
    vmap: Rule,
    flops: Callable[..., int] | None = None,
) -> Callable[..., Any]:
    """Make torch.ops.refconv.<name> of a schema, and return it as it is below autograd.

    Args:
        schema: name, arguments and results, as torch writes them.
        kernel: computes the result, from tensors of any device, without autograd.
        fake: makes a tensor of the same shape, dtype, strides and device, from shapes alone; they
            may be symbolic.
        vmap: the rule (info, in_dims, *args) -> (result, out_dims), as for
            `torch.library.register_vmap`.
        flops: what `torch.utils.flop_counter` counts for a call, from the arguments, with shapes in
            place of tensors, and `out_shape`; None counts nothing.
    """
    name = schema.partition("(")[0]
    LIBRARY.define(schema, tags=(torch.Tag.pt2_compliant_tag,))
    LIBRARY.impl(name, in_place(kernel), "CompositeExplicitAutograd")
    torch.library.register_fake(f"refconv::{name}", fake, lib=LIBRARY)
    torch.library.register_vmap(f"refconv::{name}", vmap, lib=LIBRARY)
    packet = getattr(torch.ops.refconv, name)
    if flops is not None:
        register_flop_formula(packet)(flops)
    operator = packet.default

    def below_autograd(*args: Any) -> Any:
        # the modes are those of the levels of torch.func below this one, whose turn is next
        with (
            torch.enable_grad(),
            _set_fwd_grad_enabled(True),
            torch._C._AutoDispatchBelowAutograd(),
        ):
            return operator(*args)

    return below_autograd


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


def differentiate(name: str, function: type[Function]) -> None:
    """Give an operator its derivatives, in both modes: those of an autograd Function.

    The Function has `setup_context`, and takes missing gradients and tangents as None: zeros made
    up for them would cost an operator each. A jvp that uses torch's own operators goes through
    `torch_ext.functions.keeping.through_levels`.
    """
    function.backward = staticmethod(untraced(function.backward))  # type: ignore[method-assign]
    apply = super(Function, function).apply  # type: ignore[misc]  # of this level alone

    def kernel(*args: Any) -> Any:
        with enable_single_level_autograd_function():
            return apply(*args)

    LIBRARY.impl(name, kernel, "Autograd")
