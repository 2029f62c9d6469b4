"""What the benchmark measures: layers of networks that people use, by set, and what is aimed at."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from bench_timing import Calls

import refconv

Array = Any
Make = Callable[[str], dict[str, Calls]]


class Case(NamedTuple):
    """Work in two directions, and the ratios to reach: forward, and both directions together.

    `make` returns "forward" and "backward", or of a model "inference" and "training".
    """

    name: str
    goal: tuple[float, float]
    make: Make


def arrays(dtype: str, *shapes: tuple[int, ...]) -> list[Array]:
    """Return noise."""
    rng = np.random.default_rng(0)
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def several(value: int, rank: int) -> list[int]:
    """Return an option for every axis."""
    return [value] * rank


# --------------------------------------------------------------------------- convolutions


class Layer(NamedTuple):
    """A convolution of C maps by M filters of k taps along every axis."""

    c: int
    i: tuple[int, ...]
    m: int
    k: int
    s: int = 1
    p: int = 0
    d: int = 1
    g: int = 1  # groups
    transposed: bool = False

    @property
    def name(self) -> str:
        """Its shapes, and the options that are not the usual."""
        maps = "x".join(map(str, self.i))
        options = {"s": self.s, "d": self.d, "groups ": self.g}
        said = "".join(f" {name}{value}" for name, value in options.items() if value > 1)
        kind = "transposed " if self.transposed else ""
        return f"{kind}{self.c} x {maps} -> {self.m}, k{self.k}{said}"


def convolution(layer: Layer, batch: int, goal: tuple[float, float]) -> Case:
    """Return forward and backward (gradients of input and weight) of a layer."""

    def make(dtype: str) -> dict[str, Calls]:
        c, i, m, k, s, p, d, g, transposed = layer
        rank = len(i)
        kernel = (k,) * rank
        weight = (c, m // g, *kernel) if transposed else (m, c // g, *kernel)
        x, w = arrays(dtype, (batch, c, *i), weight)
        tx, tw = map(torch.from_numpy, (x, w))
        name = "conv_transpose" if transposed else "conv"
        options = (s, p, 0, g, d) if transposed else (s, p, d, g)
        ours, theirs = getattr(refconv, name), getattr(F, f"{name}{rank}d")
        by_input = getattr(refconv, f"{name}_grad_input")
        by_weight = getattr(refconv, f"{name}_grad_weight")
        (gy,) = arrays(dtype, ours(x, w, None, *options).shape)
        tgy = torch.from_numpy(gy)
        back = (
            tgy, tx, tw, None, several(s, rank), several(p, rank), several(d, rank), transposed,
            several(0, rank), g, [True, True, False],
        )  # fmt: skip
        return {
            "forward": Calls(
                lambda: ours(x, w, None, *options), lambda: theirs(tx, tw, None, *options)
            ),
            "backward": Calls(
                lambda: (by_input(x.shape, w, gy, *options), by_weight(x, w.shape, gy, *options)),
                lambda: torch.ops.aten.convolution_backward(*back),
            ),
        }

    return Case(layer.name, goal, make)


def square(c: int, i: int, m: int, k: int, s: int = 1, p: int = 0, g: int = 1) -> Layer:
    """Return a layer of square maps."""
    return Layer(c, (i, i), m, k, s, p, 1, g)


def depthwise(c: int, i: int, k: int, s: int = 1) -> Layer:
    """Return a layer of one filter for each map."""
    return square(c, i, c, k, s, k // 2, c)


# He et al., arXiv:1512.03385, table 1 (stride in the 3x3 convolution, as torchvision has it)
RESNET50 = (
    square(3, 224, 64, 7, 2, 3), square(64, 56, 64, 1), square(64, 56, 64, 3, 1, 1),
    square(64, 56, 256, 1), square(256, 56, 64, 1), square(256, 56, 128, 1),
    square(128, 56, 128, 3, 2, 1), square(128, 28, 512, 1), square(256, 56, 512, 1, 2),
    square(512, 28, 128, 1), square(128, 28, 128, 3, 1, 1), square(512, 28, 256, 1),
    square(256, 28, 256, 3, 2, 1), square(256, 14, 1024, 1), square(512, 28, 1024, 1, 2),
    square(1024, 14, 256, 1), square(256, 14, 256, 3, 1, 1), square(1024, 14, 512, 1),
    square(512, 14, 512, 3, 2, 1), square(512, 7, 2048, 1), square(1024, 14, 2048, 1, 2),
    square(2048, 7, 512, 1), square(512, 7, 512, 3, 1, 1),
)  # fmt: skip
# Simonyan and Zisserman, arXiv:1409.1556, configuration D; and one layer of a dilated network
# (Yu and Koltun, arXiv:1511.07122)
VGG16 = (
    square(3, 224, 64, 3, 1, 1), square(64, 224, 64, 3, 1, 1), square(64, 112, 128, 3, 1, 1),
    square(256, 56, 256, 3, 1, 1), square(256, 28, 512, 3, 1, 1), square(512, 14, 512, 3, 1, 1),
    Layer(256, (28, 28), 256, 3, 1, 2, 2),
)  # fmt: skip
# Sandler et al., arXiv:1801.04381; Tan and Le, arXiv:1905.11946; Xie et al., arXiv:1611.05431
MOBILENETV2 = (
    depthwise(32, 112, 3), square(16, 112, 96, 1), depthwise(96, 112, 3, 2), square(24, 56, 144, 1),
    depthwise(144, 56, 3), depthwise(144, 56, 3, 2), square(192, 28, 32, 1), depthwise(384, 14, 3),
    depthwise(960, 7, 3), square(320, 7, 1280, 1), depthwise(240, 28, 5),
    square(128, 56, 128, 3, 1, 1, 32),
)  # fmt: skip
# Liu et al., arXiv:2201.03545
CONVNEXT = (
    square(3, 224, 96, 4, 4), depthwise(96, 56, 7), square(96, 56, 384, 1),
    square(96, 56, 192, 2, 2), depthwise(192, 28, 7), depthwise(384, 14, 7), depthwise(768, 7, 7),
)  # fmt: skip
# Ronneberger et al., arXiv:1505.04597, with padding
UNET = (
    square(64, 128, 64, 3, 1, 1), square(128, 64, 128, 3, 1, 1), square(256, 32, 256, 3, 1, 1),
    Layer(128, (64, 64), 64, 2, 2, transposed=True),
    Layer(256, (32, 32), 128, 2, 2, transposed=True),
)  # fmt: skip
# Radford et al., arXiv:1511.06434
DCGAN = (
    Layer(100, (1, 1), 512, 4, 1, 0, transposed=True),
    Layer(512, (4, 4), 256, 4, 2, 1, transposed=True),
    Layer(256, (8, 8), 128, 4, 2, 1, transposed=True),
    Layer(128, (16, 16), 64, 4, 2, 1, transposed=True),
    Layer(64, (32, 32), 3, 4, 2, 1, transposed=True),
)
# Tran et al., arXiv:1412.0767
C3D = (
    Layer(3, (8, 56, 56), 64, 3, 1, 1), Layer(64, (8, 28, 28), 64, 3, 1, 1),
    Layer(128, (4, 14, 14), 256, 3, 1, 1),
)  # fmt: skip
# Dai et al., arXiv:1610.00087; van den Oord et al., arXiv:1609.03499
AUDIO = (
    Layer(1, (16000,), 64, 80, 4, 38), Layer(64, (4000,), 64, 3, 1, 1),
    Layer(64, (4000,), 64, 3, 1, 4, 4), Layer(128, (1000,), 256, 3, 1, 1),
)  # fmt: skip


# --------------------------------------------------------------------------- pools


def pool_case(
    name: str,
    goal: tuple[float, float],
    shape: tuple[int, ...],
    ours: tuple[Callable[[Array], Any], Callable[[Array, Any], Any]],
    theirs: tuple[Callable[[Any], Any], Callable[[Any, Any], Any]],
) -> Case:
    """Return forward and backward of a pool; a backward takes x and what forward returned.

    The result of forward stands for its own gradient.
    """

    def make(dtype: str) -> dict[str, Calls]:
        (x,) = arrays(dtype, shape)
        tx = torch.from_numpy(x)
        y, ty = ours[0](x), theirs[0](tx)
        return {
            "forward": Calls(lambda: ours[0](x), lambda: theirs[0](tx)),
            "backward": Calls(lambda: ours[1](x, y), lambda: theirs[1](tx, ty)),
        }

    return Case(name, goal, make)


def max_pool(shape: tuple[int, ...], k: int, s: int, p: int) -> Case:
    """Return a max pool with indices."""
    rank = len(shape) - 2
    window = tuple(several(value, rank) for value in (k, s, p, 1))
    forward = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[rank - 1]
    backward = getattr(torch.ops.aten, f"max_pool{rank}d_with_indices_backward")
    return pool_case(
        f"max {k}^{rank} s{s}, {'x'.join(map(str, shape[1:]))}", (1.0, 1.0), shape,
        (lambda x: refconv.max_pool(x, k, s, p, return_indices=True),
         lambda x, y: refconv.max_pool_grad(x.shape, y[1], y[0], k, s, p)),
        (lambda x: forward(x, k, s, p, return_indices=True),
         lambda x, y: backward(y[0], x, *window, False, y[1])),
    )  # fmt: skip


def avg_pool(shape: tuple[int, ...], k: int, s: int, p: int) -> Case:
    """Return an average pool over two axes."""
    window = tuple(several(value, 2) for value in (k, s, p))
    return pool_case(
        f"average {k}^2 s{s}, {'x'.join(map(str, shape[1:]))}", (1.0, 1.0), shape,
        (lambda x: refconv.avg_pool(x, k, s, p),
         lambda x, y: refconv.avg_pool_grad(x.shape, y, k, s, p)),
        (lambda x: F.avg_pool2d(x, k, s, p),
         lambda x, y: torch.ops.aten.avg_pool2d_backward(y, x, *window, False, True, None)),
    )  # fmt: skip


def by_autograd(function: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    """Return torch's forward and backward where it has no operator for the backward alone."""

    def both(x: Any, y: Any) -> Any:
        with torch.enable_grad():
            leaf = x.detach().requires_grad_()
            return torch.autograd.grad(function(leaf), leaf, y)

    return both


