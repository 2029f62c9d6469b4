"""The benchmark: it runs, its ratios mean what they say, and a regression shows."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

import bench_goals  # noqa: E402
import bench_page  # noqa: E402
import bench_profile  # noqa: E402
import bench_report  # noqa: E402
import bench_scaling  # noqa: E402


def row(group: str, name: str, ratio: float, dtype: str = "float32", number: int = 0) -> Any:
    """Return a row whose first way has a ratio, of 2 ms, and whose second takes 4 ms for 2."""
    first, second = bench_report.WAYS.get(group, bench_report.USUAL)
    ratios = {first: ratio, second: 2.0}
    return bench_report.Row(
        group, name, number, dtype, (1.0, 1.5), {first: 2 * ratio, second: 4.0},
        {first: 2.0, second: 2.0}, ratios, dict.fromkeys(ratios, (ratio, ratio)), 1.5,
    )  # fmt: skip


def results(*rows: Any) -> Any:
    """Return what a run found."""
    return bench_report.Results("a machine", "some", list(rows), {"scaling": ["| a |", "|---|"]})


def test_both_directions_are_times_and_not_means_of_ratios() -> None:
    assert row("pools", "p", 0.5).second == (1 + 4) / (2 + 2)
    assert row("models", "m", 0.5).second == 2  # a training step holds its inference
    assert row("small", "s (backward: with its forward)", 0.5).second == 2


@pytest.mark.parametrize(("ratio", "met"), [(0.9, True), (1.1, False)])
def test_a_goal_is_met_or_marked(ratio: float, met: bool) -> None:
    found = row("pools", "average 2^2 s2, 1x2x2", ratio)
    assert found.met == met
    assert (" *" in bench_report.cells(found)) != met
    (line,) = (v for v in bench_goals.table([found]) if v.startswith("| average pools"))
    assert (f"**{ratio:.2f}**" in line) == met


def test_every_goal_has_its_cases() -> None:
    """The names of the cases are those that goals look for."""
    from bench import BOTH_DTYPES, SETS

    rows = [
        row(group, case.name, 1.0, dtype)
        for group, cases in SETS.items()
        for case in cases()
        for dtype in ("float32", *(["float64"] if group in BOTH_DTYPES else []))
    ]
    for goal in bench_goals.GOALS:
        first, second = bench_goals.ratios(rows, goal)
        assert len(first) == len(second) == max(1, len(goal.cases)), goal.title
    assert len({(r.group, r.name, r.dtype) for r in rows}) == len(rows)


def test_a_regression_shows(tmp_path: Path) -> None:
    before, after = (results(row("pools", "p", r), row("pools", "q", 1.0)) for r in (1.0, 1.3))
    bench_report.save(before, tmp_path / "before.json")
    loaded = bench_report.load(tmp_path / "before.json")
    assert loaded == before
    assert bench_report.comparison(loaded, after) == ["pools, p, float32, forward: 1.00 -> 1.30"]
    assert bench_report.comparison(after, before) == []


def test_the_farthest_from_their_goals_are_profiled() -> None:
    rows = [row("pools", name, ratio) for name, ratio in (("a", 3.0), ("b", 1.0), ("c", 4.0))]
    assert [(r.name, way) for r, way in bench_report.worst(rows, 2)] == [
        ("c", "forward"), ("a", "forward"),
    ]  # fmt: skip


def test_a_stack_is_told_by_its_innermost_frame() -> None:
    raw = (
        "MainThread;again (bench.py:1);matmul (_multiarray_umath.so);sgemm (libopenblas.so) 3\n"
        "MainThread;again (bench.py:1);add (_multiarray_umath.so) 2\n"
        "refconv_0;add (_multiarray_umath.so);take_gil (python) 4\n"
        "MainThread;again (bench.py:1);task (columns.py:3) 1\n"
        "MainThread;import (bench.py:1) 90\n"
    )
    found = bench_profile.shares(raw)
    assert found == {"waiting": 0.4, "products": 0.3, "arrays": 0.2, "torch": 0, "Python": 0.1}


def test_an_exponent_is_that_of_the_power() -> None:
    assert bench_scaling.exponent([2, 4, 8], [4.0, 16.0, 64.0]) == pytest.approx(2)


def test_the_page_holds_goals_reasons_and_cases() -> None:
    page = bench_page.page([results(row("pools", "average 2^2 s2, 1x2x2", 0.9))])
    for part in ("## Goals", "## Growth", "### pools, float32", "## What was tried"):
        assert part in page


@pytest.mark.slow
def test_a_smoke_run(tmp_path: Path) -> None:
    file, environment = tmp_path / "found.json", {**os.environ}
    environment.pop("PYTEST_XDIST_WORKER", None)
    command = [sys.executable, "scripts/bench.py", "--set", "small", "--case", "2", "3",
               "--rounds", "1"]  # fmt: skip

    def run(*more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, *more], cwd=ROOT, env=environment, capture_output=True, text=True,
            timeout=200, check=False,
        )  # fmt: skip

    done = run("--json", str(file), "--plot", str(tmp_path / "plot.png"))
    assert done.returncode == 0, done.stderr
    found = bench_report.load(file)
    assert [each.name.partition(":")[0] for each in found.rows] == ["refconv", "torch_ext"]
    assert all(ratio > 0 for each in found.rows for ratio in each.ratio.values())
    assert (tmp_path / "plot.png").stat().st_size > 1000
    changed = json.loads(file.read_text())
    for each in changed["rows"]:
        each["ratio"] = dict.fromkeys(
            each["ratio"], 1e-3
        )  # an earlier run a thousand times as fast
    file.write_text(json.dumps(changed))
    worse = run("--compare", str(file))
    assert worse.returncode == 1
    assert "Slower than before" in worse.stderr
