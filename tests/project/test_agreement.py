"""What counts as the same result: all bits, but for the sign of a zero that is a sum."""

from typing import Any

import numpy as np
import pytest

import refconv
from support.agreement import CHOOSE, DIVIDE, agreeing, one_nan, same, same_sum

FLOATS = (np.float16, np.float32, np.float64, np.longdouble)
COMPLEX = (np.complex64, np.complex128, np.clongdouble)
VALUES = (0.0, 1.0, -1.0, np.inf, -np.inf, np.nan)


@pytest.mark.parametrize("dtype", FLOATS)
def test_of_a_sum_only_the_sign_of_a_zero_is_free(dtype: Any) -> None:
    a, b = np.array([0.0, -0.0, 2.0, np.nan], dtype), np.array([-0.0, 0.0, 2.0, np.nan], dtype)
    assert same_sum(a, b)
    assert not same(a, b)
    for one in VALUES:
        for other in VALUES:
            pair = np.array([one], dtype), np.array([other], dtype)
            alike = one == other or (np.isnan(one) and np.isnan(other))
            assert same(*pair) == same_sum(*pair) == alike
    step = np.nextafter(dtype(1), dtype(2))
    assert not same_sum(np.array([1], dtype), np.array([step], dtype))
    least = np.nextafter(dtype(0), dtype(1))
    for zero in (dtype(0), -dtype(0)):
        for small in (least, -least):
            assert not same_sum(np.array([zero]), np.array([small]))


@pytest.mark.parametrize("dtype", COMPLEX)
def test_in_the_real_and_the_imaginary_part(dtype: Any) -> None:
    for value in [complex(re, im) for re in VALUES[:-1] for im in VALUES[:-1]]:
        a = np.array([value], dtype)
        b = np.array([complex(-value.real, value.imag)], dtype)
        c = np.array([complex(value.real, -value.imag)], dtype)
        assert same(a, a.copy())
        assert same_sum(a, b) == (value.real == 0)
        assert same_sum(a, c) == (value.imag == 0)
        assert not (value.real == 0 and same(a, b))
        assert not (value.imag == 0 and same(a, c))


def test_payloads_of_nan_are_bits_too() -> None:
    a = np.array([0x7FC00000, 0x3F800000], np.uint32).view(np.float32)
    b = np.array([0x7FC00001, 0x3F800000], np.uint32).view(np.float32)
    assert not same(a, b)
    assert not same_sum(a, b)
    assert same(one_nan(a), one_nan(b))
    assert not same(one_nan(a), one_nan(a + 1))


@pytest.mark.parametrize("agree", [same, same_sum])
def test_dtype_and_shape_count(agree: Any) -> None:
    a = np.zeros((2, 3), np.float32)
    assert agree(a, a.copy(order="F"))
    for b in (a.astype(np.float64), a.astype(">f4"), a[:1], a.T, a[None], a.astype(np.int32)):
        assert not agree(a, b)
    for dtype in (np.bool_, np.int8, np.uint64):
        assert agree(np.array([0, 1], dtype), np.array([0, 1], dtype))
        assert not agree(np.array([0, 1], dtype), np.array([1, 1], dtype))


def test_where_an_operator_chooses_the_sign_counts() -> None:
    for name in CHOOSE | DIVIDE:
        assert not agreeing(name)(np.array([0.0]), np.array([-0.0]))
    for name in set(refconv.__all__) - CHOOSE - DIVIDE - {"direct"}:
        assert agreeing(name)(np.array([0.0]), np.array([-0.0]))
        assert not agreeing(name)(np.array([1.0]), np.array([-1.0]))
    assert set(refconv.__all__) > CHOOSE | DIVIDE
