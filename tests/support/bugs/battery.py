"""A small fixed battery that a copy of refconv passes or fails: what it is that shows a bug.

Every case is one operator with its gradients on small data that no sum rounds, asymmetric in
everything. Five checks hold a result against something else:

    direct    the fast form, in usual and in tiny tiles, against the definition, bit for bit
    torch     fast form and definition against torch, bit for bit
    adjoint   <A x, gy> = <x, A^H gy>, in fast form and definition, with equality
    half      float16 against the exact sum, rounded once
    refused   calls that must raise, do
"""

from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from support.agreement import agreeing, one_nan
from support.bugs.battery_cases import Array, BatteryCase, Call, cases, halves

# --------------------------------------------------------------------------- the cases


REFUSED: list[Call] = [
    ("conv", (np.ones((1, 1, 5)), np.ones((1, 1, 2)), None, 2, "same"), {}),
    ("conv", (np.ones((1, 1, 5)), np.ones((1, 1, 2), np.float32)), {}),
    ("conv_transpose", (np.ones((1, 1, 5)), np.ones((1, 1, 2)), None, 2, 0, 2), {}),
    ("max_pool", (np.ones((1, 0, 5)), (2,)), {}),
    ("max_pool", (np.ones((1, 1, 9)), (3,), 1, 2, 2), {}),
]


# --------------------------------------------------------------------------- the checks


def run(form: Any, call: Call) -> list[Array] | None:
    """Return what a form answers, as a list; None if it raises."""
    name, args, options = call
    try:
        with np.errstate(all="ignore"):
            out = getattr(form, name)(*args, **options)
    except Exception:
        return None
    return list(out) if isinstance(out, tuple) else [out]


def tiny(package: ModuleType, on: bool) -> None:
    """Set tiles of a few elements, so that every seam between them is crossed, or the usual."""
    from_package = (
        (package.engine.tiles, "SCRATCH_BYTES", 200, 1 << 20),
        (package.engine.tiles, "SHARED", 0.0, 5e5),
        (package.engine.columns, "COLUMNS", 3, 256),
        (package.engine.columns, "SHIFT_ROWS", 1, 128),
        (package.engine.columns, "PRODUCTS", 1, 1 << 20),
        (package.engine.planes, "TILE_BYTES", 200, 3 << 20),
    )
    for module, name, few, usual in from_package:
        setattr(module, name, few if on else usual)


def adjoint(case: BatteryCase, results: list[list[Array] | None]) -> bool:
    """Return whether <gy, A x> equals <gradient, operand> for every operand."""
    first = results[0]
    if case.gy is None or first is None or first[0].shape != case.gy.shape:
        return True
    y = first[0] if case.offset is None else first[0] - case.offset
    found = [(results[number], operand) for number, operand in case.operands.items()]
    return all(
        g is None or g[0].shape != v.shape or np.vdot(g[0], v) == np.vdot(case.gy, y)
        for g, v in found
    )


@dataclass
class Answers:
    """What one form of a package answers to every call, in usual and in tiny tiles."""

    usual: list[list[list[Array] | None]]
    tiled: list[list[list[Array] | None]]
    halves: list[list[Array] | None]
    refused: list[list[Array] | None]


def fast(package: ModuleType) -> Answers:
    usual = [[run(package, call) for call in case.calls] for case in cases()]
    sums = [run(package, call) for call, _ in halves()]
    tiny(package, True)
    tiled = [[run(package, call) for call in case.calls] for case in cases()]
    sums += [run(package, call) for call, _ in halves()]
    tiny(package, False)
    return Answers(usual, tiled, sums, [run(package, call) for call in REFUSED])


def direct(package: ModuleType) -> Answers:
    usual = [[run(package.direct, call) for call in case.calls] for case in cases()]
    sums = [run(package.direct, call) for call, _ in halves()]
    return Answers(usual, usual, sums, [run(package.direct, call) for call in REFUSED])


def failures(form: Answers, definition: Answers) -> dict[str, set[str]]:
    """Return, for every check that fails, the operators it fails for; 'raises' too."""
    found: dict[str, set[str]] = {}

    def fail(check: str, name: str) -> None:
        found.setdefault(check, set()).add(name)

    def compare(check: str, name: str, ours: Any, theirs: Any) -> None:
        if ours is None:
            fail("raises", name)
        elif theirs is not None and not all(
            map(agreeing(name), map(one_nan, ours), map(one_nan, theirs))
        ):
            fail(check, name)

    for number, case in enumerate(cases()):
        names = [name for name, _, _ in case.calls]
        defined = definition.usual[number]
        for results in (form.usual[number], form.tiled[number]):
            for name, ours, theirs in zip(names, results, defined, strict=True):
                compare("direct", name, ours, theirs)
        for results in (form.usual[number], defined):
            for name, ours, answer in zip(names, results, case.torch, strict=False):
                compare("torch", name, ours, answer)
            if not adjoint(case, results):
                fail("adjoint", names[0])
    for answers in (form, definition):
        for (call, exact), ours in zip(2 * halves(), answers.halves, strict=False):
            if ours is None:
                fail("raises", call[0])
            elif ours[0].flat[0] != exact:
                fail("half", call[0])
        for (name, _, _), taken in zip(REFUSED, answers.refused, strict=True):
            if taken is not None:
                fail("refused", name)
    return found
