"""The tiers that compare results with the definition: small, of every size, scaled, bounded."""

from collections.abc import Iterator, Sequence

from torch_ext.parity.catalogue import Case
from torch_ext.parity.catalogue.operator import FLOAT64
from torch_ext.parity.inputs import FORMATS
from torch_ext.parity.trial import Session, Trial

SCALED = ("plain", "all options", "stride, padding and dilation", "sizes that divide")


def exact(session: Session, cases: Sequence[Case]) -> Iterator[str]:
    """Hold every option, in small calls, to the bits of exact arithmetic, to second order."""
    for case in cases:
        if case.values != "positive":
            Trial(session, case, "exact", session.order, ours=True).run()
        yield case.name


def bounded(session: Session, cases: Sequence[Case]) -> Iterator[str]:
    """Hold results for normal numbers to the theorem's bound."""
    for case in cases:
        if case.values in ("plain", "positive") and not session.dtype.is_complex:
            Trial(session, case, "bounded", session.order, ours=True).run()
        yield case.name


def scaled(session: Session, cases: Sequence[Case]) -> Iterator[str]:
    """Hold results among the smallest and the largest numbers of the dtype to their bits."""
    for case in cases:
        if case.name in SCALED and case.values == "plain":
            for tier in ("subnormal", "huge"):
                Trial(session, case, tier, session.first, ours=True).run()
            yield case.name


def ladder(session: Session, cases: Sequence[Case]) -> Iterator[str]:
    """Hold calls of every size to the bits of float64, in which their sums are exact."""
    op, precision = session.op, FORMATS[session.dtype].precision
    for case in cases:
        if op.fits(case, precision):
            _, of_gx, _ = op.terms(case, op.y_shape(case))
            divisor = 1 if op.apart(case) else op.divisor(case)
            exact_gradient = divisor * min(of_gx, 4) <= 2**precision
            order = session.first if exact_gradient else 0
            Trial(session, case, "ladder", order, FLOAT64).run()
        yield case.name
