"""The goals, one by one, beside what was measured."""

import statistics
from collections.abc import Sequence
from typing import NamedTuple

from bench_report import Row


class Goal(NamedTuple):
    """Cases of a set, by what their names begin with, and the ratio they are to reach."""

    title: str
    first: float
    second: float
    cases: tuple[tuple[str, str], ...]  # set and beginning; none for a mean over a set
    mean_of: str = ""
    dtype: str = "float32"


GOALS = (
    Goal("ResNet-50's convolutions, geometric mean", 1.0, 1.0, (), "resnet50"),
    Goal("the same, float64", 0.6, 0.6, (), "resnet50", "float64"),
    Goal("depthwise 3x3 144x56 / 384x14 / 5x5 240x28 / 7x7 96x56", 2, 2, (
        ("mobilenetv2", "144 x 56x56 -> 144, k3 groups"), ("mobilenetv2", "384 x 14x14 -> 384"),
        ("mobilenetv2", "240 x 28x28 -> 240"), ("convnext", "96 x 56x56 -> 96, k7"))),
    Goal("grouped, 32 groups of 4, 56", 2, 2, (("mobilenetv2", "128 x 56x56 -> 128, k3"),)),
    Goal("transposed: 512x4, 128x16; U-Net 2x2", 1.5, 1.5, (
        ("dcgan", "transposed 512"), ("dcgan", "transposed 128"), ("unet", "transposed 128"))),
    Goal("3-d 64x8x28x28 / 1-d 64x4000 dilated / dilated 256x28 / VGG 256x56", 1.3, 1.3, (
        ("c3d", "64 x 8x28x28"), ("audio", "64 x 4000 -> 64, k3 d4"),
        ("vgg16", "256 x 28x28 -> 256"), ("vgg16", "256 x 56x56"))),
    Goal("max pools 3x3s2 112, 2x2 56, 5x5s1 20, 3-d", 1, 1, (
        ("pools", "max 3^2"), ("pools", "max 2^2"), ("pools", "max 5^2"), ("pools", "max 2^3"))),
    Goal("average pools 2x2, 3x3s1", 1, 1, (("pools", "average 2^2"), ("pools", "average 3^2"))),
    Goal("adaptive: 2048x7 to 1; 14 to 7; 13 to 6; 20 to 3; max 13 to 5", 1.5, 1.5, (
        ("adaptive", "average 7"), ("adaptive", "average 14"), ("adaptive", "average 13"),
        ("adaptive", "average 20"), ("adaptive", "max"))),
    Goal("lp, fractional", 1.5, 1.5, (("pools", "power"), ("pools", "fractional"))),
    Goal("unfold, fold", 0.5, 0.5, (("pools", "unfold"),)),
    Goal("small calls of refconv: 32 x 1x8x8", 2.5, 2.5, (("small", "refconv: 32"),)),
    Goal("1 x 3x5x5", 8, 8, (("small", "refconv: 1 "),)),
    Goal("of torch_ext: 32 x 1x8x8", 2.5, 2.5, (("small", "torch_ext: 32"),)),
    Goal("1 x 3x5x5", 8, 8, (("small", "torch_ext: 1 "),)),
    Goal("models: ResNet-18 224 / 32, MobileNetV2 224 / 96", 1.3, 1.3, (
        ("models", "ResNet-18, 8"), ("models", "ResNet-18, 32"),
        ("models", "MobileNetV2, 8 x 3x224"), ("models", "MobileNetV2, 8 x 3x96"))),
    Goal("LeNet 8x8", 3, 2.5, (("models", "LeNet"),)),
)  # fmt: skip


def ratios(rows: Sequence[Row], goal: Goal) -> tuple[list[float], list[float]]:
    """Return what was measured for a goal: forward, and both directions (inference, training)."""
    if goal.mean_of:
        found = [row for row in rows if (row.group, row.dtype) == (goal.mean_of, goal.dtype)]
        if not found:
            return [], []
        first = [row.ratio[row.ways[0]] for row in found]
        return [statistics.geometric_mean(first)], [
            statistics.geometric_mean(row.ratio[row.ways[1]] for row in found)
        ]
    found = [
        row
        for group, beginning in goal.cases
        for row in rows
        if (row.group, row.dtype) == (group, goal.dtype) and row.name.startswith(beginning)
    ]
    return [row.ratio[row.ways[0]] for row in found], [row.second for row in found]


def marked(found: Sequence[float], most: float) -> str:
    """Return ratios, in bold those that are met."""
    return ", ".join(f"**{each:.2f}**" if each <= most else f"{each:.2f}" for each in found)


def table(rows: Sequence[Row]) -> list[str]:
    """Return the goals beside what was measured, and the worst layer and the scratch memory."""
    lines = [
        "| | goal | forward, or inference | both, or training |",
        "|---|---|---|---|",
    ]
    for goal in GOALS:
        first, second = ratios(rows, goal)
        if first:
            aim = f"{goal.first:g}" + ("" if goal.first == goal.second else f" / {goal.second:g}")
            cells = f"{marked(first, goal.first)} | {marked(second, goal.second)}"
            lines.append(f"| {goal.title} | {aim} | {cells} |")
    layers = [row for row in rows if (row.group, row.dtype) == ("resnet50", "float32")]
    if layers:
        worst = [max(row.ratio[way] for row in layers) for way in layers[0].ways]
        lines.append(
            "| worst layer of ResNet-50 (second: backward) | 1.5 "
            f"| {marked(worst[:1], 1.5)} | {marked(worst[1:], 1.5)} |"
        )
    scratch = max(row.scratch for row in rows)
    lines.append(f"| scratch, MiB a thread, all cases | 4 | {marked([scratch], 4)} | |")
    return lines


def of_torch_ext(rows: Sequence[Row]) -> str:
    """Return what torch_ext adds to refconv's own time in the small calls, in microseconds."""
    added = []
    for row in rows:
        if row.group == "small" and row.name.startswith("torch_ext"):
            name = row.name.replace("torch_ext", "refconv")
            (own,) = (each for each in rows if each.name == name and each.dtype == row.dtype)
            forward, both = (1e3 * (row.ours[way] - own.ours[way]) for way in row.ways)
            added.append(f"{forward:.0f} without a gradient, {both:.0f} with all three")
    return "; ".join(added)
