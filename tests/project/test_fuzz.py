"""Twenty thousand calls with odd values in every argument of every public function.

a documented exception of our own, or a result; within a second and 256 MiB beyond it
"""

import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import refconv
from support import fuzzing
from torch_ext import functional

COUNT = 5_500  # calls of a shard


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("module", [refconv, functional], ids=["refconv", "torch_ext.functional"])
def test_odd_values_are_refused_or_computed(module: ModuleType, seed: int) -> None:
    found = fuzzing.fuzz(module, COUNT, seed)
    assert found.wrong == []
    assert found.calls == COUNT
    assert found.calls - found.refused > COUNT / 50  # some are none too odd
    assert found.refused > COUNT / 4


def test_every_argument_of_every_function_has_its_turn() -> None:
    for module in (refconv, functional):
        swept = {name for name, _ in fuzzing.cases(module, 600, 0)}
        assert swept == set(fuzzing.functions(module))
        assert len(swept) >= 28


def leaks(**_: Any) -> None:
    raise KeyError("of a dictionary inside")


def by_numpy(**_: Any) -> None:
    np.zeros(3).reshape(2, 2)


def too_long(**_: Any) -> None:
    refconv.geometry.per_axis("x" * 400, "y", 1, 1)


def hungry(**_: Any) -> None:
    np.ones(300 << 20, np.uint8)


def slow(**_: Any) -> None:
    sum(range(40_000_000))


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (leaks, "KeyError leaks"),
        (by_numpy, "raised outside of our code"),
        (too_long, "a message of"),
        (hungry, "MiB beyond its result"),
        (slow, "takes"),
    ],
)
def test_what_may_not_be_is_found(
    function: Any, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fuzz, tested: each kind of fault, planted in a function, is seen."""
    monkeypatch.setattr(fuzzing, "SECONDS", 0.5)
    wrong, _ = fuzzing.try_call(function, {})
    assert says in wrong
    assert sys.exc_info() == (None, None, None)
    assert fuzzing.try_call(refconv.max_pool, {"x": np.ones((1, 1, 4, 4)), "kernel_size": 2}) == (
        "",
        False,
    )
