"""The statistical tier: no bias that hides within a worst-case bound.

A sum that truncates is off by half its bound at most, always in one direction. Over 256 independent
groups, each with weights of its own and all operands positive, honest rounding errs up as often as
down: with ties dropped and at least 100 groups left, z = (2 ups - groups) / sqrt(groups) is beyond
6 with a probability of 2e-9. It counts as a bias only if the mean error is u S at least. The root
of the mean square stays below sqrt(n) u S.

Here S = y*, as nothing is negative.
"""

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import torch

from torch_ext.parity import criterion
from torch_ext.parity.catalogue import Case
from torch_ext.parity.inputs import FORMATS, draw
from torch_ext.parity.layouts import Values
from torch_ext.parity.observation import Outcome, observe
from torch_ext.parity.trial import Session

TIER = "statistics"
GROUPS = 256
FEWEST = 100
BIASED = 6.0


def run(session: Session, seed: int = 0) -> Iterator[str]:
    """Test y, gx and gw, where the operator has sums in 256 independent groups."""
    if session.dtype not in (torch.float32, torch.float64):
        return  # in the halves the last rounding hides the sum's
    for quantity, case in session.op.groups(GROUPS):
        if quantity != "y" and not session.order:
            continue
        values = draw(session.op, case, session.dtype, "bounded", session.seed + seed)
        values = {name: positive(name, value) for name, value in values.items()}
        test(session, case, values, quantity)
        yield quantity


def positive(name: str, value: torch.Tensor) -> torch.Tensor:
    """Return the magnitudes; of a bias, nothing."""
    if value.dtype == torch.int64:
        return value
    return torch.zeros_like(value) if name == "bias" else value.abs() + 0.25


def test(session: Session, case: Case, values: Values, quantity: str) -> None:
    """Enter a failure if the errors of one quantity lean to one side, or are too large."""
    order = 0 if quantity == "y" else 1
    outcome: Outcome = session.run(observe, case, session.leaves(case, values), order)
    got = outcome.tensor(quantity)
    if got is None:
        return  # not offered, or said in the other tiers
    expected = session.expected(case, values, order)[quantity]
    if tuple(got.shape) != criterion.shape_of(expected):
        return
    session.row.count_nonzero([expected])
    omega = signed(got, expected, session.dtype)
    ups, downs = int((omega > 0).sum()), int((omega < 0).sum())
    n = int(max(expected.terms.ravel()))
    mean, rms = float(omega.mean()), float(np.sqrt((omega**2).mean()))
    z = (ups - downs) / max(1.0, np.sqrt(ups + downs))
    session.row.z = max(session.row.z, abs(z))
    message = ""
    if ups + downs >= FEWEST and abs(z) >= BIASED and abs(mean) >= 1:
        message = (
            f"is biased: {ups} of {ups + downs} sums of {n} are too large (z = {z:.1f}), by "
            f"{mean:.2g} u S on the average: truncated, or kept in another format"
        )
    elif rms > np.sqrt(n + session.op.roundings):
        message = f"errs by {rms:.3g} u S (root mean square) in sums of {n}: rounding gives less"
    if message:
        session.row.failures.append(session.failure(case, TIER, quantity, message))


def signed(got: torch.Tensor, expected: object, dtype: torch.dtype) -> np.ndarray:
    """Return the signed errors in units of u y*, one for each group."""
    exact = expected.value.ravel()  # type: ignore[attr-defined]
    unit = FORMATS[dtype].unit
    pairs = zip(got.double().ravel().tolist(), exact, strict=True)
    return np.array([float((Fraction(g) - e) / (abs(e) * unit)) for g, e in pairs])