def other_pools() -> Iterator[Case]:
    """Yield power and fractional pools, unfold and fold; a backward is with its forward."""
    shape = (8, 64, 56, 56)
    yield pool_case(
        "power 2, 2^2, 64x56x56 (backward: with its forward)", (1.5, 1.5), shape,
        (lambda x: refconv.lp_pool(x, 2.0, 2), lambda x, y: (
            refconv.lp_pool(x, 2.0, 2), refconv.lp_pool_grad(x, y, 2.0, 2))),
        (lambda x: F.lp_pool2d(x, 2.0, 2), by_autograd(lambda x: F.lp_pool2d(x, 2.0, 2))),
    )  # fmt: skip
    u = arrays("float32", (8, 64, 2))[0] % 1

    def ours(x: Array) -> Any:
        samples = u.astype(x.dtype)
        return refconv.fractional_max_pool(x, 2, 20, None, True, random_samples=samples)

    def theirs(x: Any) -> Any:
        samples = torch.from_numpy(u).to(x.dtype)
        return torch.ops.aten.fractional_max_pool2d(x, [2, 2], [20, 20], samples)

    yield pool_case(
        "fractional 2^2 to 20, 64x28x28", (1.5, 1.5), (8, 64, 28, 28),
        (ours, lambda x, y: refconv.fractional_max_pool_grad(x.shape, y[1], y[0], 2, 20)),
        (theirs, lambda x, y: torch.ops.aten.fractional_max_pool2d_backward(
            y[0], x, [2, 2], [20, 20], y[1])),
    )  # fmt: skip
    yield pool_case(
        "unfold 3^2, 64x28x28", (0.5, 0.5), (8, 64, 28, 28),
        (lambda x: refconv.unfold(x, 3, 1, 1), lambda x, y: refconv.fold(y, (28, 28), 3, 1, 1)),
        (lambda x: F.unfold(x, 3, 1, 1), lambda x, y: F.fold(y, (28, 28), 3, 1, 1)),
    )  # fmt: skip


