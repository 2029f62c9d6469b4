"""A candidate in a process of its own: what it gets, and what happens if it crashes or hangs."""

import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from torch_ext import parity
from torch_ext.parity import isolation
from torch_ext.parity.__main__ import main

FLOAT32 = [torch.float32]

KERNELS = """
    import gc, inspect, os, sys, time
    import torch
    import torch.nn.functional as F

    avg_pool2d = F.avg_pool2d

    def crashes(x, *args, **options):
        if x.shape[0] == 0:
            os.abort()
        return F.avg_pool2d(x, *args, **options)

    def hangs(x, *args, **options):
        if x.shape[0] == 0:
            time.sleep(1000)
        return F.avg_pool2d(x, *args, **options)

    def leaves(x, *args, **options):
        if x.shape[0] == 0:
            sys.exit(0)
        return F.avg_pool2d(x, *args, **options)

    def prints(x, *args, **options):
        print("hello")
        return F.avg_pool2d(x, *args, **options)

    def steals(x, *args, **options):
        for thing in gc.get_objects():
            if type(thing) is dict and "gx" in thing and "y" in thing:
                return F.avg_pool2d(x, *args, **options)
        return F.avg_pool2d(x, *args, **options) * 0

    def unwritten(x, *args, **options):
        y = F.avg_pool2d(x, *args, **options)
        z = torch.empty_like(y)
        z[..., :-1] = y[..., :-1]
        return z
"""


@pytest.fixture
def kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """Return a module that another process can import."""
    (tmp_path / "kernels_to_isolate.py").write_text(textwrap.dedent(KERNELS))
    monkeypatch.syspath_prepend(tmp_path)
    import kernels_to_isolate

    yield kernels_to_isolate
    del sys.modules["kernels_to_isolate"]


def checked(candidate: Any, **options: Any) -> parity.Verdict:
    options = {"tiers": ["contract"], "dtypes": FLOAT32, "isolate": True} | options
    return parity.check(candidate, "avg_pool2d", **options)


def test_what_is_right_passes_and_the_seed_is_told(kernels: ModuleType) -> None:
    verdict = checked(F.avg_pool2d, tiers=["contract", "exact"], random_cases=0)
    assert verdict.ok, verdict
    again = checked(F.avg_pool2d)
    assert again.environment["seed"] != verdict.environment["seed"], "from the system's entropy"
    assert checked(kernels.prints).ok
    assert checked(F.avg_pool2d, seed=5).environment["seed"] == "5"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("crashes", "crashes: its process ended with signal 6"),
        ("leaves", "SystemExit: 0"),
        ("hangs", "hangs: nothing came back in 2 s"),
    ],
)
def test_a_crash_an_exit_and_a_hang_are_findings(
    kernels: ModuleType, monkeypatch: pytest.MonkeyPatch, name: str, says: str
) -> None:
    monkeypatch.setattr(isolation.Isolated.__init__, "__defaults__", (2.0,))
    verdict = checked(getattr(kernels, name))
    assert not verdict.ok
    assert {f.case.name for f in verdict.failures} == {"an empty batch"}
    assert says in verdict.failures[0].message


def test_nothing_is_found_by_the_garbage_collector(kernels: ModuleType) -> None:
    assert not checked(kernels.steals, tiers=["exact"], random_cases=0).ok


def test_memory_that_is_not_written_is_no_zero(kernels: ModuleType) -> None:
    verdict = checked(kernels.unwritten, tiers=["exact"], random_cases=0)
    assert not verdict.ok


def test_a_candidate_that_cannot_be_imported_is_told() -> None:
    with pytest.raises(ValueError, match="isolate=True needs a candidate that can be imported"):
        checked(lambda x, **options: F.avg_pool2d(x, **options))


def test_without_isolation_an_exit_is_a_finding_too(kernels: ModuleType) -> None:
    verdict = checked(kernels.leaves, isolate=False)
    assert "SystemExit: 0" in verdict.failures[0].message


def test_the_command_line(
    kernels: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = ["--op", "avg_pool2d", "--dtype", "float32", "--tier", "contract", "--seed", "1"]
    assert main([*few, "--candidate", "kernels_to_isolate", "--isolate"]) == 0
    assert main([*few, "--candidate", "kernels_to_isolate", "--jobs", "2"]) == 0
    for body in ("import no_such_thing", "raise SystemExit(0)", "def broken(:"):
        (tmp_path / "does_not_import.py").write_text(body)
        with pytest.raises(SystemExit) as status:
            main([*few, "--candidate", "does_not_import"])
        assert status.value.code == 2
        assert "--candidate does_not_import" in capsys.readouterr().err
        sys.modules.pop("does_not_import", None)
