"""Few-hot probes: sums of one or two terms, whose correctly rounded value every order gives.

With one product that is not zero, the result is RN(a b) in every order and with or without FMA;
with two, each of them exact, it is RN(a + b). A kernel that cuts its operands (TF32, bfloat16) or
splits them, truncates its products, or sums in a narrower format gives something else in a large
share of the outputs; sums that are compensated or kept wider differ in a few.
"""

from collections.abc import Iterator

import numpy as np
import torch

from torch_ext.parity import criterion
from torch_ext.parity.catalogue import Case
from torch_ext.parity.catalogue.operator import Bilinear
from torch_ext.parity.inputs import FORMATS, draw
from torch_ext.parity.layouts import Values
from torch_ext.parity.observation import Outcome, observe
from torch_ext.parity.trial import Session

TIER = "probes"
SHARE = 0.125  # of the elements that may differ


def run(session: Session, seed: int = 0) -> Iterator[str]:
    """Probe y, gx and gw of convolutions with one and with two terms."""
    op = session.op
    if not isinstance(op, Bilinear) or session.dtype.is_complex:
        return
    case = op.probe()
    for hot in (1, 2):
        rng = np.random.default_rng([session.seed + seed, hot, case.identity])
        values = draw(op, case, session.dtype, "bounded", session.seed + seed)
        values |= few(op, case, values, session.dtype, hot, rng)
        probe(session, case, values, f"{hot} products in a sum")
        yield f"{hot}-hot"


def few(
    op: Bilinear,
    case: Case,
    values: Values,
    dtype: torch.dtype,
    hot: int,
    rng: np.random.Generator,
) -> Values:
    """Return a weight that is zero but for `hot` taps of every filter, and no bias.

    One tap holds any number; two are powers of two, so that both products are exact.
    """
    weight = np.zeros(case.shapes["weight"])
    for filter_ in op.filters_of(weight):
        at = rng.choice(filter_.size, hot, replace=False)
        taps = rng.standard_normal(hot) if hot == 1 else 2.0 ** rng.integers(-3, 4, hot)
        flat = filter_.reshape(-1)
        flat[at] = taps
        filter_[...] = flat.reshape(filter_.shape)
    return {"weight": torch.from_numpy(weight).to(dtype), "bias": torch.zeros(())} | {
        name: torch.zeros_like(values[name]) for name in ("bias",) if name in values
    }


def probe(session: Session, case: Case, values: Values, what: str) -> None:
    """Compare y with the correctly rounded sum, and enter a failure if too many differ."""
    outcome: Outcome = session.run(observe, case, session.leaves(case, values), 0)
    if outcome.withheld and not outcome.found:
        session.row.withhold(outcome.withheld)
        return
    expected = session.expected(case, values, 0)
    failures = session.ended(case, TIER, outcome, list(expected))
    if not failures:
        due = criterion.once(expected["y"], session.dtype)
        session.row.count_nonzero([due])
        got = outcome.found["y"].detach().cpu()
        if got.shape != due.shape or got.dtype != due.dtype:
            return  # said in the other tiers
        differ = ~criterion.same_sums(got, due)
        share = float(differ.double().mean())
        session.row.shares[what] = max(share, session.row.shares.get(what, 0.0))
        if share > SHARE:
            bits = accuracy(got, due, session.dtype)
            message = (
                f"{share:.0%} of the sums are not correctly rounded, of {what}; in a kernel that "
                f"rounds to nearest at most {SHARE:.1%} differ. About {bits} bits are right"
            )
            failures.append(session.failure(case, TIER, "y", message))
    session.row.failures += failures


def accuracy(got: torch.Tensor, due: torch.Tensor, dtype: torch.dtype) -> int:
    """Return about how many leading bits agree, in the worst element."""
    error = ((got.double() - due.double()) / due.double()).abs()
    worst = float(error[due != 0].max())
    return FORMATS[dtype].precision if worst == 0 else max(0, round(-np.log2(worst)))
