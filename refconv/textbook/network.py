"""A convolutional network trained by hand: forward, backward and a step of descent.

    images -conv-> x1 -relu-> o1 -max-> p1 -conv-> x2 -relu-> o2 -max-> p2 -linear-> x3 -softmax-> y

The layers are the operators of `refconv` (filters of odd size, padded to keep the size; 2 x 2
pooling); the chain rule between them is written out.  Batches of images (B, C, H, W).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from refconv.fast.convolution import conv, conv_grad_bias, conv_grad_input, conv_grad_weight
from refconv.fast.max_pooling import max_pool, max_pool_grad
from refconv.textbook.arguments import (
    Array,
    as_array,
    as_floats,
    as_number,
    as_numbers,
    described,
    expect_shape,
)
from refconv.textbook.layer import relu, relu_prime

POOL = 2


class Parameters(NamedTuple):
    """Weights and biases of the three layers, or the gradients for them.

    w1 (D1, C, k, k), w2 (D2, D1, k, k), w3 (classes, D2 * H / 4 * W / 4), one bias per filter.
    """

    w1: Array
    b1: Array
    w2: Array
    b2: Array
    w3: Array
    b3: Array


class Cache(NamedTuple):
    """What the backward pass needs of the forward pass, named as in the module's diagram."""

    images: Array
    x1: Array
    winner1: Array
    p1: Array
    x2: Array
    winner2: Array
    p2: Array


# all fields are arrays: help() would repeat it for each, in one long line
Parameters.__new__.__annotations__ = {}
Cache.__new__.__annotations__ = {}

Step = tuple[Parameters, float]  # new parameters, and the error before


def forward(theta: Parameters, images: ArrayLike) -> tuple[Array, Cache]:
    """x3, the scores before the softmax, and the cache for `backward`.

    images (B, C, H, W) of the dtype of theta, or integers -> (B, classes) of that dtype.
    ValueError for filters of even size or a w3 that does not match what arrives at the last layer;
    what `conv` raises for the rest.
    """
    theta = _floating("theta", theta)
    images = _as_theta("images", images, theta)
    x1 = conv(images, theta.w1, theta.b1, padding=_same("w1", theta.w1))
    p1, winner1 = max_pool(relu(x1), POOL, return_indices=True)
    x2 = conv(p1, theta.w2, theta.b2, padding=_same("w2", theta.w2))
    p2, winner2 = max_pool(relu(x2), POOL, return_indices=True)
    flat = p2.reshape(len(p2), -1)  # (B, D2, H / 4, W / 4) -> (B, F)
    expect_shape("w3", theta.w3, (len(theta.b3), flat.shape[1]))
    x3 = flat @ theta.w3.T + theta.b3  # (B, F) (F, classes)
    return x3, Cache(images, x1, winner1, p1, x2, winner2, p2)


def cross_entropy(x3: Array, labels: ArrayLike) -> tuple[float, Array]:
    """E = mean over the batch of -log y[label], y = softmax(x3), and delta3 = dE/dx3.

    d(-log y[label]) / dx3 = y - onehot(label): the error itself, as from (9) with y = x.
    x3 (B, classes) floats, labels (B,) integers -> a number, (B, classes) of x3's dtype.

    >>> E, delta3 = cross_entropy(np.array([[0.0, 0.0], [0.0, 0.0]]), [0, 1])
    >>> round(E, 6), delta3.tolist()
    (0.693147, [[-0.25, 0.25], [0.25, -0.25]])
    """
    x3, labels = as_array("x3", x3, "B classes"), as_array("labels", labels, "B")
    B, classes = x3.shape
    expect_shape("labels", labels, (B,))
    if labels.dtype.kind != "i":
        raise TypeError(f"labels must hold integers, got {labels.dtype}")
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(
            f"labels must lie in 0 .. {classes - 1}, got {labels.min()} .. {labels.max()}"
        )
    shifted = x3 - x3.max(1, keepdims=True)  # softmax does not change, exp cannot overflow
    log_y = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    onehot = np.arange(classes) == labels[:, None]
    return float(-log_y[onehot].mean()), (np.exp(log_y) - onehot) / B


