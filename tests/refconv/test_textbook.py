# ruff: noqa: E741  (I is the image of the equations)
"""The two derivations against the general operators and against torch.

Inputs are small integers in float64, so that every sum is exact and agreement is bit for bit.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

import refconv
from agreement import same_sum
from refconv import textbook
from refconv.textbook import bank, correlation, layer, network, pooling

Array = NDArray[Any]

SIZES = [(5, 7, 2, 3), (6, 4, 3, 1), (4, 9, 4, 2), (3, 3, 3, 3), (7, 5, 1, 1)]  # H, W, k1, k2
SQUARE = [(5, 7, 3), (6, 4, 2), (4, 4, 4), (3, 5, 1)]  # n_H_prev, n_W_prev, f


def integers(*shape: int, seed: int = 0) -> Array:
    """Integers -9 .. 9 in float64, another draw for every shape."""
    return np.random.default_rng([seed, *shape]).integers(-9, 10, shape).astype(np.float64)


def same(ours: Array, *others: Array | torch.Tensor) -> None:
    """All are the same sums: see `agreement`."""
    assert np.any(ours), "a comparison of zeros proves nothing"
    for other in others:
        assert same_sum(ours, np.asarray(other))


def leaf(a: Array) -> torch.Tensor:
    return torch.tensor(a, requires_grad=True)


def conv(x: Array, w: Array, **options: Any) -> Array:
    """The operator under study on one channel."""
    return np.asarray(refconv.conv(x[None, None], w[None, None], **options))[0, 0]


def torch_conv(x: torch.Tensor, w: torch.Tensor, **options: Any) -> torch.Tensor:
    return F.conv2d(x[None, None], w[None, None], **options)[0, 0]


# --- equations 1 to 3 ---------------------------------------------------------------------------


def check_correlation(H: int, W: int, k1: int, k2: int) -> None:
    I, K = integers(H, W), integers(k1, k2, seed=1)
    same(textbook.cross_correlation(I, K), conv(I, K), torch_conv(leaf(I), leaf(K)).detach())


def check_convolution(H: int, W: int, k1: int, k2: int) -> None:
    I, K = integers(H, W), integers(k1, k2, seed=1)
    by_torch = F.conv_transpose2d(torch.tensor(I)[None, None], torch.tensor(K)[None, None])[0, 0]
    full = textbook.full_convolution(I, K)
    same(full, by_torch)
    same(
        textbook.convolution(I, K),
        textbook.convolution_by_flipping(I, K),
        conv(I, K[::-1, ::-1]),
        by_torch[k1 - 1 : H, k2 - 1 : W],
    )


@pytest.mark.parametrize("sizes", SIZES)
def test_correlation_and_convolution(sizes: tuple[int, int, int, int]) -> None:
    check_correlation(*sizes)
    check_convolution(*sizes)


def test_full_convolution_commutes_and_takes_the_larger_filter() -> None:
    I, K = integers(2, 5), integers(4, 3)
    same(textbook.full_convolution(I, K), textbook.full_convolution(K, I))


def test_the_two_agree_exactly_for_a_filter_equal_to_its_rotation() -> None:
    I, K = integers(6, 5), integers(2, 3)
    symmetric = K + textbook.rot180(K)
    same(textbook.convolution(I, symmetric), textbook.cross_correlation(I, symmetric))
    assert not np.array_equal(textbook.convolution(I, K), textbook.cross_correlation(I, K))


def test_each_output_names_the_tap_it_read() -> None:
    """A one-hot image and powers of two: the output says which filter element met the pixel."""
    I, K = np.zeros((4, 5)), 2.0 ** np.arange(6).reshape(2, 3)
    I[2, 3] = 1
    expected = np.zeros((3, 3))
    expected[1:3, 1:3] = [[32, 16], [4, 2]]
    same(textbook.cross_correlation(I, K), expected)
    expected[1:3, 1:3] = [[1, 2], [8, 16]]
    same(textbook.convolution(I, K), expected)


# --- the notebook -------------------------------------------------------------------------------


def check_notebook(n_H_prev: int, n_W_prev: int, f: int) -> None:
    X, W = integers(n_H_prev, n_W_prev), integers(f, f, seed=1)
    H, cache = textbook.conv_forward(X, W)
    same(H, conv(X, W))
    dH = integers(*H.shape, seed=2)
    dX, dW = textbook.conv_backward(dH, cache)

    x, w = leaf(X), leaf(W)
    gx, gw = torch.autograd.grad(torch_conv(x, w), (x, w), torch.tensor(dH))
    x_shape, w_shape, gy = (1, 1, *X.shape), (1, 1, f, f), dH[None, None]
    same(
        dX,
        gx,
        refconv.conv_grad_input(x_shape, W[None, None], gy)[0, 0],
        textbook.conv_input_gradient(dH, W),
        textbook.full_convolution(dH, W),
    )
    same(
        dW,
        gw,
        refconv.conv_grad_weight(X[None, None], w_shape, gy)[0, 0],
        textbook.conv_filter_gradient(X, dH),
    )


@pytest.mark.parametrize("sizes", SQUARE)
def test_notebook(sizes: tuple[int, int, int]) -> None:
    check_notebook(*sizes)


# --- equations 4 to 8, and the readers' depths and strides --------------------------------------


def check_bank(H: int, W: int, C: int, k1: int, k2: int, D: int) -> None:
    I, K, b = integers(H, W, C), integers(k1, k2, C, D), integers(D)
    x, w = np.ascontiguousarray(I.transpose(2, 0, 1)), np.ascontiguousarray(K.transpose(3, 2, 0, 1))
    out = textbook.bank_forward(I, K, b)
    assert out.shape == (H - k1 + 1, W - k2 + 1, D)
    tx, tw, tb = leaf(x[None]), leaf(w), leaf(b)
    ty = F.conv2d(tx, tw, tb)
    y = out.transpose(2, 0, 1)[None]  # (1, D, i, j)
    same(y, refconv.conv(x[None], w, b), ty.detach())

    delta = integers(*out.shape, seed=1)
    gy = np.ascontiguousarray(delta.transpose(2, 0, 1)[None])
    gx, gw, gb = torch.autograd.grad(ty, (tx, tw, tb), torch.tensor(gy))
    dI, dK, db = textbook.bank_backward(delta, I, K)
    same(dI.transpose(2, 0, 1)[None], gx, refconv.conv_grad_input((1, C, H, W), w, gy))
    same(dK.transpose(3, 2, 0, 1), gw, refconv.conv_grad_weight(x[None], w.shape, gy))
    same(db, gb, refconv.conv_grad_bias(gy))


def test_bank_of_the_readers_question() -> None:
    check_bank(32, 32, 3, 5, 5, 6)


def test_bank_that_is_not_square() -> None:
    check_bank(5, 7, 2, 2, 3, 4)


@pytest.mark.parametrize("sizes", SIZES)
def test_layer_sum_both_ways(sizes: tuple[int, int, int, int]) -> None:
    H, W, k1, k2 = sizes
    o, w = integers(H, W), integers(k1, k2, seed=1)
    same(
        textbook.layer_sum(o, w, 3.0),
        textbook.layer_sum_by_convolution(o, w, 3.0),
        conv(o, w, bias=np.array([3.0])),
    )


def check_strided(H: int, W: int, k1: int, k2: int, s: int) -> None:
    o, w = integers(H, W), integers(k1, k2, seed=1)
    to, tw, tb = leaf(o), leaf(w), leaf(np.array([3.0]))
    tx = torch_conv(to, tw, bias=tb, stride=s)
    x = textbook.strided_forward(o, w, 3.0, s)
    same(x, tx.detach(), conv(o, w, bias=np.array([3.0]), stride=s))

    delta = integers(*x.shape, seed=2) + 10
    gx, gw, gb = torch.autograd.grad(tx, (to, tw, tb), torch.tensor(delta))
    do, dw, db = textbook.strided_backward(delta, o, w, s)
    gy = delta[None, None]
    same(do, gx, refconv.conv_grad_input((1, 1, H, W), w[None, None], gy, stride=s)[0, 0])
    weight_shape = (1, 1, k1, k2)
    same(dw, gw, refconv.conv_grad_weight(o[None, None], weight_shape, gy, stride=s)[0, 0])
    same(np.array([db]), gb)


@pytest.mark.parametrize("s", [1, 2, 3])
@pytest.mark.parametrize("sizes", SIZES)
def test_strided(sizes: tuple[int, int, int, int], s: int) -> None:
    check_strided(*sizes, s)


# --- equations 9 to 22 --------------------------------------------------------------------------


def check_filter_gradient(H: int, W: int, k1: int, k2: int) -> None:
    o, w, delta = integers(H, W), leaf(integers(k1, k2)), integers(H - k1 + 1, W - k2 + 1) + 1
    b = leaf(np.zeros(1))
    gw, gb = torch.autograd.grad(
        torch_conv(torch.tensor(o), w, bias=b), (w, b), torch.tensor(delta)
    )
    gy = delta[None, None]
    same(
        textbook.dE_dw(delta, o),
        textbook.dE_dw_by_convolution(delta, o),
        gw,
        refconv.conv_grad_weight(o[None, None], (1, 1, k1, k2), gy)[0, 0],
    )
    same(np.array([textbook.dE_db(delta)]), gb, refconv.conv_grad_bias(gy))


def check_delta(H: int, W: int, k1: int, k2: int) -> None:
    x, w, delta = integers(H, W), integers(k1, k2), integers(H - k1 + 1, W - k2 + 1, seed=1)
    tx = leaf(x)
    (gx,) = torch.autograd.grad(torch_conv(tx.relu(), torch.tensor(w)), tx, torch.tensor(delta))
    go = refconv.conv_grad_input((1, 1, H, W), w[None, None], delta[None, None])[0, 0]
    same(
        textbook.delta_by_taps(delta, w, x) + 0.0,  # -0.0 where f' = 0 and torch has 0.0
        textbook.delta_over_Q(delta, w, x) + 0.0,
        textbook.delta_by_rot180(delta, w, x) + 0.0,
        gx + 0.0,
        go * (x > 0) + 0.0,
    )


@pytest.mark.parametrize("sizes", SIZES)
def test_gradients_of_a_layer(sizes: tuple[int, int, int, int]) -> None:
    check_filter_gradient(*sizes)
    check_delta(*sizes)


@pytest.mark.parametrize("sizes", SIZES)
def test_dx_dw_is_the_change_that_one_weight_makes(sizes: tuple[int, int, int, int]) -> None:
    H, W, k1, k2 = sizes
    o, w = integers(H, W), integers(k1, k2)
    for m, n in np.ndindex(k1, k2):
        more = w.copy()
        more[m, n] += 1
        change = textbook.layer_sum(o, more, 0.0) - textbook.layer_sum(o, w, 0.0)
        np.testing.assert_array_equal(textbook.dx_dw(o, (k1, k2), m, n), change, strict=True)


@pytest.mark.parametrize("sizes", SIZES)
def test_region_Q_is_what_one_pixel_touches(sizes: tuple[int, int, int, int]) -> None:
    H, W, k1, k2 = sizes
    for i, j in np.ndindex(H, W):
        pixel = np.zeros((H, W))
        pixel[i, j] = 1
        touched = conv(pixel, np.ones((k1, k2)))
        expected = np.zeros(touched.shape)
        expected[textbook.region_Q(i, j, (k1, k2), touched.shape)] = 1
        same(touched, expected)


def test_region_Q_corners_away_from_the_border() -> None:
    rows, columns = textbook.region_Q(5, 6, (3, 2), (8, 9))
    assert (rows.start, columns.start) == (5 - 3 + 1, 6 - 2 + 1)
    assert (rows.stop - 1, columns.stop - 1) == (5, 6)


def check_error() -> None:
    t, x = integers(4, 5), leaf(integers(4, 5, seed=1))
    E = 0.5 * ((torch.tensor(t) - x.relu()) ** 2).sum()
    (delta,) = torch.autograd.grad(E, x)
    assert textbook.squared_error(t, textbook.relu(x.detach().numpy())) == E.item()
    same(textbook.output_delta(t, x.detach().numpy()), delta)


def test_error_and_output_delta() -> None:
    check_error()


def test_relu_and_its_slope_at_the_kink() -> None:
    x = leaf(np.array([-2.0, 0.0, 3.0]))
    y = x.relu()
    y.sum().backward()
    same(textbook.relu(x.detach().numpy()), y.detach())
    same(textbook.relu_prime(x.detach().numpy()) * 1.0, x.grad)


# --- pooling ------------------------------------------------------------------------------------


def check_pool_max(h: int, w: int, N: int) -> None:
    x, dy = integers(N * h, N * w), integers(h, w, seed=1)
    tx = leaf(x)
    ty = F.max_pool2d(tx[None, None], N)[0, 0]
    y, winner = textbook.pool_max(x, N)
    gx, indices = torch.autograd.grad(ty, tx, torch.tensor(dy))[0], _flat(winner, N)
    ours, our_indices = refconv.max_pool(x[None, None], N, return_indices=True)
    same(y, ty.detach(), ours[0, 0])
    np.testing.assert_array_equal(indices, our_indices[0, 0])
    same(
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
    same(textbook.pool_average(x, N), ty.detach(), refconv.avg_pool(x[None, None], N)[0, 0])
    same(
        textbook.pool_average_backward(dy, N),
        gx,
        refconv.avg_pool_grad((1, 1, *x.shape), dy[None, None], N)[0, 0],
    )


@pytest.mark.parametrize("sizes", [(2, 3, 2), (3, 2, 3), (1, 4, 2), (2, 5, 1)])
def test_pool_max_and_average(sizes: tuple[int, int, int]) -> None:
    check_pool_max(*sizes)
    check_pool_average(*sizes)


def test_pool_max_gives_a_tie_to_the_first() -> None:
    _, winner = textbook.pool_max(np.ones((4, 6)), 2)
    assert not winner.any()


def check_pool_l2() -> None:
    """Blocks whose norms are integers and whose gradients are dyadic: exact again."""
    x = np.array([[4.0, -4.0, 2.0, 2.0], [4.0, 4.0, -2.0, 2.0]])
    tx, dy = leaf(x), np.array([[2.0, 3.0]])
    ty = F.lp_pool2d(tx[None, None], 2, 2)[0, 0]
    (gx,) = torch.autograd.grad(ty, tx, torch.tensor(dy))
    same(textbook.pool_l2(x, 2), ty.detach(), np.array([[8.0, 4.0]]))
    same(textbook.pool_l2_backward(dy, x, 2), gx)


def test_pool_l2() -> None:
    check_pool_l2()
    x = leaf(np.random.default_rng(0).standard_normal((6, 9)))
    dy = integers(2, 3)
    y = F.lp_pool2d(x[None, None], 2, 3)[0, 0]
    (gx,) = torch.autograd.grad(y, x, torch.tensor(dy))
    a = x.detach().numpy()
    np.testing.assert_allclose(textbook.pool_l2(a, 3), y.detach(), rtol=1e-14)
    np.testing.assert_allclose(textbook.pool_l2_backward(dy, a, 3), gx, rtol=1e-13)


def test_pool_l2_of_zeros_is_a_kink_with_slope_zero() -> None:
    assert not textbook.pool_l2_backward(np.ones((1, 1)), np.zeros((2, 2)), 2).any()


def check_through_pool_max() -> None:
    N, x, w = 2, integers(8, 10), integers(2, 3)
    tx = leaf(x)
    p = F.max_pool2d(tx.relu()[None, None], N)
    out = F.conv2d(p, torch.tensor(w)[None, None])[0, 0]
    delta = integers(*out.shape, seed=1)
    (gx,) = torch.autograd.grad(out, tx, torch.tensor(delta))
    _, winner = textbook.pool_max(textbook.relu(x), N)
    same(textbook.delta_through_pool_max(delta, w, winner, N, x) + 0.0, gx + 0.0)


def test_back_through_max_pooling_to_the_layer_before() -> None:
    check_through_pool_max()


# --- dtypes and layouts -------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.float32, np.float64])
def test_dtype_of_the_product(dtype: type) -> None:
    a, w = integers(5, 6).astype(dtype), integers(2, 2).astype(dtype)
    H, cache = textbook.conv_forward(a, w)
    dX, dW = textbook.conv_backward(H, cache)
    results = [H, dX, dW, textbook.convolution(a, w), textbook.delta_over_Q(H, w, a)]
    results += [textbook.dE_dw(H, a), textbook.pool_max(a[:4], 2)[0]]
    assert {result.dtype for result in results} == {np.dtype(dtype)}


def test_non_contiguous_input_gives_the_same() -> None:
    a, w = integers(12, 5), integers(3, 4)
    same(textbook.convolution(a.T[:, ::2], w), textbook.convolution(a.T[:, ::2].copy(), w))
    same(textbook.pool_max(a.T[:4, ::2], 2)[0], textbook.pool_max(a.T[:4, ::2].copy(), 2)[0])


# --- the network --------------------------------------------------------------------------------


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
    same(x3, scores.detach())
    gradients = torch.autograd.grad(scores, leaves, torch.tensor(delta3))
    for ours, other in zip(network.backward(theta, cache, delta3), gradients, strict=True):
        same(ours + 0.0, other + 0.0)


@pytest.mark.parametrize("draw", [signs, integers])
def test_network_exactly(draw: Callable[..., Array]) -> None:
    check_network_exactly(draw)


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


def test_cross_entropy() -> None:
    check_cross_entropy()


def test_cross_entropy_of_huge_scores_does_not_overflow() -> None:
    E, delta3 = network.cross_entropy(np.array([[1e4, 0.0], [0.0, 1e4]]), [0, 0])
    assert E == 5000.0
    np.testing.assert_array_equal(delta3, [[0.0, 0.0], [-0.5, 0.5]])


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


def no_flip(w: Array) -> Array:
    return np.asarray(w)


def transposed(w: Array) -> Array:
    return np.asarray(w)[:, ::-1]


def slope_forgotten(x: Array) -> Array:
    return np.ones(np.shape(x), bool)


def slope_at_the_kink(x: Array) -> Array:
    return np.asarray(x) >= 0


def bias_over_wrong_axes(gy: Array) -> Array:
    return np.asarray(gy.sum((0, 1, 2))[: gy.shape[1]])


def winners_of_the_last(x: Array, k: int, return_indices: bool) -> Any:
    y, indices = refconv.max_pool(x[:, :, ::-1, ::-1], k, return_indices=return_indices)
    return y[:, :, ::-1, ::-1], (x.shape[2] * x.shape[3] - 1 - indices)[:, :, ::-1, ::-1].copy()


def gradient_times_1001_per_mille(*arguments: Any, **options: Any) -> Array:
    return np.asarray(refconv.conv_grad_weight(*arguments, **options) * 1.001)


def unscattered(blocks: Array, N: int) -> Array:
    h, w, _ = blocks.shape
    return blocks.reshape(h * N, w * N)


def check_layers() -> None:
    check_filter_gradient(5, 7, 2, 3)
    check_delta(5, 7, 2, 3)


def check_pools() -> None:
    check_pool_max(2, 3, 2)
    check_pool_average(2, 3, 2)


PLANTED = [
    (correlation, "rot180", no_flip, lambda: check_convolution(5, 7, 2, 3)),
    (correlation, "rot180", no_flip, lambda: check_notebook(5, 7, 3)),
    (correlation, "rot180", transposed, lambda: check_notebook(5, 7, 3)),
    (layer, "rot180", no_flip, check_layers),
    (layer, "relu_prime", slope_forgotten, check_layers),
    (layer, "relu_prime", slope_at_the_kink, check_layers),
    (
        layer,
        "full_convolution",
        lambda d, w: correlation.full_convolution(d, w[::-1]),
        check_layers,
    ),
    (bank, "dE_dw", lambda d, o: layer.dE_dw(d[::-1], o), lambda: check_strided(7, 5, 2, 2, 2)),
    (pooling, "_unblocks", unscattered, check_pools),
    (pooling, "relu_prime", slope_forgotten, check_through_pool_max),
    (pooling, "full_convolution", lambda d, w: np.pad(d, ((1, 0), (2, 0))), check_through_pool_max),
    (network, "relu_prime", slope_forgotten, check_network_exactly),
    (network, "conv_grad_bias", bias_over_wrong_axes, check_network_exactly),
    (network, "conv_grad_weight", gradient_times_1001_per_mille, check_network_exactly),
    (
        network,
        "conv_grad_weight",
        gradient_times_1001_per_mille,
        check_network_by_finite_differences,
    ),
    (network, "max_pool", winners_of_the_last, check_network_exactly),
    (network, "relu_prime", slope_forgotten, check_network_by_finite_differences),
]


@pytest.mark.parametrize(("module", "name", "bug", "check"), PLANTED)
def test_planted_bug_is_caught(
    monkeypatch: pytest.MonkeyPatch,
    module: Any,
    name: str,
    bug: Callable[..., Any],
    check: Callable[[], None],
) -> None:
    check()
    monkeypatch.setattr(module, name, bug)
    with pytest.raises(AssertionError):
        check()


# --- errors -------------------------------------------------------------------------------------

X, W = np.ones((4, 5)), np.ones((2, 2))
THETA = parameters(normal)

BAD = [
    (lambda: textbook.rot180(np.ones(3)), r"w .*\(k1, k2\), got shape \(3,\)"),
    (lambda: textbook.cross_correlation(np.ones((2, 2, 2)), W), r"I .*got shape \(2, 2, 2\)"),
    (lambda: textbook.cross_correlation(X, np.ones((5, 1))), r"K must fit inside I .*\(5, 1\)"),
    (lambda: textbook.convolution(X, np.ones((1, 6))), r"K must fit inside I .*\(1, 6\)"),
    (lambda: textbook.convolution_by_flipping(X, 3.0), r"K .*got shape \(\)"),
    (lambda: textbook.full_convolution(np.ones((0, 2)), W), r"I must be a non-empty .*\(0, 2\)"),
    (lambda: textbook.conv_forward(X, np.ones((2, 3))), r"W must have shape \(2, 2\).*\(2, 3\)"),
    (
        lambda: textbook.conv_backward(X, textbook.conv_forward(X, W)[1]),
        r"dH must have shape \(3, 4\), got \(4, 5\)",
    ),
    (lambda: textbook.conv_filter_gradient(W, X), r"dH must fit inside X"),
    (lambda: textbook.conv_input_gradient(X, np.ones((2, 1))), r"W must have shape \(2, 2\)"),
    (
        lambda: textbook.bank_forward(np.ones((4, 5, 3)), np.ones((2, 2, 2, 6)), np.ones(6)),
        r"K must have shape \(2, 2, 3, 6\), got \(2, 2, 2, 6\)",
    ),
    (
        lambda: textbook.bank_forward(np.ones((4, 5, 3)), np.ones((2, 2, 3, 6)), np.ones(3)),
        r"b must have shape \(6,\), got \(3,\)",
    ),
    (
        lambda: textbook.bank_forward(np.ones((4, 5, 3)), np.ones((5, 2, 3, 6)), np.ones(6)),
        r"K must fit inside I of shape \(4, 5\), got shape \(5, 2\)",
    ),
    (
        lambda: textbook.bank_backward(
            np.ones((3, 4, 5)), np.ones((4, 5, 3)), np.ones((2, 2, 3, 6))
        ),
        r"delta must have shape \(3, 4, 6\), got \(3, 4, 5\)",
    ),
    (lambda: textbook.layer_sum(W, X, 0.0), r"w must fit inside o"),
    (lambda: textbook.layer_sum_by_convolution(W, X, 0.0), r"w must fit inside o"),
    (lambda: textbook.strided_forward(X, W, 0.0, 0), r"s must be at least 1, got 0"),
    (lambda: textbook.strided_backward(X, X, W, 2), r"delta must have shape \(2, 2\)"),
    (lambda: textbook.squared_error(X, W), r"t must have shape \(2, 2\), got \(4, 5\)"),
    (lambda: textbook.output_delta(X, W), r"t must have shape \(2, 2\), got \(4, 5\)"),
    (lambda: textbook.dx_dw(X, (2, 2), 2, 0), r"\(m, n\) must lie inside .*got \(2, 0\)"),
    (lambda: textbook.dE_dw(X, W), r"delta must fit inside o"),
    (lambda: textbook.dE_dw_by_convolution(X, W), r"delta must fit inside o"),
    (lambda: textbook.dE_db([1, 2]), r"delta .*got shape \(2,\)"),
    (lambda: textbook.region_Q(-1, 0, (2, 2), (3, 4)), r"\(i, j\) must lie inside .*\(-1, 0\)"),
    (lambda: textbook.delta_over_Q(X, W, X), r"delta must have shape \(3, 4\)"),
    (lambda: textbook.delta_by_taps(X, W, X), r"delta must have shape \(3, 4\)"),
    (lambda: textbook.delta_by_rot180(X, X, W), r"w must fit inside x"),
    (lambda: textbook.pool_max(X, 2), r"N must divide both sizes of x \(4, 5\), got 2"),
    (lambda: textbook.pool_average(X, 0), r"N must be at least 1, got 0"),
    (lambda: textbook.pool_l2(np.ones(4), 2), r"x .*got shape \(4,\)"),
    (
        lambda: textbook.pool_max_backward(W, np.full((2, 2), 4), 2),
        r"winner must lie in 0 .. 3, got 4",
    ),
    (lambda: textbook.pool_max_backward(X, W, 2), r"winner must have shape \(4, 5\)"),
    (lambda: textbook.pool_average_backward(X, -1), r"N must be at least 1, got -1"),
    (lambda: textbook.pool_l2_backward(X, np.ones((4, 4)), 2), r"dy must have shape \(2, 2\)"),
    (
        lambda: textbook.delta_through_pool_max(X, W, np.zeros((4, 5)), 2, np.ones((8, 10))),
        r"delta must have shape \(3, 4\), got \(4, 5\)",
    ),
    (
        lambda: textbook.delta_through_pool_max(np.ones((3, 4)), W, np.zeros((4, 5)), 2, X),
        r"x must have shape \(8, 10\), got \(4, 5\)",
    ),
    (lambda: network.forward(THETA, np.ones((1, 2, 12, 4))), r"w3 must have shape \(4, 6\)"),
    (
        lambda: network.forward(THETA._replace(w1=np.ones((3, 2, 2, 2))), np.ones((1, 2, 8, 4))),
        r"w1 must hold square filters of odd size, got shape \(3, 2, 2, 2\)",
    ),
    (lambda: network.cross_entropy(W, [0, 2]), r"labels must lie in 0 .. 1, got 0 .. 2"),
    (lambda: network.cross_entropy(W, [0, 1, 0]), r"labels must have shape \(2,\), got \(3,\)"),
]


@pytest.mark.parametrize(("call", "message"), BAD)
def test_bad_input_is_named(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
