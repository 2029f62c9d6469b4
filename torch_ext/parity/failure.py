"""A failure, and the program that shows it: nothing but torch and the candidate is needed."""

import textwrap
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from refconv.exact import FLOAT64, Exact
from torch_ext.parity import criterion
from torch_ext.parity.catalogue import Case, operator
from torch_ext.parity.catalogue.operator import EXACT, FORWARD
from torch_ext.parity.inputs import FORMATS, draw
from torch_ext.parity.layouts import laid_out
from torch_ext.parity.observation import GRADIENTS

UNREPEATED = "has other bits in a second call"
SPELLED = ("exact", "bounded", "subnormal", "huge")  # tiers whose numbers fit into a script
MOST = 4000  # elements in it


@dataclass(frozen=True)
class Failure:
    """One disagreement: whose (`name` is what a script imports), where, and what."""

    case: Case
    dtype: torch.dtype
    tier: str
    seed: int
    party: str
    name: str | None
    device: str
    quantity: str
    message: str

    def __str__(self) -> str:
        """One line."""
        return (
            f"{self.case.op} {spelled(self.dtype)}, case '{self.case.name}', {self.tier} tier, "
            f"{self.party}: {self.quantity} {self.message}"
        )

    def script(self) -> str:
        """Return the program: imports, tensors, call, expected result and comparison.

        It ends with status 1 where the candidate disagrees. Where bits are demanded, the expected
        ones are in it; else y* and the bound, both from exact arithmetic. What takes more than one
        call, or more numbers than a page holds, is checked by this harness again.
        """
        case = self.case
        lines = [f"# {line}" for line in str(self).splitlines()]
        if self.tier not in SPELLED or case.elements > MOST or self.dtype.is_complex:
            return "\n".join([*lines, *self._again()]) + "\n"
        lines += ["from math import inf, nan  # noqa: F401", "", "import torch", ""]
        lines += imported(self.name)
        op = operator(case.op)
        values = draw(op, case, self.dtype, self.tier, self.seed)
        leaves = laid_out(case, values, "cpu", op.unbatched(case))
        arrays = {name: criterion.array(leaf) for name, leaf in leaves.items()}
        expected = op.quantities(EXACT, case, arrays, 2)
        quantity = self.quantity
        given: list[str] = [name for name in (*op.operands, *op.keywords) if name in leaves]
        if quantity.startswith("g"):
            given.append("gy")
        if quantity.startswith("g") and "(" in quantity:
            given += [name for name in ("vx", "vw", "vb") if name in leaves]
        lines += [f"{name} = {literal(leaves[name], self.device)}" for name in given]
        if quantity in leaves:
            lines += [f"before = {quantity}.detach().clone()", *calls(self, "y (no grad)")]
            lines += [f"raise SystemExit(not ({same_bits('before', quantity)}).all())"]
            return "\n".join(lines) + "\n"
        lines += ["", *calls(self, quantity)]
        if self.message == UNREPEATED:
            lines += ["", "first = got", *calls(self, quantity)]
            lines += ["print(first, got)"]
            lines += [f"raise SystemExit(not ({same_bits('first', 'got')}).all())"]
            return "\n".join(lines) + "\n"
        lines += ["", *comparison(self, quantity, expected[quantity])]
        return "\n".join(lines) + "\n"

    def _again(self) -> list[str]:
        """Return the lines that run one tier, or one case of it, by this harness."""
        tier = {"subnormal": "scaled", "huge": "scaled"}.get(self.tier, self.tier)
        only = f", only=lambda case: case.name == {self.case.name!r}"
        only = only if tier in ("exact", "ladder", "scaled", "bounded") else ""
        lines = ["import torch", "", "from torch_ext import parity", "", *imported(self.name)]
        return [
            *lines,
            "verdict = parity.check(",
            f"    candidate, {self.case.op!r}, dtypes=[{self.dtype}], tiers=[{tier!r}],",
            f"    seed={self.seed}, device={self.device!r}{only},",
            ")",
            "print(*verdict.failures, sep='\\n')",
            "raise SystemExit(not verdict.ok)",
        ]


def same_bits(one: str, other: str) -> str:
    """Return the expression of where two tensors hold the same bits, all NaN being one."""
    signs = f"({one}.signbit() == {other}.signbit())"
    return f"({one} == {other}) & {signs} | {one}.isnan() & {other}.isnan()"


