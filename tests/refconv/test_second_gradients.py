"""Second gradients in the exact tier: torch's double backward against the docstrings' closed forms.

A gradient is linear in gy (and, where there is a weight, in w or x), so its own gradients are
operators of the family again. Data are small integers in float64, averages multiples of every
divisor: no sum rounds, and agreement is bit for bit.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

import refconv

Array = NDArray[Any]
FORMS = [refconv, refconv.direct]


def draw(*shape: int, unit: int = 1, seed: int = 0) -> Array:
    values = unit * np.random.default_rng([seed, *shape]).integers(-4, 5, shape)
    return values.astype(np.float64)


def same(ours: Array, theirs: torch.Tensor) -> None:
    assert np.any(ours), "a comparison of zeros proves nothing"
    np.testing.assert_array_equal(ours, theirs.detach().numpy(), strict=True)


def double_backward(
    forward: Callable[..., Any], operands: list[Array], gy_unit: int = 1
) -> tuple[Array, list[Array], list[list[torch.Tensor]]]:
    """Return gy, a ggx for every operand, and for each of them alone the gradients of <ggx, gx>.

    Those gradients are for gy first, then for the operands.
    """
    leaves = [torch.tensor(a, requires_grad=True) for a in operands]
    y = forward(*leaves)
    gy = torch.tensor(draw(*y.shape, unit=gy_unit, seed=1), requires_grad=True)
    grads = torch.autograd.grad(y, leaves, gy, create_graph=True)
    ggs = [draw(*a.shape, unit=gy_unit, seed=2) for a in operands]
    found = [
        list(
            torch.autograd.grad(
                g, [gy, *leaves], torch.tensor(gg), retain_graph=True, materialize_grads=True
            )
        )
        for g, gg in zip(grads, ggs, strict=True)
    ]
    return gy.detach().numpy(), ggs, found


@pytest.mark.parametrize("form", FORMS, ids=["fast", "direct"])
@pytest.mark.parametrize(
    ("x_shape", "w_shape", "options"),
    [
        ((2, 2, 4), (2, 3, 3), {"stride": 2, "padding": 1, "output_padding": 1}),
        (
            (2, 4, 2, 3),
            (4, 2, 3, 2),
            {
                "stride": (3, 2),
                "padding": (1, 0),
                "output_padding": (1, 1),
                "groups": 2,
                "dilation": (2, 1),
            },
        ),
        ((1, 2, 3, 4), (2, 2, 2, 3), {"padding": (0, 1), "dilation": (1, 2)}),
        ((1, 2, 2, 3, 2), (2, 1, 2, 1, 3), {"stride": (1, 2, 2), "padding": (1, 0, 1)}),
    ],
    ids=["1d", "2d grouped", "2d stride 1", "3d"],
)
def test_conv_transpose(form: Any, x_shape: Any, w_shape: Any, options: dict[str, Any]) -> None:
    x, w = draw(*x_shape), draw(*w_shape)
    forward = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[len(x_shape) - 3]
    gy, (ggx, ggw), (of_gx, of_gw) = double_backward(lambda x, w: forward(x, w, **options), [x, w])
    same(form.conv_transpose(ggx, w, **options), of_gx[0])
    same(form.conv_transpose_grad_weight(ggx, w.shape, gy, **options), of_gx[2])
    same(form.conv_transpose(x, ggw, **options), of_gw[0])
    same(form.conv_transpose_grad_input(x.shape, ggw, gy, **options), of_gw[1])
    assert not of_gx[1].any()
    assert not of_gw[2].any()


@pytest.mark.parametrize("form", FORMS, ids=["fast", "direct"])
@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": (3, 2), "stride": (2, 3), "padding": (1, 1), "ceil_mode": True},
        {"kernel_size": (3, 2), "stride": 1, "padding": (1, 0), "count_include_pad": False},
        {"kernel_size": (2, 3), "divisor_override": -5},
    ],
    ids=["ceil mode", "padding not counted", "divisor given"],
)
def test_avg_pool(form: Any, options: dict[str, Any]) -> None:
    _, (ggx,), ((for_gy, for_x),) = double_backward(
        lambda x: F.avg_pool2d(x, **options), [draw(2, 3, 5, 7)], 720
    )
    same(form.avg_pool(ggx, **options), for_gy)
    assert not for_x.any()


@pytest.mark.parametrize("form", FORMS, ids=["fast", "direct"])
@pytest.mark.parametrize("size", [(3, 2), (4, 5), (1, 1), (7, 3)])
def test_adaptive_pools(form: Any, size: tuple[int, int]) -> None:
    x = draw(2, 2, 5, 7)
    _, (ggx,), ((for_gy, _),) = double_backward(
        lambda x: F.adaptive_avg_pool2d(x, size), [x], 25200
    )
    same(form.adaptive_avg_pool(ggx, size), for_gy)
    _, (ggx,), ((for_gy, for_x),) = double_backward(lambda x: F.adaptive_max_pool2d(x, size), [x])
    _, indices = form.adaptive_max_pool(x, size, return_indices=True)
    same(form.max_pool_select(ggx, indices, 2), for_gy)
    assert not for_x.any()


@pytest.mark.parametrize("form", FORMS, ids=["fast", "direct"])
def test_max_pool(form: Any) -> None:
    o = {"kernel_size": (3, 2), "stride": (1, 2), "padding": (1, 0), "dilation": (1, 2)}
    x = draw(2, 2, 6, 7)
    _, (ggx,), ((for_gy, _),) = double_backward(lambda x: F.max_pool2d(x, **o), [x])
    _, indices = form.max_pool(x, **o, return_indices=True)
    same(form.max_pool_select(ggx, indices, 2), for_gy)


@pytest.mark.parametrize("form", FORMS, ids=["fast", "direct"])
def test_max_unpool(form: Any) -> None:
    """The gradient gathers, duplicates and all, so its own gradient adds up; torch agrees."""
    x = draw(1, 2, 2, 3)
    at = np.array([[[[0, 7, 7], [20, 20, 23]], [[1, 3, 5], [13, 9, 5]]]])
    _, (ggx,), ((for_gy, _),) = double_backward(
        lambda x: F.max_unpool2d(x, torch.tensor(at), 2), [x]
    )
    same(form.max_pool_scatter((1, 2, 4, 6), at, ggx, 2), for_gy)


@pytest.mark.parametrize("form", FORMS, ids=["fast", "direct"])
@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate", "circular"])
@pytest.mark.parametrize("padding", [(2, 3, 1, 2), (-1, 2, 2, -1)], ids=str)
def test_pad(form: Any, mode: str, padding: tuple[int, ...]) -> None:
    value = {"value": 2.5} if mode == "constant" else {}  # the gradients pad with 0 all the same
    _, (ggx,), ((for_gy, _),) = double_backward(
        lambda x: F.pad(x, padding, mode, **value), [draw(2, 3, 4, 5)]
    )
    same(form.pad(ggx, padding, mode), for_gy)


@pytest.mark.parametrize("form", FORMS, ids=["fast", "direct"])
def test_unfold_and_fold(form: Any) -> None:
    o = {"kernel_size": (3, 2), "dilation": (1, 2), "padding": (1, 2), "stride": (2, 1)}
    x = draw(2, 2, 4, 5)
    _, (ggx,), ((for_gy, _),) = double_backward(lambda x: F.unfold(x, **o), [x])
    same(form.unfold(ggx, **o), for_gy)
    cols = draw(*F.unfold(torch.tensor(x), **o).shape)
    _, (ggcols,), ((for_gx, _),) = double_backward(lambda c: F.fold(c, (4, 5), **o), [cols])
    same(form.fold(ggcols, (4, 5), **o), for_gx)
