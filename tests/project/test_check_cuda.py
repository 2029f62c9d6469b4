"""The dry run of what a GPU is to run: its stages start, end and are written down."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STAGES = ("environment", "exact tier", "beyond 2^31", "speed")


@pytest.mark.slow
def test_a_dry_run(tmp_path: Path) -> None:
    only = [word for name in STAGES for word in ("--only", name)]
    environment = {**os.environ, "OUT": str(tmp_path), "PYTHON": sys.executable}
    environment.pop("PYTEST_XDIST_WORKER", None)
    run = subprocess.run(
        ["bash", "scripts/check_cuda.sh", "--device", "cpu", *only],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
    stages = json.loads((tmp_path / "check_cuda.json").read_text())
    assert [stage["verdict"] for stage in stages] == ["ok"] * len(STAGES)
    rows = [row for stage in stages for row in stage["found"]]
    assert sum(row.get("by") == "ours" and row["result"] == "right" for row in rows) == 3
    assert sum("ratio" in row for row in rows) >= 8
    assert "===== table" in (tmp_path / "check_cuda.txt").read_text()


@pytest.mark.slow
def test_a_stage_that_fails_or_hangs_is_told(tmp_path: Path) -> None:
    """The runner, tested: neither a failure nor an endless loop is called ok."""
    code = (
        "import sys, time; sys.path.insert(0, 'scripts'); import check_cuda as c;"
        "u = time.monotonic() + 60;"
        "print([c.run(c.Stage('s', ('-c', code), 6.0), u)[0].verdict for code in"
        " ('print(1)', 'raise SystemExit(3)', 'while True: pass')])"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert out.stdout.strip() == "['ok', 'FAILED', 'OUT OF TIME']"