def backward(theta: Parameters, cache: Cache, delta3: Array) -> Parameters:
    """dE/dtheta, from the last layer to the first: delta_l = dE/dx_l.

    Each line undoes one arrow of the diagram.  A bias gets the sum of delta over all places; a
    filter meets the input of its layer; what a filter sends back goes through the pool to the
    winners and takes the slope f'(x) on the way.
    delta3 (B, classes), as from `cross_entropy` -> gradients, each of the shape of its parameter.
    Source: [J] (13), (20) and its Pooling Layer.
    """
    theta = _floating("theta", theta)
    if not isinstance(cache, Cache):
        raise TypeError(f"cache must be forward's second result, got {described(cache)}")
    delta3 = _as_theta("delta3", delta3, theta)
    expect_shape("delta3", delta3, (len(cache.p2), len(theta.b3)))
    dp2 = (delta3 @ theta.w3).reshape(cache.p2.shape)  # (B, classes) (classes, F)
    delta2 = max_pool_grad(cache.x2.shape, cache.winner2, dp2, POOL) * relu_prime(cache.x2)
    dp1 = conv_grad_input(cache.p1.shape, theta.w2, delta2, padding=_same("w2", theta.w2))
    delta1 = max_pool_grad(cache.x1.shape, cache.winner1, dp1, POOL) * relu_prime(cache.x1)
    return Parameters(
        w1=conv_grad_weight(cache.images, theta.w1.shape, delta1, padding=_same("w1", theta.w1)),
        b1=conv_grad_bias(delta1),
        w2=conv_grad_weight(cache.p1, theta.w2.shape, delta2, padding=_same("w2", theta.w2)),
        b2=conv_grad_bias(delta2),
        w3=delta3.T @ cache.p2.reshape(len(delta3), -1),  # (classes, B) (B, F)
        b3=delta3.sum(0),
    )


def sgd_step(theta: Parameters, gradient: Parameters, rate: float) -> Parameters:
    """The descent theta - rate * gradient: what turns a gradient into new weights.

    >>> one = Parameters(*np.ones((6, 1)))
    >>> sgd_step(one, one, 0.25).w1.tolist()
    [0.75]
    """
    pairs = zip(_floating("theta", theta), _floating("gradient", gradient), strict=True)
    rate = as_number("rate", rate)
    return Parameters(*(p - rate * g for p, g in pairs))


def train_step(theta: Parameters, images: ArrayLike, labels: ArrayLike, rate: float) -> Step:
    """Forward, backward, step: the new parameters and the error before the step."""
    x3, cache = forward(theta, images)
    E, delta3 = cross_entropy(x3, labels)
    return sgd_step(theta, backward(theta, cache, delta3), rate), E


def _floating(name: str, theta: Parameters) -> Parameters:
    """Weights are real numbers: integers become float64, floats stay."""
    if not isinstance(theta, Parameters):
        raise TypeError(f"{name} must be network.Parameters, got {described(theta)}")
    return Parameters(
        *(as_floats(as_numbers(k, v)) for k, v in zip(theta._fields, theta, strict=True))
    )


def _as_theta(name: str, value: ArrayLike, theta: Parameters) -> Array:
    """The numbers of the value; integers become floats of the dtype of theta."""
    numbers = as_numbers(name, value)
    return numbers.astype(theta.w1.dtype) if numbers.dtype.kind == "i" else numbers


def _same(name: str, w: Array) -> int:
    """The padding (k - 1) / 2 that keeps the size."""
    k: int = w.shape[-1]
    if w.shape[-2:] != (k, k) or k % 2 == 0:
        raise ValueError(f"{name} must hold square filters of odd size, got shape {w.shape}")
    return k // 2
