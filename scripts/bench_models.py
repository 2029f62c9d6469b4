# mypy: allow-untyped-calls
"""Whole models with their layers swapped, and small calls, through PyTorch."""

import copy
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from bench_cases import Case, arrays
from bench_timing import Calls
from digits_model import lenet
from torch import nn

import refconv
import torch_ext
from torch_ext import functional


class Block(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut: He et al., arXiv:1512.03385, figure 2."""

    def __init__(self, c: int, m: int, stride: int):
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(c, m, 3, stride, 1, bias=False), nn.BatchNorm2d(m)
        self.conv2, self.norm2 = nn.Conv2d(m, m, 3, 1, 1, bias=False), nn.BatchNorm2d(m)
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or c != m:
            self.shortcut = nn.Sequential(nn.Conv2d(c, m, 1, stride, bias=False), nn.BatchNorm2d(m))

    def forward(self, x: Any) -> Any:
        """Add the block's change to its input."""
        y = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        return F.relu(y + self.shortcut(x))


def resnet18(small: bool) -> nn.Module:
    """ResNet-18, its first layer for images of 224 or, if small, of 32 pixels."""
    stem = (
        [nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
        if small
        else [
            nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(),
            nn.MaxPool2d(3, 2, 1),
        ]
    )  # fmt: skip
    widths = [(64, 64, 1), (64, 128, 2), (128, 256, 2), (256, 512, 2)]
    blocks = [each for c, m, s in widths for each in (Block(c, m, s), Block(m, m, 1))]
    return nn.Sequential(
        *stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 1000)
    )


class Inverted(nn.Module):
    """1 x 1 up, depthwise 3 x 3, 1 x 1 down: Sandler et al., arXiv:1801.04381, figure 3."""

    def __init__(self, c: int, m: int, stride: int, expand: int):
        super().__init__()
        wide = c * expand
        up = [nn.Conv2d(c, wide, 1, bias=False), nn.BatchNorm2d(wide), nn.ReLU6()]
        self.body = nn.Sequential(
            *(up if expand > 1 else []),
            nn.Conv2d(wide, wide, 3, stride, 1, groups=wide, bias=False), nn.BatchNorm2d(wide),
            nn.ReLU6(), nn.Conv2d(wide, m, 1, bias=False), nn.BatchNorm2d(m),
        )  # fmt: skip
        self.adds = stride == 1 and c == m

    def forward(self, x: Any) -> Any:
        """Add the block's change to its input, where they have one shape."""
        return x + self.body(x) if self.adds else self.body(x)


def mobilenetv2() -> nn.Module:
    """MobileNetV2 of width 1, table 2 of its paper."""
    rows = [
        (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2),
        (6, 320, 1, 1),
    ]  # fmt: skip
    c, layers = 32, [nn.Conv2d(3, 32, 3, 2, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU6()]
    for expand, m, count, stride in rows:
        for number in range(count):
            layers.append(Inverted(c, m, 1 if number else stride, expand))
            c = m
    last = [nn.Conv2d(320, 1280, 1, bias=False), nn.BatchNorm2d(1280), nn.ReLU6()]
    return nn.Sequential(
        *layers, *last, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1280, 1000)
    )


def model_case(
    name: str, goal: tuple[float, float], build: Callable[[], nn.Module], shape: tuple[int, ...]
) -> Case:
    """Return inference and a training step (SGD) of a model, swapped and not."""

    def make(dtype: str) -> dict[str, Calls]:
        torch.manual_seed(0)
        plain = build().to(getattr(torch, dtype))
        swapped = copy.deepcopy(plain)
        torch_ext.swap(swapped)
        x = torch.from_numpy(arrays(dtype, shape)[0])
        target = torch.arange(shape[0]) % 10

        def inference(model: nn.Module) -> Callable[[], Any]:
            model = copy.deepcopy(model).eval()

            def call() -> Any:
                with torch.no_grad():
                    return model(x)

            return call

        def training(model: nn.Module) -> Callable[[], Any]:
            optimiser = torch.optim.SGD(model.train().parameters(), 1e-3)

            def call() -> None:
                with torch.enable_grad():
                    optimiser.zero_grad()
                    F.cross_entropy(model(x), target).backward()
                    optimiser.step()

            return call

        return {
            "inference": Calls(inference(swapped), inference(plain)),
            "training": Calls(training(swapped), training(plain)),
        }

    return Case(name, goal, make)


def models() -> list[Case]:
    """Return the whole models."""
    return [
        model_case(
            "ResNet-18, 8 x 3x224x224", (1.3, 1.3), lambda: resnet18(False), (8, 3, 224, 224)
        ),
        model_case("ResNet-18, 32 x 3x32x32", (1.3, 1.3), lambda: resnet18(True), (32, 3, 32, 32)),
        model_case("MobileNetV2, 8 x 3x224x224", (1.3, 1.3), mobilenetv2, (8, 3, 224, 224)),
        model_case("MobileNetV2, 8 x 3x96x96", (1.3, 1.3), mobilenetv2, (8, 3, 96, 96)),
        model_case("LeNet, 32 x 1x8x8", (3.0, 2.5), lenet, (32, 1, 8, 8)),
    ]


# --------------------------------------------------------------------------- small calls


def small_case(n: int, c: int, i: int, m: int, goal: float, through_torch: bool) -> Case:
    """Return a small 3 x 3 convolution: refconv's own, or torch_ext's; backward has all gradients.

    Through torch, the backward holds the forward too, and what autograd does.
    """

    def make(dtype: str) -> dict[str, Calls]:
        x, w, b, gy = arrays(dtype, (n, c, i, i), (m, c, 3, 3), (m,), (n, m, i, i))
        tx, tw, tb, tgy = map(torch.from_numpy, (x, w, b, gy))
        leaves = [t.clone().requires_grad_() for t in (tx, tw, tb)]

        def recorded(function: Callable[..., Any]) -> Callable[[], Any]:
            def call() -> Any:
                with torch.enable_grad():
                    return torch.autograd.grad(function(*leaves, 1, 1), leaves, tgy)

            return call

        def gradients() -> Any:
            return (
                refconv.conv(x, w, b, 1, 1), refconv.conv_grad_input(x.shape, w, gy, 1, 1),
                refconv.conv_grad_weight(x, w.shape, gy, 1, 1), refconv.conv_grad_bias(gy),
            )  # fmt: skip

        ours = (
            (lambda: functional.conv2d(tx, tw, tb, 1, 1), recorded(functional.conv2d))
            if through_torch
            else (lambda: refconv.conv(x, w, b, 1, 1), gradients)
        )
        return {
            "forward": Calls(ours[0], lambda: F.conv2d(tx, tw, tb, 1, 1)),
            "backward": Calls(ours[1], recorded(F.conv2d)),
        }

    who = "torch_ext" if through_torch else "refconv"
    return Case(f"{who}: {n} x {c}x{i}x{i} -> {m}, k3 (backward: with its forward)",
                (goal, goal), make)  # fmt: skip


def small() -> list[Case]:
    """Return the small calls."""
    return [
        small_case(*sizes, goal, through_torch)
        for sizes, goal in (((32, 1, 8, 16), 2.5), ((1, 3, 5, 4), 8.0))
        for through_torch in (False, True)
    ]
