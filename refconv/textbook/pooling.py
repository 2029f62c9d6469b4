"""Pooling N x N blocks to one value each, and routing the gradient back: [J], Pooling Layer."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from refconv.textbook.arguments import (
    Array,
    as_array,
    as_floats,
    as_image_and_filter,
    as_integer,
    expect_room,
    expect_shape,
    short,
)
from refconv.textbook.correlation import full_convolution
from refconv.textbook.layer import relu_prime


def pool_max(x: ArrayLike, N: int) -> tuple[Array, Array]:
    """y[i, j] = max of block (i, j), and its winning unit.

    The winner is an index 0 .. N * N - 1 along the rows of its block, the first one of a tie.
    x (H, W), N divides both -> y (H / N, W / N), winner the same shape, integers.
    Letters: x N -> y winner | x k -> y - | input kernel_size -> output -.
    Source: [J], its Pooling Layer: the index of the "winning unit" is noted.

    >>> y, winner = pool_max([[1, 2, 5, 5], [4, 3, 5, 5]], 2)
    >>> y.tolist(), winner.tolist()
    ([[4, 5]], [[2, 0]])
    """
    blocks = _blocks(x, N)
    return blocks.max(-1), blocks.argmax(-1)


def pool_max_backward(dy: ArrayLike, winner: ArrayLike, N: int) -> Array:
    """dE/dx: the error of a block goes to the unit that won it, the others get zero.

    dy and winner (h, w) -> (N h, N w).
    Letters: dy winner N -> dE/dx | gy - k -> gx | grad_output - kernel_size -> grad_input.
    Source: [J], its Pooling Layer: max-pooling.

    >>> pool_max_backward([[7, 8]], [[2, 0]], 2).tolist()
    [[0, 0, 8, 0], [7, 0, 0, 0]]
    """
    N, dy = as_integer("N", N, 1), as_array("dy", dy, "h w")
    winner = _winner(winner, N)
    expect_shape("winner", winner, dy.shape)
    _expect_room(dy, N)
    return _unblocks(np.where(np.arange(N * N) == winner[:, :, None], dy[:, :, None], 0), N)


def pool_average(x: ArrayLike, N: int) -> Array:
    """y[i, j] = 1 / (N * N) times the sum of block (i, j).

    x (H, W), N divides both -> (H / N, W / N).
    Letters: x N -> y | x k -> y | input kernel_size -> output.
    Source: [J], its Pooling Layer: average pooling.

    >>> pool_average([[1, 2, 5, 5], [4, 3, 5, 5]], 2).tolist()
    [[2.5, 5.0]]
    """
    return np.asarray(as_floats(_blocks(x, N)).sum(-1) / (N * N))


def pool_average_backward(dy: ArrayLike, N: int) -> Array:
    """dE/dx: every unit of a block gets 1 / (N * N) of its error.

    dy (h, w) -> (N h, N w).
    Letters: dy N -> dE/dx | gy k -> gx | grad_output kernel_size -> grad_input.
    Source: [J], its Pooling Layer: average pooling.

    >>> pool_average_backward([[4, 8]], 2).tolist()
    [[1.0, 1.0, 2.0, 2.0], [1.0, 1.0, 2.0, 2.0]]
    """
    N, dy = as_integer("N", N, 1), as_array("dy", dy, "h w")
    _expect_room(dy, N)
    share = dy / (N * N)
    return _unblocks(np.repeat(share[:, :, None], N * N, axis=-1), N)


def pool_l2(x: ArrayLike, N: int) -> Array:
    """y[i, j] = sqrt of the sum of squares of block (i, j).

    x (H, W), N divides both -> (H / N, W / N).
    Letters: x N -> y | x k -> y | input kernel_size -> output.
    Source: [J], its Pooling Layer: L2-norm pooling.

    >>> pool_l2([[3, 0, 1, 1], [0, 4, 1, 1]], 2).tolist()
    [[5.0, 2.0]]
    """
    return np.asarray(np.sqrt((as_floats(_blocks(x, N)) ** 2).sum(-1)))


def pool_l2_backward(dy: ArrayLike, x: ArrayLike, N: int) -> Array:
    """dE/dx = dy x / y: a unit answers for its share of the norm; 0 in a block of zeros.

    From y^2 = sum x^2, hence y dy/dx = x.  In a block of zeros the norm has a kink, and zero is
    one of its subgradients.
    dy (h, w), x (N h, N w) -> (N h, N w).
    Letters: dy x N -> dE/dx | gy x k -> gx | grad_output input kernel_size -> grad_input.
    Source: [J], its Pooling Layer, which names L2-norm pooling and leaves its gradient open.

    >>> pool_l2_backward([[10, 1]], [[3, 0, 0, 0], [0, 4, 0, 0]], 2).tolist()
    [[6.0, 0.0, 0.0, 0.0], [0.0, 8.0, 0.0, 0.0]]
    """
    blocks, y, dy = as_floats(_blocks(x, N)), pool_l2(x, N), as_array("dy", dy, "h w")
    expect_shape("dy", dy, y.shape)
    return _unblocks(blocks * (dy / np.where(y == 0, 1, y))[:, :, None], N)


def delta_through_pool_max(
    delta: ArrayLike, w: ArrayLike, winner: ArrayLike, N: int, x: ArrayLike
) -> Array:
    """Back to x, where x -> o = f(x) -> p = max of the blocks of o -> w (x) p + b.

    Three steps, each the gradient of one of those: dE/dp = delta * w over all places, with no f',
    as nothing but the pool stands between; dE/do by routing to the winners; delta = dE/do f'(x).
    (The factor is the slope f'(x), never the activation itself.)
    x (H, W), winner (H / N, W / N), w (k1, k2), delta (H / N - k1 + 1, W / N - k2 + 1) -> (H, W).
    Letters: delta w winner N x -> dE/dx | gy w - k x -> gx
        | grad_output weight - kernel_size input -> grad_input.
    Source: [J] (20) and its Pooling Layer; a reader's question.

    >>> delta_through_pool_max([[1]], [[1, 10]], [[1, 0]], 2, [[0, 3, 2, 0], [0, 0, 0, 0]]).tolist()
    [[0, 1, 10, 0], [0, 0, 0, 0]]
    """
    N = as_integer("N", N, 1)
    winner, w = as_image_and_filter("winner", _winner(winner, N), "w", w)
    delta, x = as_array("delta", delta, "i j"), as_array("x", x, "H W")
    (rows, columns), (k1, k2) = winner.shape, w.shape
    expect_shape("delta", delta, (rows - k1 + 1, columns - k2 + 1))
    expect_shape("x", x, (rows * N, columns * N))
    dE_dp = full_convolution(delta, w)
    return pool_max_backward(dE_dp, winner, N) * relu_prime(x)


def _blocks(x: ArrayLike, N: int) -> Array:
    """(H, W) -> (H / N, W / N, N * N): the N x N blocks, each laid out along its rows."""
    x, N = as_array("x", x, "H W"), as_integer("N", N, 1)
    H, W = x.shape
    if H % N or W % N:
        raise ValueError(f"N must divide both sizes of x {x.shape}, got {short(N)}")
    return x.reshape(H // N, N, W // N, N).swapaxes(1, 2).reshape(H // N, W // N, N * N)


def _unblocks(blocks: Array, N: int) -> Array:
    """(h, w, N * N) -> (N h, N w), the inverse of `_blocks`."""
    h, w, _ = blocks.shape
    return blocks.reshape(h, w, N, N).swapaxes(1, 2).reshape(h * N, w * N)


def _expect_room(dy: Array, N: int) -> None:
    """ValueError unless there is memory for (N h, N w)."""
    expect_room("N", N, (N * dy.shape[0], N * dy.shape[1]), dy.dtype)


def _winner(winner: ArrayLike, N: int) -> Array:
    """Check the winning units (h, w) of N x N blocks."""
    winner = as_array("winner", winner, "h w")
    if winner.dtype.kind != "i":
        raise TypeError(f"winner must hold integers, as pool_max gives them, got {winner.dtype}")
    if winner.min() < 0 or winner.max() >= N * N:
        raise ValueError(
            f"winner must lie in 0 .. {N * N - 1}, got {winner.min()} .. {winner.max()}"
        )
    return winner
