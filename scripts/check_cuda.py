"""Run what only a GPU can show, most telling first, and write down what comes of it as it comes.

A stage is a command. Stages of one group run side by side, groups one after another, and none runs
past the time there is. Into the folder --out go check_cuda.txt (all output and, at its end, the
table) and check_cuda.json (the table, and the rows that stages print as lines of JSON).

Exit status: 0 every stage is as it should be, 1 not.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

TESTS = ("tests/torch_ext/test_cuda.py", "tests/torch_ext/test_cuda_models.py")
WORKERS = max(2, (os.cpu_count() or 2) // 3)  # of each of three stages side by side


@dataclass(frozen=True)
class Stage:
    """A command of Python's arguments, and the seconds it may take."""

    name: str
    arguments: tuple[str, ...]
    limit: float
    without_cupy: bool = False


@dataclass
class Outcome:
    """What came of a stage; `found` are its lines of JSON."""

    stage: str
    verdict: str
    seconds: float
    last_line: str = ""
    found: list[Any] = field(default_factory=list)


def pytest(*paths: str) -> tuple[str, ...]:
    """Return the arguments of a run of tests; other packages' warnings are not what is asked."""
    options = ("-q", "-W", "default", "-rfE", "--tb=short", "-p", "no:cacheprovider")
    return ("-m", "pytest", "-n", str(WORKERS), *options, *paths)


def parity(*more: str) -> tuple[str, ...]:
    """Return the arguments of a run of the oracle."""
    return ("scripts/check_cuda_oracle.py", *more)


def groups(device: str) -> list[list[Stage]]:
    """Return the stages, most telling first."""
    on = ("--device", device)
    small = () if device == "cuda" else ("--small",)
    return [
        [Stage("environment", ("scripts/check_cuda_environment.py",), 60)],
        [
            Stage("tests, with CuPy", pytest(*TESTS), 240),
            Stage("exact tier, with CuPy", pytest("tests/refconv/test_cupy.py"), 240),
            Stage("tests, without CuPy", pytest(*TESTS), 240, without_cupy=True),
        ],
        [Stage("beyond 2^31 elements", ("scripts/check_cuda_large.py", *on, *small), 90)],
        [Stage("speed", ("scripts/check_cuda_speed.py", *on, *small), 120)],
        [Stage("oracle: ours", parity(*on, *small, "--candidate", "torch_ext.functional"), 480)],
        [
            Stage("oracle: torch", parity(*on, *small), 400),
            Stage(
                "oracle: torch, cuDNN deterministic", parity(*on, *small, "--deterministic"), 400
            ),
            Stage("oracle: torch, TF32", parity(*on, *small, "--tf32"), 400),
        ],
        [Stage("oracle: Inductor", parity(*on, "--compiled"), 120)],
    ]


class Report:
    """The two files, written anew after every stage."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.text, self.data = folder / "check_cuda.txt", folder / "check_cuda.json"
        self.text.write_text("")
        self.outcomes: list[Outcome] = []

    def add(self, outcome: Outcome, output: str) -> None:
        """Write down a stage."""
        self.outcomes.append(outcome)
        with self.text.open("a") as file:
            file.write(f"\n===== {outcome.stage}\n{output}\n{line(outcome)}\n")
        self.data.write_text(json.dumps([asdict(each) for each in self.outcomes], indent=1))
        print(line(outcome), flush=True)

    def close(self) -> bool:
        """Write the table, and return whether every stage is as it should be."""
        table = "\n".join(line(each) for each in self.outcomes)
        with self.text.open("a") as file:
            file.write(f"\n===== table\n{table}\n")
        return all(each.verdict == "ok" for each in self.outcomes)


def line(outcome: Outcome) -> str:
    """Return a row of the table."""
    name, verdict = f"{outcome.stage:<36}", f"{outcome.verdict:<12}"
    return f"{name}{verdict}{outcome.seconds:>6.0f} s   {outcome.last_line}"


def run(stage: Stage, until: float) -> tuple[Outcome, str]:
    """Run a stage until its own time, or all time, is up."""
    start = time.monotonic()
    limit = min(stage.limit, until - start)
    if limit < 5:
        return Outcome(stage.name, "no time", 0), ""
    environment = dict(os.environ)
    if stage.without_cupy:
        hidden = str(Path("scripts/without_cupy").resolve())
        environment["PYTHONPATH"] = os.pathsep.join((hidden, environment.get("PYTHONPATH", "")))
    process = subprocess.Popen(
        [sys.executable, *stage.arguments], env=environment, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        output, _ = process.communicate(timeout=limit)
        verdict = "ok" if process.returncode == 0 else "FAILED"
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        output, _ = process.communicate()
        verdict = "OUT OF TIME"
    lines = output.strip().splitlines() or [""]
    found = [json.loads(each) for each in lines if each.startswith("{")]
    last = next((each for each in reversed(lines) if not each.startswith("{")), "")
    return Outcome(stage.name, verdict, time.monotonic() - start, last[:400], found), output


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the stages and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--out", type=Path, default=Path("out"))
    parser.add_argument("--seconds", type=float, default=1200)
    parser.add_argument("--only", action="append", help="a part of a stage's name; repeatable")
    options = parser.parse_args(arguments)
    until = time.monotonic() + options.seconds
    report = Report(options.out)
    for group in groups(options.device):
        chosen = [s for s in group if not options.only or any(o in s.name for o in options.only)]
        with ThreadPoolExecutor(max(1, len(chosen))) as pool:
            for outcome, output in pool.map(lambda stage: run(stage, until), chosen):
                report.add(outcome, output)
    return 0 if report.close() else 1


if __name__ == "__main__":
    sys.exit(main())
