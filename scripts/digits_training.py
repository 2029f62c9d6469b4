"""The network of `train_digits`, trained by torch, by torch with swapped layers, and by hand."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from digits_model import lenet
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import torch_ext
from refconv.textbook import network

WEIGHT_LIMIT = 1e-10
WEIGHT_LIMIT_EPOCH = 3
Array = NDArray[Any]


BATCH = 32


RATE = 0.3  # of plain gradient descent, falling linearly to zero


TEST_IMAGES = 360


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
    model = lenet().to(getattr(torch, dtype))
    swapped = copy.deepcopy(model)
    report = torch_ext.swap(swapped)
    if len(report.changed) != 4:
        raise RuntimeError(f"two convolutions and two pools should have been swapped\n{report}")
    native = TorchEngine("torch", model)
    return [native, TorchEngine("swapped", swapped), HandEngine("by hand", native.weights())]


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
