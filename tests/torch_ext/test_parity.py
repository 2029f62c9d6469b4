"""The harness itself: what passes, what fails, what it says, and that its scripts run."""

import itertools
import math
import re
import runpy
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from refconv import exact
from support.bugs.candidates import MAKE
from torch_ext import functional, parity
from torch_ext.parity import criterion, inputs, runner
from torch_ext.parity.__main__ import main
from torch_ext.parity.cases import cases
from torch_ext.parity.report import Row

FEW = (
    "plain",
    "all options",
    "all options, padding not counted",
    "stride, padding and dilation",
    "unbatched",
    "ties",
)


def few(case: parity.Case) -> bool:
    return case.name in FEW


# --- what passes --------------------------------------------------------------------------------


@pytest.mark.parametrize("op", parity.OPS)
def test_torch_agrees(op: str) -> None:
    verdict = parity.check(getattr(F, op), op, random_cases=0, only=few)
    assert verdict.ok, verdict
    for row in verdict.rows:
        assert row.cases == len([c for c in cases(op, number=0) if few(c)]) > 0
        assert row.skipped or row.bit_equal == row.cases
        assert row.fraction_nonzero > 0.4
        assert 0 < row.omega_ours < 4


def test_a_dtype_that_is_never_implemented_is_skipped_with_its_reason() -> None:
    halves = [torch.float16, torch.bfloat16]
    verdict = parity.check(F.avg_pool3d, "avg_pool3d", dtypes=halves, only=few, random_cases=0)
    if any(row.skipped for row in verdict.rows):  # torch 2.13 on the CPU has neither
        assert "not implemented for" in re.sub(r"\s+", " ", str(verdict))

    def never(*_: Any, **__: Any) -> Tensor:
        raise NotImplementedError("not today")

    verdict = parity.check(never, "avg_pool1d", only=few)
    assert not verdict.ok, "nothing was compared"
    assert not verdict.failures
    assert "skipped: NotImplementedError: not today" in re.sub(r"\s+", " ", str(verdict))
    assert "proves nothing" in str(verdict)


def test_a_dtype_that_is_implemented_now_and_then_is_not_skipped() -> None:
    def sometimes(x: Tensor, **options: Any) -> Tensor:
        if x.ndim == 2:
            raise NotImplementedError("no unbatched input")
        return F.avg_pool1d(x, **options)

    verdict = parity.check(sometimes, "avg_pool1d", dtypes=[torch.float32], only=few)
    assert not verdict.ok
    assert {f.case.name for f in verdict.failures} == {"unbatched"}


def test_order_and_progress() -> None:
    def forward_only(x: Tensor, **options: Any) -> Tensor:
        return F.avg_pool2d(x.detach(), **options)

    seen: list[str] = []
    options: dict[str, Any] = {"dtypes": [torch.float64], "only": few, "progress": seen.append}
    assert parity.check(forward_only, "avg_pool2d", order=0, **options).ok
    assert seen[0] == "avg_pool2d float64: plain"
    failures = parity.check(forward_only, "avg_pool2d", order=1, **options).failures
    assert {f.quantity for f in failures} == {"gx"}
    assert "raised RuntimeError" in failures[0].message


@pytest.mark.parametrize(
    ("op", "case"),
    [("max_pool3d", "-inf, channels_last"), ("conv2d", "unbatched, channels_last, groups")],
)
def test_a_known_bug_of_torch_is_shown_and_excused_in_torch_alone(op: str, case: str) -> None:
    options: dict[str, Any] = {"dtypes": [torch.float64], "only": lambda c: c.name == case}
    function = getattr(F, op)
    verdict = parity.check(function, op, **options)
    assert verdict.ok
    bug = bool(verdict.rows[0].known)  # until torch mends it
    assert ("KNOWN BUG of torch" in str(verdict)) == bug
    other = parity.check(lambda *args, **kwargs: function(*args, **kwargs), op, **options)
    assert other.ok != bug


def test_mostly_zeros_prove_nothing() -> None:
    rows = (Row("conv1d", torch.float32, cases=1, trials=2, elements=100, nonzero=5),)
    assert not parity.Verdict(rows, {}).ok
    assert "mostly zeros" in str(parity.Verdict(rows, {}))


# --- what fails ---------------------------------------------------------------------------------


def test_a_bug_of_ours_is_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(runner.OURS, "conv1d", MAKE["conv"]("input gradient x 1.001", 1))
    verdict = parity.check(F.conv1d, "conv1d", dtypes=[torch.float32], only=few)
    mine = [f for f in verdict.failures if f.party == "ours"]
    assert {f.quantity for f in mine} == {"gx", "gx(gw)"}
    assert "torch_ext.functional import conv1d" in mine[0].script()


