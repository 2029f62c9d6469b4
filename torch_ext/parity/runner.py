"""`check`: every tier of an operator, in every dtype, for a candidate."""

import platform
import secrets
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from torch_ext.parity.catalogue import Case, Operator, cases, operator
from torch_ext.parity.failure import spelled
from torch_ext.parity.inputs import COMPLEX, DTYPES
from torch_ext.parity.isolation import Isolated
from torch_ext.parity.modes import neutral
from torch_ext.parity.observation import Candidate
from torch_ext.parity.report import Row, Verdict
from torch_ext.parity.tiers import (
    comparisons,
    contract,
    identities,
    probes,
    repeats,
    statistics,
)
from torch_ext.parity.trial import Session

TIERS = (
    "contract",
    "exact",
    "ladder",
    "scaled",
    "bounded",
    "probes",
    "statistics",
    "repeats",
    "identities",
)
QUICK = ("contract", "ladder", "scaled", "probes", "identities")
"""Tiers that take a second or two together, and find what is grossly wrong."""


def check(
    candidate: Candidate,
    op: str,
    *,
    device: str | torch.device = "cpu",
    dtypes: Sequence[torch.dtype] = DTYPES,
    order: int = 2,
    seed: int | None = None,
    random_cases: int = 8,
    tiers: Sequence[str] = TIERS,
    only: Callable[[Case], bool] | None = None,
    isolate: bool = False,
    name: str | None = None,
    progress: Callable[[str], None] | None = None,
) -> Verdict:
    """Certify an implementation of `torch.nn.functional.<op>`, its gradients included.

    The candidate is asked first, and only then is what is due computed. Tiers, cheapest first:

    contract    results are new tensors of the right kind, inputs are left alone, nothing is kept
                from call to call, every subset of requires_grad is obeyed, an empty batch works,
                infinities and NaN go where they should, any memory layout, bad calls raise
    exact       small calls with every option: output, indices, gradients and second gradients bit
                for bit those of exact arithmetic, of numbers such that no sum can round
    ladder      the same for y and gradients at sizes around every power of two
    scaled      the same among the smallest and the largest numbers of the dtype
    bounded     normal numbers: |y - y*| <= n u S + u_out (|y*| + n u S) + underflow, y* and
                S = sum |a||b| from `refconv.exact`
    probes      sums of one or two terms are correctly rounded
    statistics  errors lean to no side, over 256 independent sums
    repeats     the same bits in 688 calls
    identities  what an operator owes itself, at moderate sizes

    All NaN are one. A maximum has the sign of the zero it chose; the sign of a zero that a sum
    gives is free. The halves are summed in float32; gradients summed in the half itself, as torch
    does, pass with a note. Ours is held to the same in the exact and bounded tiers. A call that
    raises NotImplementedError, or an option that the candidate does not take, is not offered: it is
    counted and shown. So is a derivative that no call has. Known bugs of torch's own functions are
    shown, and do not fail. Gradient modes, autocast, the default dtype and device that are set
    outside change nothing.

    Args:
        candidate: takes what torch.nn.functional.<op> takes; differentiable by autograd.
        op: conv1d, ..., fractional_max_pool3d; the keys of `parity.OPS`.
        device: where the candidate runs; ours always runs on the CPU.
        dtypes: of float32, float64, float16, bfloat16; for convolutions and folds also complex64
            and complex128.
        order: how often to differentiate, at most: 0, 1 or 2 times.
        seed: of the random cases and of all values; 0, or with `isolate` the system's entropy.
        random_cases: how many to add to the named cases.
        tiers: which to run.
        only: which cases to run, of the tiers that have cases; all if None.
        isolate: run the candidate in a process of its own, which gets the inputs and nothing else;
            crashes and hangs are then findings.
        name: how a script imports the candidate, as `package.module.function`; found if None.
        progress: called with a line of text after every case.

    Returns:
        A `Verdict`; `print(verdict)` shows the table and the smallest failing case as a script.

    Raises:
        ValueError: an op, a dtype, an order or a tier that is not known, or a candidate that is to
            be isolated and cannot be imported.

    Sources: see `refconv.exact`.

    >>> verdict = check(torch.nn.functional.avg_pool1d, "avg_pool1d", dtypes=[torch.float32])
    >>> verdict.ok, verdict.rows[0].bit_equal > 20
    (True, True)
    """
    chosen = demanded(op, dtypes, order, tiers)
    number = (secrets.randbits(32) if isolate else 0) if seed is None else seed
    where, rows = torch.device(device), []
    name = import_name(candidate) if name is None else name
    with neutral(), runner(candidate, isolate) as run:
        small = cases(op, number, random_cases)
        for dtype in dtypes:
            row = Row(op, dtype, asked=order)
            session = Session(chosen, dtype, where, run, name, number, order, row)
            for tier in tiers:
                started = time.perf_counter()
                for text in through(tier, session, small, only):
                    if progress is not None:
                        progress(f"{op} {spelled(dtype)} {tier}: {text}")
                row.seconds[tier] = time.perf_counter() - started
            row.close()
            rows.append(row)
    return Verdict(tuple(rows), environment(where) | {"seed": str(number)})


