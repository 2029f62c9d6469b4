# ruff: noqa: E741  (I is the image of the equations)
"""What each derivation must be equal to: the general operators and torch, on small integers.

Every sum of integers in float64 is exact, so agreement is bit for bit.  The checks are called by
the tests of the equations, and by those that plant bugs to see that a check fails.
"""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

import refconv
from refconv import textbook
from support.agreement import same_sum

Array = NDArray[Any]

SIZES = [(5, 7, 2, 3), (6, 4, 3, 1), (4, 9, 4, 2), (3, 3, 3, 3), (7, 5, 1, 1)]  # H, W, k1, k2
SQUARE = [(5, 7, 3), (6, 4, 2), (4, 4, 4), (3, 5, 1)]  # n_H_prev, n_W_prev, f


def integers(*shape: int, seed: int = 0) -> Array:
    """Integers -9 .. 9 in float64, another draw for every shape."""
    return np.random.default_rng([seed, *shape]).integers(-9, 10, shape).astype(np.float64)


def assert_same_sums(ours: Any, *others: Array | torch.Tensor) -> None:
    """All are the same sums: see `agreement`."""
    assert np.any(ours), "a comparison of zeros proves nothing"
    for other in others:
        assert same_sum(np.asarray(ours), np.asarray(other))


def leaf(a: Array) -> torch.Tensor:
    return torch.tensor(a, requires_grad=True)


def conv(x: Array, w: Array, **options: Any) -> Array:
    """The operator under study on one channel."""
    return np.asarray(refconv.conv(x[None, None], w[None, None], **options))[0, 0]


def torch_conv(x: torch.Tensor, w: torch.Tensor, **options: Any) -> torch.Tensor:
    return F.conv2d(x[None, None], w[None, None], **options)[0, 0]


def check_correlation(H: int, W: int, k1: int, k2: int) -> None:
    I, K = integers(H, W), integers(k1, k2, seed=1)
    assert_same_sums(
        textbook.cross_correlation(I, K), conv(I, K), torch_conv(leaf(I), leaf(K)).detach()
    )


def check_convolution(H: int, W: int, k1: int, k2: int) -> None:
    I, K = integers(H, W), integers(k1, k2, seed=1)
    by_torch = F.conv_transpose2d(torch.tensor(I)[None, None], torch.tensor(K)[None, None])[0, 0]
    full = textbook.full_convolution(I, K)
    assert_same_sums(full, by_torch)
    assert_same_sums(
        textbook.convolution(I, K),
        textbook.convolution_by_flipping(I, K),
        conv(I, K[::-1, ::-1]),
        by_torch[k1 - 1 : H, k2 - 1 : W],
    )


def check_notebook(n_H_prev: int, n_W_prev: int, f: int) -> None:
    X, W = integers(n_H_prev, n_W_prev), integers(f, f, seed=1)
    H, cache = textbook.conv_forward(X, W)
    assert_same_sums(H, conv(X, W))
    dH = integers(*H.shape, seed=2)
    dX, dW = textbook.conv_backward(dH, cache)

    x, w = leaf(X), leaf(W)
    gx, gw = torch.autograd.grad(torch_conv(x, w), (x, w), torch.tensor(dH))
    x_shape, w_shape, gy = (1, 1, *X.shape), (1, 1, f, f), dH[None, None]
    assert_same_sums(
        dX,
        gx,
        refconv.conv_grad_input(x_shape, W[None, None], gy)[0, 0],
        textbook.conv_input_gradient(dH, W),
        textbook.conv_input_gradient_by_chain(dH, W),
        textbook.full_convolution(dH, W),
    )
    assert_same_sums(
        dW,
        gw,
        refconv.conv_grad_weight(X[None, None], w_shape, gy)[0, 0],
        textbook.conv_filter_gradient(X, dH),
        textbook.conv_filter_gradient_by_chain(X, dH),
    )
    by_x, by_w = torch.autograd.functional.jacobian(torch_conv, (leaf(X), leaf(W)))
    assert_same_sums(textbook.local_gradient_input(X.shape, W), by_x)
    assert_same_sums(textbook.local_gradient_filter(X, f), by_w)
    assert_same_sums(textbook.chain_rule(dH, by_x.numpy()), gx)
    assert_same_sums(textbook.chain_rule(dH, by_w.numpy()), gw)


