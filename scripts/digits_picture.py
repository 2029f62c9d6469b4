"""The picture of `train_digits`: losses, how far they part, and what the filters see."""

from pathlib import Path
from typing import Any

import numpy as np
from digits_training import WEIGHT_LIMIT, WEIGHT_LIMIT_EPOCH, Array, Run, load
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from refconv.textbook import network
from refconv.textbook.layer import relu

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
