"""What `check` found: rows of a table, failures, a verdict."""

import io
import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import torch
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text
from torch import Tensor

from refconv.exact import Exact
from torch_ext.parity.failure import Failure, spelled
from torch_ext.parity.known import known
from torch_ext.parity.quantities import array

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
    trials: int = 0
    bit_equal: int = 0
    omega: float = 0.0
    omega_ours: float = 0.0
    narrow: Counter[str] = field(default_factory=Counter)
    not_implemented: int = 0
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

    def count_nonzero(self, results: Iterable[Exact | Tensor]) -> None:
        """Enter the expected results."""
        for result in results:
            values = array(result) if isinstance(result, Tensor) else result.numerators
            self.elements += math.prod(values.shape)
            self.nonzero += int(np.count_nonzero(values))

    def close(self) -> None:
        """Set known bugs of torch aside, and skip a dtype that the candidate never implements."""
        self.known = [failure for failure in self.failures if known(failure)]
        self.failures = [failure for failure in self.failures if not known(failure)]
        if self.trials and self.not_implemented == self.trials:
            mine = [f for f in self.failures if f.party == "candidate"]
            self.skipped = mine[0].message.removeprefix("raised ")
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
        if self.narrow:
            summed = ", ".join(f"{quantity} {n}" for quantity, n in self.narrow.items())
            parts.append(f"summed in {spelled(self.dtype)}: {summed}")
        if self.known:
            parts.append(f"known bug in {len({f.case.name for f in self.known})} of {self.cases}")
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
    for title in ("cases", "bit-equal", "worst omega", "ours", "non-zero"):
        found.add_column(title, justify="right", no_wrap=True)
    found.add_column("verdict")
    for row in rows:
        found.add_row(
            row.op,
            spelled(row.dtype),
            str(row.cases),
            "-" if row.skipped else str(row.bit_equal),
            "-" if row.skipped else readable(row.omega),
            readable(row.omega_ours),
            f"{row.fraction_nonzero:.0%}",
            Text(row.note),
        )
    return found


def readable(omega: float) -> str:
    """Return two decimals, or an order of magnitude."""
    return f"{omega:.2f}" if omega < 1000 else f"{omega:.0e}"