def demanded(op: str, dtypes: Sequence[torch.dtype], order: int, tiers: Sequence[str]) -> Operator:
    """Return the operator, if that and the rest of what is asked for are known."""
    chosen = operator(op)
    known = (*DTYPES, *COMPLEX) if chosen.complex else DTYPES
    for dtype in dtypes:
        if dtype not in known:
            raise ValueError(f"dtypes must be of {known}, got {dtype}")
    if order not in (0, 1, 2):
        raise ValueError(f"order must be 0, 1 or 2, got {order!r}")
    for tier in tiers:
        if tier not in TIERS:
            raise ValueError(f"tiers must be of {', '.join(TIERS)}, got {tier!r}")
    return chosen


def through(
    tier: str, session: Session, small: Sequence[Case], only: Callable[[Case], bool] | None
) -> Iterator[str]:
    """Run one tier."""
    if tier in ("exact", "bounded", "scaled", "ladder"):
        every = list(session.op.ladder()) if tier == "ladder" else small
        chosen = [case for case in every if only is None or only(case)]
        compare = {
            "exact": comparisons.exact,
            "bounded": comparisons.bounded,
            "scaled": comparisons.scaled,
            "ladder": comparisons.ladder,
        }
        return compare[tier](session, chosen)
    others = {
        "contract": contract.run,
        "probes": probes.run,
        "statistics": statistics.run,
        "repeats": repeats.run,
        "identities": identities.run,
    }
    return iter(()) if only is not None else others[tier](session)


def runner(candidate: Candidate, isolate: bool) -> AbstractContextManager[Any]:
    """Return what runs jobs where the candidate is: here, or in a process of its own."""
    if isolate:
        return Isolated(candidate)
    return nullcontext(lambda job, *arguments: job(candidate, *arguments))


def import_name(candidate: Candidate) -> str | None:
    """Return `module.name` of a callable, if importing that gives the callable back."""
    module, name = getattr(candidate, "__module__", None), getattr(candidate, "__name__", None)
    for place in (module, "torch.nn.functional"):
        found = sys.modules.get(place or "")
        if name and getattr(found, name, None) is candidate:
            return f"{place}.{name}"
    return None


def environment(device: torch.device) -> dict[str, str]:
    """Return what a result may depend on besides the code: versions, flags, threads."""
    found = {
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else str(device),
        "machine": platform.machine(),
        "threads": str(torch.get_num_threads()),
        "deterministic": str(torch.are_deterministic_algorithms_enabled()),
        "float32 matmul": torch.get_float32_matmul_precision(),
    }
    if device.type == "cuda":
        found["cudnn TF32"] = str(torch.backends.cudnn.allow_tf32)
    return found
