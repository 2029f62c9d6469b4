"""The harness itself: what passes, what fails, what it says, and that its scripts run."""

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from refconv import exact
from support.bugs.candidates import MAKE
from support.bugs.zoo.tampering import gradient
from support.few_cases import COMPARED, few
from torch_ext import functional, parity
from torch_ext.parity import criterion, layouts
from torch_ext.parity.catalogue import OPERATORS, cases
from torch_ext.parity.catalogue.operator import EXACT
from torch_ext.parity.inputs import draw
from torch_ext.parity.report import Row

# --- what passes --------------------------------------------------------------------------------


@pytest.mark.parametrize("op", parity.OPS)
def test_torch_agrees(op: str) -> None:
    verdict = parity.check(getattr(F, op), op, random_cases=0, tiers=COMPARED, only=few)
    assert verdict.ok, verdict
    for row in verdict.rows:
        assert row.skipped or row.cases == len([c for c in cases(op, number=0) if few(c)]) > 0
        assert row.skipped or row.bit_equal == row.cases
        assert row.fraction_nonzero > 0.1
        assert row.omega_ours < 4


def test_a_dtype_that_is_never_implemented_is_skipped_with_its_reason() -> None:
    halves = [torch.float16, torch.bfloat16]
    verdict = parity.check(
        F.avg_pool3d, "avg_pool3d", dtypes=halves, tiers=COMPARED, only=few, random_cases=0
    )
    if any(row.skipped for row in verdict.rows):  # torch 2.13 on the CPU has neither
        assert "not implemented for" in re.sub(r"\s+", " ", str(verdict))

    def never(*_: Any, **__: Any) -> Tensor:
        raise NotImplementedError("not today")

    verdict = parity.check(never, "avg_pool1d", tiers=COMPARED, only=few)
    assert not verdict.ok, "nothing was compared"
    assert not verdict.failures
    assert "skipped: NotImplementedError: not today" in re.sub(r"\s+", " ", str(verdict))
    assert "proves nothing" in str(verdict)


def test_part_of_the_domain_is_certified_and_named() -> None:
    def sometimes(x: Tensor, **options: Any) -> Tensor:
        if x.ndim == 2:
            raise NotImplementedError("no unbatched input")
        return F.avg_pool1d(x, **options)

    verdict = parity.check(sometimes, "avg_pool1d", dtypes=[torch.float32], only=few)
    assert verdict.ok
    assert verdict.rows[0].withheld == {"NotImplementedError: no unbatched input": 2}
    assert "not offered: NotImplementedError: no unbatched input (2)" in verdict.rows[0].note


def test_an_option_that_is_not_taken_is_not_offered() -> None:
    def without(x: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0) -> Tensor:
        return F.avg_pool2d(x, kernel_size, stride, padding)

    row = parity.check(without, "avg_pool2d", dtypes=[torch.float32]).rows[0]
    assert row.ok, row.failures
    assert row.sizes > 100
    assert any("divisor_override" in reason for reason in row.withheld)
    assert "not offered" in row.note


def test_an_option_that_is_not_taken_is_left_out_where_it_has_its_default() -> None:
    def without(x: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0) -> Tensor:
        return F.max_pool2d(x, kernel_size, stride, padding)

    row = parity.check(without, "max_pool2d", dtypes=[torch.float32], tiers=["ladder"]).rows[0]
    assert row.ok, row.failures
    assert row.sizes > 150, "every call of the ladder names a dilation"


def test_the_highest_derivative_is_found_and_named() -> None:
    def forward_only(x: Tensor, **options: Any) -> Tensor:
        return F.avg_pool2d(x.detach(), **options)

    class Once(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor, options: dict[str, Any]) -> Tensor:
            ctx.save_for_backward(x)
            ctx.options = options
            return F.avg_pool2d(x, **options)

        @staticmethod
        @torch.autograd.function.once_differentiable  # type: ignore[misc]
        def backward(ctx: Any, gy: Tensor) -> Any:
            (x,) = ctx.saved_tensors
            with torch.enable_grad():
                x = x.detach().requires_grad_()
                y = F.avg_pool2d(x, **ctx.options)
            return torch.autograd.grad(y, x, gy)[0], None

    options: dict[str, Any] = {"dtypes": [torch.float64], "tiers": COMPARED, "only": few}
    row = parity.check(forward_only, "avg_pool2d", **options).rows[0]
    assert row.ok
    assert row.note.startswith("agrees, to order 0: no derivative of order 1")
    row = parity.check(lambda x, **o: Once.apply(x, o), "avg_pool2d", **options).rows[0]
    assert row.ok
    assert row.note.startswith("agrees, to order 1: no derivative of order 2")


