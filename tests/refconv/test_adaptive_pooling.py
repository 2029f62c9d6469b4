"""Adaptive pools against their definitions, torch, the oracle and algebra."""

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
from refconv.geometry.sizes import adaptive_range
from support.agreement import one_nan, same, same_sum
from support.arrays import LAYOUTS, laid_out, plain
from support.strategies import COMPLEX, FLOATS, INTEGERS, LINEAR, integers_in

Array = NDArray[Any]
SPECIAL = (0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, 1.0, -1.0)
AVG_POOLS: tuple[Any, ...] = (
    functional.adaptive_avg_pool1d,
    functional.adaptive_avg_pool2d,
    functional.adaptive_avg_pool3d,
)
MAX_POOLS: tuple[Any, ...] = (
    functional.adaptive_max_pool1d,
    functional.adaptive_max_pool2d,
    functional.adaptive_max_pool3d,
)


@pytest.fixture(params=["usual tiles", "tiny tiles"])
def tiles(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "tiny tiles":
        monkeypatch.setattr(planes, "TILE_BYTES", 64)


@dataclass(frozen=True)
class AdaptiveCase:
    """The arguments of one adaptive pooling, batched, with integer-valued data."""

    x: Array
    output_size: tuple[int, ...]
    rng: np.random.Generator

    @property
    def y_shape(self) -> tuple[int, ...]:
        return (*self.x.shape[:2], *self.output_size)

    @property
    def exact_share(self) -> int:
        """A number that the size of every window divides, whatever axis is divided by first."""
        sizes = zip(self.x.shape[2:], self.output_size, strict=True)
        return math.prod(math.lcm(*window_sizes(i, o)) for i, o in sizes)

    def like(self, shape: tuple[int, ...], times: int = 1) -> Array:
        return integers_in(self.rng, shape, self.x.dtype, 3) * self.x.dtype.type(times)

    def special(self) -> Array:
        return self.rng.choice(np.array(SPECIAL), self.x.shape).astype(self.x.dtype)

    def noise(self) -> Array:
        return self.rng.standard_normal(self.x.shape).astype(self.x.dtype)


def window_sizes(i: int, o: int) -> list[int]:
    return [last - first for first, last in (adaptive_range(i, o, j) for j in range(o))]


@st.composite
def cases(
    draw: st.DrawFn, ranks: tuple[int, ...] = (1, 2, 3, 4), dtypes: Any = FLOATS, least: int = 0
) -> AdaptiveCase:
    """Draw an adaptive pooling: fewer and more outputs than inputs, dividing them or not."""
    rank = draw(st.sampled_from(ranks))
    most = 9 if rank < 3 else 4
    i = draw(st.lists(st.integers(1, most), min_size=rank, max_size=rank))
    o = draw(st.lists(st.integers(least, most), min_size=rank, max_size=rank))
    n, c = draw(st.integers(0, 2)), draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    dtype = draw(st.sampled_from(dtypes))
    return AdaptiveCase(integers_in(rng, (n, c, *i), dtype, 3), tuple(o), rng)


@given(st.integers(1, 40), st.integers(1, 40))
def test_windows_are_the_floats_floor_and_ceil_and_their_own_transpose(i: int, o: int) -> None:
    windows = [range(*adaptive_range(i, o, j)) for j in range(o)]
    for j, window in enumerate(windows):
        assert window.start == math.floor(Fraction(j * i, o))
        assert window.stop == math.ceil(Fraction((j + 1) * i, o))
    for m in range(i):
        assert [j for j in range(o) if m in windows[j]] == list(range(*adaptive_range(o, i, m)))


@pytest.mark.usefixtures("tiles")
class TestAgainstDefinition:
    """Fast equals direct, whatever the tiles, bit for bit and on any data that have an order."""

    @given(cases(dtypes=(*FLOATS, *COMPLEX, *INTEGERS)))
    def test_average(self, case: AdaptiveCase) -> None:
        whole = math.prod(case.output_size) == 1  # whose sum has no order
        x = case.noise() if case.x.dtype.kind == "f" and not whole else case.x
        y = direct.adaptive_avg_pool(x, case.output_size)
        assert same(refconv.adaptive_avg_pool(x, case.output_size), y)
        gy = (y * case.x.dtype.type(3)).astype(x.dtype)
        assert same_sum(
            refconv.adaptive_avg_pool_grad(x.shape, gy, case.output_size),
            direct.adaptive_avg_pool_grad(x.shape, gy, case.output_size),
        )

    @given(cases(dtypes=FLOATS + INTEGERS), st.booleans())
    def test_maximum(self, case: AdaptiveCase, special: bool) -> None:
        x = case.special() if special and case.x.dtype.kind == "f" else case.x
        y, indices = refconv.adaptive_max_pool(x, case.output_size, True)
        defined = direct.adaptive_max_pool(x, case.output_size, True)
        assert same(indices, defined[1])
        assert same(one_nan(y), one_nan(defined[0]))
        assert same(one_nan(refconv.adaptive_max_pool(x, case.output_size)), one_nan(y))
        gy = case.like(y.shape)
        gx = refconv.adaptive_max_pool_grad(x.shape, indices, gy, case.output_size)
        assert same_sum(gx, direct.adaptive_max_pool_grad(x.shape, indices, gy, case.output_size))
        rank = x.ndim - 2
        assert same_sum(refconv.max_pool_scatter(x.shape, indices, gy, rank), gx)
        assert same_sum(direct.max_pool_scatter(x.shape, indices, gy, rank), gx)
        assert same(one_nan(refconv.max_pool_select(x, indices, rank)), one_nan(y))


class TestAgainstTorch:
    """Bitwise, in the dtypes and ranks that torch has."""

    @given(cases(ranks=(1, 2, 3), dtypes=(np.float32, np.float64), least=1), st.booleans())
    def test_average(self, case: AdaptiveCase, noise: bool) -> None:
        alone = math.prod(case.output_size) == 1  # torch's mean: sums in an order of its own
        values = case.noise() if noise and not alone else case.x
        x = torch.from_numpy(values).requires_grad_()
        y = AVG_POOLS[x.ndim - 3](x, case.output_size)
        assert same(refconv.adaptive_avg_pool(values, case.output_size), y.detach().numpy())
        gy = case.like(case.y_shape) / values.dtype.type(7 if noise else 1)
        (gx,) = torch.autograd.grad(y, x, torch.from_numpy(gy))
        assert same_sum(
            refconv.adaptive_avg_pool_grad(values.shape, gy, case.output_size), gx.numpy()
        )

    @given(cases(ranks=(1, 2, 3), dtypes=(np.float16,)))
    def test_average_in_half_precision(self, case: AdaptiveCase) -> None:
        """Divided in float32 and rounded once; torch rounds after each of three axes."""
        y = AVG_POOLS[case.x.ndim - 3](torch.from_numpy(case.x), case.output_size).numpy()
        ours = refconv.adaptive_avg_pool(case.x, case.output_size)
        if case.x.ndim < 5 or math.prod(case.output_size) == 1:
            assert same(ours, y)
            return
        sizes = [
            np.array(window_sizes(i, o)).reshape(-1, *(1,) * (2 - axis))
            for axis, (i, o) in enumerate(zip(case.x.shape[2:], case.output_size, strict=True))
        ]
        whole = math.prod(np.meshgrid(*map(np.ravel, sizes), indexing="ij"))
        mean = refconv.adaptive_avg_pool(case.x.astype(np.float64), case.output_size)
        total = np.rint(mean * whole).astype(np.float32)  # of whole numbers
        once, in_turn = total, total.astype(np.float32)
        for size in sizes:
            once = once / size.astype(np.float32)
            in_turn = (in_turn / size.astype(np.float32)).astype(np.float16).astype(np.float32)
        assert same(ours + 0, once.astype(np.float16) + 0)
        assert same(y + 0, in_turn.astype(np.float16) + 0)

    @given(cases(ranks=(1, 2, 3), dtypes=FLOATS, least=1), st.booleans())
    def test_maximum(self, case: AdaptiveCase, special: bool) -> None:
        values = case.special() if special else case.x
        x = torch.from_numpy(values).requires_grad_()
        y, indices = MAX_POOLS[x.ndim - 3](x, case.output_size, True)
        ours = refconv.adaptive_max_pool(values, case.output_size, True)
        assert same(ours[1], indices.numpy())
        assert same(one_nan(ours[0]), one_nan(y.detach().numpy()))
        gy = case.like(case.y_shape)
        (gx,) = torch.autograd.grad(y, x, torch.from_numpy(gy))
        got = refconv.adaptive_max_pool_grad(values.shape, ours[1], gy, case.output_size)
        assert same_sum(got, gx.numpy())


@given(cases(dtypes=(np.longdouble,)))
def test_long_double(case: AdaptiveCase) -> None:
    """Compared as numbers: its bytes hold padding."""
    x, o = case.noise(), case.output_size
    y = refconv.adaptive_avg_pool(x, o)
    assert y.dtype == np.longdouble
    assert np.array_equal(y, direct.adaptive_avg_pool(x, o))
    gx = refconv.adaptive_avg_pool_grad(x.shape, y, o)
    assert np.array_equal(gx, direct.adaptive_avg_pool_grad(x.shape, y, o))
    assert np.array_equal(refconv.adaptive_max_pool(x, o), direct.adaptive_max_pool(x, o))


@given(cases(dtypes=LINEAR))
def test_average_is_adjoint_to_its_gradient(case: AdaptiveCase) -> None:
    times = case.exact_share
    x, gy = case.x * times, case.like(case.y_shape, times)
    y = refconv.adaptive_avg_pool(x, case.output_size)
    gx = refconv.adaptive_avg_pool_grad(x.shape, gy, case.output_size)
    assert np.vdot(y, gy) == np.vdot(x, gx)  # <A x, gy> = <x, A' gy>


@given(cases(dtypes=(np.float64, np.int64)))
def test_the_gradient_by_indices_is_adjoint_to_select(case: AdaptiveCase) -> None:
    y, indices = refconv.adaptive_max_pool(case.x, case.output_size, True)
    v, gy = case.like(case.x.shape), case.like(y.shape)
    sy = refconv.max_pool_select(v, indices, v.ndim - 2)
    gx = refconv.adaptive_max_pool_grad(v.shape, indices, gy, case.output_size)
    assert np.vdot(sy, gy) == np.vdot(v, gx)


@given(cases(ranks=(1, 2, 3), dtypes=(np.float64,)))
def test_exact(case: AdaptiveCase) -> None:
    x, o = case.noise(), case.output_size
    fractions = np.frompyfunc(Fraction, 1, 1)
    y = exact.adaptive_avg_pool(x, o)
    assert (y.value == direct.adaptive_avg_pool(np.asarray(fractions(x), object), o)).all()
    if y.numerators.size:
        close = np.abs(refconv.adaptive_avg_pool(x, o) - y.rounded(np.float64))
        assert (close <= 1e-14 * (1 + np.abs(x).max(initial=0))).all()
    gy = case.like(case.y_shape, 1) / 8 + case.noise().sum()
    gx = exact.adaptive_avg_pool_grad(x.shape, gy, o)
    defined = direct.adaptive_avg_pool_grad(x.shape, np.asarray(fractions(gy), object), o)
    assert (gx.value == defined).all()
    m, indices = exact.adaptive_max_pool(x, o, True)
    best, at = direct.adaptive_max_pool(np.asarray(fractions(x), object), o, True)
    assert (m.value == best).all()
    assert (exact.adaptive_max_pool(x, o).value == best).all()
    assert same(indices, at)
    gx = exact.adaptive_max_pool_grad(x.shape, at, gy, o)
    defined = direct.adaptive_max_pool_grad(x.shape, at, np.asarray(fractions(gy), object), o)
    assert (gx.value == defined).all()


@pytest.mark.parametrize("module", [refconv, direct])
class TestByHand:
    """Windows worked by hand: 12345 -> 123 345, 12 234 45; 123 -> 1 12 2 23 3."""

    @pytest.mark.parametrize(
        ("x", "o", "sums"),
        [
            ([1, 2, 4, 8, 16], 2, [7, 28]),
            ([1, 2, 4, 8, 16], 3, [3, 14, 24]),
            ([1, 2, 4], 5, [1, 3, 2, 6, 4]),
            ([1, 2, 4, 8], 2, [3, 12]),
            ([5], 3, [5, 5, 5]),
        ],
    )
    def test_powers_of_two_name_the_elements_read(
        self, module: Any, x: list[int], o: int, sums: list[int]
    ) -> None:
        sizes = window_sizes(len(x), o)
        y = module.adaptive_avg_pool(np.array([[x]], np.float64), (o,))
        assert (y[0, 0] == np.array(sums) / np.array(sizes)).all()
        y, indices = module.adaptive_max_pool(np.array([[x]]), (o,), True)
        tops = [s.bit_length() - 1 if len(x) > 1 else 0 for s in sums]
        assert indices.tolist() == [[tops]]
        assert y.tolist() == [[[x[t] for t in tops]]]

    def test_shares(self, module: Any) -> None:
        gx = module.adaptive_avg_pool_grad((1, 1, 5), np.array([[[6.0, 12.0, 8.0]]]), (3,))
        assert gx.tolist() == [[[3, 3 + 4, 4, 4 + 4, 4]]]

    def test_integers_truncate_toward_zero(self, module: Any) -> None:
        x = np.array([[[-3, 0, 3, 0, 2**60 + 1, 2**60 + 2]]])
        assert module.adaptive_avg_pool(x, (3,)).tolist() == [[[-1, 1, 2**60 + 1]]]

    def test_integer_shares_truncate_once_for_all_axes(self, module: Any) -> None:
        """Shares of 3 over 2, 0, 0; 0, -3 over 4, -6 over 2: 1 0 0, 0 0 -3."""
        gy = np.array([[[[3, 0, 0], [0, -3, -6]]]])
        gx = module.adaptive_avg_pool_grad((1, 1, 3, 2), gy, (2, 3))
        assert gx.tolist() == [[[[1, 0], [1, -3], [0, -3]]]]

    def test_none_keeps_and_zero_empties(self, module: Any) -> None:
        x = np.arange(24.0).reshape(1, 2, 3, 4)
        assert module.adaptive_avg_pool(x, (None, 2)).tolist() == [
            [[[r, r + 2] for r in (c + 0.5, c + 4.5, c + 8.5)] for c in (0, 12)]
        ]
        assert module.adaptive_max_pool(x, [1, None])[0, 0].tolist() == [[8, 9, 10, 11]]
        assert module.adaptive_avg_pool(x, 0).shape == (1, 2, 0, 0)
        assert module.adaptive_max_pool(x, (3, 0), True)[1].shape == (1, 2, 3, 0)
        gx = module.adaptive_avg_pool_grad(x.shape, np.zeros((1, 2, 0, 3)), (0, 3))
        assert same_sum(gx, np.zeros(x.shape))

    def test_no_channels_to_average(self, module: Any) -> None:
        assert module.adaptive_avg_pool(np.zeros((2, 0, 4, 4)), 3).shape == (2, 0, 3, 3)
        gx = module.adaptive_avg_pool_grad((0, 0, 4), np.zeros((0, 0, 3)), (3,))
        assert gx.shape == (0, 0, 4)

    def test_unbatched(self, module: Any) -> None:
        x = np.arange(24.0).reshape(2, 3, 4)
        y, indices = module.adaptive_max_pool(x, (2, 3), True)
        batched = module.adaptive_max_pool(x[None], (2, 3), True)
        assert same(y, batched[0][0])
        assert same(indices, batched[1][0])
        gx = module.adaptive_max_pool_grad(x.shape, indices, y, (2, 3))
        assert same_sum(
            gx, module.adaptive_max_pool_grad((1, *x.shape), batched[1], y[None], (2, 3))[0]
        )
        y = module.adaptive_avg_pool(x, (2, 3))
        assert same(y, module.adaptive_avg_pool(x[None], (2, 3))[0])
        gx = module.adaptive_avg_pool_grad(x.shape, y, (2, 3))
        assert same_sum(gx, module.adaptive_avg_pool_grad((1, *x.shape), y[None], (2, 3))[0])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(layout: str) -> None:
    values = np.random.default_rng(5).integers(-9, 9, (2, 3, 6, 7)).astype(np.float32)
    x = laid_out(values, layout)
    before = x.copy()
    y, indices = refconv.adaptive_max_pool(x, (4, 3), True)
    defined = direct.adaptive_max_pool(plain(x), (4, 3), True)
    assert same(y, defined[0])
    assert same(indices, defined[1])
    gy = laid_out(y, layout)
    assert same_sum(
        refconv.adaptive_max_pool_grad(x.shape, laid_out(indices, "fortran"), gy, (4, 3)),
        direct.adaptive_max_pool_grad(x.shape, indices, plain(gy), (4, 3)),
    )
    for o in ((4, 3), (6, 7), (3, 7)):
        y = refconv.adaptive_avg_pool(x, o)
        assert same(y, direct.adaptive_avg_pool(plain(x), o))
        assert not np.shares_memory(y, x)
        gy = laid_out(y, layout)
        kept = gy.copy()
        assert same_sum(
            refconv.adaptive_avg_pool_grad(x.shape, gy, o),
            direct.adaptive_avg_pool_grad(x.shape, plain(gy), o),
        )
        assert (gy == kept).all()
    assert (x == before).all()
