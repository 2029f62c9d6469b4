"""Time refconv against PyTorch's native CPU kernels: layers, pools, small calls, whole models.

The sets are those of `scripts/bench_cases.py` and `scripts/bench_models.py`. Without arguments all
are measured, in float32, and the two that have goals in it in float64 too: about fifteen minutes.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import bench_cases as cases
import bench_models
import bench_peers
import bench_scaling
import torch
from bench_page import page
from bench_profile import SECONDS, profile
from bench_report import (
    Results,
    Row,
    cells,
    comparison,
    header,
    load,
    plot,
    save,
    summary,
    worst,
)
from bench_timing import blas, compare, environment, kernels, scratch
from rich.progress import Progress

SETS: dict[str, Callable[[], list[cases.Case]]] = {
    "models": bench_models.models,
    "small": bench_models.small,
    "mobilenetv2": lambda: cases.convolutions(cases.MOBILENETV2, 8, (2.0, 2.0)),
    "convnext": lambda: cases.convolutions(cases.CONVNEXT, 8, (2.0, 2.0)),
    "adaptive": cases.adaptives,
    "pools": cases.pools,
    "resnet50": lambda: cases.convolutions(cases.RESNET50, 8, (1.0, 1.0)),
    "vgg16": lambda: cases.convolutions(cases.VGG16, 2, (1.3, 1.3)),
    "unet": lambda: cases.convolutions(cases.UNET, 4, (1.5, 1.5)),
    "dcgan": lambda: cases.convolutions(cases.DCGAN, 16, (1.5, 1.5)),
    "c3d": lambda: cases.convolutions(cases.C3D, 2, (1.3, 1.3)),
    "audio": lambda: cases.convolutions(cases.AUDIO, 8, (1.3, 1.3)),
}
BOTH_DTYPES = {"resnet50": (0.6, 0.6), "mobilenetv2": (2.0, 2.0)}  # and their goals in float64
CORETYPES = ("SkylakeX", "Haswell")


def row_of(group: str, number: int, case: cases.Case, dtype: str, rounds: int) -> Row:
    """Measure a case."""
    goal = BOTH_DTYPES.get(group, case.goal) if dtype == "float64" else case.goal
    calls = case.make(dtype)
    found = {way: compare(pair, rounds) for way, pair in calls.items()}
    memory = 0.0 if group == "models" else max(scratch(pair.ours) for pair in calls.values())
    return Row(
        group, case.name, number, dtype, goal,
        {way: timing.ours * 1e3 for way, timing in found.items()},
        {way: timing.torch * 1e3 for way, timing in found.items()},
        {way: timing.ratio for way, timing in found.items()},
        {way: (timing.low, timing.high) for way, timing in found.items()},
        memory,
    )  # fmt: skip


def chosen(arguments: argparse.Namespace) -> list[tuple[str, int, cases.Case, str]]:
    """Return the cases that the command line asks for."""
    found = []
    for group in arguments.set or SETS:
        dtypes = arguments.dtype or ["float32", *(["float64"] if group in BOTH_DTYPES else [])]
        for dtype in dtypes:
            for number, case in enumerate(SETS[group]()):
                if not arguments.case or number in arguments.case:
                    found.append((group, number, case, dtype))
    return found


def measure(arguments: argparse.Namespace) -> Results:
    """Measure what the command line asks for, and print it as it comes."""
    rows: list[Row] = []
    work = chosen(arguments)
    where, which = environment(), kernels()  # before others load a BLAS of their own
    print(where)
    with Progress(disable=not sys.stderr.isatty()) as progress:
        bar = progress.add_task("measuring", total=len(work))
        shown: tuple[str, str] | None = None
        for group, number, case, dtype in work:
            progress.update(bar, description=f"{group}: {case.name}")
            rows.append(row_of(group, number, case, dtype, arguments.rounds))
            if shown != (group, dtype):
                print("\n".join(["", f"{group}, {dtype}", *header(group)]))
                shown = group, dtype
            print(cells(rows[-1]), flush=True)
            progress.advance(bar)
    tables = {}
    if arguments.peers:
        tables["peers"] = bench_peers.table(arguments.rounds)
    if arguments.scaling:
        tables["scaling"] = bench_scaling.table()
    if arguments.profile:
        tables["profiles"] = profiles(rows)
    return Results(where, which, rows, tables)


def profiles(rows: list[Row]) -> list[str]:
    """Return where the time goes in the three ways of every set that are farthest from a goal."""
    lines = [
        "| set | case | ratio | waiting | products | arrays | torch | Python |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row, way in worst(rows):
        shares = profile(row.group, row.number, row.dtype, way)
        ratio = f"{row.ratio[way]:.2f}"
        lines.append(f"| {row.group}, {row.dtype} | {row.name}, {way} | {ratio} {shares}")
        print(lines[-1], flush=True)
    return lines


def repeat(group: str, number: str, dtype: str, way: str) -> None:
    """Run a case again and again, to be looked at from outside."""
    again(SETS[group]()[int(number)].make(dtype)[way].ours)


def again(call: Callable[[], object]) -> None:
    """Call for some seconds: what the profile looks at."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        call()


