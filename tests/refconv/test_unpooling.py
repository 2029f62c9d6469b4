"""Unpooling against its definition, torch, the oracle and algebra."""

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch.nn import functional

import refconv
from refconv import direct, exact
from refconv.engine import planes
from support.agreement import same, same_sum
from support.arrays import LAYOUTS, laid_out, plain
from support.refusals import Bad, fails_alike, zeros
from support.strategies import COMPLEX, FLOATS, INTEGERS, LINEAR, integers_in

Array = NDArray[Any]
UNPOOLS: tuple[Any, ...] = (
    functional.max_unpool1d,
    functional.max_unpool2d,
    functional.max_unpool3d,
)


@pytest.fixture(params=["usual tiles", "tiny tiles"])
def tiles(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "tiny tiles":
        monkeypatch.setattr(planes, "TILE_BYTES", 64)


@dataclass(frozen=True)
class UnpoolCase:
    """The arguments of one unpooling, batched, with integer-valued data."""

    x: Array
    indices: Array
    window: tuple[Any, ...]  # kernel_size, stride, padding, output_size
    rng: np.random.Generator

    @property
    def y_shape(self) -> tuple[int, ...]:
        return (*self.x.shape[:2], *self.window[3])

    def like(self, shape: tuple[int, ...]) -> Array:
        return integers_in(self.rng, shape, self.x.dtype, 3)


@st.composite
def cases(
    draw: st.DrawFn, ranks: tuple[int, ...] = (1, 2, 3, 4), dtypes: Any = FLOATS
) -> UnpoolCase:
    """Draw an unpooling of random indices, with duplicates more often than not."""
    rank = draw(st.sampled_from(ranks))
    axis = st.tuples(
        st.integers(1, 4 if rank < 3 else 2),  # i
        st.integers(1, 4),  # k
        st.integers(1, 4),  # s
        st.integers(0, 1),  # p
        st.integers(-3, 3),  # more output than the least
    )
    axes = draw(st.lists(axis, min_size=rank, max_size=rank))
    i, k, s, p, _ = zip(*axes, strict=True)
    p = tuple(min(p_, (k_ + (i_ - 1) * s_ - 1) // 2) for i_, k_, s_, p_, _ in axes)
    least = [(i_ - 1) * s_ - 2 * p_ + k_ for i_, k_, s_, p_ in zip(i, k, s, p, strict=True)]
    o = tuple(
        max(1, n + min(max(more, 1 - s_), s_ - 1))
        for n, s_, (*_, more) in zip(least, s, axes, strict=True)
    )
    n, c = draw(st.integers(0, 2)), draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    dtype = draw(st.sampled_from(dtypes))
    indices = rng.integers(0, math.prod(o), (n, c, *i))
    return UnpoolCase(integers_in(rng, (n, c, *i), dtype, 3), indices, (k, s, p, o), rng)


@pytest.mark.usefixtures("tiles")
@given(cases(dtypes=FLOATS + COMPLEX + INTEGERS))
def test_fast_equals_direct(case: UnpoolCase) -> None:
    y = refconv.max_unpool(case.x, case.indices, *case.window)
    assert same(y, direct.max_unpool(case.x, case.indices, *case.window))
    assert y.shape == case.y_shape
    gy = case.like(y.shape)
    for strict in (False, True):
        gx = refconv.max_unpool_grad(case.indices, gy, *case.window, strict=strict)
        assert same(gx, direct.max_unpool_grad(case.indices, gy, *case.window, strict=strict))


@given(cases(ranks=(1, 2, 3), dtypes=FLOATS))
def test_torch(case: UnpoolCase) -> None:
    """Values, the gradient, and the gradient of the gradient."""
    x = torch.from_numpy(case.x).requires_grad_()
    y = UNPOOLS[x.ndim - 3](x, torch.from_numpy(case.indices), *case.window)
    assert same(refconv.max_unpool(case.x, case.indices, *case.window), y.detach().numpy())
    gy, ggx = case.like(case.y_shape), case.like(case.x.shape)
    tensor = torch.from_numpy(gy).requires_grad_()
    (gx,) = torch.autograd.grad(y, x, tensor, create_graph=True)
    ours = refconv.max_unpool_grad(case.indices, gy, *case.window)
    assert same(ours, gx.detach().numpy())
    if not len(x):
        return  # torch has no second gradient of nothing
    (ggy,) = torch.autograd.grad(gx, tensor, torch.from_numpy(ggx))
    rank = x.ndim - 2
    assert same_sum(refconv.max_pool_scatter(case.y_shape, case.indices, ggx, rank), ggy.numpy())


@given(cases(dtypes=LINEAR))
def test_adjoint(case: UnpoolCase) -> None:
    """The strict gradient is the adjoint of unpooling; torch's that of adding instead."""
    y = refconv.max_unpool(case.x, case.indices, *case.window)
    gy = case.like(case.y_shape)
    gx = refconv.max_unpool_grad(case.indices, gy, *case.window, strict=True)
    assert np.vdot(y, gy) == np.vdot(case.x, gx)
    rank = case.x.ndim - 2
    added = refconv.max_pool_scatter(case.y_shape, case.indices, case.x, rank)
    gx = refconv.max_unpool_grad(case.indices, gy, *case.window)
    assert np.vdot(added, gy) == np.vdot(case.x, gx)


@given(cases(dtypes=LINEAR))
def test_select_and_scatter_are_adjoint(case: UnpoolCase) -> None:
    """For any positions, whether or not a pool made them."""
    rank, v, gy = case.x.ndim - 2, case.like(case.y_shape), case.like(case.x.shape)
    y = refconv.max_pool_select(v, case.indices, rank)
    gx = refconv.max_pool_scatter(v.shape, case.indices, gy, rank)
    assert np.vdot(y, gy) == np.vdot(v, gx)  # <S v, gy> = <v, S' gy>


@given(cases(ranks=(1, 2), dtypes=(np.float64,)))
def test_exact(case: UnpoolCase) -> None:
    fraction = np.frompyfunc(Fraction, 1, 1)
    x, gy = case.x / 7, case.like(case.y_shape) / 7
    y = exact.max_unpool(x, case.indices, *case.window)
    defined = direct.max_unpool(np.asarray(fraction(x), object), case.indices, *case.window)
    assert (y.value == defined).all()
    for strict in (False, True):
        gx = exact.max_unpool_grad(case.indices, gy, *case.window, strict=strict)
        gys = np.asarray(fraction(gy), object)
        defined = direct.max_unpool_grad(case.indices, gys, *case.window, strict=strict)
        assert (gx.value == defined).all()


@pytest.mark.parametrize("module", [refconv, direct])
class TestByHand:
    """Places worked by hand, for both forms."""

    def test_it_undoes_a_pool(self, module: Any) -> None:
        x = np.array([[[[1.0, 2.0, 0.0], [3.0, 9.0, 8.0], [0.0, 4.0, 7.0]]]])
        y, indices = module.max_pool(x, 2, 1, return_indices=True)
        assert indices.tolist() == [[[[4, 4], [4, 4]]]]
        x = module.max_unpool(y * [[[[1, 2], [3, 4]]]], indices, 2, 1)
        assert x.tolist() == [[[[0, 0, 0], [0, 36, 0], [0, 0, 0]]]]

    def test_torch_gives_every_duplicate_the_gradient_and_strict_the_last(
        self, module: Any
    ) -> None:
        at, gy = np.array([[[1, 0, 1]]]), np.array([[[5.0, 7.0, 0.0]]])
        assert module.max_unpool_grad(at, gy, (1,)).tolist() == [[[7, 5, 7]]]
        assert module.max_unpool_grad(at, gy, (1,), strict=True).tolist() == [[[0, 5, 7]]]

    def test_sizes(self, module: Any) -> None:
        x, at = np.ones((1, 1, 2, 2)), np.array([[[[0, 3], [5, 6]]]])
        assert module.max_unpool(x, at, 2).shape == (1, 1, 4, 4)
        assert module.max_unpool(x, at, 3, 2, 1).shape == (1, 1, 3, 3)
        assert module.max_unpool(x, at, 2, output_size=(5, 3)).shape == (1, 1, 5, 3)
        assert module.max_unpool(x, at, 2, output_size=(9, 9, 5, 3)).shape == (1, 1, 5, 3)

    def test_unbatched(self, module: Any) -> None:
        x, at = np.arange(1.0, 9.0).reshape(2, 2, 2), np.array([[[0, 3], [5, 5]]] * 2)
        y = module.max_unpool(x, at, (2, 2))
        assert same(y, module.max_unpool(x[None], at[None], 2)[0])
        gx = module.max_unpool_grad(at, y, (2, 2), strict=True)
        assert same(gx, module.max_unpool_grad(at[None], y[None], 2, strict=True)[0])

    def test_long_double(self, module: Any) -> None:
        x, at = np.array([[[1, 2]]], np.longdouble) / 3, np.array([[[3, 0]]])
        y = module.max_unpool(x, at, (2,))
        assert y.dtype == np.longdouble
        assert y.tolist() == [[[x[0, 0, 1], 0, 0, x[0, 0, 0]]]]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(layout: str) -> None:
    rng = np.random.default_rng(5)
    values = rng.integers(-9, 9, (2, 3, 4, 5)).astype(np.float32)
    x, at = laid_out(values, layout), laid_out(rng.integers(0, 80, values.shape), layout)
    kept = x.copy()
    y = refconv.max_unpool(x, at, 2)
    assert same(y, direct.max_unpool(plain(x), plain(at), 2))
    gy = laid_out(rng.integers(-9, 9, y.shape).astype(np.float32), layout)
    for strict in (False, True):
        assert same(
            refconv.max_unpool_grad(at, gy, 2, strict=strict),
            direct.max_unpool_grad(plain(at), plain(gy), 2, strict=strict),
        )
    assert (x == kept).all()


X, AT = zeros(1, 2, 2, 2), np.zeros((1, 2, 2, 2), np.int64)
GOOD: dict[str, Any] = {"x": X, "indices": AT, "kernel_size": 2}
BAD = {
    "index too large": Bad({"indices": AT + 16}, r"indices holds 16 to 16, .* map of \(4, 4\)"),
    "index negative": Bad({"indices": AT - 1}, "indices holds -1 to -1"),
    "index dtype": Bad({"indices": AT.astype(np.int32)}, "indices has dtype int32, expected int64"),
    "index shape": Bad({"indices": AT[..., :1]}, r"indices has shape \(1, 2, 2, 1\), expected"),
    "index list": Bad({"indices": [0]}, r"indices must be a numpy.ndarray, got list"),
    "rank too low": Bad(
        {"x": zeros(2, 2), "indices": AT[0, 0], "kernel_size": (2, 2)}, "x has 2 dimensions"
    ),
    "no height": Bad({"x": X[:, :, :0], "indices": AT[:, :, :0]}, r"x has shape \(1, 2, 0, 2\)"),
    "negative size": Bad({"padding": 3}, r"padding=3 leaves an output of negative size \(-2, -2\)"),
    "output too large": Bad({"output_size": (6, 4)}, r"output_size must be less than .* \(6, 4\)"),
    "output too small": Bad({"output_size": (2, 4)}, r"output_size must be less than .* \(2, 4\)"),
    "output length": Bad({"output_size": (5,)}, r"output_size must have one entry .* got \(5,\)"),
    "output of three": Bad({"output_size": (1, 5, 5)}, "output_size must have one entry"),
    "output integer": Bad({"output_size": 5}, "output_size must be integers, got 5"),
    "output floats": Bad({"output_size": (5.0, 5)}, r"output_size must be integers, got \(5.0, 5"),
    "bool": Bad({"x": X.astype(bool)}, "x has dtype bool"),
}


@pytest.mark.parametrize("name", BAD)
def test_errors(name: str) -> None:
    bad = BAD[name]
    ours = [refconv.max_unpool, direct.max_unpool]
    fails_alike(ours, functional.max_unpool2d, GOOD | bad.arguments, bad.says)


@pytest.mark.parametrize("module", [refconv, direct])
def test_errors_of_the_gradient_and_ours_alone(module: Any) -> None:
    gy = zeros(1, 2, 4, 4)
    with pytest.raises(RuntimeError, match=r"grad_output has shape \(1, 2, 4, 3\), expected"):
        module.max_unpool_grad(AT, gy[..., :3], 2)
    with pytest.raises(RuntimeError, match="indices holds 16 to 16"):
        module.max_unpool_grad(AT + 16, gy, 2)
    with pytest.raises(RuntimeError, match="indices has 2 dimensions"):
        module.max_unpool_grad(AT[0, 0], gy, (2, 2))
    with pytest.raises(TypeError, match=r"grad_output must be a numpy.ndarray, got NoneType"):
        module.max_unpool_grad(AT, None, 2)
    with pytest.raises(ValueError, match="output_size must be less than"):
        module.max_unpool_grad(AT, gy, 2, output_size=(9, 9))
    with pytest.raises(RuntimeError, match="kernel_size must be at least 1"):  # torch takes it
        module.max_unpool(X, AT, 0)
    with pytest.raises(RuntimeError, match="stride must be at least 1"):  # torch takes it in 2-d
        module.max_unpool(X, AT, 2, 0)
    with pytest.raises(RuntimeError, match="padding must be at least 0"):  # torch takes it
        module.max_unpool(X, AT, 2, 2, -1)
