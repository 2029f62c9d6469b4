"""The tests whose bits a processor could change pass under each of its ways to compute."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def check(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "scripts/check_processors.py", "--workers", "0", *arguments]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=600
    )


@pytest.mark.slow
def test_the_exact_tier_under_every_kernel_set() -> None:
    tests = ["tests/refconv/test_exact_tier.py", "tests/project/test_agreement.py"]
    done = check("--rows", "OPENBLAS_CORETYPE", "--rows", "ATEN", "--tests", *tests)
    assert done.returncode == 0, done.stdout
    rows = [line for line in done.stdout.splitlines() if "=" in line.split(" ")[0]]
    ran = [line for line in rows if "this processor has no" not in line]
    assert len(rows) == 7
    assert ran


@pytest.mark.slow
def test_a_row_that_fails_fails_all(tmp_path: Path) -> None:
    """A planted failure, in one row only, is told by name and by the exit status."""
    test = tmp_path / "test_planted.py"
    test.write_text(
        "import os\ndef test_it():\n    assert os.environ.get('ATEN_CPU_CAPABILITY') != 'default'\n"
    )
    done = check(
        "--rows", "ATEN_CPU_CAPABILITY=default", "--rows", "as it is", "--tests", str(test)
    )
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert next(line for line in lines if line.startswith("as it is")).split()[-2] == "0"
    assert next(line for line in lines if line.startswith("ATEN")).split()[-2] == "1"
    assert check("--rows", "no such row").returncode == 1