def by_kernels(arguments: argparse.Namespace) -> list[Results]:
    """Measure with either of OpenBLAS's kernels, in a process each."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for name in CORETYPES:
            file = Path(folder, f"{name}.json")
            extra = ["--peers", "--scaling", "--profile"] if name == CORETYPES[0] else []
            command = [
                sys.executable, __file__, "--json", str(file), "--rounds", str(arguments.rounds),
                *(word for group in arguments.set or () for word in ("--set", group)), *extra,
            ]  # fmt: skip
            subprocess.run(command, check=True, env={**os.environ, "OPENBLAS_CORETYPE": name})
            found.append(load(file))
    return found


def command_line() -> argparse.ArgumentParser:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    add = parser.add_argument
    add("--set", choices=list(SETS), action="append", help="all if not given")
    add("--case", type=int, nargs="*", help="row numbers of the sets, from 0")
    add("--dtype", choices=["float32", "float64"], action="append")
    add("--rounds", type=int, default=3)
    add("--threads", type=int, help="of both; as many as NumPy's BLAS has if not given")
    add("--peers", action="store_true", help="also other ways to convolve with NumPy")
    add("--scaling", action="store_true", help="also how time grows with sizes and threads")
    add("--profile", action="store_true", help="also where the time goes, by py-spy")
    add("--json", type=Path, metavar="FILE", help="save what was found")
    add("--load", type=Path, nargs="+", metavar="FILE", help="take it from there, measure nothing")
    add("--compare", type=Path, metavar="FILE", help="exit 1 where a ratio is 1.25 times as large")
    add("--plot", type=Path, metavar="FILE", help="draw the ratios")
    add("--write", type=Path, metavar="FILE", help="write the page docs/speed.md, of both kernels")
    add("--repeat", nargs=4, metavar=("SET", "CASE", "DTYPE", "WAY"), help="run one, for seconds")
    return parser


def main() -> None:
    """Parse the command line, measure, and write what it asks for."""
    arguments = command_line().parse_args()
    torch.set_num_threads(arguments.threads or max(lib["num_threads"] for lib in blas()))
    torch.set_grad_enabled(False)
    if arguments.repeat:
        repeat(*arguments.repeat)
        return
    if arguments.load:
        results = [load(file) for file in arguments.load]
        if arguments.profile:
            results[0].tables["profiles"] = profiles(results[0].rows)
    elif arguments.write and torch.backends.cpu.get_cpu_capability() == "AVX512":
        results = by_kernels(arguments)
    else:
        results = [measure(arguments)]
    for found in results:
        print("\n".join(["", found.kernels, *summary(found.rows)]))
    if arguments.json:
        save(results[0], arguments.json)
    if arguments.write:
        arguments.write.write_text(page(results))
    if arguments.plot:
        plot(results, arguments.plot)
    if arguments.compare and (worse := comparison(load(arguments.compare), results[0])):
        sys.exit("\n".join(["Slower than before:", *worse]))


if __name__ == "__main__":
    main()
