"""What a candidate gives: its quantities, what it does not offer, and what went wrong.

Everything here runs where the candidate lives: in this process, or in one of its own
(`torch_ext.parity.isolation`), which is never told what is expected.
"""

import inspect
import math
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from torch_ext.parity.catalogue import Case, operator
from torch_ext.parity.inputs import COTANGENTS
from torch_ext.parity.layouts import Values

Candidate = Callable[..., Any]
GRADIENTS = {"x": "gx", "weight": "gw", "bias": "gb"}


@dataclass
class Outcome:
    """The quantities that one call and its derivatives gave.

    `trouble` is the exception that ended it; `withheld` says what the candidate does not offer;
    `order` how often it could be differentiated, of `asked`.
    """

    found: Values = field(default_factory=dict)
    trouble: str = ""
    withheld: str = ""
    order: int = 0
    asked: int = 0
    missing: list[str] = field(default_factory=list)  # gradients that are None

    def tensor(self, quantity: str) -> Tensor | None:
        """Return a quantity on the CPU, or nothing where it is none or no tensor."""
        result = self.found.get(quantity)
        return result.detach().cpu() if isinstance(result, Tensor) else None


def observe(candidate: Candidate, case: Case, leaves: Values, order: int) -> Outcome:
    """Call a candidate, differentiate it as often as it can be, and return what it gave."""
    outcome = Outcome(asked=order)
    case, outcome.withheld = offered(candidate, case)
    if outcome.withheld:
        return outcome
    poison(operator(case.op).y_shape(case), leaves["x"])
    attempt(outcome, lambda: _observe(candidate, case, leaves, order, outcome))
    return outcome


def attempt(outcome: Outcome, action: Callable[[], None]) -> None:
    """Run what calls a candidate; what it raises is entered into the outcome, SystemExit too."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of 'same' with even kernels
            action()
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except NotImplementedError as error:
        outcome.withheld = f"NotImplementedError: {error}"
    except BaseException as error:
        outcome.trouble = f"{type(error).__name__}: {error}"


def offered(candidate: Candidate, case: Case) -> tuple[Case, str]:
    """Return a call as the candidate's signature takes it, and which options that lacks.

    An option that has its default value is left out where the signature does not have it.
    """
    try:
        parameters = inspect.signature(candidate).parameters
    except (TypeError, ValueError):  # a builtin
        return case, ""
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return case, ""
    op = operator(case.op)
    unknown = {name: v for name, v in case.options.items() if name not in parameters}
    lacking = [name for name, value in unknown.items() if value != op.defaults.get(name)]
    lacking += [name for name in op.keywords.values() if name not in parameters]
    kept = {name: value for name, value in case.options.items() if name not in unknown}
    return replace(case, options=kept), f"has no {', '.join(lacking)}" if lacking else ""


def poison(shape: tuple[int, ...], like: Tensor) -> None:
    """Leave memory full of NaN behind where the next outputs of this size are likely to go."""
    if like.dtype.is_floating_point and like.device.type == "cpu" and math.prod(shape) < 2**20:
        blocks = [like.new_full(shape, math.nan) for _ in range(2)]
        blocks += [torch.full(like.shape, math.nan, dtype=like.dtype)]
        del blocks


def _observe(
    candidate: Candidate, case: Case, leaves: Values, order: int, outcome: Outcome
) -> None:
    op, found = operator(case.op), outcome.found
    arguments, options = op.arguments(case, leaves)
    with torch.no_grad():
        found["y (no grad)"] = candidate(*arguments, **options)
    if op.gives_indices:
        try:
            pair = candidate(*arguments, **options, return_indices=True)
        except TypeError as error:
            if not re.search("return_indices|unexpected keyword", str(error)):
                raise
            outcome.missing.append("indices")
        else:
            found["y (with indices)"], found["indices"] = pair
    y = found["y"] = candidate(*arguments, **options)
    variables = [name for name in op.cotangents(case) if leaves[name].requires_grad]
    if order < 1 or not isinstance(y, Tensor) or y.shape != leaves["gy"].shape or not variables:
        return
    if not y.requires_grad:
        return
    gradients = torch.autograd.grad(
        y,
        [leaves[name] for name in variables],
        leaves["gy"],
        create_graph=order > 1,
        allow_unused=True,
    )
    outcome.order = 1
    given = dict(zip(variables, gradients, strict=True))
    outcome.missing += [GRADIENTS[name] for name, g in given.items() if g is None]
    given = {name: g for name, g in given.items() if g is not None}
    found |= {GRADIENTS[name]: g for name, g in given.items()}
    if order > 1 and any(g.requires_grad for g in given.values()):
        seconds, known = _second(op.variables, given, leaves)
        if known:  # a backward that is differentiable once leads nowhere
            found |= seconds
            outcome.order = 2


def _second(
    variables: tuple[str, ...], given: dict[str, Tensor], leaves: Values
) -> tuple[Values, bool]:
    """Return the second gradients, and whether there is any; one that is None is zero."""
    found: Values = {}
    known: list[Tensor] = []
    differentiable = {name: g for name, g in given.items() if g.requires_grad}
    cotangents = {name: leaves[COTANGENTS[name]] for name in differentiable}

    def second(of: list[str], by: tuple[str, ...]) -> tuple[Tensor, ...]:
        of = [name for name in of if name in differentiable]
        towards = tuple(leaves["gy"] if name == "gy" else leaves[name] for name in by)
        if not of:
            return tuple(torch.zeros_like(variable) for variable in towards)
        results = torch.autograd.grad(
            [differentiable[name] for name in of],
            towards,
            [cotangents[name] for name in of],
            retain_graph=True,
            allow_unused=True,
        )
        known.extend(g for g in results if g is not None)
        return tuple(
            torch.zeros_like(variable) if g is None else g
            for g, variable in zip(results, towards, strict=True)
        )

    if "weight" in variables:
        found["gx(gw)"], found["gw(gx)"], found["gy(all)"] = second(
            list(given), ("x", "weight", "gy")
        )
        (found["gy(gx)"],) = second(["x"], ("gy",))
        (found["gy(gw)"],) = second(["weight"], ("gy",))
    else:
        found["gx(gx)"], found["gy(gx)"] = second(["x"], ("x", "gy"))
    return found, bool(known)


# --------------------------------------------------------------------------- what leaves traces


@dataclass
class Traces:
    """What two calls, with different numbers, did besides giving results."""

    outcome: Outcome
    other: Outcome
    shared: list[str] = field(default_factory=list)
    written: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)


def traces(candidate: Candidate, case: Case, leaves: Values, others: Values, order: int) -> Traces:
    """Call a candidate with some numbers, then with others, and look at memory in between."""
    before = {name: (leaf.detach().clone(), leaf._version) for name, leaf in leaves.items()}
    first = observe(candidate, case, leaves, order)
    kept = {name: r.detach().clone() for name, r in first.found.items() if isinstance(r, Tensor)}
    found = Traces(first, first)
    for name, leaf in leaves.items():
        value, version = before[name]
        if leaf._version != version or not same(leaf.detach(), value):
            found.written.append(name)
    holders: dict[int, str] = {storage(leaf): name for name, leaf in leaves.items()}
    for name in kept:
        result = first.found[name]
        owner = holders.setdefault(storage(result), name) if result.numel() else name
        if owner != name:
            found.shared.append(f"{name} shares its memory with {owner}")
    found.other = observe(candidate, case, others, order)
    for name, value in kept.items():
        if not same(first.found[name].detach(), value):
            found.changed.append(name)
    for name, result in found.other.found.items():
        if isinstance(result, Tensor) and result.numel():
            owner = holders.get(storage(result), "")
            if owner and owner in kept:
                found.shared.append(f"{name} has the memory of an earlier {owner}")
    return found


def storage(tensor: Tensor) -> int:
    """Return where a tensor's memory starts."""
    return tensor.untyped_storage().data_ptr() if tensor.layout == torch.strided else id(tensor)


