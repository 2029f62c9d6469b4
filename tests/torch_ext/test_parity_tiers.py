"""Each tier sees what no other does; no verdict depends on state, on modes or on luck."""

import itertools
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch.overrides import get_overridable_functions

from support.bugs.zoo import tampering as t
from support.bugs.zoo import wrong as zoo
from support.bugs.zoo.alone import ALONE
from torch_ext import parity
from torch_ext.parity.catalogue import OPERATORS, cases, ladder
from torch_ext.parity.catalogue.ladder import RUNGS, pairwise
from torch_ext.parity.catalogue.operator import FLOAT64
from torch_ext.parity.inputs import FORMATS, draw
from torch_ext.parity.layouts import laid_out
from torch_ext.parity.runner import QUICK

FLOAT32 = [torch.float32]
ROOT = Path(__file__).parents[2]

# --- tiers --------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("tier", parity.TIERS)
def test_each_tier_catches_what_no_other_does(tier: str) -> None:
    found = [
        each
        for each in parity.TIERS
        if not parity.check(ALONE[tier], "conv2d", dtypes=FLOAT32, tiers=[each]).ok
    ]
    assert found == [tier]


@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128])
@pytest.mark.parametrize("op", ["conv1d", "conv2d", "conv_transpose2d", "unfold", "fold"])
def test_torch_agrees_in_complex_dtypes(op: str, dtype: torch.dtype) -> None:
    verdict = parity.check(getattr(F, op), op, dtypes=[dtype], tiers=("contract", "exact"))
    assert verdict.ok, verdict
    assert verdict.rows[0].cases > 20


def test_a_gradient_that_is_not_conjugated_is_caught() -> None:
    wrong = t.gradient(F.conv2d, "x", torch.conj_physical)
    verdict = parity.check(wrong, "conv2d", dtypes=[torch.complex64], tiers=["exact"])
    assert {f.quantity for f in verdict.failures} >= {"gx"}


@pytest.mark.slow
@pytest.mark.parametrize("op", parity.OPS)
def test_torch_agrees_in_every_tier(op: str) -> None:
    """In every dtype; but for what docs/known-differences.md shows."""
    verdict = parity.check(getattr(F, op), op)
    assert verdict.ok, verdict
    assert set(verdict.rows[0].seconds) == set(parity.TIERS)


# --- the catalogue ------------------------------------------------------------------------------


def test_the_catalogue_is_the_family() -> None:
    """All convolutions, folds and pools of torch.nn.functional, their indices included."""
    words = ("conv", "pool", "fold")
    every = {
        name
        for name in dir(F)
        if any(word in name for word in words)
        and not name.startswith("_")
        and not name.endswith("_with_indices")  # a spelling, of the functions with return_indices
        and callable(getattr(F, name))
        and getattr(F, name) in set(itertools.chain(*get_overridable_functions().values()))
    }
    assert every - {"has_torch_function_unary"} == set(OPERATORS)


@pytest.mark.parametrize("op", parity.OPS)
def test_the_ladder_climbs_every_axis_past_every_power_of_two(op: str) -> None:
    every = list(ladder(op))
    assert len({case.name for case in every}) == len(every)
    sizes = {size for case in every for shape in case.shapes.values() for size in shape}
    numbers = {
        number
        for case in every
        for value in case.options.values()
        for number in (value if isinstance(value, tuple) else (value,))
    }
    assert {2**j for j in range(2, 10)} <= sizes
    assert len(sizes & set(RUNGS)) == len(RUNGS)
    assert max(sizes) > 2**16
    if "kernel_size" in every[0].options and "lp" not in op:
        assert set(RUNGS) <= numbers


@pytest.mark.parametrize("op", parity.OPS)
@pytest.mark.parametrize(
    "dtype", [torch.bfloat16, pytest.param(torch.float32, marks=pytest.mark.slow)]
)
def test_sums_of_the_ladder_fit_into_the_dtype(op: str, dtype: torch.dtype) -> None:
    """The reference is exact in float64, and so are all sums in the dtype: |a| |b| says so."""
    chosen, limit = OPERATORS[op], 2 ** FORMATS[dtype].precision
    for case in itertools.islice(ladder(op), 0, None, 7):
        if op.startswith("lp") or not chosen.fits(case, FORMATS[dtype].precision):
            continue
        leaves = laid_out(case, draw(chosen, case, dtype, "ladder", 3), "cpu", False)
        arrays = {
            name: abs(leaf.detach().double().numpy()) if leaf.is_floating_point() else leaf.numpy()
            for name, leaf in leaves.items()
        }
        sums = chosen.quantities(FLOAT64, case, arrays, 1)
        if "gw" in sums:
            assert abs(sums["gw"]).max() <= limit, case.name
        largest = abs(torch.as_tensor(sums["y"])).max()
        assert largest <= (2**24 if "gw" in sums else limit), case.name


