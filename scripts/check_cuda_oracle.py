"""Certify the operators of a device, all tiers of them, in one of the ways it has to compute them.

TF32 rounds the operands of float32 to 11 bits: with --tf32 the oracle must refuse the convolutions
of float32. What else it refuses of torch's own is a finding, and no fault here; ours must pass.
Of ours, two kinds are explained in docs/cuda.md. Rows are printed as they are done, so that a run
that is cut off has shown what it found.
"""

import argparse
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch

from torch_ext.parity.__main__ import found
from torch_ext.parity.catalogue import OPERATORS, Case
from torch_ext.parity.failure import Failure, spelled
from torch_ext.parity.inputs import DTYPES
from torch_ext.parity.jobs import place
from torch_ext.parity.report import Row, Verdict
from torch_ext.parity.runner import QUICK, TIERS, check

CONVOLUTIONS = tuple(op for op in OPERATORS if op.startswith("conv"))


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function as Inductor compiles it, anew for every call."""

    def call(*args: Any, **options: Any) -> Any:
        torch.compiler.reset()
        return torch.compile(function, dynamic=False)(*args, **options)

    return call


class Few:
    """Chooses an operator's first cases."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.seen: Counter[str] = Counter()

    def __call__(self, case: Case) -> bool:
        """Return whether a case is one of the first."""
        self.seen[case.op] += 1
        return self.seen[case.op] <= self.most


def checked(op: str, dtype: torch.dtype, options: argparse.Namespace) -> Verdict:
    """Check one operator in one dtype."""
    torch.backends.cudnn.allow_tf32 = options.tf32
    torch.backends.cuda.matmul.allow_tf32 = options.tf32
    torch.backends.cudnn.deterministic = options.deterministic
    torch.set_num_threads(1)
    function = getattr(place(options.candidate), op)
    return check(
        compiled(function) if options.compiled else function,
        op,
        device=options.device,
        dtypes=[dtype],
        order=1 if options.compiled else 2,
        random_cases=0 if options.compiled or options.small else 4,
        tiers=("exact", "bounded") if options.compiled else QUICK if options.small else TIERS,
        only=Few(6) if options.compiled else None,
        name=f"{options.candidate}.{op}",
    )


def chosen(options: argparse.Namespace) -> tuple[str, ...]:
    """Return the operators to check, the longest first."""
    if options.compiled:
        return ("avg_pool2d", "max_pool2d")
    if options.small:
        return ("conv1d",) if options.tf32 else ("conv1d", "max_pool1d", "avg_pool1d")
    if options.tf32 or options.deterministic:
        return CONVOLUTIONS
    return (*CONVOLUTIONS, *(op for op in OPERATORS if op not in CONVOLUTIONS))


def explained(failure: Failure, candidate: str) -> bool:
    """Return whether docs/cuda.md names the reason, which is not ours to mend."""
    if candidate == "torch.nn.functional":
        return False
    power = failure.case.op.startswith("lp_pool") and failure.quantity == "gx(gx)"
    return failure.tier == "subnormal" or (power and failure.tier == "exact")


def printed(row: Row, candidate: str) -> None:
    """Print a row as JSON."""
    cells: dict[str, Any] = {"op": row.op, "dtype": spelled(row.dtype), "cases": row.cases}
    cells |= {"bit_equal": row.bit_equal, "omega": row.omega, "note": row.note}
    cells["seconds"] = round(sum(row.seconds.values()), 1)
    known = [f for f in row.failures if explained(f, candidate)]
    kinds = {(f.quantity, f.case.name, f.tier): f.message[:160] for f in row.failures}
    cells["explained"] = len(known)
    cells["failures"] = [" | ".join((*kind, text)) for kind, text in kinds.items()]
    print(json.dumps(cells), flush=True)


def one(op: str, options: argparse.Namespace) -> int:
    """Print an operator's rows, in this process, and return how many are refused."""
    refused = 0
    for dtype in (torch.float32,) if options.compiled or options.tf32 else DTYPES:
        verdict = checked(op, dtype, options)
        for row in verdict.rows:
            printed(row, options.candidate)
        failures = [failure for row in verdict.rows for failure in row.failures]
        if not all(explained(failure, options.candidate) for failure in failures):
            refused += 1
            print(verdict, flush=True)
    return refused


def usage() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--candidate", default="torch.nn.functional")
    parser.add_argument("--tf32", action="store_true", help="convolutions of float32 with TF32")
    parser.add_argument("--deterministic", action="store_true", help="convolutions, cuDNN told so")
    parser.add_argument("--small", action="store_true", help="few operators, the quick tiers")
    parser.add_argument("--compiled", action="store_true", help="two pools by Inductor, six cases")
    parser.add_argument("--jobs", type=int, default=max(1, (os.cpu_count() or 2) - 2))
    parser.add_argument("--op", help="this operator alone, in this process")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Check the operators, each in a process of its own, and print what they print.

    An assertion on the device spoils all that its process does afterwards, and nothing else.
    """
    parser = usage()
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = parser.parse_args(given)
    found(parser, options.candidate)
    if options.op:
        return one(options.op, options)

    def run(op: str) -> tuple[str, int]:
        command = [sys.executable, __file__, *given, "--op", op]
        process = subprocess.run(command, text=True, stdout=subprocess.PIPE, check=False)
        print(process.stdout, end="", flush=True)
        return op, process.returncode

    with ThreadPoolExecutor(options.jobs) as pool:
        results = dict(pool.map(run, chosen(options)))
    refused = {op: code for op, code in results.items() if code}
    print("refused:", ", ".join(f"{op} ({code})" for op, code in refused.items()) or "none")
    if options.candidate != "torch.nn.functional":
        return 1 if refused else 0
    seen_through = not options.tf32 or options.device == "cpu" or set(CONVOLUTIONS) <= set(refused)
    return 0 if seen_through else 1


if __name__ == "__main__":
    sys.exit(main())
