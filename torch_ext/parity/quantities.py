"""The quantities of one call: the output, its gradients and their gradients.

Computed twice: by a callable and autograd (`observe`), and from the definition (`expect`). Named by
the path that leads to them; <a, b> is the sum of all products of two tensors:

    y, indices       the output; where each maximum was
    gx, gw, gb       gradients of <gy, y> by the input, weight and bias
    gx(gw), gw(gx)   gradients of <vx, gx> + <vw, gw> + <vb, gb> by the input and by the weight
    gy(gx), gy(gw)   gradients of <vx, gx> and of <vw, gw> by gy
    gy(all)          gradient of <vx, gx> + <vw, gw> + <vb, gb> by gy
    gx(gx)           for pools, gradient of <vx, gx> by the input: zero

Each is again a sum of products of the same kind, so each has an exact value and a bound.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from refconv import direct, exact
from refconv.exact import Exact
from torch_ext.parity.cases import Case
from torch_ext.parity.inputs import Values, per_axis

Operator = Callable[..., Any]

FORWARD = ("y", "y (no grad)", "gy(gx)", "gy(gw)")
"""The results of forward operators, in which sums of halves are never kept in the half."""


def observe(operator: Operator, case: Case, leaves: Values, order: int, found: Values) -> None:
    """Put the quantities of operator(...) into `found`, one after the other, until one raises.

    An output that cannot be differentiated by gy ends it too.
    """
    arguments: tuple[Tensor | None, ...] = (leaves["x"],)
    if case.family == "conv":
        arguments += (leaves["weight"], leaves.get("bias"))
    with torch.no_grad():
        found["y (no grad)"] = operator(*arguments, **case.options)
    if case.family == "max_pool":
        y, found["indices"] = operator(*arguments, **case.options, return_indices=True)
        found["y (with indices)"] = y
    y = found["y"] = operator(*arguments, **case.options)
    gy = leaves["gy"]
    if order < 1 or not isinstance(y, Tensor) or y.shape != gy.shape:
        return
    variables = [leaves[name] for name in ("x", "weight", "bias") if name in leaves]
    gradients = torch.autograd.grad(y, variables, gy, create_graph=order > 1)
    found |= dict(zip(("gx", "gw", "gb"), gradients, strict=False))
    if order < 2:
        return
    if case.family == "conv":
        _second_of_conv(leaves, gradients, found)
    else:
        found["gx(gx)"], found["gy(gx)"] = second(gradients, (leaves["x"], gy), (leaves["vx"],))


def _second_of_conv(leaves: Values, gradients: tuple[Tensor, ...], found: Values) -> None:
    cotangents = [leaves[name] for name in ("vx", "vw", "vb") if name in leaves]
    x, weight, gy = leaves["x"], leaves["weight"], leaves["gy"]
    found["gx(gw)"], found["gw(gx)"], found["gy(all)"] = second(
        gradients, (x, weight, gy), cotangents
    )
    (found["gy(gx)"],) = second(gradients[:1], (gy,), cotangents[:1])
    (found["gy(gw)"],) = second(gradients[1:2], (gy,), cotangents[1:2])


def second(
    gradients: tuple[Tensor, ...], variables: tuple[Tensor, ...], cotangents: Any
) -> tuple[Tensor, ...]:
    """Return the gradients of gradients; one that does not exist is zero."""
    found = torch.autograd.grad(
        gradients, variables, cotangents, retain_graph=True, allow_unused=True
    )
    return tuple(
        torch.zeros_like(variable) if g is None else g
        for g, variable in zip(found, variables, strict=True)
    )


# --------------------------------------------------------------------------- from the definition


def expect(case: Case, leaves: Values, order: int = 2) -> dict[str, Exact | Tensor]:
    """Return every quantity from its definition: exact sums, or, of a choice, the very bits.

    In the order in which `observe` finds them.
    """
    arrays = {name: array(leaf) for name, leaf in leaves.items()}
    if case.family == "conv":
        return _expect_conv(case, arrays, order)
    if case.family == "avg_pool":
        return _expect_avg(case, arrays, order)
    return _expect_max(case, arrays, order, leaves["x"].dtype)


def array(tensor: Tensor) -> Any:
    """Return a tensor's numbers as an array; bfloat16 in float32, which holds them all."""
    tensor = tensor.detach().cpu()
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()


def _expect_conv(case: Case, a: dict[str, Any], order: int) -> dict[str, Exact | Tensor]:
    x, w, gy, options = a["x"], a["weight"], a["gy"], case.options
    y = exact.conv(x, w, a.get("bias"), **options)
    found: dict[str, Exact | Tensor] = {"y (no grad)": y, "y": y}
    if order > 0:
        found["gx"] = exact.conv_grad_input(x.shape, w, gy, **options)
        found["gw"] = exact.conv_grad_weight(x, w.shape, gy, **options)
        if "bias" in a:
            found["gb"] = exact.conv_grad_bias(gy[None] if case.unbatched else gy)
    if order > 1:
        found["gx(gw)"] = exact.conv_grad_input(x.shape, a["vw"], gy, **options)
        found["gw(gx)"] = exact.conv_grad_weight(a["vx"], w.shape, gy, **options)
        gy_gx, gy_gw = exact.conv(a["vx"], w, **options), exact.conv(x, a["vw"], **options)
        gy_all = gy_gx + gy_gw
        if "bias" in a:
            per_filter = a["vb"].reshape(-1, *(1,) * case.rank)
            gy_all = gy_all + exact.exactly("vb", np.broadcast_to(per_filter, gy.shape))
        found |= {"gy(all)": gy_all, "gy(gx)": gy_gx, "gy(gw)": gy_gw}
    return found


def _expect_max(
    case: Case, a: dict[str, Any], order: int, dtype: torch.dtype
) -> dict[str, Exact | Tensor]:
    options = per_axis(case)
    value, indices = direct.max_pool(a["x"], **options, return_indices=True)
    y, at = torch.from_numpy(value).to(dtype), torch.from_numpy(indices)
    found: dict[str, Exact | Tensor] = {"y (no grad)": y, "indices": at}
    found |= {"y (with indices)": y, "y": y}
    if order > 0:
        found["gx"] = exact.max_pool_grad(a["x"].shape, indices, a["gy"], **options)
    if order > 1:
        choice = direct.max_pool_select(a["vx"], indices, case.rank)
        found |= {"gx(gx)": _zero(a["x"]), "gy(gx)": torch.from_numpy(choice).to(dtype)}
    return found


def _expect_avg(case: Case, a: dict[str, Any], order: int) -> dict[str, Exact | Tensor]:
    options = per_axis(case)
    y = exact.avg_pool(a["x"], **options)
    found: dict[str, Exact | Tensor] = {"y (no grad)": y, "y": y}
    if order > 0:
        found["gx"] = exact.avg_pool_grad(a["x"].shape, a["gy"], **options)
    if order > 1:
        found |= {"gx(gx)": _zero(a["x"]), "gy(gx)": exact.avg_pool(a["vx"], **options)}
    return found


def _zero(x: Any) -> Exact:
    """Return the derivative for x of what does not depend on it: sums of nothing."""
    return exact.exactly("0", np.zeros_like(x))
