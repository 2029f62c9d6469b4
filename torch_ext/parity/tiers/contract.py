"""Tier 0: what a function may not do, whatever it computes.

No state, no alias, no lost flag: results are new tensors of the right kind; inputs are left alone;
a result stays what it was when the function is called again; new numbers in old memory give new
results; every subset of requires_grad, no_grad and inference_mode are obeyed; an empty batch works;
each tensor alone may be strided; infinities and NaN go where the definition sends them; and what
torch refuses is refused.
"""

import dataclasses
import itertools
import math
from collections.abc import Iterator

import torch
from torch import Tensor

from refconv import direct
from torch_ext.parity import criterion
from torch_ext.parity.catalogue import Case
from torch_ext.parity.catalogue.operator import FLOAT64, Arithmetic, Bilinear
from torch_ext.parity.failure import Failure
from torch_ext.parity.inputs import draw
from torch_ext.parity.layouts import ALONE, Values
from torch_ext.parity.observation import (
    GRADIENTS,
    Outcome,
    Traces,
    called,
    in_place,
    inferred,
    observe,
    traces,
)
from torch_ext.parity.trial import Session

TIER = "contract"
DEFINITION = Arithmetic(direct, direct)  # infinities go through its loops as they should


def run(session: Session) -> Iterator[str]:
    """Check everything, and enter the failures into the row."""
    case = next(iter(session.op.ladder()))  # plain, of small and different sizes
    for check in (memory, new_numbers, flags, empty, layouts, not_finite, refusals):
        session.row.failures += check(session, case)
        yield check.__name__.replace("_", " ")
    trivial = session.op.trivial(case)
    if trivial is not None:
        session.row.failures += memory(session, trivial)
        yield trivial.name


def numbers(session: Session, case: Case, seed: int = 0) -> Values:
    """Draw small integers, each time others."""
    return draw(session.op, case, session.dtype, TIER, session.seed + seed)


def compared(
    session: Session,
    case: Case,
    values: Values,
    outcome: Outcome,
    what: str,
    m: Arithmetic = FLOAT64,
) -> list[Failure]:
    """Return what is wrong with the results of a call, y and first gradients."""
    if outcome.withheld and not outcome.found:
        session.row.withhold(outcome.withheld)
        return []
    expected = session.expected(case, values, session.first, m)
    session.row.count_nonzero(expected.values())
    named = dataclasses.replace(case, name=what)
    failures = session.judged(named, TIER, outcome.found, expected)
    return failures + session.ended(named, TIER, outcome, list(expected))


def memory(session: Session, case: Case) -> list[Failure]:
    """No result shares memory with another, or changes when the function is called again."""
    values, other = numbers(session, case), numbers(session, case, 1)
    leaves, others = session.leaves(case, values), session.leaves(case, other)
    found: Traces = session.run(traces, case, leaves, others, session.first)
    failures = compared(session, case, values, found.outcome, "two calls, the first")
    failures += compared(session, case, other, found.other, "two calls, the second")
    for text in found.shared:
        failures.append(session.failure(case, TIER, text.split()[0], text))
    for name in found.written:
        failures.append(session.failure(case, TIER, name, "was written to"))
    for name in found.changed:
        message = "changed when the function was called again, with other numbers"
        failures.append(session.failure(case, TIER, name, message))
    return failures


def new_numbers(session: Session, case: Case) -> list[Failure]:
    """New numbers in the memory of one operand give new results."""
    failures = []
    old, new = numbers(session, case), numbers(session, case, 2)
    for name in session.op.operands:
        if name in case.shapes:
            leaves = session.leaves(case, old)
            changed = new[name].to(session.device)
            outcome = session.run(in_place, case, leaves, name, changed, session.first)
            what = f"new numbers in the memory of {name}"
            failures += compared(session, case, {**old, name: new[name]}, outcome, what)
    return failures


def flags(session: Session, case: Case) -> list[Failure]:
    """Every subset of the operands may want a gradient, or none, in inference mode too."""
    op, failures, values = session.op, [], numbers(session, case)
    variables = op.cotangents(case)
    for n in range(len(variables) + 1):
        for chosen in itertools.combinations(variables, n):
            leaves = session.leaves(case, values)
            for name in variables:
                leaves[name].requires_grad_(name in chosen)
            outcome = session.run(observe, case, leaves, session.first)
            what = f"gradients for {', '.join(chosen) or 'nothing'}"
            failures += compared(session, case, values, outcome, what)
            failures += lost(session, dataclasses.replace(case, name=what), outcome, chosen)
    outcome = session.run(inferred, case, session.leaves(case, values))
    return failures + compared(session, case, values, outcome, "inference mode")


