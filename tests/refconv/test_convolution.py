"""The fast convolution against its definition, torch and algebra, bitwise on integers."""

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

import refconv
from refconv import direct
from refconv.engine import columns
from refconv.geometry import conv
from support.agreement import same, same_sum
from support.arrays import LAYOUTS, laid_out, plain
from support.strategies import COMPLEX, FLOATS, INTEGERS, LINEAR, ConvCase, conv_cases

Array = NDArray[Any]


def all_four(module: Any, case: ConvCase, gy: Array) -> list[Array]:
    """Return output and gradients, by `refconv` or `refconv.direct`."""
    return [
        module.conv(case.x, case.weight, case.bias, **case.options),
        module.conv_grad_input(case.x.shape, case.weight, gy, **case.options),
        module.conv_grad_weight(case.x, case.weight.shape, gy, **case.options),
        module.conv_grad_bias(gy),
    ]


def output_like(case: ConvCase) -> Array:
    """Draw a gradient for the output."""
    return case.like(refconv.conv(case.x, case.weight, **case.options).shape)


@pytest.mark.usefixtures("tile_size")
class TestAgainstDefinition:
    """Fast equals direct, whatever the tiles."""

    @given(conv_cases(dtypes=FLOATS + COMPLEX + INTEGERS))
    def test_every_option_rank_and_dtype(self, case: ConvCase) -> None:
        gy = output_like(case)
        for fast, defined in zip(
            all_four(refconv, case, gy), all_four(direct, case, gy), strict=True
        ):
            assert same_sum(fast, defined)
            assert fast.flags.c_contiguous

    def test_longdouble(self) -> None:
        x = np.arange(24, dtype=np.longdouble).reshape(1, 2, 3, 4) / 3
        w = np.arange(8, dtype=np.longdouble).reshape(1, 2, 2, 2) - 3
        y, defined = refconv.conv(x, w), direct.conv(x, w)
        assert y.dtype == np.longdouble
        assert np.max(np.abs(y - defined)) <= 9 * np.finfo(np.longdouble).eps * 80


class TestAdjoint:
    """Convolution is linear in x, in w and in b, and the gradients are the adjoints."""

    @given(conv_cases(dtypes=LINEAR))
    def test_inner_products_agree_exactly(self, case: ConvCase) -> None:
        gy = output_like(case)
        y = refconv.conv(case.x, case.weight, **case.options)
        gx = refconv.conv_grad_input(case.x.shape, case.weight, gy, **case.options)
        gw = refconv.conv_grad_weight(case.x, case.weight.shape, gy, **case.options)
        inner = np.vdot(y, gy)  # <A x, gy> = <x, A^H gy>
        assert inner == np.vdot(case.x, gx) == np.vdot(case.weight, gw)
        y = refconv.conv(np.zeros_like(case.x), case.weight, case.bias, **case.options)
        assert np.vdot(y, gy) == np.vdot(case.bias, refconv.conv_grad_bias(gy))


class TestAgainstTorch:
    """Bitwise, in the dtypes and ranks that torch has."""

    @given(conv_cases(ranks=(1, 2, 3), dtypes=(np.float32, np.float64, np.complex64)))
    @pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
    def test_output_and_gradients(self, case: ConvCase) -> None:
        function = [torch.nn.functional.conv1d, torch.conv2d, torch.conv3d][case.x.ndim - 3]
        tensors = [torch.from_numpy(a).requires_grad_() for a in (case.x, case.weight, case.bias)]
        y: Any = function(*tensors, **case.options)
        gy = case.like(tuple(y.shape))
        expected = [y, *torch.autograd.grad(y, tensors, torch.from_numpy(gy))]
        for ours, theirs in zip(all_four(refconv, case, gy), expected, strict=True):
            assert same_sum(ours, theirs.detach().resolve_conj().numpy())

    @pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int32, np.int64])
    def test_integers_wrap(self, dtype: Any) -> None:
        rng = np.random.default_rng(1)
        info = np.iinfo(dtype)
        x = rng.integers(info.min, info.max, (2, 3, 5, 6), dtype)
        w = rng.integers(info.min, info.max, (4, 3, 2, 3), dtype)
        y = torch.nn.functional.conv2d(torch.from_numpy(x), torch.from_numpy(w)).numpy()
        assert same_sum(refconv.conv(x, w), y)
        assert same_sum(direct.conv(x, w), y)


class TestOneHot:
    """A one-hot input with powers of two as weights: each output says which tap was read."""

    @pytest.mark.parametrize("module", [refconv, direct])
    def test_which_tap_is_read(self, module: Any) -> None:
        x = np.zeros((1, 1, 4, 5))
        x[0, 0, 2, 3] = 1
        w = 2.0 ** np.arange(6).reshape(1, 1, 2, 3)
        # output (r, c) reads x[2, 3] at tap (2 - r, 3 - c), of weight 2 ** (3 (2 - r) + 3 - c)
        expected = np.zeros((1, 1, 3, 3))
        expected[0, 0, 1] = [0, 2.0**5, 2.0**4]
        expected[0, 0, 2] = [0, 2.0**2, 2.0**1]
        assert same_sum(module.conv(x, w), expected)

    @pytest.mark.parametrize("module", [refconv, direct])
    def test_same_padding_puts_the_odd_zero_right(self, module: Any) -> None:
        x, w = np.array([[[1.0, 2.0, 3.0]]]), np.array([[[1.0, 10.0]]])
        assert module.conv(x, w, padding="same").tolist() == [[[21.0, 32.0, 3.0]]]

    @pytest.mark.parametrize("module", [refconv, direct])
    def test_gradients_worked_by_hand(self, module: Any) -> None:
        # y0 = w0 x0 + w1 x2, y1 = w0 x1 + w1 x3  (dilation 2)
        x, w = np.array([[[1.0, 2.0, 3.0, 4.0]]]), np.array([[[5.0, 7.0]]])
        gy = np.array([[[1.0, 10.0]]])
        assert module.conv_grad_input((1, 1, 4), w, gy, dilation=2).tolist() == [[[5, 50, 7, 70]]]
        assert module.conv_grad_weight(x, (1, 1, 2), gy, dilation=2).tolist() == [[[21, 43]]]
        assert module.conv_grad_bias(gy).tolist() == [11]