def adaptive(kind: str, c: int, i: int, o: int) -> Case:
    """Return an adaptive pool of square maps."""
    name = f"{kind} {i} to {o}, {c} maps"
    if kind == "average":
        return pool_case(
            name, (1.5, 1.5), (8, c, i, i),
            (lambda x: refconv.adaptive_avg_pool(x, (o, o)),
             lambda x, y: refconv.adaptive_avg_pool_grad(x.shape, y, (o, o))),
            (lambda x: F.adaptive_avg_pool2d(x, o),
             lambda x, y: torch.ops.aten._adaptive_avg_pool2d_backward(y, x)),
        )  # fmt: skip
    return pool_case(
        name, (1.5, 1.5), (8, c, i, i),
        (lambda x: refconv.adaptive_max_pool(x, (o, o), return_indices=True),
         lambda x, y: refconv.adaptive_max_pool_grad(x.shape, y[1], y[0], (o, o))),
        (lambda x: F.adaptive_max_pool2d(x, o, return_indices=True),
         lambda x, y: torch.ops.aten.adaptive_max_pool2d_backward(y[0], x, y[1])),
    )  # fmt: skip


def convolutions(layers: tuple[Layer, ...], batch: int, goal: tuple[float, float]) -> list[Case]:
    """Return a set of layers."""
    return [convolution(layer, batch, goal) for layer in layers]


def pools() -> list[Case]:
    """Return pools with a fixed window, and unfold."""
    return [
        max_pool((8, 64, 112, 112), 3, 2, 1), max_pool((8, 64, 56, 56), 2, 2, 0),
        max_pool((8, 256, 20, 20), 5, 1, 2), max_pool((8, 64, 8, 28, 28), 2, 2, 0),
        avg_pool((8, 128, 56, 56), 2, 2, 0), avg_pool((8, 192, 35, 35), 3, 1, 1),
        *other_pools(),
    ]  # fmt: skip


def adaptives() -> list[Case]:
    """Return adaptive pools."""
    averages = [(2048, 7, 1), (512, 14, 7), (256, 13, 6), (512, 20, 3)]
    return [
        *itertools.starmap(adaptive, [("average", *sizes) for sizes in averages]),
        adaptive("max", 256, 13, 5),
    ]
