"""Train one convolutional network on real digits with three engines, and watch them stay together.

    torch     torch.nn on native kernels, autograd
    swapped   the same model after torch_ext.swap: refconv inside torch's autograd
    by hand   refconv.textbook.network: forward, backward and step written out in NumPy

All three start from the same weights and see the same batches of scikit-learn's bundled 8 x 8
digits, in float64 and in float32.  After every epoch a table shows how far each has drifted from
torch.  In float64 the weights must agree to 1e-10 after three epochs; everywhere the accuracy on
held-out digits must reach 97 %.  Exit status 1 if anything falls short.

In float32 the drift stays near rounding until two units of a pool come within a rounding of each
other and the engines pick different winners: a gradient then takes another way, and from there
on these are two trainings.  Neither is wrong, and float64 is where engines can be told apart.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from digits_picture import picture
from digits_training import BATCH, TEST_IMAGES, WEIGHT_LIMIT, WEIGHT_LIMIT_EPOCH, Run, train
from rich import box
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from sklearn.datasets import load_digits
from threadpoolctl import threadpool_limits

ACCURACY_LIMIT = 0.97


# --- the report ---------------------------------------------------------------------------------


def table(run: Run) -> Table:
    """A row for each epoch so far."""
    caption = "loss |E' - E| / |E|, worst step; weights max|w' - w| / max|w|, worst tensor"
    if run.dtype == "float32":
        caption += "\n(a jump: rounding decided a near tie in a pool, see --help)"
    out = Table(
        title=f"{run.dtype}: largest relative difference from torch",
        caption=caption,
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    for header in ("epoch", "loss\ntorch"):
        out.add_column(header, justify="right")
    for name in run.names[1:]:
        out.add_column(f"loss\n{name}", justify="right", style="cyan")
        out.add_column(f"weights\n{name}", justify="right", style="green")
    for name in run.names:
        out.add_column(f"correct\n{name}", justify="right")
    for epoch in range(len(run.accuracy["torch"])):
        now = slice(epoch * run.steps, (epoch + 1) * run.steps)
        cells = [str(epoch + 1), f"{np.mean(run.losses['torch'][now]):.4f}"]
        for name in run.names[1:]:
            cells += [f"{run.loss_drift(name)[now].max():.1e}", f"{run.drift[name][epoch]:.1e}"]
        out.add_row(*cells, *(f"{run.accuracy[name][epoch]:.2%}" for name in run.names))
    return out


def verdicts(runs: list[Run]) -> Iterator[tuple[bool, str]]:
    """Each requirement: whether it is met, and the measured value."""
    for run in runs:
        for name in run.names[1:] if run.dtype == "float64" else []:
            epoch = min(WEIGHT_LIMIT_EPOCH, len(run.drift[name]))
            drift = run.drift[name][epoch - 1]
            text = f"float64 weights, {name}, after epoch {epoch}: {drift:.1e} from torch"
            yield drift <= WEIGHT_LIMIT, f"{text} (at most {WEIGHT_LIMIT:.0e})"
        for name, accuracy in run.accuracy.items():
            text = f"{run.dtype} accuracy, {name}: {accuracy[-1]:.2%}"
            yield accuracy[-1] >= ACCURACY_LIMIT, f"{text} (at least {ACCURACY_LIMIT:.0%})"


# --- the command --------------------------------------------------------------------------------


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--dtype", choices=["float32", "float64", "both"], default="both")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("digits.png"), help="the picture")
    options = parser.parse_args()
    if options.epochs < 1:
        parser.error(f"--epochs must be at least 1, got {options.epochs}")
    return options


def main() -> int:
    options = arguments()
    console = Console()
    torch.set_num_threads(1)  # images of 8 x 8 are too small to share between threads
    dtypes = ["float64", "float32"] if options.dtype == "both" else [options.dtype]
    progress = Progress(
        BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}")
    )
    steps = (len(load_digits().target) - TEST_IMAGES) // BATCH
    task = progress.add_task("", total=len(dtypes) * 3 * options.epochs * steps)
    runs = []
    with threadpool_limits(1), Live(progress, console=console, transient=True) as live:
        for dtype in dtypes:
            run = train(
                dtype,
                options.epochs,
                options.seed,
                advance=lambda text: progress.update(task, advance=1, description=text),
                report=lambda run: live.update(Group(table(run), progress)),
            )
            live.update(progress)
            console.print(table(run))
            runs.append(run)

    picture(runs, options.seed, options.out)
    console.print(f"picture: {options.out}", highlight=False)
    passed = True
    for met, text in verdicts(runs):
        console.print("[bold green]PASS[/]" if met else "[bold red]FAIL[/]", text, highlight=False)
        passed &= met
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
