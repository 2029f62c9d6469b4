"""One call in one dtype and one tier: drawn, put to the candidate and to ours, and judged."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch

from torch_ext.parity import criterion
from torch_ext.parity.catalogue import Case, Operator
from torch_ext.parity.catalogue.operator import EXACT, FLOAT64, Arithmetic, Quantities
from torch_ext.parity.failure import UNREPEATED, Failure
from torch_ext.parity.inputs import draw
from torch_ext.parity.known import known
from torch_ext.parity.layouts import Values, laid_out
from torch_ext.parity.observation import Outcome, observe
from torch_ext.parity.report import Row


class Runs(Protocol):
    """Runs functions of `torch_ext.parity.observation` where the candidate is."""

    def __call__(self, job: Callable[..., Any], *arguments: Any) -> Any:
        """Return job(candidate, *arguments)."""


@dataclass
class Session:
    """What all trials of one operator and dtype share."""

    op: Operator
    dtype: torch.dtype
    device: torch.device
    run: Runs
    name: str | None
    seed: int
    order: int
    row: Row

    @property
    def first(self) -> int:
        """How often to differentiate where first gradients will do."""
        return min(self.order, 1)

    def leaves(self, case: Case, values: Values, device: Any = None) -> Values:
        """Return the tensors of a call, laid out on the candidate's device, or on another."""
        where = self.device if device is None else device
        return laid_out(case, values, where, self.op.unbatched(case))

    def expected(
        self, case: Case, values: Values, order: int, m: Arithmetic | None = None
    ) -> Quantities:
        """Return what is due, of the numbers as the layouts leave them."""
        leaves = self.leaves(case, values, "cpu")
        arrays = {name: criterion.array(leaf) for name, leaf in leaves.items()}
        if m is None:
            m = FLOAT64 if self.dtype.is_complex else EXACT
        if m is not EXACT:
            arrays = {name: wide(array) for name, array in arrays.items()}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return self.op.quantities(m, case, arrays, order)

    def failure(
        self, case: Case, tier: str, quantity: str, message: str, party: str = "candidate"
    ) -> Failure:
        """Return a failure of this session's candidate, or of ours."""
        ours = party == "ours"
        return Failure(
            case=case,
            dtype=self.dtype,
            tier=tier,
            seed=self.seed,
            party=party,
            name=f"torch_ext.functional.{case.op}" if ours else self.name,
            device="cpu" if ours else str(self.device),
            quantity=quantity,
            message=message,
        )

    def judged(
        self, case: Case, tier: str, found: Values, expected: Quantities, party: str = "candidate"
    ) -> list[Failure]:
        """Return what is wrong with quantities, and enter what else they show."""
        failures = []
        for quantity, result in found.items():
            if quantity not in expected:
                continue
            message = ""
            if party == "candidate":
                dtype = torch.int64 if quantity == "indices" else self.dtype
                shape = criterion.shape_of(expected[quantity])
                message = criterion.wrong_kind(result, shape, dtype, self.device)
            finding = criterion.Finding(message)
            if not message:
                value = result.detach().cpu()
                finding = criterion.judge(
                    self.op, quantity, value, expected[quantity], self.dtype, tier
                )
            small = finding.message and not message and tier == "subnormal"
            if small and criterion.flushed(value, expected[quantity], self.dtype):
                self.row.flushed.update([quantity])
                finding = criterion.Finding()
            failure = self.failure(case, tier, quantity, finding.message, party)
            if finding.message:
                failures.append(failure)
            if party == "ours":
                self.row.omega_ours = max(self.row.omega_ours, finding.omega)
            else:
                self.row.narrow.update([quantity] * finding.narrow)
                if not finding.message or not known(failure):
                    self.row.omega = max(self.row.omega, finding.omega)
        return failures

    def ended(self, case: Case, tier: str, outcome: Outcome, due: list[str]) -> list[Failure]:
        """Return the failure of an exception, at the first quantity that it left unknown."""
        if not outcome.trouble:
            return []
        unknown = next((q for q in due if q not in outcome.found), due[-1])
        return [self.failure(case, tier, unknown, f"raised {outcome.trouble}")]