def check_bank(H: int, W: int, C: int, k1: int, k2: int, D: int) -> None:
    I, K, b = integers(H, W, C), integers(k1, k2, C, D), integers(D)
    x, w = np.ascontiguousarray(I.transpose(2, 0, 1)), np.ascontiguousarray(K.transpose(3, 2, 0, 1))
    out = textbook.bank_forward(I, K, b)
    assert out.shape == (H - k1 + 1, W - k2 + 1, D)
    tx, tw, tb = leaf(x[None]), leaf(w), leaf(b)
    ty = F.conv2d(tx, tw, tb)
    y = out.transpose(2, 0, 1)[None]  # (1, D, i, j)
    assert_same_sums(y, refconv.conv(x[None], w, b), ty.detach())

    delta = integers(*out.shape, seed=1)
    gy = np.ascontiguousarray(delta.transpose(2, 0, 1)[None])
    gx, gw, gb = torch.autograd.grad(ty, (tx, tw, tb), torch.tensor(gy))
    dI, dK, db = textbook.bank_backward(delta, I, K)
    assert_same_sums(dI.transpose(2, 0, 1)[None], gx, refconv.conv_grad_input((1, C, H, W), w, gy))
    assert_same_sums(dK.transpose(3, 2, 0, 1), gw, refconv.conv_grad_weight(x[None], w.shape, gy))
    assert_same_sums(db, gb, refconv.conv_grad_bias(gy))


def check_strided(H: int, W: int, k1: int, k2: int, s: int) -> None:
    o, w = integers(H, W), integers(k1, k2, seed=1)
    to, tw, tb = leaf(o), leaf(w), leaf(np.array([3.0]))
    tx = torch_conv(to, tw, bias=tb, stride=s)
    x = textbook.strided_forward(o, w, 3.0, s)
    assert_same_sums(x, tx.detach(), conv(o, w, bias=np.array([3.0]), stride=s))

    delta = integers(*x.shape, seed=2) + 10
    gx, gw, gb = torch.autograd.grad(tx, (to, tw, tb), torch.tensor(delta))
    do, dw, db = textbook.strided_backward(delta, o, w, s)
    gy = delta[None, None]
    assert_same_sums(
        do, gx, refconv.conv_grad_input((1, 1, H, W), w[None, None], gy, stride=s)[0, 0]
    )
    weight_shape = (1, 1, k1, k2)
    assert_same_sums(
        dw, gw, refconv.conv_grad_weight(o[None, None], weight_shape, gy, stride=s)[0, 0]
    )
    assert_same_sums(np.array([db]), gb)


def check_filter_gradient(H: int, W: int, k1: int, k2: int) -> None:
    o, w, delta = integers(H, W), leaf(integers(k1, k2)), integers(H - k1 + 1, W - k2 + 1) + 1
    b = leaf(np.zeros(1))
    gw, gb = torch.autograd.grad(
        torch_conv(torch.tensor(o), w, bias=b), (w, b), torch.tensor(delta)
    )
    gy = delta[None, None]
    assert_same_sums(
        textbook.dE_dw(delta, o),
        textbook.dE_dw_by_convolution(delta, o),
        gw,
        refconv.conv_grad_weight(o[None, None], (1, 1, k1, k2), gy)[0, 0],
    )
    assert_same_sums(np.array([textbook.dE_db(delta)]), gb, refconv.conv_grad_bias(gy))


