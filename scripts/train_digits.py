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
import copy
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from rich import box
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from threadpoolctl import threadpool_limits

import torch_ext
from refconv.textbook import network
from refconv.textbook.layer import relu

Array = NDArray[Any]

CHANNELS = 16, 32  # filters of the two convolutions
BATCH = 32
RATE = 0.3  # of plain gradient descent, falling linearly to zero
TEST_IMAGES = 360
WEIGHT_LIMIT = 1e-10
WEIGHT_LIMIT_EPOCH = 3
ACCURACY_LIMIT = 0.97


# --- data and engines ---------------------------------------------------------------------------


class Digits(NamedTuple):
    """Images (N, 1, 8, 8) of mean 0 and deviation 1, and labels (N,); and some for the test."""

    images: Array
    labels: Array
    test_images: Array
    test_labels: Array


def load(seed: int, dtype: str) -> Digits:
    data = load_digits()
    images, test_images, labels, test_labels = train_test_split(
        data.images[:, None],
        data.target,
        test_size=TEST_IMAGES,
        stratify=data.target,
        random_state=seed,
    )
    mean, deviation = images.mean(), images.std()
    return Digits(
        ((images - mean) / deviation).astype(dtype),
        labels,
        ((test_images - mean) / deviation).astype(dtype),
        test_labels,
    )


def batches(digits: Digits, rng: np.random.Generator) -> Iterator[tuple[Array, Array]]:
    """One epoch in random order; the few images left over wait for another epoch."""
    order = rng.permutation(len(digits.images))
    for start in range(0, len(order) - BATCH + 1, BATCH):
        chosen = order[start : start + BATCH]
        yield digits.images[chosen], digits.labels[chosen]


class Engine(Protocol):
    """Something that trains the network one batch at a time."""

    name: str

    def step(self, images: Array, labels: Array, rate: float) -> float:
        """Descend once; return the loss before."""

    def scores(self, images: Array) -> Array:
        """(N, classes)."""

    def weights(self) -> network.Parameters:
        """The current weights, in the order and shape of torch's."""


class TorchEngine:
    def __init__(self, name: str, model: torch.nn.Module) -> None:
        self.name, self.model = name, model

    def step(self, images: Array, labels: Array, rate: float) -> float:
        parameters = list(self.model.parameters())
        loss = F.cross_entropy(self.model(torch.from_numpy(images)), torch.from_numpy(labels))
        with torch.no_grad():
            for p, g in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
                p.sub_(rate * g)
        return loss.item()

    def scores(self, images: Array) -> Array:
        with torch.no_grad():
            return np.asarray(self.model(torch.from_numpy(images)))

    def weights(self) -> network.Parameters:
        return network.Parameters(*(p.detach().numpy().copy() for p in self.model.parameters()))


class HandEngine:
    def __init__(self, name: str, theta: network.Parameters) -> None:
        self.name, self.theta = name, theta

    def step(self, images: Array, labels: Array, rate: float) -> float:
        self.theta, loss = network.train_step(self.theta, images, labels, rate)
        return loss

    def scores(self, images: Array) -> Array:
        return network.forward(self.theta, images)[0]

    def weights(self) -> network.Parameters:
        return self.theta


def engines(seed: int, dtype: str) -> list[Engine]:
    """The three, from the same weights; torch first."""
    torch.manual_seed(seed)
    model = torch.nn.Sequential(
        torch.nn.Conv2d(1, CHANNELS[0], 3, padding=1),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Conv2d(*CHANNELS, 3, padding=1),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Flatten(),
        torch.nn.Linear(CHANNELS[1] * 2 * 2, 10),
    ).to(getattr(torch, dtype))
    swapped = copy.deepcopy(model)
    report = torch_ext.swap(swapped)
    if len(report.changed) != 4:
        raise RuntimeError(f"two convolutions and two pools should have been swapped\n{report}")
    native = TorchEngine("torch", model)
    return [native, TorchEngine("swapped", swapped), HandEngine("by hand", native.weights())]


# --- training -----------------------------------------------------------------------------------


@dataclass
class Run:
    """What happened in one dtype, by name of engine."""

    dtype: str
    names: list[str]
    theta: network.Parameters  # the weights of the last engine
    losses: dict[str, list[float]] = field(init=False)  # one a step
    drift: dict[str, list[float]] = field(init=False)  # of the weights, one an epoch
    accuracy: dict[str, list[float]] = field(init=False)  # one an epoch

    def __post_init__(self) -> None:
        self.losses = {name: [] for name in self.names}
        self.drift = {name: [] for name in self.names}
        self.accuracy = {name: [] for name in self.names}

    @property
    def steps(self) -> int:
        """In an epoch."""
        return len(self.losses["torch"]) // len(self.accuracy["torch"])

    def loss_drift(self, name: str) -> Array:
        """|E - E_torch| / |E_torch| at each step."""
        ours, native = np.array(self.losses[name]), np.array(self.losses["torch"])
        return np.asarray(np.abs(ours - native) / np.abs(native))


def weight_drift(ours: network.Parameters, native: network.Parameters) -> float:
    """max|w - w_torch| / max|w_torch| of each tensor, the largest of them."""
    pairs = zip(ours, native, strict=True)
    return float(np.max([np.abs(a - b).max() / np.abs(b).max() for a, b in pairs]))


