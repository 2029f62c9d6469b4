"""Every operator that is registered with torch, on the calls that functions and derivatives make.

The calls are those of `asymmetric_calls`, of first and second order and in both modes, in several
dtypes and layouts. An operator that none of them reaches is an error, not a gap.
"""

from functools import cache
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd import forward_ad

from support.asymmetric_calls import ALL, Draw, values
from support.torch_graphs import Recorded, with_gradients
from support.torch_rows import Row, channels_last, ramp

# torch scripts a few decompositions of its own when forward mode is first used
pytestmark = pytest.mark.filterwarnings(
    "ignore:`torch.jit.script` is deprecated:DeprecationWarning"
)

NAMES = sorted(
    name.partition("::")[2]
    for name in torch._C._dispatch_get_all_op_names()
    if name.startswith("refconv::") and name != "refconv::traced"  # made of others: test_tracing
)


class Variant(NamedTuple):
    """How the tensors of a call are made."""

    dtype: torch.dtype = torch.float64
    last: bool = False


VARIANTS = {
    "float64": Variant(),
    "channels last": Variant(last=True),
    "complex128": Variant(torch.complex128),
    "float16": Variant(torch.float16),
    "bfloat16": Variant(torch.bfloat16),
}


@cache
def calls(variant: Variant) -> dict[str, list[tuple[Any, ...]]]:
    """Return the arguments each operator is called with, by its name: one call of each kind."""
    with Recorded() as recorded:
        for case in ALL:
            if variant.dtype.is_complex and not case.complex:
                continue
            row = Row(case)
            row.tensors = case.draw(Draw(variant.dtype))
            derive(row, channels_last(row) if variant.last else row.tensors)
    return {
        name.removeprefix("refconv::"): list({kind(args): args for _, args in found}.values())
        for name, found in recorded.calls.items()
    }


def kind(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the ranks of the tensors of a call, and its flags."""
    return tuple(arg.dim() if isinstance(arg, Tensor) else arg is True for arg in args)


def derive(row: Row, tensors: tuple[Tensor, ...]) -> None:
    """Call the function, and its derivatives of first and second order in both modes."""
    leaves = row.leaves(tensors)
    wrt = [leaves[at] for at in row.some]
    with forward_ad.dual_level():
        duals = [forward_ad.make_dual(leaf, ramp(leaf)) for leaf in wrt]
        y = values(row.ours(*duals, *leaves[len(wrt) :]))[0]
    y = values(row.ours(*leaves))[0]
    gy = ramp(y).requires_grad_()
    first = torch.autograd.grad(y, wrt, gy, create_graph=True)
    torch.autograd.grad(first, [*wrt, gy], [ramp(g) for g in first], allow_unused=True)


def of_one(name: str, variant: str) -> list[tuple[Any, ...]]:
    """Return the calls of one operator; complex numbers have no order, and no powers here."""
    found = calls(VARIANTS[variant]).get(name, [])
    ordered = name.startswith(("max", "adaptive_max", "fractional", "lp"))
    assert bool(found) != (ordered and variant == "complex128")
    return found


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", NAMES)
def test_opcheck(name: str, variant: str) -> None:
    """The schema holds, autograd is registered where it must be, and fake results are as real."""
    operator = getattr(torch.ops.refconv, name).default
    checks = ("test_schema", "test_autograd_registration", "test_faketensor")
    for args in of_one(name, variant):
        torch.library.opcheck(operator, with_gradients(args), test_utils=checks)


@pytest.mark.parametrize("name", NAMES)
def test_opcheck_of_dynamic_shapes_and_derivatives(name: str) -> None:
    """The graph that AOTAutograd makes, of symbolic sizes, has the values and the gradients."""
    operator = getattr(torch.ops.refconv, name).default
    sample = with_gradients(of_one(name, "float64")[0])
    torch.library.opcheck(operator, sample, test_utils="test_aot_dispatch_dynamic")


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", NAMES)
def test_without_data(name: str, variant: str) -> None:
    """Meta and fake tensors have the shape, dtype and strides of the real result."""
    operator = getattr(torch.ops.refconv, name).default
    for args in of_one(name, variant):
        real = values(operator(*args))
        found = [operator(*(a.to("meta") if isinstance(a, Tensor) else a for a in args))]
        with FakeTensorMode() as mode:
            fakes = [mode.from_tensor(a) if isinstance(a, Tensor) else a for a in args]
            found.append(operator(*fakes))
        for without_data in found:
            for one, other in zip(values(without_data), real, strict=True):
                assert (one.shape, one.dtype) == (other.shape, other.dtype)
                assert one.stride() == other.stride()


def test_every_operator_is_called() -> None:
    assert NAMES
    assert set(calls(VARIANTS["float64"])) == set(NAMES)