def test_gradients_that_are_not_asked_for_are_not_judged() -> None:
    wrong = gradient(F.avg_pool2d, "x", lambda g: g * 1.001)
    options: dict[str, Any] = {"dtypes": [torch.float32], "random_cases": 0}
    assert parity.check(wrong, "avg_pool2d", order=0, **options).ok
    assert not parity.check(wrong, "avg_pool2d", order=1, tiers=["contract"], **options).ok


def test_a_derivative_that_some_calls_have_is_missing_in_the_others() -> None:
    def now_and_then(x: Tensor, **options: Any) -> Tensor:
        return F.avg_pool2d(x.detach() if x.ndim == 3 else x, **options)

    options: dict[str, Any] = {"dtypes": [torch.float64], "tiers": COMPARED, "only": few}
    verdict = parity.check(now_and_then, "avg_pool2d", **options)
    assert {f.case.name for f in verdict.failures} == {"unbatched"}
    assert "is missing, though other calls" in verdict.failures[0].message


def test_progress() -> None:
    seen: list[str] = []
    options: dict[str, Any] = {"dtypes": [torch.float64], "only": few, "progress": seen.append}
    assert parity.check(F.avg_pool2d, "avg_pool2d", order=0, tiers=COMPARED, **options).ok
    assert seen[0] == "avg_pool2d float64 exact: plain"


@pytest.mark.parametrize(
    ("op", "case"),
    [("max_pool3d", "-inf, channels_last"), ("conv2d", "unbatched, channels_last, groups")],
)
def test_a_known_bug_of_torch_is_shown_and_excused_in_torch_alone(op: str, case: str) -> None:
    options: dict[str, Any] = {"dtypes": [torch.float64], "only": lambda c: c.name == case}
    options["tiers"] = COMPARED
    function = getattr(F, op)
    verdict = parity.check(function, op, **options)
    assert verdict.ok
    bug = bool(verdict.rows[0].known)  # until torch mends it
    assert ("KNOWN BUG of torch" in str(verdict)) == bug
    other = parity.check(lambda *args, **kwargs: function(*args, **kwargs), op, **options)
    assert other.ok != bug


def test_mostly_zeros_prove_nothing() -> None:
    rows = (Row("conv1d", torch.float32, cases=1, trials=2, elements=100, nonzero=5),)
    assert not parity.Verdict(rows, {}).ok
    assert "mostly zeros" in str(parity.Verdict(rows, {}))


# --- what fails ---------------------------------------------------------------------------------


def test_a_bug_of_ours_is_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OPERATORS["conv1d"], "ours", MAKE["conv"]("input gradient x 1.001", 1))
    monkeypatch.setattr(
        OPERATORS["conv1d"],
        "y_shape",
        lambda case: (
            F.conv1d(
                torch.zeros(case.shape), torch.zeros(case.shapes["weight"]), **case.options
            ).shape
        ),
    )
    options: dict[str, Any] = {"dtypes": [torch.float32], "tiers": COMPARED, "only": few}
    verdict = parity.check(F.conv1d, "conv1d", **options)
    mine = [f for f in verdict.failures if f.party == "ours"]
    assert {f.quantity for f in mine} == {"gx", "gx(gw)"}
    assert "torch_ext.functional import conv1d" in mine[0].script()


def test_results_of_another_kind_fail() -> None:
    wrong: dict[str, Callable[[Tensor], Any]] = {
        "has shape": lambda y: y[..., :1],
        "has dtype": lambda y: y.double(),
        "is on meta": lambda y: y.to("meta"),
        "is tuple": lambda y: (y, y),
    }
    for message, change in wrong.items():
        verdict = parity.check(
            lambda x, change=change, **options: change(F.avg_pool2d(x, **options)),
            "avg_pool2d",
            dtypes=[torch.float32],
            order=0,
            tiers=COMPARED,
            only=few,
        )
        assert message in verdict.failures[0].message, verdict