def imported(name: str | None) -> list[str]:
    """Return the lines that bring package.module.function or module:attribute.function."""
    if name is None:
        return ["candidate = ...  # put the callable under test here", ""]
    module, _, attribute = name.partition(":") if ":" in name else name.rpartition(".")
    first = attribute.partition(".")[0]
    return [f"from {module} import {first}", "", f"candidate = {attribute}"]


def literal(leaf: Tensor, device: str = "cpu") -> str:
    """Return an expression for a tensor, its memory layout included."""
    span = 1 + sum((size - 1) * step for size, step in zip(leaf.shape, leaf.stride(), strict=True))
    values = leaf.detach().as_strided((span,), (1,)).tolist() if leaf.numel() else []
    place = "" if device == "cpu" else f", device={device!r}"
    text = f"torch.tensor({values}, dtype={leaf.dtype}{place})"
    text += f".as_strided({tuple(leaf.shape)}, {leaf.stride()})"
    text += ".requires_grad_()" if leaf.requires_grad else ""
    return textwrap.fill(
        text, 92, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
    )


def calls(failure: Failure, quantity: str) -> list[str]:
    """Return the lines that compute `got`."""
    case, op = failure.case, operator(failure.case.op)
    arguments = [name if name in case.shapes else "None" for name in op.operands]
    arguments += [f"{name}={value!r}" for name, value in case.options.items()]
    arguments += [f"{word}={name}" for name, word in op.keywords.items()]
    call = f"candidate({', '.join(arguments)})"
    if quantity == "y (no grad)":
        return ["with torch.no_grad():", f"    got = {call}"]
    if quantity in ("indices", "y (with indices)"):
        return [f"got = {call[:-1]}, return_indices=True)[{int(quantity == 'indices')}]"]
    if quantity == "y":
        return [f"got = {call}"]
    variables = op.cotangents(case)
    gradients = [GRADIENTS[name] for name in variables]
    lines = [
        f"y = {call}",
        f"{', '.join(gradients)}, = torch.autograd.grad("
        f"y, ({', '.join(variables)},), gy, create_graph=True)",
    ]
    if "(" not in quantity:
        return [*lines, f"got = {quantity}"]
    by, _, of = quantity.removesuffix(")").partition("(")
    one = quantity in ("gy(gx)", "gy(gw)") or "weight" not in variables
    parts = [of] if one else gradients
    variable = {"gx": "x", "gw": "weight", "gy": "gy"}[by]
    return [
        *lines,
        f"got, = torch.autograd.grad(({', '.join(parts)},), {variable}, "
        f"({', '.join('v' + part[1] for part in parts)},), allow_unused=True)",
        f"got = torch.zeros_like({variable}) if got is None else got",
    ]


def comparison(failure: Failure, quantity: str, expected: Any) -> list[str]:
    """Return the lines that hold `got` against what is expected."""
    out = FORMATS[failure.dtype]
    equal = "(got == expected) | got.isnan() & expected.isnan()"
    if isinstance(expected, Tensor):
        lines = [f"expected = {literal(criterion.once(expected, failure.dtype))}"]
        equal = same_bits("got", "expected")
    elif not isinstance(expected, Exact) or criterion.demands_bits(
        quantity, expected, failure.dtype, failure.tier
    ):
        lines = [f"expected = {literal(criterion.once(expected, failure.dtype))}"]
    else:
        accumulate = criterion.accumulator(failure.dtype) if quantity in FORWARD else out
        bound = expected.bound(accumulate, out).astype(np.float64)
        lines = [f"expected = {literal(torch.from_numpy(expected.rounded(FLOAT64)))}"]
        lines += [f"allowed = {literal(torch.from_numpy(bound))}"]
        equal = "((got.double() - expected).abs() <= allowed) | got.isnan() & expected.isnan()"
    lines += ["got = got.detach().cpu()", "assert got.shape == expected.shape, got.shape"]
    lines += [f"assert got.dtype == {failure.dtype if quantity != 'indices' else torch.int64}"]
    lines += [f"right = {equal}"]
    name = f"{quantity} of {failure.case.op}, {spelled(failure.dtype)}"
    return [
        *lines,
        f"print(f'{name}: {{int((~right).sum())}} of {{right.numel()}} are wrong')",
        "for at in (~right).nonzero()[:10].tolist():",
        "    print(at, 'got', got[tuple(at)].item(), 'expected', expected[tuple(at)].item())",
        "raise SystemExit(not right.all())",
    ]


def spelled(dtype: torch.dtype) -> str:
    """Return a dtype without its module."""
    return str(dtype).removeprefix("torch.")
