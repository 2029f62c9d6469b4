"""Derivatives: against finite differences over the whole family, and third ones against torch's.

`gradcheck` and `gradgradcheck` with every option: forward mode, batched gradients and tangents,
gradients that do not exist, reverse over reverse and forward over reverse.
"""

import itertools
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad, grad, gradcheck, gradgradcheck
from torch.func import grad as gradient_of
from torch.func import jvp

from support.asymmetric_calls import ALL, CASES, Draw, FunctionCase
from support.torch_modes import counted
from support.torch_rows import Row, primary, ramp
from torch_ext import functional
from torch_ext.derivatives import convolution, keeping

# torch scripts a few decompositions of its own when forward mode is first used
pytestmark = pytest.mark.filterwarnings(
    "ignore:`torch.jit.script` is deprecated:DeprecationWarning"
)

OPS = torch.ops.refconv
NAMES = [case.name for case in ALL if not case.name.endswith("_with_indices")]


def differentiable(function: Any, *inputs: Tensor) -> None:
    """Assert that all of torch's checks of first and second order hold."""
    assert gradcheck(
        function,
        inputs,
        fast_mode=True,
        check_undefined_grad=True,
        check_batched_grad=True,
        check_forward_ad=True,
        check_batched_forward_grad=True,
    )
    assert gradgradcheck(
        function,
        inputs,
        fast_mode=True,
        check_undefined_grad=True,
        check_batched_grad=True,
        check_fwd_over_rev=True,
        check_rev_over_rev=True,
    )


def some(case: FunctionCase, tensors: tuple[Tensor, ...]) -> tuple[Any, list[Tensor]]:
    """Return the function of the tensors that have derivatives, and these."""
    leaves = Row(case).leaves(tensors)
    rest = leaves[case.differentiable :]
    return lambda *t: primary(case.ours)(*t, *rest), leaves[: case.differentiable]


@pytest.mark.parametrize("name", NAMES)
def test_the_family(name: str) -> None:
    function, inputs = some(CASES[name], CASES[name].draw(Draw()))
    differentiable(function, *inputs)


@pytest.mark.parametrize(
    "name", [name for name in NAMES if CASES[name].complex and "3" not in name]
)
def test_complex_numbers(name: str) -> None:
    function, inputs = some(CASES[name], CASES[name].draw(Draw(torch.complex128)))
    differentiable(function, *inputs)


@pytest.mark.parametrize("p", [1.0, 1.5, 3.0, -2.0])
def test_any_power(p: float) -> None:
    x = torch.rand(2, 2, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    differentiable(lambda x: functional.lp_pool1d(x, p, 2, 1), (x + 0.5).requires_grad_())


def test_every_entry_of_the_jacobians_of_a_convolution() -> None:
    x, *rest = CASES["conv1d"].draw(Draw(torch.complex128))
    function, inputs = some(CASES["conv1d"], (x[:1], *rest))
    assert gradcheck(function, inputs, check_forward_ad=True)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128], ids=str)
def test_padding_that_is_not_even(dtype: torch.dtype) -> None:
    draw = Draw(dtype)
    x, w = (draw.integers(*shape).requires_grad_() for shape in ((2, 5), (3, 2, 2)))
    differentiable(lambda x, w: functional.conv1d(x, w, padding="same"), x, w)


# --------------------------------------------------------------------------- third order


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128], ids=str)
@pytest.mark.parametrize("wrt", [0, 1], ids=["input", "weight"])
def test_third_derivatives_of_convolution(dtype: torch.dtype, wrt: int) -> None:
    """The gradients of a convolution as functions of their own, in gy and the other operand."""
    function, (x, w, b) = some(CASES["conv1d"], CASES["conv1d"].draw(Draw(dtype)))
    gy = Draw(dtype, seed=2).integers(*function(x, w, b).shape).requires_grad_()

    def gradient(x: Tensor, w: Tensor, gy: Tensor) -> Tensor:
        y = function(x, w, b.detach())
        scalar = (y * y).real.sum() + (y * gy.conj()).real.sum()
        return grad(scalar, (x, w)[wrt], create_graph=True)[0]

    assert gradcheck(gradient, (x, w, gy), fast_mode=True)
    assert gradgradcheck(gradient, (x, w, gy), fast_mode=True)


