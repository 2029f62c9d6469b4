"""The oracle and zeros: either is right in a sum; the sign counts where an operator chooses."""

import itertools
import runpy
import sys
import types
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from torch_ext import parity

FEW = ("plain", "stride", "all options", "all options, padding not counted", "unbatched")


def negated(function: Any, x: Tensor, *weight_and_bias: Any, **options: Any) -> Tensor:
    """Return -f(-x, w, -b), which is f(x, w, b), but each zero of the other sign."""
    weight, bias = weight_and_bias[:1], weight_and_bias[1:]
    result: Tensor = -function(-x, *weight, *(b if b is None else -b for b in bias), **options)
    return result


@pytest.mark.parametrize("op", ["conv1d", "conv2d", "avg_pool2d"])
def test_of_a_sum_that_is_zero_either_is_right(op: str) -> None:
    """It agrees, and is counted as equal."""
    verdict = parity.check(
        partial(negated, getattr(F, op)),
        op,
        random_cases=0,
        tiers=("exact", "bounded"),
        only=lambda case: case.name in FEW,
    )
    assert verdict.ok, verdict
    assert all(row.bit_equal == row.cases > 0 for row in verdict.rows if not row.skipped)
    assert sum(row.bit_equal for row in verdict.rows) > 8


@pytest.mark.parametrize("op", ["max_pool1d", "max_pool2d"])
def test_where_the_operator_chooses_the_sign_counts(op: str) -> None:
    def unsigned(*args: Any, **options: Any) -> Any:
        y = getattr(F, op)(*args, **options)
        return (y[0] + 0.0, y[1]) if isinstance(y, tuple) else y + 0.0

    verdict = parity.check(
        unsigned, op, random_cases=0, only=lambda case: case.name == "zeros of both signs"
    )
    assert {failure.quantity for failure in verdict.failures} >= {"y"}


def written(x: Tensor, **options: Any) -> Any:
    """Turn the zeros of the input around, behind the back of the pool."""
    y = F.max_pool2d(x, **options)
    with torch.no_grad():
        x.copy_(torch.where(x == 0, -x, x))
    return y


def drifting() -> Any:
    """Turn the zeros of the fourth result around: the first of the second time."""
    calls = itertools.count(1)

    def pool(x: Tensor, **options: Any) -> Any:
        y = F.max_pool2d(x, **options)
        return torch.where(y == 0, -y, y) if next(calls) % 4 == 0 else y

    return pool


@pytest.mark.parametrize(
    ("op", "bug", "case", "says"),
    [
        ("max_pool2d", written, "zeros of both signs", "was written to"),
        ("max_pool2d", written, "one NaN", "was written to"),
        ("max_pool2d", drifting(), "zeros of both signs", "has other bits in a second call"),
    ],
)
def test_the_script_shows_what_was_found_and_no_more(
    op: str, bug: Any, case: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Status 1 with a bug in the sign of a zero, 0 with torch, whose NaN are no difference."""
    module = types.ModuleType("planted")
    monkeypatch.setitem(sys.modules, "planted", module)
    setattr(module, op, bug)
    verdict = parity.check(
        bug, op, dtypes=[torch.float32], order=0, random_cases=0, only=lambda c: c.name == case,
        name=f"planted.{op}",
    )  # fmt: skip
    failure = verdict.failures[0]
    assert failure.message == says
    path = tmp_path / "failing.py"
    path.write_text(failure.script())
    for function in (bug, getattr(F, op)):
        setattr(module, op, function)
        codes = []
        for _ in range(3):  # the drift comes with every fourth call
            with pytest.raises(SystemExit) as ended:
                runpy.run_path(str(path))
            codes.append(bool(ended.value.code))
        assert any(codes) == (function is bug)
