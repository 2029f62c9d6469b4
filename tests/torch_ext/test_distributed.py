"""A swapped model on two processes: DistributedDataParallel and FSDP train it to the same bits."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent.parent
SCRIPT = ROOT / "scripts" / "train_distributed.py"
TORCHRUN = "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"
STEPS, TENSORS = 4, "8 of 8 tensors"  # four parameters and their gradients

PLANTED = f"""
import runpy, refconv
right = refconv.conv_grad_weight
refconv.conv_grad_weight = lambda *args, **kwargs: 1.001 * right(*args, **kwargs)
runpy.run_path({str(SCRIPT)!r}, run_name="__main__")
"""


def launch(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a script and its arguments on two processes that talk on this machine."""
    return subprocess.run(
        [sys.executable, *TORCHRUN, *command],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_training_has_the_same_bits_on_two_processes() -> None:
    done = launch(str(SCRIPT))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PASS DistributedDataParallel" in done.stdout
    assert "PASS FSDP" in done.stdout
    # in every step of both: distributed against alone, swapped against native
    assert done.stdout.count(TENSORS) == 2 * STEPS * 2


def test_a_planted_bug_is_seen(tmp_path: Path) -> None:
    planted = tmp_path / "planted.py"
    planted.write_text(PLANTED)
    done = launch(str(planted), "--ddp")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "FAIL DistributedDataParallel" in done.stdout
    assert "step 1: gradient of 0.weight differs" in done.stdout
    assert done.stdout.count(TENSORS) == STEPS  # torch alone still agrees with itself
