"""What the oracle prints: scripts that show a failure, and the command line."""

import itertools
import runpy
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from support.bugs.candidates import MAKE
from support.few_cases import COMPARED, few
from torch_ext import functional, parity
from torch_ext.parity import runner
from torch_ext.parity.__main__ import main

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
        getattr(module, op),
        op,
        dtypes=[torch.float32],
        tiers=COMPARED,
        only=few,
        name=f"planted.{op}",
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
    options["tiers"] = COMPARED
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
        tiers=COMPARED,
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
    verdict = parity.check(MAKE["conv"]("an exception", 1), "conv1d", tiers=COMPARED, only=few)
    assert "raised RuntimeError: no such kernel" in str(verdict)
    script = verdict.script.replace("candidate = ...", "")
    with pytest.raises(RuntimeError, match="no such kernel"):
        exec(script, {"candidate": MAKE["conv"]("an exception", 1)})


# --- the command line ---------------------------------------------------------------------------


def test_command_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    few_arguments = ["--op", "avg_pool1d", "--dtype", "float32", "--quick"]
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
    assert main(["--dtype", "float32", "--quick", "--candidate", "planted"]) == 1
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
        (["--tier", "seventh"], "seventh"),
        (["--only", "("], "--only"),
        (["--jobs", "0"], "--jobs"),
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