@pytest.mark.parametrize("result", [None, 1.0, (torch.zeros(1), torch.zeros(1))], ids=str)
def test_what_is_no_tensor_ends_no_tier(result: Any) -> None:
    """Each tier goes on; that it is no tensor is said where kinds are judged."""
    verdict = parity.check(
        lambda *_, **__: result, "conv2d", dtypes=[torch.float32], random_cases=0
    )
    assert not verdict.ok
    assert any("expected a tensor" in failure.message for failure in verdict.failures)


def test_arguments_are_checked() -> None:
    with pytest.raises(ValueError, match="op must be one of conv1d"):
        parity.check(F.conv2d, "conv4d")
    with pytest.raises(ValueError, match="int64"):
        parity.check(F.conv2d, "conv2d", dtypes=[torch.int64])
    with pytest.raises(ValueError, match="order"):
        parity.check(F.conv2d, "conv2d", order=3)


# --- cases, inputs, criterion -------------------------------------------------------------------


@pytest.mark.parametrize("op", parity.OPS)
def test_cases_are_named_once_and_drawn_from_the_seed(op: str) -> None:
    found = cases(op, seed=3, number=20)
    assert len({case.name for case in found}) == len(found)
    assert found == cases(op, seed=3, number=20)
    assert found[-1] != cases(op, seed=4, number=20)[-1]
    assert all(getattr(functional, op) for case in found)


@pytest.mark.parametrize("op", ["conv1d", "conv2d", "max_pool2d", "avg_pool2d", "avg_pool3d"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_the_exact_tier_demands_bits(op: str, dtype: torch.dtype) -> None:
    """Of every quantity of every case, in the narrowest format too."""
    demanded, total = 0, 0
    for case in cases(op, seed=1, number=10):
        values = draw(OPERATORS[op], case, dtype, "exact", 1)
        leaves = layouts.laid_out(case, values, "cpu", OPERATORS[op].unbatched(case))
        arrays = {name: criterion.array(leaf) for name, leaf in leaves.items()}
        expected = OPERATORS[op].quantities(EXACT, case, arrays, 2)
        bits = [criterion.demands_bits(q, due, dtype, "exact") for q, due in expected.items()]
        demanded, total = demanded + sum(bits), total + len(bits)
        for leaf in leaves.values():
            assert case.values != "plain" or leaf.isfinite().all()
    assert demanded == total


def test_memory_layouts() -> None:
    x = torch.arange(24.0).view(2, 1, 3, 4)
    assert layouts.lay_out(x, "channels_last", 1).stride() == (12, 1, 4, 1)
    assert layouts.lay_out(x, "transposed", 1).stride() == (1, 2, 2, 6)
    gaps = layouts.lay_out(x, "gaps", 1)
    assert gaps.stride() == (24, 24, 8, 2)
    assert gaps.as_strided((24,), (2,), 1).isnan().all()
    for layout in ("contiguous", "channels_last", *layouts.ALONE):
        assert torch.equal(layouts.lay_out(x, layout, 1), x)
    assert layouts.lay_out(x, "expanded", 1).stride()[0] == 0
    assert set(layouts.lay_out(x, "constant", 1).stride()) == {0}


def test_bits_know_the_sign_of_zero_and_one_nan() -> None:
    a = torch.tensor([0.0, math.nan, 1.0, math.inf])
    b = torch.tensor([-0.0, -math.nan, 1.0, -math.inf])
    assert criterion.same_bits(a, b).tolist() == [False, True, True, False]


def test_sums_in_the_half_pass_only_where_they_may() -> None:
    rng = np.random.default_rng(0)
    x, w = (rng.standard_normal((1, 1, 64)).astype(np.float16) for _ in range(2))
    y = exact.conv(x, w)
    lossy = np.float16(0)
    for a, b in zip(x.ravel(), w.ravel(), strict=True):
        lossy += a * b
    got = torch.full((1, 1, 1), float(lossy), dtype=torch.float16)
    assert "beyond the bound" in criterion.bounded(got, y).message
    finding = criterion.bounded(got, y, may_be_narrow=True)
    assert finding.narrow
    assert not finding.message
    assert finding.omega > 0.5