def same(a: Tensor, b: Tensor) -> bool:
    """Return whether two tensors hold the same numbers, all NaN being one."""
    return bool(torch.equal(torch.nan_to_num(a), torch.nan_to_num(b)) and a.shape == b.shape)


def in_place(
    candidate: Candidate, case: Case, leaves: Values, name: str, value: Tensor, order: int
) -> Outcome:
    """Call a candidate, change one operand where it lies, and return what it gives then."""
    observe(candidate, case, leaves, order)
    with torch.no_grad():
        leaves[name].copy_(value)
    return observe(candidate, case, leaves, order)


def inferred(candidate: Candidate, case: Case, leaves: Values) -> Outcome:
    """Return what a candidate gives in inference mode."""
    with torch.inference_mode():
        outcome = observe(candidate, case, leaves, 0)
        outcome.found = {
            name: result.clone() if isinstance(result, Tensor) else result
            for name, result in outcome.found.items()
        }
    return outcome


def called(candidate: Candidate, case: Case, leaves: Values) -> Outcome:
    """Return y alone, the gradients off."""
    outcome = Outcome()
    case, outcome.withheld = offered(candidate, case)
    if outcome.withheld:
        return outcome
    arguments, options = operator(case.op).arguments(case, leaves)

    def call() -> None:
        with torch.no_grad():
            outcome.found["y"] = candidate(*arguments, **options)

    attempt(outcome, call)
    return outcome


def repeated(
    candidate: Candidate, case: Case, leaves: Values, order: int, times: int
) -> tuple[Outcome, str]:
    """Return what a first call gives, and the first quantity that a later one gives otherwise."""
    first = observe(candidate, case, leaves, order)
    changed: list[str] = []
    op = operator(case.op)
    case, _ = offered(candidate, case)
    arguments, options = op.arguments(case, leaves)
    variables = [leaves[name] for name in op.cotangents(case)]

    def again() -> None:
        y = candidate(*arguments, **options)
        results = {"y": y.detach()}
        if first.order:
            gradients = torch.autograd.grad(y, variables, leaves["gy"], allow_unused=True)
            names = [GRADIENTS[name] for name in op.cotangents(case)]
            results |= dict(zip(names, gradients, strict=True))
        changed.extend(
            name
            for name, result in results.items()
            if result is not None and not same(result, first.found[name].detach())
        )

    if not first.trouble and not first.withheld:
        for _ in range(times):
            attempt(first, again)
            if changed or first.trouble:
                break
    return first, next(iter(changed), "")
