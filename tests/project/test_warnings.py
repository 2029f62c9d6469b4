"""Warnings: ours fail a test, those of other packages about the machine do not."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
MACHINES = """
import warnings

def test_it():
    warnings.warn_explicit(
        "Guards may run slower on Python 3.13.0. Consider upgrading to Python 3.13.1+.",
        RuntimeWarning, "guards.py", 1, module="torch._dynamo.guards",
    )
"""
OURS = """
import numpy as np
from refconv.fast import power_pooling

def test_it():
    power_pooling.sign(np.float32(3e38) * np.full(2, 10, np.float32))
"""
DEPRECATED = """
import warnings

def test_it():
    warnings.warn("this spelling goes away", DeprecationWarning)
"""


def passes(tmp_path: Path, source: str) -> bool:
    """Return whether a test of this source passes under the project's settings."""
    path = tmp_path / "test_source.py"
    path.write_text(source)
    settings = ["-c", str(ROOT / "pyproject.toml"), "--rootdir", str(tmp_path)]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *settings, str(path)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode == 0


def test_what_a_package_says_of_the_machine_is_no_error(tmp_path: Path) -> None:
    assert passes(tmp_path, MACHINES)


def test_what_we_cause_is_an_error(tmp_path: Path) -> None:
    assert not passes(tmp_path, OURS)
    assert not passes(tmp_path, DEPRECATED)
    assert not passes(
        tmp_path,
        MACHINES.replace("torch._dynamo.guards", "refconv.engine.tiles").replace("Guards", "Tiles"),
    )