def test_results_of_another_kind_fail() -> None:
    wrong: dict[str, Callable[[Tensor], Any]] = {
        "has shape": lambda y: y[..., :1],
        "has dtype": lambda y: y.double(),
        "is on meta": lambda y: y.to("meta"),
        "is tuple": lambda y: (y, y),
    }
    for message, change in wrong.items():
        verdict = parity.check(
            lambda x, change=change, **options: change(F.avg_pool2d(x, **options)),
            "avg_pool2d",
            dtypes=[torch.float32],
            order=0,
            only=few,
        )
        assert message in verdict.failures[0].message, verdict


def test_arguments_are_checked() -> None:
    with pytest.raises(ValueError, match="op must be one of conv1d"):
        parity.check(F.conv2d, "conv4d")
    with pytest.raises(ValueError, match="int64"):
        parity.check(F.conv2d, "conv2d", dtypes=[torch.int64])
    with pytest.raises(ValueError, match="order"):
        parity.check(F.conv2d, "conv2d", order=3)


# --- cases, inputs, criterion -------------------------------------------------------------------


@pytest.mark.parametrize("op", parity.OPS)
def test_cases_are_named_once_and_drawn_from_the_seed(op: str) -> None:
    found = cases(op, seed=3, number=20)
    assert len({case.name for case in found}) == len(found)
    assert found == cases(op, seed=3, number=20)
    assert found[-1] != cases(op, seed=4, number=20)[-1]
    assert all(getattr(functional, op) for case in found)


