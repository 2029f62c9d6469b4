"""Certify an implementation of the operators from the command line.

    python -m torch_ext.parity                            torch.nn.functional, everything
    python -m torch_ext.parity --op conv2d --dtype float32 --cases 100
    python -m torch_ext.parity --candidate my.kernels     my.kernels.conv2d, ... (what it has)
    python -m torch_ext.parity --candidate my.kernels:namespace --quick --jobs 2

Prints a table. Exit status: 0 all agree, 1 something does not, 2 bad usage (a candidate that cannot
be imported too), 4 a fault of this program.
"""

import argparse
import re
import sys
import traceback
from collections.abc import Sequence
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from torch_ext.parity.catalogue import OPERATORS
from torch_ext.parity.failure import spelled
from torch_ext.parity.inputs import DTYPES
from torch_ext.parity.jobs import NAMES, Task, place, results
from torch_ext.parity.report import Verdict, joined
from torch_ext.parity.runner import QUICK, TIERS


def usage() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser("python -m torch_ext.parity", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    names = ", ".join(OPERATORS)
    add("--op", action="append", metavar="OP", help=f"repeatable: {names} or all (default)")
    add(
        "--dtype",
        action="append",
        choices=NAMES,
        help="repeatable; the real ones if not given",
    )
    add("--cases", type=int, default=8, help="random cases besides the named, for each operator")
    add("--seed", type=int, help="of cases and values; 0, or entropy with --isolate")
    add(
        "--order",
        type=int,
        choices=(0, 1, 2),
        default=2,
        help="how often to differentiate",
    )
    add("--tier", action="append", choices=TIERS, help="repeatable; all if not given")
    add("--quick", action="store_true", help=f"the tiers {', '.join(QUICK)}, and no random cases")
    add("--only", metavar="REGEX", help="cases whose names it finds, of the tiers with cases")
    add("--skip", metavar="REGEX", help="leave these out")
    add("--isolate", action="store_true", help="run the candidate in a process of its own")
    add("--jobs", type=int, default=1, help="how many processes check operators side by side")
    add("--threads", type=int, default=1, help="torch's own, on the CPU; the cases are small")
    add("--device", default="cpu", help="where the candidate runs")
    add(
        "--candidate",
        default="torch.nn.functional",
        help="package.module or module:attribute that has functions named like the operators",
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    parser = usage()
    options = parser.parse_args(arguments)
    if options.cases < 0 or (options.seed or 0) < 0 or options.threads < 1 or options.jobs < 1:
        parser.error("--cases and --seed must not be negative, --threads and --jobs at least 1")
    for name in ("only", "skip"):
        try:
            re.compile(getattr(options, name) or "")
        except re.error as error:
            parser.error(f"--{name}: {error}")
    try:
        torch.empty(0, device=options.device)
    except (RuntimeError, AssertionError) as error:  # the latter where torch is built without it
        parser.error(f"--device {options.device}: {error}")
    ops = chosen(parser, options.op)
    namespace = found(parser, options.candidate)
    present = [op for op in ops if callable(getattr(namespace, op, None))]
    if not present or (options.op and "all" not in options.op and present != ops):
        missing = ", ".join(op for op in ops if op not in present)
        parser.error(f"--candidate {options.candidate} has no {missing}")
    try:
        verdict = certified(options, present)
    except Exception:
        traceback.print_exc()
        return 4
    print(verdict)
    return 0 if verdict.ok else 1


def certified(options: argparse.Namespace, ops: Sequence[str]) -> Verdict:
    """Return the verdict on the operators of a namespace, with a bar where there is a terminal."""
    dtypes = options.dtype or [spelled(dtype) for dtype in DTYPES]
    tasks = [
        Task(op, dtype, options)
        for op in ops
        for dtype in dtypes
        if NAMES[dtype] in DTYPES or OPERATORS[op].complex
    ]
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns, TimeElapsedColumn(), console=console, transient=True,
        disable=not console.is_terminal,
    ) as bar:  # fmt: skip
        line = bar.add_task("parity", total=len(tasks))
        verdicts = {}
        for task, verdict in results(tasks, options.jobs):
            verdicts[task.op, task.dtype] = verdict
            bar.update(line, advance=1, description=f"{task.op} {task.dtype}")
    return joined(verdicts[task.op, task.dtype] for task in tasks)


def chosen(parser: argparse.ArgumentParser, names: Sequence[str] | None) -> list[str]:
    """Return the operators asked for, in the order of the table."""
    asked = set(OPERATORS) if not names or "all" in names else set(names)
    unknown = sorted(asked - set(OPERATORS))
    if unknown:
        parser.error(f"--op must be one of {', '.join(OPERATORS)} or all, got {', '.join(unknown)}")
    return [op for op in OPERATORS if op in asked]


def found(parser: argparse.ArgumentParser, name: str) -> Any:
    """Return the namespace a place names; whatever its import raises is bad usage."""
    try:
        return place(name)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a module may even leave by SystemExit
        parser.error(f"--candidate {name}: {type(error).__name__}: {error}")


if __name__ == "__main__":
    sys.exit(main())
