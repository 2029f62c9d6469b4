"""Power-average pooling against its definition, torch and hand calculation."""

import math
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
from refconv import direct
from refconv.engine import planes
from support.agreement import same_numbers, same_sum
from support.arrays import LAYOUTS, laid_out, plain
from support.refusals import Bad, fails_alike, zeros
from support.strategies import PoolCase, pool_cases

Array = NDArray[Any]
POOLS: tuple[Any, ...] = (functional.lp_pool1d, functional.lp_pool2d, functional.lp_pool3d)
INF = math.inf
BY_PRODUCTS = (1, 2, 2.0, 3, -1, INF, -INF)  # NumPy's power only takes the third root


@pytest.fixture(params=["usual tiles", "tiny tiles"])
def tiles(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "tiny tiles":
        monkeypatch.setattr(planes, "TILE_BYTES", 64)


def unpadded(case: PoolCase) -> tuple[Any, ...]:
    """kernel_size, stride, ceil_mode, such that a window fits without padding."""
    k, s, _ = case.window
    k = tuple(min(k_, i) for k_, i in zip(k, case.x.shape[2:], strict=True))
    return k, s or k, case.ceil_mode


def noise(case: PoolCase) -> Array:
    return case.rng.standard_normal(case.x.shape).astype(case.x.dtype)


def close(a: Array, b: Array, ulps: int = 4) -> bool:
    """Within a few units in the last place; NaN and infinities in the same places."""
    assert a.dtype == b.dtype
    unit = ulps * np.finfo(a.dtype).eps
    return a.shape == b.shape and np.allclose(a, b, rtol=unit, atol=unit, equal_nan=True)


@pytest.mark.usefixtures("tiles")
class TestAgainstDefinition:
    """Fast equals direct: bitwise where powers are products and square roots."""

    @given(pool_cases(dilated=False), st.sampled_from(BY_PRODUCTS), st.booleans())
    def test_products_and_square_roots(self, case: PoolCase, p: float, true: bool) -> None:
        x, window = case.x if p == 3 else noise(case), unpadded(case)
        y = refconv.lp_pool(x, p, *window, mathematical=true)
        defined = direct.lp_pool(x, p, *window, mathematical=true)
        assert close(y, defined) if p == 3 else same_numbers(y, defined)
        gy = case.like(y.shape)
        gx = refconv.lp_pool_grad(x, gy, p, *window, mathematical=true)
        defined = direct.lp_pool_grad(x, gy, p, *window, mathematical=true)
        assert gx.dtype == x.dtype
        if math.isinf(p):
            assert np.array_equal(gx, defined)
        else:  # windows are added in another order
            assert close(gx, defined, 64)

    @given(
        pool_cases(dilated=False, dtypes=(np.float32, np.float64)),
        st.sampled_from((4, 1.5, 5, 0.5)),
        st.booleans(),
    )
    def test_any_power(self, case: PoolCase, p: float, true: bool) -> None:
        x, window = np.abs(noise(case)) + case.x.dtype.type(0.5), unpadded(case)
        y = refconv.lp_pool(x, p, *window, mathematical=true)
        assert close(y, direct.lp_pool(x, p, *window, mathematical=true), 32)
        gx = refconv.lp_pool_grad(x, y, p, *window, mathematical=true)
        assert close(gx, direct.lp_pool_grad(x, y, p, *window, mathematical=true), 256)


class TestAgainstTorch:
    """Bitwise but for the rounding of roots, in the ranks that torch has."""

    @staticmethod
    def both(x: Array, p: float, window: tuple[Any, ...]) -> tuple[Array, Array]:
        rank = x.ndim - 2
        k, s, ceil_mode = window
        if rank == 1:  # an integer only
            k, s = k[0], s[0]
        y = POOLS[rank - 1](torch.from_numpy(x), p, k, s, ceil_mode)
        return refconv.lp_pool(x, p, *window), y.numpy()

    @given(
        pool_cases(ranks=(1, 2, 3), dtypes=(np.float32, np.float64), dilated=False),
        st.sampled_from((1, INF, -INF)),
    )
    def test_without_roots(self, case: PoolCase, p: float) -> None:
        ours, theirs = self.both(noise(case), p, unpadded(case))
        assert same_sum(ours, theirs)

    @given(pool_cases(ranks=(1, 2), dilated=False), st.sampled_from((1, 2, -1, INF, -INF)))
    def test_one_number_to_a_window(self, case: PoolCase, p: float) -> None:
        """Where a window holds equal numbers, 4 of them or 1, square roots are exact."""
        k = tuple(1 if axis else 4 for axis, _ in enumerate(case.x.shape[2:]))
        x = np.repeat(case.x, 4, axis=2)
        ours, theirs = self.both(x, p, (k, k, case.ceil_mode))
        assert same_numbers(ours, theirs)

    @given(
        pool_cases(ranks=(1, 2, 3), dtypes=(np.float32, np.float64), dilated=False),
        st.sampled_from((1, 2, 3, 4, 5, 1.5, 0.5, -1, -2, INF, -INF, math.nan)),
    )
    def test_values_and_gradient(self, case: PoolCase, p: float) -> None:
        """Negative sums give NaN, empty sums no gradient."""
        values, window = case.x, unpadded(case)
        ours, theirs = self.both(values, p, window)
        assert close(ours, theirs, 16)
        x = torch.from_numpy(values).requires_grad_()
        k, s, ceil_mode = window
        rank = values.ndim - 2
        y = POOLS[rank - 1](x, p, k if rank > 1 else k[0], s if rank > 1 else s[0], ceil_mode)
        gy = case.like(tuple(y.shape))
        (gx,) = torch.autograd.grad(y, x, torch.from_numpy(gy))
        got = refconv.lp_pool_grad(values, gy, p, *window)
        if p in (1, INF, -INF):
            assert np.array_equal(got, gx.numpy())
        else:
            assert close(got, gx.numpy(), 512)


@pytest.mark.parametrize("module", [refconv, direct])
class TestByHand:
    """Worked by hand: 3 4 5, the scaling of a last window, negative sums, the norms' limits."""

    def test_hypotenuse(self, module: Any) -> None:
        x = np.array([[[3.0, 4.0, -5.0, 12.0]]])
        for true in (False, True):
            assert module.lp_pool(x, 2, (2,), mathematical=true).tolist() == [[[5, 13]]]
            gx = module.lp_pool_grad(x, np.array([[[10.0, 13.0]]]), 2, (2,), mathematical=true)
            assert np.allclose(gx, [[[6, 8, -5, 12]]], rtol=1e-15)

    def test_partial_windows(self, module: Any) -> None:
        x = np.ones((1, 1, 3, 3))
        y = module.lp_pool(x, 1, 2, ceil_mode=True)
        assert y.tolist() == [[[[4, 4], [4, 4]]]]  # torch scales them to the whole kernel
        y = module.lp_pool(x, 1, 2, ceil_mode=True, mathematical=True)
        assert y.tolist() == [[[[4, 2], [2, 1]]]]
        gx = module.lp_pool_grad(x, np.ones((1, 1, 2, 2)), 1, 2, ceil_mode=True)
        assert gx.tolist() == [[[[1, 1, 2], [1, 1, 2], [2, 2, 4]]]]
        gx = module.lp_pool_grad(x, np.ones((1, 1, 2, 2)), 1, 2, None, True, mathematical=True)
        assert gx.tolist() == [[[[1, 1, 1], [1, 1, 1], [1, 1, 1]]]]

    def test_negative_sums_of_odd_powers(self, module: Any) -> None:
        x = np.array([[[-2.0, 0.0]]])
        assert module.lp_pool(x, 1, (2,)).tolist() == [[[-2]]]
        assert np.isnan(module.lp_pool(x, 3, (2,))).all()
        assert module.lp_pool(x, 1, (2,), mathematical=True).tolist() == [[[2]]]
        assert module.lp_pool(x, 3, (2,), mathematical=True).tolist() == [[[2]]]
        gx = module.lp_pool_grad(x, np.ones((1, 1, 1)), 3, (2,), mathematical=True)
        assert np.allclose(gx, [[[-1, 0]]], rtol=1e-15)

    def test_no_gradient_at_zero(self, module: Any) -> None:
        for p in (1, 2, 3, INF):
            gx = module.lp_pool_grad(np.zeros((1, 1, 2)), np.ones((1, 1, 1)), p, (2,))
            assert not gx.any()

    def test_largest_and_smallest(self, module: Any) -> None:
        x, gy = np.array([[[1.0, -3.0, 2.0, 2.0]]]), np.array([[[5.0, 7.0]]])
        assert module.lp_pool(x, INF, (2,)).tolist() == [[[3, 2]]]
        assert module.lp_pool(x, -INF, (2,)).tolist() == [[[1, 2]]]
        assert module.lp_pool_grad(x, gy, INF, (2,)).tolist() == [[[0, -5, 7, 0]]]
        assert module.lp_pool_grad(x, gy, -INF, (2,)).tolist() == [[[5, 0, 7, 0]]]

    def test_unbatched(self, module: Any) -> None:
        x = np.arange(24.0).reshape(2, 3, 4)
        y = module.lp_pool(x, 2, (2, 2))
        assert same_sum(y, module.lp_pool(x[None], 2, 2)[0])
        gx = module.lp_pool_grad(x, y, 2, (2, 2))
        assert same_sum(gx, module.lp_pool_grad(x[None], y[None], 2, 2)[0])

    def test_half_and_long_double(self, module: Any) -> None:
        x = np.array([[[3, 4]]], np.float16)
        y = module.lp_pool(x, 2, (2,))
        assert (y.dtype, y.item()) == (np.float16, 5)
        y = module.lp_pool(x.astype(np.longdouble), 2, (2,))
        assert (y.dtype, y.item()) == (np.longdouble, 5)


def test_the_gradient_is_the_slope() -> None:
    """Central differences, for both forms, in float64."""
    rng = np.random.default_rng(3)
    for p in (1, 2, 3, 1.5, 4, -1):
        for true in (False, True):
            x = rng.uniform(1, 2, (1, 2, 5, 4))
            step = rng.uniform(-1, 1, x.shape)
            options: tuple[Any, ...] = (p, (3, 2), (2, 1), True)
            gy = rng.uniform(-1, 1, refconv.lp_pool(x, *options).shape)
            gx = refconv.lp_pool_grad(x, gy, *options, mathematical=true)
            up, down = (
                refconv.lp_pool(x + h * step, *options, mathematical=true) for h in (1e-6, -1e-6)
            )
            assert math.isclose(np.vdot(up - down, gy) / 2e-6, np.vdot(step, gx), rel_tol=1e-7)


def test_the_second_gradient_is_made_of_the_same_parts() -> None:
    """As the docstring says, with A = avg_pool and B = avg_pool_grad, against torch.

    y = v^(1/p), v = K A(x^p), so gx = B(K gy r) s with r = (1/p) v^(1/p - 1), s = p x^(p - 1).
    """
    rng, p, window = np.random.default_rng(4), 3, ((3, 2), (2, 1))
    x, t = rng.uniform(1, 2, (2, 2, 7, 4)), rng.uniform(-1, 1, (2, 2, 7, 4))
    gy = rng.uniform(-1, 1, refconv.lp_pool(x, p, *window).shape)

    def a(u: Array) -> Array:
        return refconv.avg_pool(u, *window)

    def b(g: Array) -> Array:
        return refconv.avg_pool_grad(x.shape, g, *window)

    v = 6 * a(x**p)
    r, s = v ** (1 / p - 1) / p, p * x ** (p - 1)
    ggy = 6 * r * a(t * s)
    gv = 6 * gy * a(t * s) * v ** (1 / p - 2) * (1 / p - 1) / p
    ggx = t * b(6 * gy * r) * (p * (p - 1) * x ** (p - 2)) + s * b(6 * gv)

    tx, tgy = (torch.from_numpy(array).requires_grad_() for array in (x, gy))
    y = functional.lp_pool2d(tx, p, *window)
    (gx,) = torch.autograd.grad(y, tx, tgy, create_graph=True)
    assert np.allclose(refconv.lp_pool_grad(x, gy, p, *window), gx.detach().numpy(), rtol=1e-13)
    theirs = torch.autograd.grad(gx, (tgy, tx), torch.from_numpy(t))
    assert np.allclose(ggy, theirs[0].numpy(), rtol=1e-12)
    assert np.allclose(ggx, theirs[1].numpy(), rtol=1e-12)


def test_fractions() -> None:
    """Exact in the definition, where there is no root."""
    x = np.array([[[Fraction(1, 3), Fraction(-1, 2), Fraction(2), Fraction(1)]]], object)
    assert direct.lp_pool(x, 1, (2,)).tolist() == [[[Fraction(-1, 6), 3]]]
    assert direct.lp_pool(x, 1, (2,), mathematical=True).tolist() == [[[Fraction(5, 6), 3]]]
    assert direct.lp_pool(x, INF, (2,)).tolist() == [[[Fraction(1, 2), 2]]]
    gy = np.array([[[Fraction(1, 7), Fraction(1)]]], object)
    gx = direct.lp_pool_grad(x, gy, 1, (2,))
    assert gx.tolist() == [[[Fraction(1, 7), Fraction(1, 7), 1, 1]]]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(layout: str) -> None:
    values = np.random.default_rng(5).integers(-9, 9, (2, 3, 6, 7)).astype(np.float32)
    x = laid_out(values, layout)
    kept = x.copy()
    for p in (2, INF):
        y = refconv.lp_pool(x, p, 3, 2)
        assert same_sum(y, direct.lp_pool(plain(x), p, 3, 2))
        gy = laid_out(y, layout)
        gx = refconv.lp_pool_grad(x, gy, p, 3, (2,))
        assert close(gx, direct.lp_pool_grad(plain(x), plain(gy), p, 3, (2,)), 64)
        assert gx.flags.c_contiguous
        assert y.flags.c_contiguous
    assert (x == kept).all()


X = zeros(2, 4, 8, 7)
GOOD: dict[str, Any] = {"x": X, "norm_type": 2, "kernel_size": 2}
BAD = {
    "p zero": Bad({"norm_type": 0}, "norm_type must not be zero, got 0"),
    "p zero float": Bad({"norm_type": 0.0}, "norm_type must not be zero, got 0.0"),
    "p string": Bad({"norm_type": "a"}, r"norm_type must be a number, got 'a' \(str\)"),
    "p none": Bad({"norm_type": None}, "norm_type must be a number, got None"),
    "p tuple": Bad({"norm_type": (2,)}, r"norm_type must be a number, got \(2,\)"),
    "no channels": Bad({"x": X[:, :0]}, r"x has shape \(2, 0, 8, 7\)"),
    "window too large": Bad({"kernel_size": 9}, r"kernel_size=9 spans \(9, 9\)"),
    "stride zero": Bad({"stride": 0}, "stride must be at least 1 .* got 0"),
    "kernel zero": Bad({"kernel_size": 0}, "kernel_size must be at least 1 .* got 0"),
    "complex": Bad({"x": X.astype(np.complex64)}, "x has dtype complex64"),
    "int32": Bad({"x": X.astype(np.int32)}, "x has dtype int32"),
}


@pytest.mark.parametrize("name", BAD)
def test_errors(name: str) -> None:
    bad = BAD[name]
    ours = [refconv.lp_pool, direct.lp_pool]
    fails_alike(ours, functional.lp_pool2d, GOOD | bad.arguments, bad.says)


@pytest.mark.parametrize("module", [refconv, direct])
def test_errors_of_the_gradient_and_ours_alone(module: Any) -> None:
    gy = zeros(2, 4, 4, 3)
    with pytest.raises(RuntimeError, match=r"grad_output has shape \(2, 4, 4, 2\), expected"):
        module.lp_pool_grad(X, gy[..., :2], 2, 2)
    with pytest.raises(RuntimeError, match="grad_output has dtype float64 and x has dtype float32"):
        module.lp_pool_grad(X, gy.astype(np.float64), 2, 2)
    with pytest.raises(TypeError, match=r"x must be a numpy.ndarray, got list"):
        module.lp_pool_grad([1.0], gy, 2, 2)
    with pytest.raises(ZeroDivisionError, match="norm_type must not be zero"):
        module.lp_pool_grad(X, gy, 0, 2)
    for dtype in (np.int64, bool):  # torch takes them, and returns another dtype
        with pytest.raises(NotImplementedError, match="x has dtype"):
            module.lp_pool(X.astype(dtype), 2, 2)
