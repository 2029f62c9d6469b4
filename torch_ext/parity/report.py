"""What `check` found: rows of a table, failures, a verdict."""

import io
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from torch_ext.parity.criterion import nonzero
from torch_ext.parity.failure import Failure, spelled
from torch_ext.parity.known import known

FEWEST_NONZERO = 0.1  # of all elements compared; below that, agreement proves little
SHOWN = 8  # failures listed when a verdict is printed
WIDTH = 110  # of the table


@dataclass
class Row:
    """An operator in one dtype.

    `bit_equal` counts the cases whose exact tier gave our bits in every quantity (of a sum that is
    zero, either sign); `omega` is the largest error in units of u S, u that of the dtype, the
    candidate's and `omega_ours`; `narrow` counts the gradients that show sums kept in the half
    itself, by quantity.
    """

    op: str
    dtype: torch.dtype
    cases: int = 0
    sizes: int = 0  # calls of the ladder
    trials: int = 0
    taken: int = 0  # of these, calls that the candidate offers
    bit_equal: int = 0
    omega: float = 0.0
    omega_ours: float = 0.0
    narrow: Counter[str] = field(default_factory=Counter)
    flushed: Counter[str] = field(default_factory=Counter)  # subnormals of bfloat16
    withheld: Counter[str] = field(default_factory=Counter)  # calls not offered, by reason
    asked: int = 0  # how often to differentiate
    reached: int = 0  # how often it could be
    lacking: dict[int, list[Failure]] = field(default_factory=dict)
    absent: dict[str, list[Failure]] = field(default_factory=dict)
    shares: dict[str, float] = field(default_factory=dict)  # not correctly rounded, few-hot
    z: float = 0.0  # of the sign test, the largest
    seconds: dict[str, float] = field(default_factory=dict)  # by tier
    elements: int = 0
    nonzero: int = 0
    skipped: str = ""
    failures: list[Failure] = field(default_factory=list)
    known: list[Failure] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing disagreed."""
        return not self.failures

    @property
    def fraction_nonzero(self) -> float:
        """Of all elements of all expected results; a test on zeros proves nothing."""
        return self.nonzero / max(1, self.elements)

    def count_nonzero(self, results: Iterable[Any]) -> None:
        """Enter the expected results."""
        for result in results:
            elements, others = nonzero(result)
            self.elements += elements
            self.nonzero += others

    def withhold(self, reason: str) -> None:
        """Enter a call that the candidate does not offer."""
        self.withheld[reason] += 1

    def close(self) -> None:
        """Judge what is missing, and set known bugs of torch aside.

        A derivative that no call has is not offered; one that some calls have is missing in the
        others. A gradient that is None where others are not is missing; indices are optional.
        """
        for order, failures in self.lacking.items():
            if self.reached >= order:
                self.failures += failures
        for quantity, failures in self.absent.items():
            if quantity == "indices":
                self.withheld["no return_indices"] += len(failures)
            else:
                self.failures += failures
        self.known = [failure for failure in self.failures if known(failure)]
        self.failures = [failure for failure in self.failures if not known(failure)]
        if self.trials and not self.taken:
            self.skipped = ", ".join(self.withheld)
            self.failures = [f for f in self.failures if f.party != "candidate"]

    @property
    def note(self) -> str:
        """The last column of the table."""
        if self.failures:
            return f"{len(self.failures)} FAILURES"
        if self.skipped:
            return f"skipped: {self.skipped}"
        if self.fraction_nonzero < FEWEST_NONZERO:
            return "mostly zeros"
        parts = ["agrees"]
        none = min((order for order in self.lacking if order > self.reached), default=0)
        if none:
            parts = [f"agrees, to order {self.reached}: no derivative of order {none}"]
        if self.withheld:
            reasons = "; ".join(f"{reason} ({n})" for reason, n in self.withheld.most_common(4))
            parts.append(f"not offered: {reasons}")
        if self.narrow:
            summed = ", ".join(f"{quantity} {n}" for quantity, n in self.narrow.items())
            parts.append(f"summed in {spelled(self.dtype)}: {summed}")
        if self.flushed:
            parts.append("subnormals are zero")
        if self.known:
            calls = {failure.case.name for failure in self.known}
            parts.append(f"known bug in {len(calls)} call{'s' * (len(calls) > 1)}")
        return "; ".join(parts)


@dataclass(frozen=True)
class Verdict:
    """What was checked, and whether it agrees; print it."""

    rows: tuple[Row, ...]
    environment: dict[str, str]

    @property
    def ok(self) -> bool:
        """Whether something was compared, on more than zeros, and nothing disagreed."""
        ran = [row for row in self.rows if not row.skipped]
        enough = all(row.fraction_nonzero >= FEWEST_NONZERO for row in ran)
        return bool(ran) and enough and all(row.ok for row in self.rows)

    @property
    def failures(self) -> list[Failure]:
        """All failures, the smallest case first, the candidate's before ours."""
        found = [failure for row in self.rows for failure in row.failures]
        return sorted(found, key=lambda f: (f.party != "candidate", f.case.elements))

    @property
    def script(self) -> str:
        """The smallest failing case as a program, or nothing."""
        return self.failures[0].script() if self.failures else ""

    def __str__(self) -> str:
        """Return the table, the failures and the script as text."""
        text = io.StringIO()
        Console(file=text, width=WIDTH, no_color=True).print(table(self.rows))
        lines = [line.rstrip() for line in text.getvalue().splitlines()]
        lines.append(", ".join(f"{name} {value}" for name, value in self.environment.items()))
        bugs = [failure for row in self.rows for failure in row.known]
        for reason in dict.fromkeys(known(failure) for failure in bugs):
            first = next(failure for failure in bugs if known(failure) == reason)
            lines.append(f"KNOWN BUG of torch: {reason}; first seen: {first}")
        failures = self.failures
        lines += [f"FAILED {failure}" for failure in failures[:SHOWN]]
        if len(failures) > SHOWN:
            lines.append(f"... and {len(failures) - SHOWN} more failures")
        if failures:
            lines += ["", "The smallest failing case as a script:", "", self.script]
        elif not self.ok:
            lines.append("Nothing was compared, or little but zeros: that proves nothing.")
        return "\n".join(lines).rstrip()


def joined(verdicts: Iterable[Verdict]) -> Verdict:
    """Return one verdict on several operators, of one candidate in one environment."""
    every = list(verdicts)
    rows = tuple(row for verdict in every for row in verdict.rows)
    return Verdict(rows, every[0].environment)


def table(rows: Iterable[Row]) -> Table:
    """Return the rows as a table."""
    found = Table(
        box=box.SIMPLE_HEAD, caption="omega: largest |y - y*| / (u S), u that of the dtype"
    )
    for title in ("operator", "dtype"):
        found.add_column(title, no_wrap=True)
    for title in ("cases", "bit-equal", "sizes", "worst omega", "ours", "non-zero"):
        found.add_column(title, justify="right", no_wrap=True)
    found.add_column("verdict")
    for row in rows:
        found.add_row(
            row.op,
            spelled(row.dtype),
            str(row.cases),
            "-" if row.skipped else str(row.bit_equal),
            str(row.sizes),
            "-" if row.skipped else readable(row.omega),
            readable(row.omega_ours),
            f"{row.fraction_nonzero:.0%}",
            Text(row.note),
        )
    return found


def readable(omega: float) -> str:
    """Return two decimals, or an order of magnitude."""
    return f"{omega:.2f}" if omega < 1000 else f"{omega:.0e}"
