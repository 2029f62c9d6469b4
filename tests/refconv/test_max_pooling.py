"""Max pooling against its definition, torch and algebra, bitwise on integers; odd arrays."""

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
from support.agreement import one_nan, same, same_sum
from support.strategies import FLOATS, INTEGERS, PoolCase, pool_cases

Array = NDArray[Any]
SPECIAL = (0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, 1.0, -1.0)
MAX_POOLS = (functional.max_pool1d, functional.max_pool2d, functional.max_pool3d)


def max_arguments(case: PoolCase) -> tuple[Any, ...]:
    return (*case.window, case.dilation, case.ceil_mode)


def special_values(case: PoolCase) -> Array:
    """Return x with ties, NaN, infinities and zeros of both signs (NaN of one kind)."""
    return case.rng.choice(np.array(SPECIAL), case.x.shape).astype(case.x.dtype)


@pytest.mark.usefixtures("tile_size")
class TestMaxAgainstDefinition:
    """Fast equals direct, whatever the tiles."""

    @given(pool_cases(dtypes=FLOATS + INTEGERS))
    def test_values_indices_and_gradients(self, case: PoolCase) -> None:
        arguments = max_arguments(case)
        y, indices = refconv.max_pool(case.x, *arguments, True)
        defined = direct.max_pool(case.x, *arguments, True)
        assert same(y, defined[0])
        assert same(indices, defined[1])
        assert same(refconv.max_pool(case.x, *arguments), y)
        gy = case.like(y.shape)
        assert same_sum(
            refconv.max_pool_grad(case.x.shape, indices, gy, *arguments),
            direct.max_pool_grad(case.x.shape, indices, gy, *arguments),
        )
        rank = case.x.ndim - 2
        assert same(refconv.max_pool_select(case.x, indices, rank), y)
        assert same(direct.max_pool_select(case.x, indices, rank), y)

    @given(pool_cases())
    def test_ties_nan_infinities_and_signed_zeros(self, case: PoolCase) -> None:
        x, arguments = special_values(case), max_arguments(case)
        y, indices = refconv.max_pool(x, *arguments, True)
        defined = direct.max_pool(x, *arguments, True)
        assert same(indices, defined[1])
        assert same(one_nan(y), one_nan(defined[0]))


@given(pool_cases(dtypes=(np.float64, np.int64)))
def test_the_gradient_of_a_maximum_is_adjoint_to_select(case: PoolCase) -> None:
    """With the winners held fixed: <S v, gy> = <v, S' gy>."""
    y, indices = refconv.max_pool(case.x, *max_arguments(case), True)
    v, gy = case.like(case.x.shape), case.like(y.shape)
    sy = refconv.max_pool_select(v, indices, v.ndim - 2)
    gx = refconv.max_pool_grad(v.shape, indices, gy, *max_arguments(case))
    assert np.vdot(sy, gy) == np.vdot(v, gx)


class TestMaxAgainstTorch:
    """Bitwise, in the dtypes and ranks that torch has."""

    @given(pool_cases(ranks=(1, 2, 3), dtypes=(np.float32, np.float64)), st.booleans())
    def test_values_indices_and_gradient(self, case: PoolCase, special: bool) -> None:
        values = special_values(case) if special else case.x
        x = torch.from_numpy(values).requires_grad_()
        arguments = max_arguments(case)
        y: Any
        y, indices = MAX_POOLS[x.ndim - 3](x, *arguments, True)
        ours = refconv.max_pool(values, *arguments, True)
        assert same(ours[1], indices.numpy())
        assert same(one_nan(ours[0]), one_nan(y.detach().numpy()))
        gy = case.like(tuple(y.shape))
        (gx,) = torch.autograd.grad(y, x, torch.from_numpy(gy))
        assert same_sum(refconv.max_pool_grad(values.shape, ours[1], gy, *arguments), gx.numpy())