@pytest.mark.parametrize("p", [2.0, 3.0])
def test_third_derivatives_of_lp_pool(p: float) -> None:
    x = torch.rand(2, 2, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    gy = torch.randn(2, 2, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(2))

    def gradient(x: Tensor, gy: Tensor) -> Tensor:
        y = functional.lp_pool1d(x, p, 2, 1)
        return grad(y, x, gy, create_graph=True)[0]

    inputs = (x + 0.5).requires_grad_(), gy.requires_grad_()
    assert gradcheck(gradient, inputs, fast_mode=True)
    assert gradgradcheck(gradient, inputs, fast_mode=True)


def nested(order: str, case: FunctionCase, function: Any) -> Tensor:
    """Return the third derivative in the direction of all tensors, by jvp (D) or grad (R)."""
    tensors = case.draw(Draw())
    primals, rest = tensors[: case.differentiable], tensors[case.differentiable :]
    directions = tuple(ramp(t) for t in primals)

    def derivative(mode: str, f: Any) -> Any:
        if mode == "D":
            return lambda *t: jvp(f, t, directions)[1]
        gradient = gradient_of(f, tuple(range(len(primals))))
        return lambda *t: sum((g * d).sum() for g, d in zip(gradient(*t), directions, strict=True))

    def cubes(*t: Tensor) -> Tensor:
        y = primary(function)(*t, *rest)
        return (ramp(y) * y * y * y).sum()

    f = cubes
    for mode in reversed(order):
        f = derivative(mode, f)
    return f(*primals)


ORDERS = ["".join(modes) for modes in itertools.product("DR", repeat=3)]


@pytest.mark.parametrize("name", NAMES)
def test_forward_and_reverse_mode_in_any_nesting_of_three(name: str) -> None:
    """All eight have one value: that of torch's function in forward mode, if it has one."""
    case = CASES[name]
    expected = nested("RRR" if name == "conv_tbc" else "DDD", case, case.torchs)
    assert expected != 0
    found = {order: nested(order, case, case.ours) for order in ORDERS}
    assert found == dict.fromkeys(ORDERS, expected)


def wrong_orders(name: str) -> set[str]:
    """Return the nestings whose third derivative is another than torch's."""
    case = CASES[name]
    expected = nested("DDD", case, case.torchs)
    return {order for order in ORDERS if nested(order, case, case.ours) != expected}


@pytest.mark.parametrize("name", ["conv2d", "lp_pool2d"])
def test_tangents_lost_in_forward_mode_over_forward_mode_are_seen(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without forward mode in a jvp, what it adds and multiplies has no tangents further out."""
    off = SimpleNamespace(
        _set_fwd_grad_enabled=lambda _: nullcontext(), unpack_dual=forward_ad.unpack_dual
    )
    monkeypatch.setattr(keeping, "forward_ad", off)
    assert wrong_orders(name) == {"DDD", "DDR", "DRD", "RDD"}


# --------------------------------------------------------------------------- details


def test_tangents_of_some_inputs_only() -> None:
    tensors = CASES["conv2d"].draw(Draw())
    tangents = [ramp(t) for t in tensors]
    y = {}
    for present in itertools.product((False, True), repeat=3):
        with forward_ad.dual_level():
            duals = [
                forward_ad.make_dual(each, tangent) if there else each
                for each, tangent, there in zip(tensors, tangents, present, strict=True)
            ]
            y[present] = forward_ad.unpack_dual(CASES["conv2d"].ours(*duals)).tangent
    assert y.pop((False, False, False)) is None
    alone = [y[tuple(i == at for i in range(3))] for at in range(3)]
    for present, tangent in y.items():
        parts = [part for part, there in zip(alone, present, strict=True) if there]
        assert torch.equal(tangent, torch.stack(parts).sum(0))


def products(present: tuple[bool, ...]) -> int:
    """Return how many convolutions a convolution makes when these of its operands have tangents."""
    tensors = CASES["conv2d"].draw(Draw())
    with counted() as calls, forward_ad.dual_level():
        pairs = zip(tensors, present, strict=True)
        CASES["conv2d"].ours(
            *(forward_ad.make_dual(t, ramp(t)) if there else t for t, there in pairs)
        )
    return calls["conv"]


def test_only_the_tangents_that_exist_are_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    """One for y, one for each product; zeros that are made up for the others are seen here."""
    for present in itertools.product((False, True), repeat=3):
        assert products(present) == 1 + present[0] + present[1]

    def keep(ctx: Any, *tensors: Tensor) -> None:
        ctx.save_for_forward(*tensors)

    monkeypatch.setattr(convolution, "keep", keep)
    assert products((True, False, False)) == 3


@pytest.mark.parametrize("transposed", [False, True])
def test_the_gradients_of_convolution_in_their_turn(transposed: bool) -> None:
    name = "conv_transpose1d" if transposed else "conv1d"
    x, w, b = (t.requires_grad_() for t in CASES[name].draw(Draw()))
    options = ((2,), (1,), (2,), transposed, (1 if transposed else 0,), 2)
    y = OPS.convolution(x, w, b, *options)
    gy = ramp(y).requires_grad_()
    differentiable(lambda w, gy: OPS.convolution_grad_input(x.shape, w, gy, *options), w, gy)
    differentiable(lambda x, gy: OPS.convolution_grad_weight(x, w.shape, gy, *options), x, gy)
    differentiable(OPS.convolution_grad_bias, gy)
    differentiable(lambda b: OPS.convolution_bias(b, y.shape), b)


def test_the_gradients_of_pooling_in_their_turn() -> None:
    draw = Draw()
    x, gy = (draw.integers(*shape).requires_grad_() for shape in ((1, 2, 6), (1, 2, 3)))
    _, indices = OPS.max_pool(x, (3,), (2,), (1,), (1,), False)
    differentiable(lambda gy: OPS.max_pool_scatter(x.shape, indices, gy, 1), gy)
    differentiable(lambda x: OPS.max_pool_select(x, indices, 1), x)
    average = ((3,), (2,), (1,), False, False, None)
    differentiable(lambda gy: OPS.avg_pool_grad(x.shape, gy, *average), gy)


def test_saved_tensors_changed_in_place_are_noticed() -> None:
    x, w, b = (t.requires_grad_() for t in CASES["conv1d"].draw(Draw()))
    y = CASES["conv1d"].ours(x, w, b)
    with torch.no_grad():
        w += 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()
