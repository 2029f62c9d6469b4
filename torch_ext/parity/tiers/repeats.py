"""Repetition: the same bits in every call, R times: a race of 1 in 100 shows in 688 of 1,000 runs
with a probability of 99.9 %.
"""

import math
from collections.abc import Iterator

from torch_ext.parity.failure import UNREPEATED
from torch_ext.parity.inputs import draw
from torch_ext.parity.observation import Outcome, repeated
from torch_ext.parity.trial import Session

TIER = "repeats"
TIMES = math.ceil(math.log(1e-3) / math.log(1 - 0.01))


def run(session: Session, times: int = TIMES) -> Iterator[str]:
    """Call the candidate many times, with numbers whose sums do round."""
    case = next(iter(session.op.ladder()))
    tier = "exact" if case.values == "one magnitude" else "bounded"
    values = draw(session.op, case, session.dtype, tier, session.seed)
    pair: tuple[Outcome, str] = session.run(
        repeated, case, session.leaves(case, values), session.first, times
    )
    results = (pair[0].tensor(quantity) for quantity in pair[0].found)
    session.row.count_nonzero(result for result in results if result is not None)
    session.row.failures += session.ended(case, TIER, pair[0], ["y"])
    if pair[1]:
        session.row.failures.append(session.failure(case, TIER, pair[1], UNREPEATED))
    yield "repeated"
