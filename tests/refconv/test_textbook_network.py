"""The network trained by hand, against torch; and bugs planted into it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import refconv
from refconv.textbook import network
from support.textbook_checks import Array, assert_same_sums, integers, leaf


def parameters(draw: Callable[..., Array]) -> network.Parameters:
    """For images (B, 2, 8, 4) and 4 classes; draw(*shape) makes the numbers."""
    shapes = [(3, 2, 3, 3), (3,), (2, 3, 5, 5), (2,), (4, 4), (4,)]
    return network.Parameters(*(draw(*shape) for shape in shapes))


def torch_scores(images: torch.Tensor, w1: Any, b1: Any, w2: Any, b2: Any, w3: Any, b3: Any) -> Any:
    p1 = F.max_pool2d(F.conv2d(images, w1, b1, padding=1).relu(), 2)
    p2 = F.max_pool2d(F.conv2d(p1, w2, b2, padding=2).relu(), 2)
    return F.linear(p2.flatten(1), w3, b3)


def signs(*shape: int) -> Array:
    """Numbers -1, 0, 1: sums of them tie in many blocks of a pool."""
    return np.sign(integers(*shape) // 4)


def check_network_exactly(draw: Callable[..., Array] = signs) -> None:
    """Integers all the way from the images to the scores, and back from an integer delta3."""
    theta, images, delta3 = parameters(draw), draw(3, 2, 8, 4), draw(3, 4)
    leaves = [leaf(p) for p in theta]
    scores = torch_scores(torch.tensor(images), *leaves)
    x3, cache = network.forward(theta, images)
    assert_same_sums(x3, scores.detach())
    gradients = torch.autograd.grad(scores, leaves, torch.tensor(delta3))
    for ours, other in zip(network.backward(theta, cache, delta3), gradients, strict=True):
        assert_same_sums(ours, other)


def normal(*shape: int) -> Array:
    return np.random.default_rng(list(shape)).standard_normal(shape)


def check_cross_entropy() -> None:
    x3, labels = normal(5, 4) * 10, np.array([3, 0, 0, 2, 1])
    scores = leaf(x3)
    loss = F.cross_entropy(scores, torch.tensor(labels))
    (gradient,) = torch.autograd.grad(loss, scores)
    E, delta3 = network.cross_entropy(x3, labels)
    np.testing.assert_allclose(E, loss.item(), rtol=1e-14)
    np.testing.assert_allclose(delta3, gradient, rtol=1e-13, atol=1e-17)


class HandTrained(torch.autograd.Function):
    """The network's error as a function of its parameters, for `gradcheck`."""

    @staticmethod
    def forward(ctx: Any, *leaves: torch.Tensor) -> torch.Tensor:
        theta = network.Parameters(*(p.detach().numpy() for p in leaves))
        x3, cache = network.forward(theta, normal(3, 2, 8, 4))
        E, delta3 = network.cross_entropy(x3, [1, 3, 0])
        ctx.state = theta, cache, delta3
        return torch.tensor(E, dtype=torch.float64)

    @staticmethod
    def backward(ctx: Any, grad_output: torch.Tensor) -> Any:
        gradient = network.backward(*ctx.state)
        return tuple(grad_output * torch.from_numpy(np.asarray(g)) for g in gradient)


def check_network_by_finite_differences() -> None:
    leaves = tuple(leaf(p) for p in parameters(normal))
    assert torch.autograd.gradcheck(HandTrained.apply, leaves, rtol=1e-6, raise_exception=False)


@pytest.mark.parametrize("draw", [signs, integers])
def test_network_exactly(draw: Callable[..., Array]) -> None:
    check_network_exactly(draw)


def test_cross_entropy() -> None:
    check_cross_entropy()


def test_cross_entropy_of_huge_scores_does_not_overflow() -> None:
    E, delta3 = network.cross_entropy(np.array([[1e4, 0.0], [0.0, 1e4]]), [0, 0])
    assert E == 5000.0
    np.testing.assert_array_equal(delta3, [[0.0, 0.0], [-0.5, 0.5]])


def test_network_by_finite_differences() -> None:
    check_network_by_finite_differences()


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-13), (np.float32, 1e-4)])
def test_training_follows_torch(dtype: type, tolerance: float) -> None:
    theta = parameters(lambda *shape: (normal(*shape) / 3).astype(dtype))
    images, labels = normal(6, 2, 8, 4).astype(dtype), np.arange(6) % 4
    leaves = [leaf(p) for p in theta]
    optimizer = torch.optim.SGD(leaves, lr=0.05)
    for _ in range(5):
        optimizer.zero_grad()
        loss = F.cross_entropy(torch_scores(torch.tensor(images), *leaves), torch.tensor(labels))
        loss.backward()
        optimizer.step()
        theta, E = network.train_step(theta, images, labels, 0.05)
        np.testing.assert_allclose(E, loss.item(), rtol=tolerance)
    for ours, other in zip(theta, leaves, strict=True):
        assert ours.dtype == dtype
        difference = np.abs(ours - other.detach().numpy()).max()
        assert difference <= tolerance * np.abs(ours).max()


# --- the tests can fail -------------------------------------------------------------------------


def slope_forgotten(x: Array) -> Array:
    return np.ones(np.shape(x), bool)


def bias_over_wrong_axes(gy: Array) -> Array:
    return np.asarray(gy.sum((0, 1, 2))[: gy.shape[1]])


def winners_of_the_last(x: Array, k: int, return_indices: bool) -> Any:
    y, indices = refconv.max_pool(x[:, :, ::-1, ::-1], k, return_indices=return_indices)
    return y[:, :, ::-1, ::-1], (x.shape[2] * x.shape[3] - 1 - indices)[:, :, ::-1, ::-1].copy()


def gradient_times_1001_per_mille(*arguments: Any, **options: Any) -> Array:
    return np.asarray(refconv.conv_grad_weight(*arguments, **options) * 1.001)


PLANTED = [
    ("relu_prime", slope_forgotten, check_network_exactly),
    ("conv_grad_bias", bias_over_wrong_axes, check_network_exactly),
    ("conv_grad_weight", gradient_times_1001_per_mille, check_network_exactly),
    (
        "conv_grad_weight",
        gradient_times_1001_per_mille,
        check_network_by_finite_differences,
    ),
    ("max_pool", winners_of_the_last, check_network_exactly),
    ("relu_prime", slope_forgotten, check_network_by_finite_differences),
]


@pytest.mark.parametrize(("name", "bug", "check"), PLANTED)
def test_planted_bug_is_caught(
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    bug: Callable[..., Any],
    check: Callable[[], None],
) -> None:
    check()
    monkeypatch.setattr(network, name, bug)
    with pytest.raises(AssertionError):
        check()
