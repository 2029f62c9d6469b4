"""Certify an implementation of the operators from the command line.

    python -m torch_ext.parity                            torch.nn.functional, everything
    python -m torch_ext.parity --op conv2d --dtype float32 --cases 100
    python -m torch_ext.parity --candidate my.kernels     my.kernels.conv2d, ... (what it has)
    python -m torch_ext.parity --candidate my.kernels:namespace

Prints a table. Exit status: 0 all agree, 1 something does not, 2 bad usage.
"""

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from torch_ext.parity.cases import OPS, cases
from torch_ext.parity.failure import spelled
from torch_ext.parity.inputs import DTYPES
from torch_ext.parity.report import Verdict, joined
from torch_ext.parity.runner import check

NAMES = {spelled(dtype): dtype for dtype in DTYPES}


def usage() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser("python -m torch_ext.parity", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "--op", action="append", metavar="OP", help=f"repeatable: {', '.join(OPS)} or all (default)"
    )
    parser.add_argument(
        "--dtype", action="append", choices=NAMES, help="repeatable; all four if not given"
    )
    parser.add_argument(
        "--cases", type=int, default=8, help="random cases besides the named, for each operator"
    )
    parser.add_argument("--seed", type=int, default=0, help="of cases and values")
    parser.add_argument(
        "--order", type=int, choices=(0, 1, 2), default=2, help="how often to differentiate"
    )
    parser.add_argument(
        "--threads", type=int, default=1, help="torch's own, on the CPU; the cases are small"
    )
    parser.add_argument("--device", default="cpu", help="where the candidate runs")
    parser.add_argument(
        "--candidate",
        default="torch.nn.functional",
        help="package.module or module:attribute that has functions named like the operators",
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    parser = usage()
    options = parser.parse_args(arguments)
    if options.cases < 0 or options.seed < 0 or options.threads < 1:
        parser.error("--cases and --seed must not be negative, --threads at least 1")
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
    threads = torch.get_num_threads()
    torch.set_num_threads(options.threads)
    verdict = certified(options, namespace, present)
    torch.set_num_threads(threads)
    print(verdict)
    return 0 if verdict.ok else 1


def certified(options: argparse.Namespace, namespace: Any, ops: Sequence[str]) -> Verdict:
    """Return the verdict on the operators of a namespace, with a bar where there is a terminal."""
    dtypes = [NAMES[name] for name in options.dtype or NAMES]
    total = sum(len(cases(op, options.seed, options.cases)) for op in ops) * len(dtypes)
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns, TimeRemainingColumn(), console=console, transient=True,
        disable=not console.is_terminal,
    ) as bar:  # fmt: skip
        task = bar.add_task("parity", total=total)
        return joined(
            check(
                getattr(namespace, op),
                op,
                device=options.device,
                dtypes=dtypes,
                order=options.order,
                seed=options.seed,
                random_cases=options.cases,
                name=f"{options.candidate}.{op}",
                progress=lambda text: bar.update(task, advance=1, description=text),
            )
            for op in ops
        )


def chosen(parser: argparse.ArgumentParser, names: Sequence[str] | None) -> list[str]:
    """Return the operators asked for, in the order of the table."""
    asked = set(OPS) if not names or "all" in names else set(names)
    unknown = sorted(asked - set(OPS))
    if unknown:
        parser.error(f"--op must be one of {', '.join(OPS)} or all, got {', '.join(unknown)}")
    return [op for op in OPS if op in asked]


def found(parser: argparse.ArgumentParser, place: str) -> Any:
    """Return the namespace a place names."""
    module, _, attribute = place.partition(":")
    try:
        namespace: Any = importlib.import_module(module)
        for name in attribute.split(".") if attribute else ():
            namespace = getattr(namespace, name)
    except (ImportError, AttributeError, ValueError) as error:
        parser.error(f"--candidate {place}: {error}")
    return namespace


if __name__ == "__main__":
    sys.exit(main())
