"""Whole models, swapped and overridden, against torch: a step of training, every gradient of it.

A step is y = model(x), L = 1/2 sum (t - y)^2 and the gradients of L for x and each parameter.

Float64: each tensor g of the step obeys max|g - g_torch| <= 1e-10 max|g_torch|. A parameter that a
normalisation or a softmax behind it makes idle has a gradient of zero: it is shown to be idle, and
max|g_torch| is then that of all gradients.

Float32, call by call: the model in float32 makes calls of the family, forward and backward; every
result r of each, computed from the operands that it met in this step, obeys the theorem

    |r - r*| <= n u S,    u = 2^-24,

with r* the exact result of these operands, n the number of terms of its sum, S that sum with every
factor made positive. Both come from torch in float64: n is the same operator on ones, S on absolute
values, and (n + 2) u S leaves room for a division and for the rounding of r* itself.

Float32, carried through: what do these errors add up to at the end? The family runs in float32 in a
model that is float64 elsewhere (the rest is torch's on both sides and would only blur the view).
Call e_c the error of result c: an element of an output or of a gradient of some call. Any quantity
q of the step is a function of all of them, and q(0) is that of torch in float64:

    |q(e) - q(0)|  <=  sum_c |dq/de_c| B_c  +  O(e^2),    B_c = (n + 4) u S >= |e_c|,

2 more for the operands on their way into float32. dq/de_c is computed by torch in float64: each
result is e_c added to the operator's, at e_c = 0, and q is differentiated by e_c (twice
differentiated, where q is a gradient). For q we take what hides nothing: with D = g(e) - g(0) the
whole error of a tensor g, the quantity q = <D / |D|, g> moves by exactly |D|, the Euclidean norm.
The model must be smooth between 0 and e: units of ReLU and of max pools choose alike in both runs,
which is asserted, and holds by a wide margin for the seed.
"""

import copy
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from rich.table import Table

import refconv
import torch_ext
from support.call_by_call import (
    GRADIENTS,
    LIMIT,
    build,
    call_by_call,
    carried_through,
    furthest,
    scales,
    step,
)
from support.models import ARCHITECTURES
from support.tables import show

pytestmark = pytest.mark.slow


every = pytest.mark.parametrize("name", ARCHITECTURES)


# ----------------------------------------------------------------------------- a step of training


@pytest.fixture
def reached(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count the calls that reach refconv, by name."""
    count: Counter[str] = Counter()

    def spy(name: str) -> Callable[..., Any]:
        function = getattr(refconv, name)

        def counted(*args: Any, **kwargs: Any) -> Any:
            count[name] += 1
            return function(*args, **kwargs)

        return counted

    for name, gradients in GRADIENTS.items():
        for each in (name, *gradients):
            monkeypatch.setattr(refconv, each, spy(each))
    return count


def all_of(calls: dict[str, int]) -> dict[str, int]:
    """Return how often each function of refconv runs when these do, forward and backward."""
    return {each: n for name, n in calls.items() if n for each in (name, *GRADIENTS[name])}


@pytest.fixture(scope="module")
def figures(request: pytest.FixtureRequest) -> Iterator[dict[tuple[str, str], str]]:
    """Collect one figure for each model and check, and show them all in the end."""
    found: dict[tuple[str, str], str] = {}
    yield found
    columns = list(dict.fromkeys(column for _, column in found))
    table = Table("model", *columns, title="Whole models: how far from torch")
    for name in dict.fromkeys(name for name, _ in found):
        table.add_row(name, *(found.get((name, column), "") for column in columns))
    show(table, request.config, width=120)


# --------------------------------------------------------------------------------------- float64


def in_float64(name: str, way: str) -> tuple[float, str]:
    """Return how far a step by the reference is from torch's, and in which tensor."""
    model, x = build(name, torch.float64)
    ours = copy.deepcopy(model)
    expected = step(model, x)
    if way == "swap":
        torch_ext.swap(ours)
        found = step(ours, x)
    else:
        with torch_ext.override():
            found = step(ours, x)
    return furthest(found, expected, scales(name, expected))


@every
@pytest.mark.parametrize("way", ["swap", "override"])
def test_float64(
    name: str, way: str, reached: Counter[str], figures: dict[tuple[str, str], str]
) -> None:
    _, _, calls, functions = ARCHITECTURES[name]
    distance, where = in_float64(name, way)
    assert distance <= LIMIT, where
    seen = calls if way == "override" else {k: n - functions.get(k, 0) for k, n in calls.items()}
    assert reached == all_of(seen)
    figures[name, f"float64, {way}"] = f"{distance:.1e}"


@every
def test_restored(name: str, reached: Counter[str]) -> None:
    """Swapped, trained for a step, and given back: everything has the bits it had."""
    model, x = build(name, torch.float32)
    before = copy.deepcopy(model.state_dict())
    expected = step(copy.deepcopy(model), x)

    changed = torch_ext.swap(model).changed
    assert len(changed) == sum(ARCHITECTURES[name].calls.values()) - sum(
        ARCHITECTURES[name].functions.values()
    )
    assert model.state_dict().keys() == before.keys()
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    step(model, x)
    assert reached
    assert len(torch_ext.restore(model).changed) == len(changed)

    reached.clear()
    model.load_state_dict(before)  # the step has moved the statistics of the batch norms
    found = step(model, x)
    assert not reached
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], expected[key]) for key in expected)


