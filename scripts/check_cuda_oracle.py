"""Certify the convolutions and pools of a device, in one of the ways it has to compute them.

TF32 rounds the operands of float32 to 11 bits: with --tf32 the oracle must refuse the convolutions
of float32. What else it refuses of torch's own is a finding, and no fault here; ours must pass.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import torch

from torch_ext.parity.__main__ import found
from torch_ext.parity.catalogue import Case
from torch_ext.parity.failure import spelled
from torch_ext.parity.inputs import DTYPES
from torch_ext.parity.report import joined
from torch_ext.parity.runner import check

OPS = tuple(f"{family}{r}d" for family in ("conv", "max_pool", "avg_pool") for r in (1, 2, 3))
TIERS = ("contract", "exact", "ladder", "bounded", "probes")  # what fits into the loan


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function as Inductor compiles it, anew for every call."""

    def call(*args: Any, **options: Any) -> Any:
        torch.compiler.reset()
        return torch.compile(function, dynamic=False)(*args, **options)

    return call


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a row of JSON for each operator and dtype, and the verdict."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--candidate", default="torch.nn.functional")
    parser.add_argument("--tf32", action="store_true")
    parser.add_argument("--deterministic", action="store_true")
    parser.add_argument(
        "--compiled",
        action="store_true",
        help="by Inductor: two pools, in float32, six cases of each",
    )
    options = parser.parse_args(arguments)
    torch.backends.cudnn.allow_tf32 = options.tf32
    torch.backends.cuda.matmul.allow_tf32 = options.tf32
    torch.backends.cudnn.deterministic = options.deterministic
    torch.set_num_threads(1)
    namespace = found(parser, options.candidate)
    ops = ("avg_pool2d", "max_pool2d") if options.compiled else OPS
    dtypes = (torch.float32,) if options.compiled else DTYPES
    seen: Counter[str] = Counter()

    def few(case: Case) -> bool:
        seen[case.op] += 1
        return seen[case.op] <= 6

    verdict = joined(
        check(
            compiled(getattr(namespace, op)) if options.compiled else getattr(namespace, op),
            op,
            device=options.device,
            dtypes=dtypes,
            order=1 if options.compiled else 2,
            random_cases=0 if options.compiled else 4,
            tiers=("exact", "bounded") if options.compiled else TIERS,
            only=few if options.compiled else None,
        )
        for op in ops
    )
    print(verdict)
    for row in verdict.rows:
        cells: dict[str, Any] = {"op": row.op, "dtype": spelled(row.dtype), "cases": row.cases}
        cells |= {"bit_equal": row.bit_equal, "omega": row.omega, "note": row.note}
        kinds = {(f.quantity, f.case.name, f.tier): f.message[:160] for f in row.failures}
        cells["failures"] = [" | ".join((*kind, text)) for kind, text in kinds.items()]
        print(json.dumps(cells))
    refused = {(row.op, row.dtype) for row in verdict.rows if not row.ok}
    names = ", ".join(f"{op} {spelled(dtype)}" for op, dtype in sorted(refused, key=str)) or "none"
    print(f"refused: {names}")
    if options.candidate != "torch.nn.functional":
        return 1 if refused else 0
    rounded = {(op, torch.float32) for op in OPS if op.startswith("conv")}
    seen_through = not options.tf32 or options.device == "cpu" or rounded <= refused
    return 0 if seen_through else 1


if __name__ == "__main__":
    sys.exit(main())