def wide(array: Any) -> Any:
    """Return an array in float64, complex128 or int64."""
    if array.dtype.kind in "iu":
        return array
    return array.astype("complex128" if array.dtype.kind == "c" else "float64")


@dataclass
class Trial:
    """One case in one tier, for the candidate and, where asked, for ours."""

    session: Session
    case: Case
    tier: str
    order: int
    arithmetic: Arithmetic | None = None
    ours: bool = False
    values: Values = field(init=False)

    def __post_init__(self) -> None:
        """Draw the numbers."""
        s = self.session
        self.values = draw(s.op, self.case, s.dtype, self.tier, s.seed)

    def run(self) -> list[Failure]:
        """Ask the candidate first, then compute what is due; enter everything into the row."""
        s, case, row = self.session, self.case, self.session.row
        leaves = s.leaves(case, self.values)
        outcome: Outcome = s.run(observe, case, leaves, self.order)
        again: Outcome | None = None
        if not outcome.withheld and not outcome.trouble and self.ours:
            again = s.run(observe, case, s.leaves(case, self.values), self.order)
        row.trials += 1
        if outcome.withheld and not outcome.found:
            row.withhold(outcome.withheld)
        expected = s.expected(case, self.values, self.order, self.arithmetic)
        row.count_nonzero(expected.values())
        failures = self._of_ours(expected) if self.ours else []
        if outcome.withheld and not outcome.found:
            row.failures += failures
            return failures
        row.taken += 1
        due = [q for q in expected if q not in outcome.missing]
        mine = s.ended(case, self.tier, outcome, due)
        before = s.leaves(case, self.values)
        for name, leaf in leaves.items():
            if not criterion.same_bits(leaf.detach().cpu(), before[name].detach().cpu()).all():
                mine.append(s.failure(case, self.tier, name, "was written to"))
        mine += s.judged(case, self.tier, outcome.found, expected)
        self._missing(outcome)
        if again is not None and not mine:
            mine += self._repeated(outcome, again)
        if self.ours and self.tier == "exact":
            row.bit_equal += not mine and not failures
        row.cases += self.tier == "exact"
        row.sizes += self.tier == "ladder"
        row.failures += failures + mine
        return failures + mine

    def _of_ours(self, expected: Quantities) -> list[Failure]:
        """Hold our own function to the same, so that one that was wrong could not go unnoticed."""
        s, case = self.session, self.case
        mine = observe(s.op.ours, case, s.leaves(case, self.values, "cpu"), self.order)
        failures = s.judged(case, self.tier, mine.found, expected, "ours")
        if mine.trouble or mine.withheld:
            unknown = next(q for q in expected if q not in mine.found)
            message = f"raised {mine.trouble or mine.withheld}"
            failures.append(s.failure(case, self.tier, unknown, message, "ours"))
        return failures

    def _repeated(self, first: Outcome, again: Outcome) -> list[Failure]:
        """Return the failures of a second call to give the bits of the first."""
        s, case = self.session, self.case
        failures = s.ended(case, self.tier, again, list(first.found))
        for quantity, result in again.found.items():
            if not criterion.same_bits(result, first.found[quantity]).all():
                failures.append(s.failure(case, self.tier, quantity, UNREPEATED))
        return failures

    def _missing(self, outcome: Outcome) -> None:
        """Enter derivatives that are not there; whether that is a fault shows at the end."""
        s, row = self.session, self.session.row
        if outcome.trouble:
            return
        if outcome.withheld:
            row.withhold(outcome.withheld)
        for order in range(1, outcome.asked + 1):
            if outcome.withheld and outcome.order < order:
                continue
            if outcome.order >= order:
                row.reached = max(row.reached, order)
            else:
                quantity = "gx" if order == 1 else "gy(gx)"
                message = "is missing, though other calls can be differentiated as often"
                row.lacking.setdefault(order, []).append(
                    s.failure(self.case, self.tier, quantity, message)
                )
        for quantity in outcome.missing:
            failure = s.failure(self.case, self.tier, quantity, "is missing")
            row.absent.setdefault(quantity, []).append(failure)