def lost(session: Session, case: Case, outcome: Outcome, chosen: tuple[str, ...]) -> list[Failure]:
    """Return the flags and gradients that went missing, or stand where none should."""
    found, failures = outcome.found, []
    quiet = found.get("y (no grad)")
    if isinstance(quiet, Tensor) and quiet.requires_grad:
        failures.append(session.failure(case, TIER, "y (no grad)", "wants a gradient"))
    y = found.get("y")
    if isinstance(y, Tensor) and y.requires_grad and not chosen:
        failures.append(session.failure(case, TIER, "y", "wants a gradient"))
    if chosen and outcome.order and outcome.missing:
        names = [q for q in outcome.missing if q != "indices"]
        failures += [session.failure(case, TIER, q, "is missing") for q in names]
    if (
        chosen
        and session.order
        and not outcome.order
        and not outcome.trouble
        and not outcome.withheld
    ):
        failure = session.failure(case, TIER, GRADIENTS[chosen[0]], "is missing")
        session.row.lacking.setdefault(1, []).append(failure)
    if chosen and outcome.order:
        session.row.reached = max(session.row.reached, 1)
    return failures


def empty(session: Session, case: Case) -> list[Failure]:
    """An empty batch gives an empty result, and gradients of zeros."""
    none = session.op.without_batch(case)
    values = numbers(session, none)
    outcome = session.run(observe, none, session.leaves(none, values), session.first)
    return compared(session, none, values, outcome, "an empty batch")


def layouts(session: Session, case: Case) -> list[Failure]:
    """Each tensor alone may be strided, or start anywhere, or lie in a larger one."""
    failures, values = [], numbers(session, case)
    for name, value in values.items():
        if name.startswith("v") or value.ndim == 0:
            continue
        for layout in ALONE:
            if layout == "channels" and value.ndim < 3:
                continue
            what = f"{name} alone in memory of the kind {layout!r}"
            laid = case.laid_out(what, **{name: layout})
            outcome = session.run(observe, laid, session.leaves(laid, values), session.first)
            failures += compared(session, laid, values, outcome, what)
    return failures


def not_finite(session: Session, case: Case) -> list[Failure]:
    """One infinity or NaN in one operand goes where the definition sends it, and nowhere else."""
    failures, values = [], numbers(session, case)
    if session.dtype.is_complex or session.op.name.startswith("lp_pool"):
        return []
    if isinstance(session.op, Bilinear):  # a few zeros: infinity times zero is NaN
        values["weight"].view(-1)[::3] = 0
    for name in (*session.op.cotangents(case), "gy"):
        for special in (math.inf, -math.inf, math.nan):
            changed = {key: value.clone() for key, value in values.items()}
            changed[name].view(-1)[changed[name].numel() // 2] = special
            outcome = session.run(observe, case, session.leaves(case, changed), session.first)
            what = f"{special} in {name}"
            for quantity, result in outcome.found.items():
                if (name, quantity) in session.op.may_be_nan:
                    outcome.found[quantity] = forgiven(session, case, changed, quantity, result)
            failures += compared(session, case, changed, outcome, what, DEFINITION)
    return failures


def forgiven(session: Session, case: Case, values: Values, quantity: str, result: Tensor) -> Tensor:
    """Return a result with what is due in place of its NaN.

    A kernel may write a gradient, or a transposed convolution, as a convolution of its operand with
    zeros around it; zero times infinity is NaN there.
    """
    due = session.expected(case, values, session.first, DEFINITION).get(quantity)
    if due is None or tuple(result.shape) != criterion.shape_of(due):
        return result
    expected = criterion.once(due, session.dtype).to(result.device)
    return torch.where(result.isnan(), expected, result)


def refusals(session: Session, case: Case) -> list[Failure]:
    """What torch refuses is refused, by any exception."""
    failures = []
    for what, change in session.op.refused(case):
        shapes = {**case.shapes, **{k: v for k, v in change.items() if k in case.shapes}}
        options = {**case.options, **{k: v for k, v in change.items() if k not in case.shapes}}
        bad = dataclasses.replace(case, name=what, shapes=shapes, options=options)
        outcome = session.run(called, bad, zeros(session, bad))
        if not outcome.trouble and not outcome.withheld:
            shape = tuple(getattr(outcome.found.get("y"), "shape", ()))
            message = f"should be refused: {what}; got a result of shape {shape}"
            failures.append(session.failure(bad, TIER, "y", message))
    return failures


def zeros(session: Session, case: Case) -> Values:
    """Return tensors of a call that should be refused."""
    return {
        name: torch.zeros(
            shape,
            dtype=torch.int64 if name == "indices" else session.dtype,
            device=session.device,
        )
        for name, shape in case.shapes.items()
    }
