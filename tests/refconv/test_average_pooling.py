"""Average pooling against its definition, torch and algebra, bitwise on integers."""

import math
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
from support.agreement import same, same_sum
from support.strategies import COMPLEX, FLOATS, INTEGERS, LINEAR, PoolCase, pool_cases

Array = NDArray[Any]
AVG_POOLS = (functional.avg_pool1d, functional.avg_pool2d, functional.avg_pool3d)


def average_options(case: PoolCase, include: bool, divisor: int | None) -> tuple[Any, ...]:
    return (*case.window, case.ceil_mode, include, divisor)


def multiple_of_divisors(case: PoolCase) -> int:
    """Return a number that every window size divides: shares of its multiples are exact."""
    return math.lcm(*range(1, max(case.window[0]) + 1)) ** len(case.window[0])


@pytest.mark.usefixtures("tile_size")
class TestAverageAgainstDefinition:
    """Fast equals direct, whatever the tiles."""

    @given(
        pool_cases(dtypes=FLOATS + COMPLEX + INTEGERS, dilated=False),
        st.booleans(),
        st.sampled_from([None, 1, -3, 5]),
    )
    def test_values(self, case: PoolCase, include: bool, divisor: int | None) -> None:
        if case.x.dtype.kind == "u" and divisor:
            divisor = abs(divisor)
        options = average_options(case, include, divisor)
        assert same(refconv.avg_pool(case.x, *options), direct.avg_pool(case.x, *options))

    @given(
        pool_cases(dtypes=(np.float64, np.complex128, np.int64), dilated=False),
        st.booleans(),
        st.sampled_from([None, 1, -3]),
    )
    def test_gradient(self, case: PoolCase, include: bool, divisor: int | None) -> None:
        options = average_options(case, include, divisor)
        gy = case.like(direct.avg_pool(case.x, *options).shape, multiple_of_divisors(case) * 3)
        assert same_sum(
            refconv.avg_pool_grad(case.x.shape, gy, *options),
            direct.avg_pool_grad(case.x.shape, gy, *options),
        )

    @given(
        pool_cases(dtypes=LINEAR, dilated=False),
        st.booleans(),
        st.sampled_from([None, 1, -3, 5]),
    )
    def test_adjoint(self, case: PoolCase, include: bool, divisor: int | None) -> None:
        options = average_options(case, include, divisor)
        times = multiple_of_divisors(case) * 15
        x = case.x * times
        y = refconv.avg_pool(x, *options)
        gy = case.like(y.shape, times)
        gx = refconv.avg_pool_grad(x.shape, gy, *options)
        assert np.vdot(y, gy) == np.vdot(x, gx)  # <A x, gy> = <x, A' gy>


class TestAverageAgainstTorch:
    """Bitwise, in the dtypes and ranks that torch has."""

    @given(
        pool_cases(ranks=(1, 2, 3), dtypes=(np.float32, np.float64, np.int64), dilated=False),
        st.booleans(),
        st.sampled_from([None, -3, 5]),
    )
    def test_values_and_gradient(self, case: PoolCase, include: bool, divisor: int | None) -> None:
        rank = case.x.ndim - 2
        smaller = any(i < k for i, k in zip(case.x.shape[2:], case.window[0], strict=True))
        if rank == 3 and smaller:
            return  # torch's avg_pool3d alone refuses an unpadded input smaller than the kernel
        options = average_options(case, include, divisor if rank > 1 else None)
        x = torch.from_numpy(case.x)
        y: Any = AVG_POOLS[rank - 1](x, *options[: 5 if rank == 1 else 6])
        assert same(refconv.avg_pool(case.x, *options), y.numpy())
        if x.is_floating_point():
            gy = case.like(tuple(y.shape), multiple_of_divisors(case) * 15)
            x = x.requires_grad_()
            y = AVG_POOLS[rank - 1](x, *options[: 5 if rank == 1 else 6])
            (gx,) = torch.autograd.grad(y, x, torch.from_numpy(gy))
            assert same_sum(refconv.avg_pool_grad(case.x.shape, gy, *options), gx.numpy())


class TestAverageByHand:
    """Divisors, worked by hand, for both forms."""

    @pytest.mark.parametrize("module", [refconv, direct])
    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            ({}, [1.0, 1.0]),  # windows 11 11
            ({"ceil_mode": True}, [1.0, 1.0, 1.0]),  # 11 11 1: the last counts one tap
            ({"padding": 1}, [0.5, 1.0, 1.0]),  # 01 11 11
            ({"padding": 1, "count_include_pad": False}, [1.0, 1.0, 1.0]),
            ({"divisor_override": -4}, [-0.5, -0.5]),
        ],
    )
    def test_ones(self, module: Any, options: dict[str, Any], expected: list[float]) -> None:
        assert module.avg_pool(np.ones((1, 1, 5)), (2,), **options).tolist() == [[expected]]

    @pytest.mark.parametrize("module", [refconv, direct])
    def test_integers_truncate_toward_zero_and_stay_exact(self, module: Any) -> None:
        x = np.array([[[-3, 0, 3, 0, 2**60 + 1, 2**60 + 2]]])
        assert module.avg_pool(x, (2,)).tolist() == [[[-1, 1, 2**60 + 1]]]

    @pytest.mark.parametrize("module", [refconv, direct])
    def test_small_integers_do_not_overflow_before_the_division(self, module: Any) -> None:
        x = np.full((1, 1, 4), 100, np.int8)
        assert module.avg_pool(x, (4,)).tolist() == [[[100]]]