def check_delta(H: int, W: int, k1: int, k2: int) -> None:
    x, w, delta = integers(H, W), integers(k1, k2), integers(H - k1 + 1, W - k2 + 1, seed=1)
    tx = leaf(x)
    (gx,) = torch.autograd.grad(torch_conv(tx.relu(), torch.tensor(w)), tx, torch.tensor(delta))
    go = refconv.conv_grad_input((1, 1, H, W), w[None, None], delta[None, None])[0, 0]
    assert_same_sums(
        textbook.delta_by_taps(delta, w, x),
        textbook.delta_over_Q(delta, w, x),
        textbook.delta_over_mn(delta, w, x),
        textbook.delta_by_flipped_taps(delta, w, x),
        textbook.delta_by_rot180(delta, w, x),
        gx,
        go * (x > 0),
    )


def check_error() -> None:
    t, x = integers(4, 5), leaf(integers(4, 5, seed=1))
    E = 0.5 * ((torch.tensor(t) - x.relu()) ** 2).sum()
    (delta,) = torch.autograd.grad(E, x)
    assert textbook.squared_error(t, textbook.relu(x.detach().numpy())) == E.item()
    assert_same_sums(textbook.output_delta(t, x.detach().numpy()), delta)


def check_pool_max(h: int, w: int, N: int) -> None:
    x, dy = integers(N * h, N * w), integers(h, w, seed=1)
    tx = leaf(x)
    ty = F.max_pool2d(tx[None, None], N)[0, 0]
    y, winner = textbook.pool_max(x, N)
    gx, indices = torch.autograd.grad(ty, tx, torch.tensor(dy))[0], _flat(winner, N)
    ours, our_indices = refconv.max_pool(x[None, None], N, return_indices=True)
    assert_same_sums(y, ty.detach(), ours[0, 0])
    np.testing.assert_array_equal(indices, our_indices[0, 0])
    assert_same_sums(
        textbook.pool_max_backward(dy, winner, N),
        gx,
        refconv.max_pool_grad((1, 1, *x.shape), our_indices, dy[None, None], N)[0, 0],
    )