def test_pairs_are_all_there() -> None:
    levels = {"a": (1, 2, 3), "b": "xy", "c": (True, False), "d": (0, 5, 6, 7)}
    rows = pairwise(levels)
    for one, other in itertools.combinations(levels, 2):
        assert {(row[one], row[other]) for row in rows} == set(
            itertools.product(levels[one], levels[other])
        )
    assert len(rows) < 20 < 3 * 2 * 2 * 4


def test_the_pages_count_the_family_as_the_catalogue_does() -> None:
    for page in ("README.md", "docs/oracle.md", "docs/operators.md"):
        assert f"all {len(OPERATORS)}" in " ".join((ROOT / page).read_text().split()), page


def test_quick_tiers_are_tiers() -> None:
    assert set(QUICK) < set(parity.TIERS)


@pytest.mark.parametrize("op", parity.OPS)
def test_what_is_refused_is_refused_by_torch(op: str) -> None:
    case = next(iter(ladder(op)))
    refused = list(OPERATORS[op].refused(case))
    assert refused
    verdict = parity.check(getattr(F, op), op, dtypes=FLOAT32, tiers=["contract"])
    assert verdict.ok, verdict


# --- state, modes and luck ----------------------------------------------------------------------

KEEPERS = (
    "results cached by address",
    "results cached by shape",
    "packed weights found by address",
    "packed weights found by id",
    "one buffer for all results of a shape",
)


@pytest.mark.parametrize("defect", KEEPERS)
def test_the_verdict_on_a_kernel_that_keeps_something_is_the_same_in_ten_runs(defect: str) -> None:
    make = dict(zoo.CONV)[defect]
    verdicts = []
    for _ in range(10):
        verdict = parity.check(make(), "conv2d", dtypes=FLOAT32, tiers=["contract"])
        verdicts.append(verdict.ok)
    assert verdicts == [False] * 10


def flag(function: Callable[..., Any], value: Any, before: Any) -> AbstractContextManager[Any]:
    """Set a global flag inside, and set it back."""

    class Flag(nullcontext):  # type: ignore[type-arg]
        def __enter__(self) -> None:
            function(value)

        def __exit__(self, *_: object) -> None:
            function(before)

    return Flag()


MODES: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "float64 the default": lambda: flag(torch.set_default_dtype, torch.float64, torch.float32),
    "deterministic": lambda: flag(torch.use_deterministic_algorithms, True, False),
    "another default device": lambda: torch.device("meta"),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("op", ["conv2d", "max_pool2d", "adaptive_avg_pool2d"])
def test_modes_that_are_set_outside_change_nothing(op: str, mode: str) -> None:
    tiers = ("contract", "exact", "probes")
    wrong = t.gradient(getattr(F, op), "x", lambda g: g * 1.001)
    with MODES[mode]():
        right = parity.check(getattr(F, op), op, dtypes=FLOAT32, tiers=tiers)
        bad = parity.check(wrong, op, dtypes=FLOAT32, tiers=["exact"])
    assert right.ok, right
    assert right.rows[0].bit_equal == right.rows[0].cases == len(cases(op))
    assert {f.quantity for f in bad.failures} >= {"gx"}
    assert torch.is_grad_enabled()
    assert torch.get_default_dtype() == torch.float32


def test_another_seed_draws_other_numbers() -> None:
    op, case = OPERATORS["conv2d"], cases("conv2d")[0]
    one, other = (draw(op, case, torch.float32, "exact", seed) for seed in (0, 1))
    assert not torch.equal(one["x"], other["x"])


def test_an_expected_result_cannot_be_stolen() -> None:
    """It does not exist while the candidate runs."""
    verdict = parity.check(t.stealing(F.conv2d), "conv2d", dtypes=FLOAT32, tiers=["exact"])
    assert not verdict.ok
    assert len({f.case.name for f in verdict.failures}) == verdict.rows[0].cases
