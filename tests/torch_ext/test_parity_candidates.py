"""Bugs seen in the wild, planted one at a time: `parity.check` catches each, by name."""

from collections.abc import Iterator

import pytest
import torch
from rich.table import Table

from support.bugs.candidates import MAKE, MUTANTS
from support.bugs.seen import stands_for
from support.tables import show
from torch_ext import parity

DTYPE = {"sums kept in the half": torch.bfloat16, "float64 summed in float32": torch.float64}
ROUNDING = (  # right wherever nothing rounds
    "operands cut to TF32",
    "sums kept in the half",
    "another order of summation every time",
)


def checked(op: str, bug: str, dtype: torch.dtype, order: int) -> parity.Verdict:
    candidate = MAKE[op[:-2]](bug, int(op[-2]))
    tiers = ("exact", "bounded")
    return parity.check(candidate, op, dtypes=[dtype], order=order, random_cases=0, tiers=tiers)


@pytest.fixture(scope="module")
def caught(request: pytest.FixtureRequest) -> Iterator[Table]:
    table = Table(
        *("operator", "planted bug", "shown by", "failures", "seen as"),
        title="Planted bugs, all caught",
    )
    yield table
    show(table, request.config, width=150)


@pytest.mark.parametrize(("op", "bug", "quantity"), MUTANTS, ids=str)
def test_caught(op: str, bug: str, quantity: str, caught: Table) -> None:
    order = quantity.startswith("g") + (quantity.startswith("g") and "(" in quantity)
    failures = checked(op, bug, DTYPE.get(bug, torch.float32), order).failures
    shown = [failure for failure in failures if failure.quantity == quantity]
    assert shown
    assert {failure.party for failure in failures} == {"candidate"}
    if bug in ROUNDING:
        assert {failure.tier for failure in failures} == {"bounded"}
    caught.add_row(
        op, bug, f"{quantity}, {shown[0].tier} tier", str(len(failures)), stands_for(bug)
    )


@pytest.mark.parametrize("op", [f"{family}{rank}d" for family in MAKE for rank in (1, 2, 3)])
def test_right_without_a_bug(op: str) -> None:
    verdict = checked(op, "", torch.float32, order=1 if op == "conv3d" else 2)
    assert verdict.ok, verdict


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_right_without_a_bug_in_other_formats(dtype: torch.dtype) -> None:
    verdict = checked("conv1d", "", dtype, order=1)
    assert verdict.ok, verdict
