"""A convolutional network trained by hand: forward, backward and a step of gradient descent.

    images -conv-> x1 -relu-> o1 -max-> p1 -conv-> x2 -relu-> o2 -max-> p2 -linear-> x3 -softmax-> y

The layers are the operators of `refconv` (filters of odd size, padded to keep the size; 2 x 2
pooling); the chain rule between them is written out.  Batches of images (B, C, H, W).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from refconv.convolution import conv, conv_grad_bias, conv_grad_input, conv_grad_weight
from refconv.pooling.max import max_pool, max_pool_grad
from refconv.textbook.arguments import Array

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


def forward(theta: Parameters, images: ArrayLike) -> tuple[Array, Cache]:
    """x3 (B, classes), the scores before the softmax, and the cache for `backward`."""
    images = np.asarray(images)
    x1 = conv(images, theta.w1, theta.b1, padding=_same(theta.w1))
    p1, winner1 = max_pool(relu(x1), POOL, return_indices=True)
    x2 = conv(p1, theta.w2, theta.b2, padding=_same(theta.w2))
    p2, winner2 = max_pool(relu(x2), POOL, return_indices=True)
    x3 = p2.reshape(len(p2), -1) @ theta.w3.T + theta.b3  # (B, F) (F, classes)
    return x3, Cache(images, x1, winner1, p1, x2, winner2, p2)
