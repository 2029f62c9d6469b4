"""Transposed convolution against its definition, torch and algebra, bitwise on integers."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from numpy.typing import NDArray

import refconv
from refconv import direct
from support.agreement import same_sum
from support.arrays import LAYOUTS, laid_out, plain
from support.strategies import COMPLEX, FLOATS, INTEGERS, LINEAR, ConvCase, conv_transpose_cases

Array = NDArray[Any]
FUNCTIONS = (torch.conv_transpose1d, torch.conv_transpose2d, torch.conv_transpose3d)


def all_four(module: Any, case: ConvCase, gy: Array) -> list[Array]:
    """Return output and gradients, by `refconv` or `refconv.direct`."""
    return [
        module.conv_transpose(case.x, case.weight, case.bias, **case.options),
        module.conv_transpose_grad_input(case.x.shape, case.weight, gy, **case.options),
        module.conv_transpose_grad_weight(case.x, case.weight.shape, gy, **case.options),
        module.conv_transpose_grad_bias(gy),
    ]


def output_like(case: ConvCase) -> Array:
    """Draw a gradient for the output."""
    return case.like(refconv.conv_transpose(case.x, case.weight, **case.options).shape)


@pytest.mark.usefixtures("tile_size")
class TestAgainstDefinition:
    """Fast equals direct, whatever the tiles."""

    @given(conv_transpose_cases(dtypes=FLOATS + COMPLEX + INTEGERS))
    def test_every_option_rank_and_dtype(self, case: ConvCase) -> None:
        gy = output_like(case)
        for fast, defined in zip(
            all_four(refconv, case, gy), all_four(direct, case, gy), strict=True
        ):
            assert same_sum(fast, defined)
            assert fast.flags.c_contiguous

    def test_longdouble(self) -> None:
        x = np.arange(24, dtype=np.longdouble).reshape(1, 2, 3, 4) / 3
        w = np.arange(8, dtype=np.longdouble).reshape(2, 1, 2, 2) - 3
        for stride in (1, 2):
            y, defined = (m.conv_transpose(x, w, stride=stride) for m in (refconv, direct))
            assert y.dtype == np.longdouble
            assert np.max(np.abs(y - defined)) <= 9 * np.finfo(np.longdouble).eps * 80


class TestAdjoint:
    """It is the transpose of a convolution, linear in x, w and b, and has the adjoints to match."""

    @given(conv_transpose_cases(dtypes=LINEAR))
    def test_inner_products_agree_exactly(self, case: ConvCase) -> None:
        gy = output_like(case)
        y = refconv.conv_transpose(case.x, case.weight, **case.options)
        gx = refconv.conv_transpose_grad_input(case.x.shape, case.weight, gy, **case.options)
        gw = refconv.conv_transpose_grad_weight(case.x, case.weight.shape, gy, **case.options)
        inner = np.vdot(y, gy)  # <A x, gy> = <x, A^H gy>
        assert inner == np.vdot(case.x, gx) == np.vdot(case.weight, gw)
        y = refconv.conv_transpose(np.zeros_like(case.x), case.weight, case.bias, **case.options)
        assert np.vdot(y, gy) == np.vdot(case.bias, refconv.conv_transpose_grad_bias(gy))

    @given(conv_transpose_cases(dtypes=(np.float32,)))
    def test_is_the_input_gradient_of_a_convolution(self, case: ConvCase) -> None:
        a = case.options.pop("output_padding")
        if any(a_ >= s for a_, s in zip(a, case.options["stride"], strict=True)):
            return  # that convolution would have more outputs
        y = refconv.conv_transpose(case.x, case.weight, output_padding=a, **case.options)
        assert same_sum(y, direct.conv_grad_input(y.shape, case.weight, case.x, **case.options))


class TestAgainstTorch:
    """Bitwise, in the dtypes and ranks that torch has."""

    @given(
        conv_transpose_cases(
            ranks=(1, 2, 3), dtypes=(np.float16, np.float32, np.float64, np.complex64)
        )
    )
    def test_output_and_gradients(self, case: ConvCase) -> None:
        function = FUNCTIONS[case.x.ndim - 3]
        tensors = [torch.from_numpy(a).requires_grad_() for a in (case.x, case.weight, case.bias)]
        y: Any = function(*tensors, **case.options)
        gy = case.like(tuple(y.shape))
        expected = [y, *torch.autograd.grad(y, tensors, torch.from_numpy(gy))]
        for ours, theirs in zip(all_four(refconv, case, gy), expected, strict=True):
            assert same_sum(ours, theirs.detach().resolve_conj().numpy())

    def test_integers_wrap(self) -> None:
        rng = np.random.default_rng(1)
        info = np.iinfo(np.int64)
        x = rng.integers(info.min, info.max, (2, 3, 5, 6))
        w = rng.integers(info.min, info.max, (3, 4, 2, 3))
        for stride in (1, 2):
            tensors = [torch.from_numpy(a) for a in (x, w)]
            y = torch.conv_transpose2d(*tensors, stride=stride).numpy()
            assert same_sum(refconv.conv_transpose(x, w, stride=stride), y)
            assert same_sum(direct.conv_transpose(x, w, stride=stride), y)


@pytest.mark.parametrize("module", [refconv, direct])
class TestByHand:
    """Where every product goes, worked by hand, for both forms."""

    def test_which_tap_is_laid_where(self, module: Any) -> None:
        x = np.zeros((1, 1, 2, 3))
        x[0, 0, 1, 2] = 1
        w = 2.0 ** np.arange(6).reshape(1, 1, 2, 3)
        # stride (3, 2), padding (1, 2): tap (r, c) lands on (3 + r - 1, 4 + c - 2)
        expected = np.zeros((1, 1, 3, 3))
        expected[0, 0, 2] = [0, 0, 1]
        y = module.conv_transpose(x, w, stride=(3, 2), padding=(1, 2))
        assert same_sum(y, expected)
        # output padding (2, 1) brings back what the padding took from the far ends
        expected = np.zeros((1, 1, 5, 4))
        expected[0, 0, 2:4, 2:4] = [[1, 2], [8, 16]]
        y = module.conv_transpose(x, w, stride=(3, 2), padding=(1, 2), output_padding=(2, 1))
        assert same_sum(y, expected)

    def test_gradients(self, module: Any) -> None:
        # y = [w0 x0, w0 x1, w1 x0, w1 x1]  (dilation 2)
        x, w, gy = (np.array([[v]]) for v in ([1.0, 2.0], [5.0, 7.0], [1.0, 10.0, 100.0, 1000.0]))
        b = np.array([0.5])
        y = module.conv_transpose(x, w, b, dilation=2)
        assert y.tolist() == [[[5.5, 10.5, 7.5, 14.5]]]
        gx = module.conv_transpose_grad_input((1, 1, 2), w, gy, dilation=2)
        assert gx.tolist() == [[[705, 7050]]]
        gw = module.conv_transpose_grad_weight(x, (1, 1, 2), gy, dilation=2)
        assert gw.tolist() == [[[21, 2100]]]
        assert module.conv_transpose_grad_bias(gy).tolist() == [1111]

    def test_a_group_reaches_its_own_outputs_only(self, module: Any) -> None:
        x = np.array([[1.0], [10.0]]).reshape(1, 2, 1)
        w = np.array([[1.0, 2.0], [3.0, 4.0]]).reshape(2, 2, 1)
        y = module.conv_transpose(x, w, groups=2)
        assert y.tolist() == [[[1], [2], [30], [40]]]

    def test_output_padding_beyond_the_stride_holds_no_window(self, module: Any) -> None:
        x, w = np.array([[[1.0]]]), np.array([[[1.0, 2.0]]])
        y = module.conv_transpose(x, w, output_padding=2, dilation=3)
        assert y.tolist() == [[[1, 0, 0, 2, 0, 0]]]
        gy = np.array([[[1.0, 0.0, 0.0, 10.0, 100.0, 1000.0]]])
        gx = module.conv_transpose_grad_input((1, 1, 1), w, gy, output_padding=2, dilation=3)
        assert gx.tolist() == [[[21]]]
        gw = module.conv_transpose_grad_weight(x, (1, 1, 2), gy, output_padding=2, dilation=3)
        assert gw.tolist() == [[[1, 10]]]

    def test_half_is_rounded_once_with_the_bias(self, module: Any) -> None:
        # 2048 + 1 is 2048 in float16, so the bias would be lost if the product were rounded first
        x, w, b = (np.array(v, np.float16) for v in ([[[2048.0]]], [[[1.0]]], [1.0]))
        x2 = np.array([[[2048.0], [1.0]]], np.float16)
        w2 = np.ones((2, 1, 1), np.float16)
        for stride in (1, 2):
            assert module.conv_transpose(x, w, b, stride=stride).item() == 2048
            assert module.conv_transpose(x2, w2, b, stride=stride).item() == 2050

    @pytest.mark.parametrize("stride", [1, 2])
    def test_infinities_and_nan_pass_without_warnings(self, module: Any, stride: int) -> None:
        x = np.array([[[np.inf, 1.0, -np.inf, np.nan, 3e38]]], np.float32)
        y = module.conv_transpose(x, np.full((1, 1, 1), 2, np.float32), stride=stride)
        expected = [np.inf, 2, -np.inf, np.nan, np.inf]
        assert np.array_equal(y[0, 0, ::stride], np.array(expected, np.float32), equal_nan=True)


class TestArrays:
    """Memory layout changes nothing, inputs stay as they were, results are new."""

    @pytest.mark.parametrize("layout", LAYOUTS)
    @pytest.mark.parametrize("kernel", [(3, 2), (1, 1)])
    @pytest.mark.parametrize("stride", [1, 2])
    def test_layouts(self, layout: str, kernel: tuple[int, int], stride: int) -> None:
        rng = np.random.default_rng(2)
        x = laid_out(rng.integers(-3, 4, (2, 4, 4, 3)).astype(np.float32), layout)
        w = laid_out(rng.integers(-3, 4, (4, 3, *kernel)).astype(np.float32), layout)
        b = laid_out(np.arange(6, dtype=np.float32), layout.replace("channels last", "strided"))
        before = x.copy(), w.copy()
        options: dict[str, Any] = {"stride": stride, "groups": 2}
        y = refconv.conv_transpose(x, w, b, **options)
        assert same_sum(y, direct.conv_transpose(plain(x), plain(w), plain(b), **options))
        gy = laid_out(y, layout)
        assert same_sum(
            refconv.conv_transpose_grad_input(x.shape, w, gy, **options),
            direct.conv_transpose_grad_input(x.shape, plain(w), plain(gy), **options),
        )
        assert same_sum(
            refconv.conv_transpose_grad_weight(x, w.shape, gy, **options),
            direct.conv_transpose_grad_weight(plain(x), w.shape, plain(gy), **options),
        )
        assert np.array_equal(x, before[0])
        assert np.array_equal(w, before[1])

    def test_results_are_new(self) -> None:
        x, w = np.ones((1, 1, 4)), np.ones((1, 1, 1))
        y = refconv.conv_transpose(x, w)
        gx = refconv.conv_transpose_grad_input(x.shape, w, y)
        assert not np.shares_memory(x, y)
        assert not np.shares_memory(gx, y)

    @pytest.mark.parametrize("module", [refconv, direct])
    @pytest.mark.parametrize("stride", [1, 2])
    def test_unbatched(self, module: Any, stride: int) -> None:
        x, w = np.arange(40.0).reshape(2, 4, 5), np.arange(24.0).reshape(2, 3, 2, 2)
        y = module.conv_transpose(x, w, stride=stride)
        assert same_sum(y, module.conv_transpose(x[None], w, stride=stride)[0])
        gx = module.conv_transpose_grad_input(x.shape, w, y, stride)
        assert same_sum(gx, module.conv_transpose_grad_input((1, *x.shape), w, y[None], stride)[0])
        gw = module.conv_transpose_grad_weight(x, w.shape, y, stride)
        assert same_sum(gw, module.conv_transpose_grad_weight(x[None], w.shape, y[None], stride))

    def test_the_definition_takes_fractions(self) -> None:
        third = np.array([[[Fraction(1, 3), Fraction(2, 3)]]], object)
        y = direct.conv_transpose(third, third, np.array([Fraction(1, 9)], object))
        assert y.tolist() == [[[Fraction(2, 9), Fraction(5, 9), Fraction(5, 9)]]]
        gx = direct.conv_transpose_grad_input((1, 1, 2), third, y)
        assert gx.tolist() == [[[Fraction(4, 9), Fraction(5, 9)]]]
        gw = direct.conv_transpose_grad_weight(third, (1, 1, 2), y)
        assert gw.tolist() == [[[Fraction(4, 9), Fraction(5, 9)]]]
        assert direct.conv_transpose_grad_bias(y).tolist() == [Fraction(12, 9)]