def train(
    dtype: str,
    epochs: int,
    seed: int,
    advance: Callable[[str], None],
    report: Callable[[Run], None],
) -> Run:
    """Train the three side by side: an epoch of one, then the same epoch of the next."""
    digits = load(seed, dtype)
    contenders = engines(seed, dtype)
    run = Run(dtype, [engine.name for engine in contenders], contenders[-1].weights())
    for epoch in range(epochs):
        for engine in contenders:
            for images, labels in batches(digits, np.random.default_rng([seed, epoch])):
                done = len(run.losses[engine.name]) / (epochs * (len(digits.images) // BATCH))
                run.losses[engine.name].append(engine.step(images, labels, RATE * (1 - done)))
                advance(f"{dtype}, epoch {epoch + 1}, {engine.name}")
            guess = engine.scores(digits.test_images).argmax(1)
            run.accuracy[engine.name].append(float((guess == digits.test_labels).mean()))
            run.drift[engine.name].append(weight_drift(engine.weights(), contenders[0].weights()))
        run.theta = contenders[-1].weights()
        report(run)
    return run


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


# --- the picture --------------------------------------------------------------------------------

STYLE = {"torch": ("0.8", "-", 6.0), "swapped": ("C0", "-", 2.4), "by hand": ("C1", ":", 2.4)}
SHADE = {"float64": 1.0, "float32": 0.45}


def plot_losses(axes: Axes, run: Run) -> None:
    """Means over a quarter of an epoch."""
    width = max(1, run.steps // 4)
    for name, losses in run.losses.items():
        color, line, thickness = STYLE[name]
        whole = len(losses) // width * width
        means = np.array(losses[:whole]).reshape(-1, width).mean(1)
        epochs = (np.arange(len(means)) + 0.5) * width / run.steps
        axes.plot(epochs, means, line, color=color, lw=thickness, label=name)
    axes.set(title=f"Training loss, {run.dtype}", xlabel="epoch", yscale="log")
    axes.legend(frameon=False)


def plot_loss_drift(axes: Axes, runs: list[Run]) -> None:
    """A point a step; steps that agree to the last bit have none on a logarithmic axis."""
    for run in runs:
        for name in run.names[1:]:
            drift = run.loss_drift(name)
            epochs = np.arange(1, len(drift) + 1) / run.steps
            axes.plot(
                epochs[drift > 0],
                drift[drift > 0],
                ".",
                ms=2.5,
                color=STYLE[name][0],
                alpha=SHADE[run.dtype],
            )
    axes.set(title="Loss: relative difference from torch", xlabel="epoch", yscale="log")


def plot_weight_drift(axes: Axes, runs: list[Run]) -> None:
    for run in runs:
        for name in run.names[1:]:
            color, line, _ = STYLE[name]
            epochs = np.arange(1, len(run.drift[name]) + 1)
            axes.plot(
                epochs,
                run.drift[name],
                line,
                marker="o",
                ms=4,
                color=color,
                alpha=SHADE[run.dtype],
                label=f"{name}, {run.dtype}",
            )
    axes.hlines(WEIGHT_LIMIT, 0, WEIGHT_LIMIT_EPOCH, "C3", "--", label="limit for float64")
    axes.set(title="Weights: relative difference from torch", xlabel="epoch", yscale="log")
    axes.legend(frameon=False, fontsize="small", loc="center right", bbox_to_anchor=(1, 0.4))


def mosaic(maps: Array, columns: int) -> Array:
    """(n, h, w) -> one image of n tiles, each pixel enlarged, with a gap of NaN between tiles."""
    maps = maps.repeat(6, axis=1).repeat(6, axis=2)
    tiles = np.pad(maps, ((0, 0), (1, 1), (1, 1)), constant_values=np.nan)
    n, h, w = tiles.shape
    rows = tiles.reshape(n // columns, columns, h, w).swapaxes(1, 2)
    return rows.reshape(n // columns * h, columns * w)


def show(axes: Axes, image: Array, title: str, **options: Any) -> None:
    axes.imshow(image, **options)
    axes.set_title(title)
    axes.axis("off")


def picture(runs: list[Run], seed: int, path: Path) -> None:
    """Curves above; below, what the hand-trained network of the first run has learned."""
    run, theta = runs[0], runs[0].theta
    digits = load(seed, run.dtype)
    image, label = digits.test_images[:1], digits.test_labels[0]
    scores, cache = network.forward(theta, image)

    figure = Figure(figsize=(14, 8), layout="constrained")
    figure.suptitle("One network on native torch, with refconv swapped in, and by hand in NumPy")
    halves: Any = figure.subfigures(2, 1, height_ratios=[1.4, 1])
    above, below = halves
    curves: Any = above.subplots(1, 3)
    losses, loss_drift, weight_drift = curves
    plot_losses(losses, run)
    plot_loss_drift(loss_drift, runs)
    plot_weight_drift(weight_drift, runs)
    for axes in curves:
        axes.set_xlim(0, len(run.accuracy["torch"]) + 0.2)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)

    images: Any = below.subplots(1, 4, width_ratios=[1, 1, 1, 2])
    filters, digit, first, second = images
    extent = np.abs(theta.w1).max()
    span = {"cmap": "RdBu_r", "vmin": -extent, "vmax": extent}
    show(filters, mosaic(theta.w1[:, 0], 4), "Filters of the first layer", **span)
    show(digit, image[0, 0], f"A {label} it never saw, taken for {scores.argmax()}", cmap="gray")
    show(first, mosaic(relu(cache.x1[0]), 4), "After the first convolution", cmap="magma")
    show(second, mosaic(relu(cache.x2[0]), 8), "After the second convolution", cmap="magma")
    figure.savefig(path, dpi=130)


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