class TestArrays:
    """Memory layout changes nothing, inputs stay as they were, results are new."""

    @pytest.mark.parametrize("layout", LAYOUTS)
    @pytest.mark.parametrize("kernel", [(3, 2), (1, 1)])
    @pytest.mark.parametrize("stride", [1, 2])
    def test_layouts(self, layout: str, kernel: tuple[int, int], stride: int) -> None:
        rng = np.random.default_rng(2)
        x = laid_out(rng.integers(-3, 4, (2, 4, 6, 5)).astype(np.float32), layout)
        w = laid_out(rng.integers(-3, 4, (6, 2, *kernel)).astype(np.float32), layout)
        before = x.copy(), w.copy()
        plain_x, plain_w = plain(x), plain(w)
        options: dict[str, Any] = {"stride": stride, "groups": 2}
        y = refconv.conv(x, w, **options)
        assert same_sum(y, direct.conv(plain_x, plain_w, **options))
        gy = laid_out(y, layout)
        plain_gy = plain(gy)
        assert same_sum(
            refconv.conv_grad_input(x.shape, w, gy, **options),
            direct.conv_grad_input(x.shape, plain_w, plain_gy, **options),
        )
        assert same_sum(
            refconv.conv_grad_weight(x, w.shape, gy, **options),
            direct.conv_grad_weight(plain_x, w.shape, plain_gy, **options),
        )
        assert np.array_equal(x, before[0])
        assert np.array_equal(w, before[1])

    def test_results_are_new(self) -> None:
        x, w = np.ones((1, 1, 4)), np.ones((1, 1, 1))
        y = refconv.conv(x, w)
        gx = refconv.conv_grad_input(x.shape, w, y)
        assert not np.shares_memory(x, y)
        assert not np.shares_memory(gx, y)

    def test_unbatched(self) -> None:
        x, w = np.ones((2, 4, 5)), np.ones((3, 2, 2, 2))
        assert same_sum(refconv.conv(x, w), refconv.conv(x[None], w)[0])
        gy = np.ones((3, 3, 4))
        gx = refconv.conv_grad_input((2, 4, 5), w, gy)
        assert same_sum(gx, refconv.conv_grad_input((1, 2, 4, 5), w, gy[None])[0])
        gw = refconv.conv_grad_weight(x, w.shape, gy)
        assert same_sum(gw, refconv.conv_grad_weight(x[None], w.shape, gy[None]))

    @pytest.mark.parametrize("module", [refconv, direct])
    def test_infinities_and_nan_pass_without_warnings(self, module: Any) -> None:
        x = np.array([[[np.inf, 1.0, -np.inf, np.nan, 3e38]]], np.float32)
        y = module.conv(x, np.array([[[1.0, 1.0]]], np.float32) * 2)
        assert y[0, 0, :2].tolist() == [np.inf, -np.inf]
        assert np.isnan(y[0, 0, 2:]).all()


class TestThreads:
    """Bit-identical results at any thread count, on rounded data."""

    @pytest.mark.parametrize(("size", "channels"), [(40, 3), (7, 64), (20, 16)])
    @pytest.mark.parametrize("stride", [1, 2])
    def test_same_bits_at_any_count(self, size: int, channels: int, stride: int) -> None:
        rng = np.random.default_rng(3)
        x = rng.standard_normal((4, channels, size, size), np.float32)
        w = rng.standard_normal((24, channels, 3, 3), np.float32)
        bias = rng.standard_normal(24, np.float32)
        gy = rng.standard_normal(refconv.conv(x, w, stride=stride, padding=1).shape, np.float32)
        case = ConvCase(x, rng, w, bias, {"stride": stride, "padding": 1})
        results = []
        for count in (1, 2, 5, 1):
            with threadpool_limits(count, user_api="blas"):
                results.append(all_four(refconv, case, gy))
        for one, other in itertools.pairwise(results):
            assert all(same(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize(
    ("x", "axis"),
    [
        ((1, 64, 128, 128), 0),  # what a tile reads fits with the rows that shifts read beside it
        ((1, 64, 8, 28, 28), 1),  # one output of the first axis fills a tile
    ],
)
def test_a_shifted_tile_holds_all_channels(x: tuple[int, ...], axis: int) -> None:
    rank = len(x) - 2
    geo = conv(x, (64, 64, *(3,) * rank), (1,) * rank, (1,) * rank, (1,) * rank, 1)
    plan = columns.cut_tiles(geo, columns.limits(np, 4))
    assert (plan.shifts, plan.axis, len(plan.channels)) == (3, axis, 1)
