"""Time refconv against PyTorch's native CPU kernels, on a set of convolutions.

resnet50 is every distinct convolution of ResNet-50; depthwise are those of MobileNet, EfficientNet,
ConvNeXt and ResNeXt, with few channels a group.

A number is a ratio, ours / torch's, with the same threads for both in the same run. Threads that
busy-wait behind a call poison the measurement behind it, so the two alternate in blocks, never
call by call: a pause, two calls to warm up, then the timed calls. Each round has one block of
either, and gives one ratio of medians; the table shows the median over rounds.
"""

import argparse
import itertools
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import threadpoolctl
import torch

import refconv

PAUSE, WARM, TIMED = 0.25, 2, 5
GOALS = {
    "resnet50": {"float32": 1.0, "float64": 0.6, "worst": 1.5},
    "depthwise": {"float32": 2.0, "float64": 2.0, "worst": 2.0},
}


class Table(NamedTuple):
    """The rows of a set in one dtype, and the ratios of its layers, forward and backward."""

    name: str
    dtype: str
    lines: list[str]
    ratios: dict[str, list[float]]


class Layer(NamedTuple):
    """A convolution of C channels of size x size by M square filters."""

    c: int
    size: int
    m: int
    k: int
    s: int
    p: int
    g: int = 1  # groups


# He et al., arXiv:1512.03385, table 1 (stride in the 3x3 convolution, as torchvision has it)
RESNET50 = (
    Layer(3, 224, 64, 7, 2, 3),
    Layer(64, 56, 64, 1, 1, 0),
    Layer(64, 56, 64, 3, 1, 1),
    Layer(64, 56, 256, 1, 1, 0),
    Layer(256, 56, 64, 1, 1, 0),
    Layer(256, 56, 128, 1, 1, 0),
    Layer(128, 56, 128, 3, 2, 1),
    Layer(128, 28, 512, 1, 1, 0),
    Layer(256, 56, 512, 1, 2, 0),
    Layer(512, 28, 128, 1, 1, 0),
    Layer(128, 28, 128, 3, 1, 1),
    Layer(512, 28, 256, 1, 1, 0),
    Layer(256, 28, 256, 3, 2, 1),
    Layer(256, 14, 1024, 1, 1, 0),
    Layer(512, 28, 1024, 1, 2, 0),
    Layer(1024, 14, 256, 1, 1, 0),
    Layer(256, 14, 256, 3, 1, 1),
    Layer(1024, 14, 512, 1, 1, 0),
    Layer(512, 14, 512, 3, 2, 1),
    Layer(512, 7, 2048, 1, 1, 0),
    Layer(1024, 14, 2048, 1, 2, 0),
    Layer(2048, 7, 512, 1, 1, 0),
    Layer(512, 7, 512, 3, 1, 1),
)

# Sandler et al., arXiv:1801.04381; Tan and Le, arXiv:1905.11946; Liu et al., arXiv:2201.03545; Xie
# et al., arXiv:1611.05431: one layer or two of each
DEPTHWISE = (
    Layer(32, 112, 32, 3, 1, 1, 32),
    Layer(144, 56, 144, 3, 1, 1, 144),
    Layer(144, 56, 144, 3, 2, 1, 144),
    Layer(384, 14, 384, 3, 1, 1, 384),
    Layer(960, 7, 960, 3, 1, 1, 960),
    Layer(240, 28, 240, 5, 1, 2, 240),
    Layer(96, 56, 96, 7, 1, 3, 96),
    Layer(128, 56, 128, 3, 1, 1, 32),
)
SETS = {"resnet50": RESNET50, "depthwise": DEPTHWISE}


class Calls(NamedTuple):
    """The same work by both."""

    ours: Callable[[], Any]
    torch: Callable[[], Any]