@pytest.mark.parametrize("op", ["conv1d", "conv2d", "max_pool2d", "avg_pool2d", "avg_pool3d"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_the_exact_tier_demands_bits(op: str, dtype: torch.dtype) -> None:
    """Of every quantity of every case, in the narrowest format too."""
    demanded, total = 0, 0
    for case in cases(op, seed=1, number=10):
        trial = runner.Trial(F.relu, None, case, dtype, "exact", 1, 2, torch.device("cpu"))
        bits = [trial.demands_bits(quantity) for quantity in trial.expected]
        demanded, total = demanded + sum(bits), total + len(bits)
        for leaf in trial.leaves.values():
            assert case.values != "plain" or leaf.isfinite().all()
    assert demanded == total


def test_memory_layouts() -> None:
    x = torch.arange(24.0).view(2, 1, 3, 4)
    assert inputs.lay_out(x, "channels_last", 1).stride() == (12, 1, 4, 1)
    assert inputs.lay_out(x, "transposed", 1).stride() == (1, 2, 2, 6)
    gaps = inputs.lay_out(x, "gaps", 1)
    assert gaps.stride() == (24, 24, 8, 2)
    assert gaps.as_strided((24,), (2,), 1).isnan().all()
    for layout in ("contiguous", "channels_last", "transposed", "gaps"):
        assert torch.equal(inputs.lay_out(x, layout, 1), x)
    assert inputs.lay_out(x, "expanded", 1).stride()[0] == 0
    assert set(inputs.lay_out(x, "constant", 1).stride()) == {0}


def test_bits_know_the_sign_of_zero_and_one_nan() -> None:
    a = torch.tensor([0.0, math.nan, 1.0, math.inf])
    b = torch.tensor([-0.0, -math.nan, 1.0, -math.inf])
    assert criterion.same_bits(a, b).tolist() == [False, True, True, False]


def test_sums_in_the_half_pass_only_where_they_may() -> None:
    rng = np.random.default_rng(0)
    x, w = (rng.standard_normal((1, 1, 64)).astype(np.float16) for _ in range(2))
    y = exact.conv(x, w)
    lossy = np.float16(0)
    for a, b in zip(x.ravel(), w.ravel(), strict=True):
        lossy += a * b
    got = torch.full((1, 1, 1), float(lossy), dtype=torch.float16)
    assert "beyond the bound" in criterion.bounded(got, y).message
    finding = criterion.bounded(got, y, may_be_narrow=True)
    assert finding.narrow
    assert not finding.message
    assert finding.omega > 0.5


# --- what it says -------------------------------------------------------------------------------

SCRIPTS = [  # operator, planted bug, quantity of the smallest failing case, what the script says
    ("conv1d", "zeros", "y (no grad)", "are wrong"),
    ("conv2d", "input gradient x 1.001", "gx", "are wrong"),
    ("conv1d", "double backward without the weight", "gw(gx)", "are wrong"),
    ("conv1d", "double backward loses a sign", "gy(all)", "are wrong"),
    ("conv1d", "operands cut to TF32", "y (no grad)", "are wrong"),
    ("conv1d", "the input written to", "x", ""),
    ("max_pool2d", "the last of equals wins", "indices", "are wrong"),
    ("max_pool1d", "ties split", "gx", "are wrong"),
    ("avg_pool2d", "count_include_pad ignored", "gx", "are wrong"),
]


@pytest.mark.parametrize(("op", "bug", "quantity", "says"), SCRIPTS, ids=lambda v: str(v))
def test_the_script_shows_the_failure(
    op: str,
    bug: str,
    quantity: str,
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It fails with the bug and passes with torch in its place."""
    module = types.ModuleType("planted")
    monkeypatch.setitem(sys.modules, "planted", module)
    setattr(module, op, MAKE[op[:-2]](bug, int(op[-2])))
    verdict = parity.check(
        getattr(module, op), op, dtypes=[torch.float32], only=few, name=f"planted.{op}"
    )
    failure = next(f for f in verdict.failures if f.quantity == quantity)
    path = tmp_path / "failing.py"
    path.write_text(failure.script())
    with pytest.raises(SystemExit) as status:
        runpy.run_path(str(path))
    assert status.value.code
    assert says in capsys.readouterr().out
    setattr(module, op, getattr(F, op))
    with pytest.raises(SystemExit) as status:
        runpy.run_path(str(path))
    assert not status.value.code


def test_the_script_of_a_result_that_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = itertools.count()
    module = types.ModuleType("planted")
    monkeypatch.setitem(sys.modules, "planted", module)

    def drifting(x: Tensor, **options: Any) -> Tensor:
        return F.avg_pool1d(x, **options) * (1 + 2.0**-23 * (next(calls) % 3 == 2))

    options: dict[str, Any] = {"dtypes": [torch.float32], "order": 0, "only": few}
    verdict = parity.check(drifting, "avg_pool1d", name="planted.avg_pool1d", **options)
    failure = next(f for f in verdict.failures if "second call" in f.message)
    module.avg_pool1d = lambda x, **_: x + next(calls)  # type: ignore[attr-defined]
    path = tmp_path / "failing.py"
    path.write_text(failure.script())
    with pytest.raises(SystemExit, match="True"):
        runpy.run_path(str(path))


def test_the_script_of_a_verdict_runs_on_its_own(tmp_path: Path) -> None:
    verdict = parity.check(
        lambda x, **options: F.avg_pool1d(x, **options) * 1.5,
        "avg_pool1d",
        dtypes=[torch.bfloat16],
        only=few,
    )
    assert "candidate = ...  # put the callable under test here" in verdict.script
    assert str(verdict).endswith(verdict.script.rstrip())
    path = tmp_path / "failing.py"
    path.write_text(verdict.script.replace("...", "lambda x, **_: x"))
    done = subprocess.run([sys.executable, path], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "AssertionError: torch.Size" in done.stderr


def test_an_exception_is_a_failure_with_its_message() -> None:
    verdict = parity.check(MAKE["conv"]("an exception", 1), "conv1d", only=few)
    assert "raised RuntimeError: no such kernel" in str(verdict)
    script = verdict.script.replace("candidate = ...", "")
    with pytest.raises(RuntimeError, match="no such kernel"):
        exec(script, {"candidate": MAKE["conv"]("an exception", 1)})


# --- the command line ---------------------------------------------------------------------------


def test_command_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    few_arguments = ["--op", "avg_pool1d", "--dtype", "float32", "--cases", "0"]
    assert main(few_arguments) == 0
    out, err = capsys.readouterr()
    assert "avg_pool1d" in out
    assert "agrees" in out
    assert not err, "no progress bar where there is no terminal"

    module = types.ModuleType("planted")
    monkeypatch.setitem(sys.modules, "planted", module)
    module.good = types.SimpleNamespace(avg_pool1d=F.avg_pool1d)  # type: ignore[attr-defined]
    module.avg_pool1d = MAKE["avg_pool"]("divisor not clipped", 1)  # type: ignore[attr-defined]
    assert main([*few_arguments, "--candidate", "planted:good"]) == 0
    assert main(["--dtype", "float32", "--cases", "0", "--candidate", "planted"]) == 1
    out = capsys.readouterr().out
    assert "FAILURES" in out
    assert "from planted import avg_pool1d" in out
    assert "conv1d" not in out, "an operator the candidate does not have is left out"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--op", "conv4d"], "conv4d"),
        (["--dtype", "int8"], "int8"),
        (["--cases", "-1"], "negative"),
        (["--candidate", "no_such_module"], "no_such_module"),
        (["--candidate", "math:nothing"], "nothing"),
        (["--candidate", "math"], "has no conv1d"),
        (["--candidate", "math", "--op", "conv2d"], "has no conv2d"),
        (["--device", "nowhere"], "nowhere"),
    ],
)
def test_bad_usage(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as status:
        main(arguments)
    assert status.value.code == 2
    assert message in capsys.readouterr().err


def test_the_name_of_a_candidate_is_found_if_it_can_be_imported() -> None:
    assert runner.import_name(F.conv2d) == "torch.conv2d"
    assert runner.import_name(F.avg_pool2d) == "torch._C._nn.avg_pool2d"
    assert runner.import_name(functional.conv3d) == "torch_ext.functional.convolution.conv3d"
    assert runner.import_name(lambda x: x) is None
