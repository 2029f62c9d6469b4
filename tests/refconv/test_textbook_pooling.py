"""The text's pooling layer against the general operators and torch."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from refconv import textbook
from support.textbook_checks import (
    check_pool_average,
    check_pool_l2,
    check_pool_max,
    check_through_pool_max,
    integers,
    leaf,
)


@pytest.mark.parametrize("sizes", [(2, 3, 2), (3, 2, 3), (1, 4, 2), (2, 5, 1)])
def test_pool_max_and_average(sizes: tuple[int, int, int]) -> None:
    check_pool_max(*sizes)
    check_pool_average(*sizes)


def test_pool_max_gives_a_tie_to_the_first() -> None:
    _, winner = textbook.pool_max(np.ones((4, 6)), 2)
    assert not winner.any()


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


def test_back_through_max_pooling_to_the_layer_before() -> None:
    check_through_pool_max()