def _flat(winner: Array, N: int) -> Array:
    """Indices in the block -> indices in the image, as the operators count them."""
    h, w = winner.shape
    i, j = np.ogrid[:h, :w]
    return (i * N + winner // N) * (w * N) + j * N + winner % N


def check_pool_average(h: int, w: int, N: int) -> None:
    x, dy = integers(N * h, N * w), integers(h, w, seed=1)
    tx = leaf(x)
    ty = F.avg_pool2d(tx[None, None], N)[0, 0]
    (gx,) = torch.autograd.grad(ty, tx, torch.tensor(dy))
    assert_same_sums(
        textbook.pool_average(x, N), ty.detach(), refconv.avg_pool(x[None, None], N)[0, 0]
    )
    assert_same_sums(
        textbook.pool_average_backward(dy, N),
        gx,
        refconv.avg_pool_grad((1, 1, *x.shape), dy[None, None], N)[0, 0],
    )


def check_pool_l2() -> None:
    """Blocks whose norms are integers and whose gradients are dyadic: exact again."""
    x = np.array([[4.0, -4.0, 2.0, 2.0], [4.0, 4.0, -2.0, 2.0]])
    tx, dy = leaf(x), np.array([[2.0, 3.0]])
    ty = F.lp_pool2d(tx[None, None], 2, 2)[0, 0]
    (gx,) = torch.autograd.grad(ty, tx, torch.tensor(dy))
    assert_same_sums(textbook.pool_l2(x, 2), ty.detach(), np.array([[8.0, 4.0]]))
    assert_same_sums(textbook.pool_l2_backward(dy, x, 2), gx)


def check_through_pool_max() -> None:
    N, x, w = 2, integers(8, 10), integers(2, 3)
    tx = leaf(x)
    p = F.max_pool2d(tx.relu()[None, None], N)
    out = F.conv2d(p, torch.tensor(w)[None, None])[0, 0]
    delta = integers(*out.shape, seed=1)
    (gx,) = torch.autograd.grad(out, tx, torch.tensor(delta))
    _, winner = textbook.pool_max(textbook.relu(x), N)
    assert_same_sums(textbook.delta_through_pool_max(delta, w, winner, N, x), gx)


def check_layer_sum(H: int, W: int, k1: int, k2: int) -> None:
    o, w = integers(H, W), integers(k1, k2, seed=1)
    assert_same_sums(
        textbook.layer_sum(o, w, 3.0),
        textbook.layer_sum_by_convolution(o, w, 3.0),
        textbook.grayscale_forward(o, w, 3.0),
        conv(o, w, bias=np.array([3.0])),
        torch_conv(leaf(o), leaf(w), bias=torch.tensor([3.0], dtype=torch.float64)).detach(),
    )


def check_layers() -> None:
    """Two layers, whose filters do not have one size, through torch."""
    o, w1, w2 = integers(6, 7), integers(2, 3), integers(3, 2)
    one, two = torch.tensor([4.0]).double(), torch.tensor([-5.0]).double()
    x1 = torch_conv(torch.tensor(o), torch.tensor(w1), bias=one)
    x2 = torch_conv(x1.relu(), torch.tensor(w2), bias=two)
    assert_same_sums(textbook.layers_forward(o, [w1, w2], [4.0, -5.0]), x2.relu())


def check_filter_gradient_by_parts(H: int, W: int, k1: int, k2: int) -> None:
    """(10) to (12), weight by weight: torch's Jacobian for the parts, its gradient for the sum."""
    o, w, delta = integers(H, W), integers(k1, k2), integers(H - k1 + 1, W - k2 + 1) + 1
    tw = leaf(w)
    jacobian = torch.autograd.functional.jacobian(lambda w: torch_conv(torch.tensor(o), w), tw)
    (gw,) = torch.autograd.grad(torch_conv(torch.tensor(o), tw), tw, torch.tensor(delta))
    for m, n in np.ndindex(k1, k2):
        dx = textbook.dx_dw(o, (k1, k2), m, n)
        assert_same_sums(dx, textbook.dx_dw_by_difference(o, w, m, n), jacobian[:, :, m, n])
        assert_same_sums(textbook.dE_dw_by_chain(delta, dx), gw[m, n])


def check_local_gradients(H: int, W: int, k1: int, k2: int) -> None:
    """(18) and (19), pixel by pixel, against torch's Jacobian; no pixel lies on the kink."""
    x, w = integers(H, W) + 0.5, integers(k1, k2) + 10
    jacobian = torch.autograd.functional.jacobian(
        lambda x: torch_conv(x.relu(), torch.tensor(w)), leaf(x)
    )
    locals_ = np.zeros(jacobian.shape)
    differences = np.zeros(jacobian.shape)
    for i, j in np.ndindex(H, W):
        locals_[:, :, i, j] = textbook.dx_dx(w, x, i, j)
        differences[:, :, i, j] = textbook.dx_dx_by_difference(w, x, i, j)
    assert_same_sums(locals_, differences, jacobian)


def check_delta_by_its_definition() -> None:
    """(15) through a filter and an activation: on dyadic numbers the quotient has no rounding."""
    x, w, t = integers(4, 5) + 0.5, integers(2, 3), integers(3, 3)

    def error(x: Array) -> float:
        return textbook.squared_error(t, textbook.layer_sum(textbook.relu(x), w, 0.25))

    tx, b = leaf(x), torch.tensor([0.25], dtype=torch.float64)
    E = 0.5 * ((torch.tensor(t) - torch_conv(tx.relu(), torch.tensor(w), bias=b)) ** 2).sum()
    (gx,) = torch.autograd.grad(E, tx)
    assert_same_sums(textbook.delta_by_difference(error, x, h=2.0**-8), gx)
    by_default = textbook.delta_by_difference(error, x)
    np.testing.assert_allclose(by_default, gx, rtol=1e-7, atol=1e-6)
