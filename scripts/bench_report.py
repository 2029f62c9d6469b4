"""What the benchmark found: rows, summaries, the page docs/speed.md, a comparison, a picture."""

import json
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

WAYS = {"models": ("inference", "training")}
USUAL = ("forward", "backward")


class Row(NamedTuple):
    """A case in one dtype: of either way milliseconds and ratio; and MiB of scratch a thread."""

    group: str
    name: str
    number: int  # in its set
    dtype: str
    goal: tuple[float, float]
    ours: dict[str, float]
    torch: dict[str, float]
    ratio: dict[str, float]
    spread: dict[str, tuple[float, float]]
    scratch: float

    @property
    def ways(self) -> tuple[str, str]:
        """The two directions of its set."""
        return WAYS.get(self.group, USUAL)

    @property
    def second(self) -> float:
        """The ratio of both directions together, or of the second where that holds the first."""
        if self.group == "models" or "with its forward" in self.name:
            return self.ratio[self.ways[1]]
        return sum(self.ours.values()) / sum(self.torch.values())

    @property
    def met(self) -> bool:
        """Whether both goals are."""
        return self.ratio[self.ways[0]] <= self.goal[0] and self.second <= self.goal[1]


class Results(NamedTuple):
    """All that a run found."""

    environment: str
    kernels: str
    rows: list[Row]
    tables: dict[str, list[str]]  # peers, scaling, profiles


def save(results: Results, file: Path) -> None:
    """Write results as JSON."""
    plain = {**results._asdict(), "rows": [row._asdict() for row in results.rows]}
    file.write_text(json.dumps(plain, indent=1) + "\n")


def load(file: Path) -> Results:
    """Read what `save` wrote."""
    found: dict[str, Any] = json.loads(file.read_text())
    rows = []
    for row in found["rows"]:
        spread = {way: tuple(ends) for way, ends in row["spread"].items()}
        rows.append(Row(**{**row, "goal": tuple(row["goal"]), "spread": spread}))
    return Results(found["environment"], found["kernels"], rows, found["tables"])


def groups(rows: Sequence[Row]) -> Iterator[tuple[str, str, list[Row]]]:
    """Yield the rows of every set and dtype, in order."""
    for group, dtype in dict.fromkeys((row.group, row.dtype) for row in rows):
        yield group, dtype, [r for r in rows if (r.group, r.dtype) == (group, dtype)]


def cells(row: Row) -> str:
    """Return a row of the table of its set."""
    first, second = row.ways
    times = " | ".join(
        f"{row.torch[way]:.3g} | {row.ours[way]:.3g} | {row.ratio[way]:.2f} "
        f"({row.spread[way][0]:.2f}-{row.spread[way][1]:.2f})"
        for way in (first, second)
    )
    goal = "/".join(dict.fromkeys(f"{g:g}" for g in row.goal))
    mark = "" if row.met else " *"
    return f"| {row.name}{mark} | {times} | {row.second:.2f} | {goal} | {row.scratch:.1f} |"


def header(group: str) -> list[str]:
    """Return the head of the table of a set."""
    first, second = WAYS.get(group, USUAL)
    return [
        f"| | torch, {first} | ours | ratio | torch, {second} | ours | ratio | both | goal | MiB |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]


def summary(rows: Sequence[Row]) -> list[str]:
    """Return, for every set and dtype, means and worst beside the goals, and how many rows meet."""
    lines = [
        "| set | rows that meet their goals | forward, mean | worst | second, mean | worst |",
        "|---|---|---|---|---|---|",
    ]
    for group, dtype, found in groups(rows):
        first = [row.ratio[row.ways[0]] for row in found]
        second = [row.second for row in found]
        met = sum(row.met for row in found)
        lines.append(
            f"| {group}, {dtype} | {met} of {len(found)} | {statistics.geometric_mean(first):.2f} "
            f"| {max(first):.2f} | {statistics.geometric_mean(second):.2f} | {max(second):.2f} |"
        )
    return lines


def worst(rows: Sequence[Row], count: int = 3) -> list[tuple[Row, str]]:
    """Return the cases of every set that are farthest from their goals, and which way of them."""
    found = []
    for _, _, each in groups(rows):
        far = [(row, way) for row in each for way in row.ways]
        far.sort(key=lambda pair: -pair[0].ratio[pair[1]] / pair[0].goal[0])
        found += far[:count]
    return found


def comparison(before: Results, after: Results, factor: float = 1.25) -> list[str]:
    """Return the rows whose ratio grew by this factor: regressions, if the machine is the same."""
    old = {(row.group, row.name, row.dtype): row for row in before.rows}
    lines = []
    for row in after.rows:
        earlier = old.get((row.group, row.name, row.dtype))
        for way in row.ways if earlier else ():
            assert earlier is not None
            if row.ratio[way] > factor * earlier.ratio[way]:
                lines.append(
                    f"{row.group}, {row.name}, {row.dtype}, {way}: "
                    f"{earlier.ratio[way]:.2f} -> {row.ratio[way]:.2f}"
                )
    return lines


def plot(results: Sequence[Results], file: Path) -> None:
    """Draw the ratio of every case, forward, with a line at 1."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(9, 0.16 * len(results[0].rows) + 1))
    for number, found in enumerate(results):
        rows = found.rows[::-1]
        at = [place + 0.2 * number for place in range(len(rows))]
        axes.scatter([row.ratio[row.ways[0]] for row in rows], at, s=9, label=found.kernels)
    labels = [f"{row.group} {row.dtype}: {row.name}" for row in results[0].rows[::-1]]
    axes.set_yticks(range(len(labels)), labels, fontsize=5)
    axes.set_xscale("log")
    axes.axvline(1, color="grey", linewidth=0.6)
    axes.set_xlabel("ours / torch, forward or inference")
    axes.legend()
    figure.tight_layout()
    figure.savefig(file, dpi=110)
