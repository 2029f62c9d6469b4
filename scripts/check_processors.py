"""Run the tests whose bits a processor could change under each of its ways to compute.

A row sets one variable of the environment before NumPy and torch are imported. What is in use then
is read back, so that a row that this processor cannot run, or that chooses what another row has
already, is told apart from one that was run.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import NamedTuple

from refconv.__main__ import features

TESTS = (
    "tests/refconv/test_exact_tier.py",
    "tests/refconv/test_opinfo.py",
    "tests/refconv/test_bands.py",
    "tests/refconv/test_phases.py",
    "tests/refconv/test_pointwise.py",
    "tests/refconv/test_adaptive_sums.py",
    "tests/refconv/test_shared_windows.py",
    "tests/refconv/test_shifts.py",
    "tests/refconv/test_tiles.py",
    "tests/torch_ext/test_opinfo.py",
    "tests/torch_ext/test_parity.py",
    "tests/torch_ext/test_parity_zeros.py",
)
PROBE = """
import json, numpy, threadpoolctl, torch
blas = [l for l in threadpoolctl.threadpool_info() if l["user_api"] == "blas"]
print(json.dumps({"BLAS": blas[0].get("architecture", blas[0]["internal_api"]) if blas else "none",
    "threads": blas[0]["num_threads"] if blas else 0,
    "ATen": torch.backends.cpu.get_cpu_capability()}))
"""


class Row(NamedTuple):
    """A factor: a variable of the environment, and its value."""

    variable: str
    value: str

    @property
    def name(self) -> str:
        """The assignment, or that there is none."""
        return f"{self.variable}={self.value}" if self.variable else "as it is"


ROWS = (
    Row("", ""),
    *(Row("OPENBLAS_CORETYPE", v) for v in ("Prescott", "Sandybridge", "Haswell", "SkylakeX")),
    *(Row("ATEN_CPU_CAPABILITY", v) for v in ("default", "avx2", "avx512")),
    *(Row("ONEDNN_MAX_CPU_ISA", v) for v in ("SSE41", "AVX2", "AVX512_CORE")),
    *(Row("OPENBLAS_NUM_THREADS", v) for v in ("1", "2", "4")),
)
NEEDS = {"Haswell": "avx2", "Sandybridge": "avx", "SkylakeX": "avx512f", "avx2": "avx2",
         "avx512": "avx512f", "AVX2": "avx2", "AVX512_CORE": "avx512f"}  # fmt: skip


class Outcome(NamedTuple):
    """What a row gave."""

    row: Row
    used: dict[str, str]
    passed: int
    failed: int
    seconds: float
    output: str

    @property
    def ok(self) -> bool:
        """Whether tests ran and none failed."""
        return self.passed > 0 and self.failed == 0


def run(row: Row, tests: Sequence[str], workers: str) -> Outcome:
    """Run the tests in the row's environment."""
    environment = {**os.environ, **({row.variable: row.value} if row.variable else {})}
    probe = [sys.executable, "-c", PROBE]
    found = subprocess.run(probe, env=environment, capture_output=True, text=True, check=True)
    start = time.monotonic()
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-n",
        workers,
        "-p",
        "no:cacheprovider",
        *tests,
    ]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    last = done.stdout.strip().splitlines()[-1] if done.stdout.strip() else ""
    counts = {what: int(count) for count, what in re.findall(r"(\d+) (passed|failed|error)", last)}
    failed = counts.get("failed", 0) + counts.get("error", 0)
    failed = failed or int(done.returncode != 0)
    seconds = time.monotonic() - start
    output = done.stdout + done.stderr
    return Outcome(row, json.loads(found.stdout), counts.get("passed", 0), failed, seconds, output)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a table of all rows and return 1 if one of them fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", action="append", help="part of a row's name; repeatable")
    parser.add_argument("--tests", nargs="+", default=TESTS, help="what pytest is to run")
    parser.add_argument("--workers", default="auto", help="pytest's -n")
    options = parser.parse_args(arguments)
    told, outcomes = features(), []
    can = set(NEEDS.values()) if told is None else told
    print(f"{'row':<32}{'BLAS kernels':<14}{'threads':<9}{'ATen':<10}{'passed':>7}{'failed':>8}"
          f"{'seconds':>9}")  # fmt: skip
    for row in ROWS:
        if options.rows and not any(word in row.name for word in options.rows):
            continue
        if NEEDS.get(row.value, "") not in can | {""}:
            print(f"{row.name:<32}this processor has no {NEEDS[row.value]}")
            continue
        outcome = run(row, options.tests, options.workers)
        outcomes.append(outcome)
        used = outcome.used
        way = f"{row.name:<32}{used['BLAS']:<14}{used['threads']:<9}{used['ATen']:<10}"
        counts = f"{outcome.passed:>7}{outcome.failed:>8}{outcome.seconds:>9.0f}"
        print(way + counts, flush=True)
    for outcome in outcomes:
        if not outcome.ok:
            print(f"\n{outcome.row.name}\n{outcome.output[-4000:]}")
    return 0 if outcomes and all(outcome.ok for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