@every
def test_both_ways_have_the_same_bits(name: str) -> None:
    model, x = build(name, torch.float32)
    swapped = copy.deepcopy(model)
    torch_ext.swap(swapped)
    with torch_ext.override():
        one = step(model, x)
    with torch_ext.override() if ARCHITECTURES[name].functions else nullcontext():
        other = step(swapped, x)
    assert all(torch.equal(one[key], other[key]) for key in one)


# --------------------------------------------------------------------------- calls and their bounds


# --------------------------------------------------------------------------------------- float32


@every
def test_float32_call_by_call(name: str, figures: dict[tuple[str, str], str]) -> None:
    calls, worst, beyond = call_by_call(name)
    assert calls == sum(ARCHITECTURES[name].calls.values())
    assert not beyond
    figures[name, "float32, each call: error / bound"] = f"{worst:.2f}"


@every
def test_float32_carried_through(name: str, figures: dict[tuple[str, str], str]) -> None:
    alike, distance, worst, beyond = carried_through(name)
    assert alike
    assert not beyond
    figures[name, "float32, the step: distance"] = f"{distance:.1e}"
    figures[name, "error / bound"] = f"{worst:.1e}"


# ---------------------------------------------------------------------------------- planted bugs


def larger(function: Callable[..., Any]) -> Callable[..., Any]:
    """Every gradient of a filter x 1.001."""
    return lambda *args, **kwargs: 1.001 * function(*args, **kwargs)


def crossed(function: Callable[..., Any]) -> Callable[..., Any]:
    """One filter reads two neighbours in the wrong order."""

    def wrong(x: Any, weight: Any, *args: Any, **kwargs: Any) -> Any:
        taps = weight.copy()
        taps[0, 0, 0, ...] = weight[0, 0, 0, ::-1]
        return function(x, taps, *args, **kwargs)

    return wrong


@pytest.mark.parametrize(
    ("function", "bug", "blind"),
    [("conv_grad_weight", larger, 0), ("conv", crossed, 1)],  # the head is 1 x 1: has one tap
    ids=["x 1.001", "tap"],
)
def test_a_planted_bug_is_seen(
    function: str, bug: Callable[..., Any], blind: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In float64 by both ways; in float32 in every call that has it, and at the end."""
    monkeypatch.setattr(refconv, function, bug(getattr(refconv, function)))
    for way in ("swap", "override"):
        distance, _ = in_float64("U-Net", way)
        assert distance > 1e6 * LIMIT
    _, _, beyond = call_by_call("U-Net")
    assert len(beyond) == ARCHITECTURES["U-Net"].calls["conv"] - blind
    *_, beyond = carried_through("U-Net")
    assert beyond