def calls(layer: Layer, batch: int, dtype: Any) -> dict[str, Calls]:
    """Return forward and backward (gradients of input and weight) of a layer, by both."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((batch, layer.c, layer.size, layer.size)).astype(dtype)
    w = rng.standard_normal((layer.m, layer.c // layer.g, layer.k, layer.k)).astype(dtype)
    options = layer.s, layer.p, 1, layer.g
    gy = rng.standard_normal(refconv.conv(x, w, None, *options).shape).astype(dtype)
    tx, tw, tgy = map(torch.from_numpy, (x, w, gy))

    def ours_backward() -> None:
        refconv.conv_grad_input(x.shape, w, gy, *options)
        refconv.conv_grad_weight(x, w.shape, gy, *options)

    def torch_backward() -> None:
        stride, padding = [layer.s] * 2, [layer.p] * 2
        torch.ops.aten.convolution_backward(
            tgy, tx, tw, None, stride, padding, [1, 1], False, [0, 0], layer.g, [True, True, False]
        )

    return {
        "forward": Calls(
            lambda: refconv.conv(x, w, None, *options),
            lambda: torch.nn.functional.conv2d(tx, tw, None, *options),
        ),
        "backward": Calls(ours_backward, torch_backward),
    }


def block(call: Callable[[], Any]) -> float:
    """Return the median time of a call in seconds, measured on its own."""
    time.sleep(PAUSE)
    for _ in range(WARM):
        call()
    times = []
    for _ in range(TIMED):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


class Timing(NamedTuple):
    """Medians over rounds, in seconds, and the median of the ratios."""

    ours: float
    torch: float
    ratio: float


def compare(pair: Calls, rounds: int) -> Timing:
    """Time both in alternating blocks."""
    ours: list[float] = []
    theirs: list[float] = []
    for number in range(rounds):
        for first in (True, False) if number % 2 else (False, True):
            (ours if first else theirs).append(block(pair.ours if first else pair.torch))
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    return Timing(statistics.median(ours), statistics.median(theirs), statistics.median(ratios))


def environment() -> str:
    """Return what the numbers depend on."""
    kernels = [
        f"{lib['internal_api']} {lib['version']} ({lib.get('architecture', '?')} kernels)"
        for lib in threadpoolctl.threadpool_info()
        if lib["user_api"] == "blas"
    ]
    return (
        f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}, "
        f"{torch.get_num_threads()} threads; "
        f"NumPy {np.__version__} with {', '.join(kernels)}; torch {torch.__version__}"
    )


def bench(name: str, batch: int, dtype: str, rounds: int, layers: tuple[Layer, ...]) -> Table:
    """Time layers of a set in one dtype; print the table's rows as they come."""
    lines = [
        f"### {name}, {dtype}, batch {batch}: milliseconds, and the ratio ours / torch",
        "",
        "| C x size | M | k | s | groups | torch fwd | ours | ratio | torch bwd | ours | ratio |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    print("\n".join(lines))
    ratios: dict[str, list[float]] = {"forward": [], "backward": []}
    for layer in layers:
        cells = []
        for way, pair in calls(layer, batch, dtype).items():
            timing = compare(pair, rounds)
            ratios[way].append(timing.ratio)
            cells.append(f"{timing.torch * 1e3:.1f} | {timing.ours * 1e3:.1f} | {timing.ratio:.2f}")
        shape = f"{layer.c} x {layer.size} | {layer.m} | {layer.k} | {layer.s} | {layer.g}"
        lines.append(f"| {shape} | {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    return Table(name, dtype, lines, ratios)


def summary(tables: list[Table]) -> list[str]:
    """Return the goals beside what was measured, over all layers."""
    lines = ["| | forward | backward | goal forward | goal backward |", "|---|---|---|---|---|"]
    for table in tables:
        goals = GOALS[table.name]
        means = [statistics.geometric_mean(table.ratios[way]) for way in ("forward", "backward")]
        worst = [max(table.ratios[way]) for way in ("forward", "backward")]
        for what, found, goal in (
            ("geometric mean", means, goals[table.dtype]),
            ("worst layer", worst, goals["worst"]),
        ):
            lines.append(
                f"| {table.name}, {table.dtype}, {what} | {found[0]:.2f} | {found[1]:.2f} "
                f"| {goal} | {goal} |"
            )
    return lines


def page(tables: list[Table]) -> str:
    """Return docs/speed.md."""
    text = [
        "# Speed",
        "",
        "Written by `scripts/bench.py --write docs/speed.md`: every distinct convolution of",
        "ResNet-50, and those of other networks with few channels a group, against torch's native",
        "CPU kernels, the same threads for both, in alternating blocks. A number is a ratio,",
        "ours / torch's, the median of the rounds. Backward is the gradients of input and weight,",
        "though a first layer needs no gradient of its image.",
        "",
        f"On {environment()}:",
        "",
        *summary(tables),
        "",
        "`refconv` uses as many threads as NumPy's BLAS has (`OPENBLAS_NUM_THREADS`, or",
        "`threadpoolctl`), and its results have the same bits at any number of them. NumPy's wheel",
        "picks OpenBLAS's kernels by processor; on some AVX-512 machines it picks AVX2 ones, and",
        "`OPENBLAS_CORETYPE=SkylakeX` in the environment, before NumPy is imported, can double the",
        "speed. `.venv/bin/python -m refconv config` says which kernels are in use.",
        "",
        "## Layer by layer",
    ]
    for table in tables:
        text += ["", *table.lines]
    return "\n".join(text) + "\n"


def main() -> None:
    """Parse the command line, print the tables, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--dtype", choices=["float32", "float64"], action="append")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--set", choices=list(SETS), action="append", help="all if not given")
    parser.add_argument("--layers", type=int, nargs="*", help="row numbers of the sets, from 0")
    parser.add_argument(
        "--write", type=Path, metavar="FILE", help="also write the page docs/speed.md"
    )
    arguments = parser.parse_args()
    blas = [lib["num_threads"] for lib in threadpoolctl.threadpool_info()]
    torch.set_num_threads(max(blas))
    torch.set_grad_enabled(False)
    print(environment())
    chosen = arguments.dtype or ["float32", "float64"]
    tables = []
    for name, dtype in itertools.product(arguments.set or SETS, chosen):
        numbers = arguments.layers or range(len(SETS[name]))
        layers = tuple(SETS[name][number] for number in numbers)
        tables.append(bench(name, arguments.batch, dtype, arguments.rounds, layers))
    print("\n".join(summary(tables)))
    if arguments.write:
        arguments.write.write_text(page(tables))


if __name__ == "__main__":
    main()
