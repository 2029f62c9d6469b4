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
    """Probe y of convolutions with one and with two terms, gx and gw with one."""
    op = session.op
    if not isinstance(op, Bilinear) or session.dtype.is_complex:
        return
    case = op.probe()
    values = draw(op, case, session.dtype, "bounded", session.seed + seed)
    values["bias"] = torch.zeros_like(values["bias"])
    for hot in (1, 2):
        rng = np.random.default_rng([session.seed + seed, hot, case.identity])
        taps = few(op, case, session.dtype, hot, rng)
        probe(session, case, values | {"weight": taps}, ("y",), f"{hot}-hot")
        yield f"{hot}-hot"
    if session.order:
        rng = np.random.default_rng([session.seed + seed, 3, case.identity])
        gy = one_an_image(op, values["gy"], rng)
        probe(session, case, values | {"gy": gy}, ("gx", "gw"), "1-hot")
        yield "1-hot gradients"


def few(
    op: Bilinear, case: Case, dtype: torch.dtype, hot: int, rng: np.random.Generator
) -> torch.Tensor:
    """Return a weight that is zero but for `hot` taps of every filter.

    One tap holds any number; two are powers of two, so that both products are exact.
    """
    weight = np.zeros(case.shapes["weight"])
    for filter_ in op.filters_of(weight):
        at = rng.choice(filter_.size, hot, replace=False)
        flat = filter_.reshape(-1)
        flat[at] = rng.standard_normal(hot) if hot == 1 else 2.0 ** rng.integers(-3, 4, hot)
        filter_[...] = flat.reshape(filter_.shape)
    return torch.from_numpy(weight).to(dtype)


def one_an_image(op: Bilinear, gy: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Return gy with one element left of each image, each in another channel.

    Then gx is that element times the filter, and gw of the channel times what its window held.
    """
    kept = torch.zeros_like(gy)
    moved = kept.movedim((op.batch_axis, op.channel_axis), (0, 1))
    source = gy.movedim((op.batch_axis, op.channel_axis), (0, 1))
    for n in range(len(moved)):
        at = (n, n, *(int(rng.integers(size)) for size in moved.shape[2:]))
        moved[at] = source[at]
    return kept


def probe(
    session: Session, case: Case, values: Values, quantities: tuple[str, ...], what: str
) -> None:
    """Compare quantities with the correctly rounded sums; too many that differ are a failure."""
    order = 0 if quantities == ("y",) else 1
    outcome: Outcome = session.run(observe, case, session.leaves(case, values), order)
    if outcome.withheld and not outcome.found:
        session.row.withhold(outcome.withheld)
        return
    expected = session.expected(case, values, order)
    failures = session.ended(case, TIER, outcome, list(expected))
    for quantity in quantities:
        got = outcome.tensor(quantity)
        due = criterion.once(expected[quantity], session.dtype)
        session.row.count_nonzero([due])
        if got is None or got.shape != due.shape or got.dtype != due.dtype:
            continue  # said in the other tiers
        differ = ~criterion.same_sums(got, due)
        share = float(differ.sum() / (due != 0).sum())
        name = f"{quantity}, {what}"
        session.row.shares[name] = max(share, session.row.shares.get(name, 0.0))
        if share > SHARE:
            bits = accuracy(got, due, session.dtype)
            message = (
                f"{share:.0%} of the {what} sums are not correctly rounded; in a kernel that "
                f"rounds to nearest at most {SHARE:.1%} differ. About {bits} bits are right"
            )
            failures.append(session.failure(case, TIER, quantity, message))
    session.row.failures += failures


def accuracy(got: torch.Tensor, due: torch.Tensor, dtype: torch.dtype) -> int:
    """Return about how many leading bits agree, in the worst element."""
    error = ((got.double() - due.double()) / due.double()).abs()
    worst = float(error[due != 0].max())
    return FORMATS[dtype].precision if worst == 0 else max(0, round(-np.log2(worst)))