class TestMaxByHand:
    """Which element wins, worked by hand, for both forms."""

    @pytest.mark.parametrize("module", [refconv, direct])
    @pytest.mark.parametrize(
        ("x", "winner"),
        [
            ([1, 3, 3], 1),  # the first of equals
            ([0.0, -0.0, -1], 0),
            ([-0.0, 0.0, -1], 0),
            ([np.nan, 5, 1], 0),  # a NaN wins
            ([np.nan, 5, np.nan], 2),  # the last of several
            ([-np.inf, -np.inf, -np.inf], 0),
        ],
    )
    def test_winner(self, module: Any, x: list[float], winner: int) -> None:
        a = np.array(x).reshape(1, 1, 3)
        y, index = module.max_pool(a, (3,), return_indices=True)
        assert index.item() == winner
        assert y.tobytes() == a[..., winner].tobytes()

    @pytest.mark.parametrize("module", [refconv, direct])
    def test_padding_is_never_selected(self, module: Any) -> None:
        x = np.full((1, 1, 2, 2), -np.inf)
        _, indices = module.max_pool(x, 2, 1, 1, return_indices=True)
        assert indices.tolist() == [[[[0, 0, 1], [0, 0, 1], [2, 2, 3]]]]

    @pytest.mark.parametrize("module", [refconv, direct])
    def test_a_winner_of_two_windows_gets_both_gradients(self, module: Any) -> None:
        x = np.array([[[1.0, 5.0, 2.0]]])
        _, indices = module.max_pool(x, (2,), 1, return_indices=True)
        gx = module.max_pool_grad(x.shape, indices, np.array([[[3.0, 4.0]]]), (2,), 1)
        assert gx.tolist() == [[[0, 7, 0]]]

    def test_more_than_256_taps(self) -> None:
        x = np.arange(400.0).reshape(1, 1, 20, 20)
        y, index = refconv.max_pool(x, 20, return_indices=True)
        assert (y.item(), index.item()) == (399.0, 399)


class TestArrays:
    """Memory layout changes nothing and inputs stay as they were."""

    @pytest.mark.parametrize("layout", ["fortran", "reversed", "broadcast", "big-endian"])
    def test_layouts(self, layout: str) -> None:
        plain = np.random.default_rng(5).integers(-9, 9, (2, 3, 6, 7)).astype(np.float32)
        x = {
            "fortran": np.asfortranarray(plain),
            "reversed": plain[:, ::-1, :, ::-1],
            "broadcast": np.broadcast_to(plain[:, :1], plain.shape),
            "big-endian": plain.astype(">f4"),
        }[layout]
        x.setflags(write=False)
        plain = np.ascontiguousarray(x.astype(np.float32))
        y, indices = refconv.max_pool(x, 3, 2, 1, return_indices=True)
        expected = direct.max_pool(plain, 3, 2, 1, return_indices=True)
        assert same(y, expected[0])
        assert same(indices, expected[1])
        gy, at = np.asfortranarray(y), np.asfortranarray(indices)
        assert same_sum(
            refconv.max_pool_grad(x.shape, at, gy, 3, 2, 1),
            direct.max_pool_grad(x.shape, indices, y, 3, 2, 1),
        )
        assert same(refconv.max_pool_select(x, at, 2), y)
        assert same(refconv.avg_pool(x, 2), direct.avg_pool(plain, 2))
        gy = np.broadcast_to(np.float32(4), refconv.avg_pool(x, 2).shape)
        assert same_sum(
            refconv.avg_pool_grad(x.shape, gy, 2),
            direct.avg_pool_grad(x.shape, np.ascontiguousarray(gy), 2),
        )

    def test_unbatched(self) -> None:
        x = np.arange(24.0).reshape(2, 3, 4)
        y, indices = refconv.max_pool(x, (2, 2), return_indices=True)
        batched = refconv.max_pool(x[None], (2, 2), return_indices=True)
        assert same(y, batched[0][0])
        assert same(indices, batched[1][0])
        assert same_sum(
            refconv.max_pool_grad(x.shape, indices, y, (2, 2)),
            refconv.max_pool_grad((1, *x.shape), batched[1], y[None], (2, 2))[0],
        )
        assert same(refconv.avg_pool(x, (2, 2)), refconv.avg_pool(x[None], (2, 2))[0])
        assert same_sum(
            refconv.avg_pool_grad(x.shape, y, (2, 2)),
            refconv.avg_pool_grad((1, *x.shape), y[None], (2, 2))[0],
        )
