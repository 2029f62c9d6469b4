"""Padding in four modes against its definition, torch and algebra, bitwise on integers."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from numpy.typing import NDArray

import refconv
from refconv import direct
from support.agreement import same, same_sum
from support.arrays import LAYOUTS, laid_out, plain
from support.refusals import Bad, fails_alike, zeros
from support.strategies import COMPLEX, FLOATS, INTEGERS, LINEAR, PadCase, integers_in, pad_cases

Array = NDArray[Any]
MODES = ("constant", "reflect", "replicate", "circular")
FORMS = pytest.mark.parametrize("module", [refconv, direct])


@pytest.mark.usefixtures("tile_size")
class TestAgainstDefinition:
    """Fast equals direct, whatever the tiles."""

    @given(pad_cases(dtypes=FLOATS + COMPLEX + INTEGERS))
    def test_every_option_rank_and_dtype(self, case: PadCase) -> None:
        y = refconv.pad(case.x, case.padding, case.mode, case.value)
        assert same(y, direct.pad(case.x, case.padding, case.mode, case.value))
        assert y.flags.c_contiguous
        gy = case.like(y.shape)
        gx = refconv.pad_grad(case.x.shape, gy, case.padding, case.mode)
        assert same_sum(gx, direct.pad_grad(case.x.shape, gy, case.padding, case.mode))
        assert gx.flags.c_contiguous

    @given(pad_cases(dtypes=(np.longdouble,)))
    def test_longdouble(self, case: PadCase) -> None:
        y = refconv.pad(case.x, case.padding, case.mode, case.value)
        assert y.dtype == np.longdouble
        assert np.array_equal(y, direct.pad(case.x, case.padding, case.mode, case.value))
        gx, defined = (
            m.pad_grad(case.x.shape, y, case.padding, case.mode) for m in (refconv, direct)
        )
        assert gx.dtype == np.longdouble
        assert np.array_equal(gx, defined)

    @given(pad_cases(dtypes=(np.int8,)))
    def test_bool(self, case: PadCase) -> None:
        x = case.x > 0
        y = refconv.pad(x, case.padding, case.mode, case.value)
        assert same(y, direct.pad(x, case.padding, case.mode, case.value))
        padded = refconv.pad(x.astype(int), case.padding, case.mode, bool(case.value))
        assert same(y, padded.astype(bool))


class TestAdjoint:
    """Padding with 0 is linear, and its gradient the adjoint."""

    @given(pad_cases(dtypes=LINEAR))
    def test_inner_products_agree_exactly(self, case: PadCase) -> None:
        y = refconv.pad(case.x, case.padding, case.mode)
        gy = case.like(y.shape)
        gx = refconv.pad_grad(case.x.shape, gy, case.padding, case.mode)
        assert np.vdot(y, gy) == np.vdot(case.x, gx)  # <P x, gy> = <x, P^T gy>


class TestAgainstTorch:
    """Bitwise, for the axes that torch pads in each mode."""

    @given(pad_cases(ranks=(1, 2, 3), leads=(1, 2), dtypes=(*FLOATS, np.complex64)))
    def test_output_and_gradient(self, case: PadCase) -> None:
        x = torch.from_numpy(case.x).requires_grad_()
        value = case.value if case.mode == "constant" else None
        y = torch.nn.functional.pad(x, case.padding, case.mode, value)
        assert same(refconv.pad(case.x, case.padding, case.mode, case.value), y.detach().numpy())
        gy = case.like(tuple(y.shape))
        (gx,) = torch.autograd.grad(y, x, torch.from_numpy(gy))
        assert same_sum(refconv.pad_grad(case.x.shape, gy, case.padding, case.mode), gx.numpy())

    @pytest.mark.parametrize("mode", MODES)
    def test_every_pair_of_sides(self, mode: str) -> None:
        """What we accept, torch accepts with the same result; what we refuse, it refuses too."""
        for i, before, after in np.ndindex(5, 13, 13):
            x, padding = np.arange(float(i))[None], (before - 6, after - 6)
            try:
                y = refconv.pad(x, padding, mode)
            except RuntimeError:
                with pytest.raises(RuntimeError):
                    direct.pad(x, padding, mode)
                if mode != "circular":
                    with pytest.raises(RuntimeError):
                        torch.nn.functional.pad(torch.from_numpy(x), padding, mode)
                continue
            assert same(y, torch.nn.functional.pad(torch.from_numpy(x), padding, mode).numpy())
            assert same(y, direct.pad(x, padding, mode))

    @pytest.mark.parametrize("dtype", [*FLOATS, *COMPLEX, *INTEGERS, np.uint16, np.bool_])
    @pytest.mark.parametrize("value", [None, 0, 1, 2.75, True])
    def test_the_value_takes_the_dtype(self, dtype: Any, value: Any) -> None:
        x = np.ones((2, 3), dtype)
        y = torch.nn.functional.pad(torch.from_numpy(x), (1, 2), "constant", value).numpy()
        assert same(refconv.pad(x, (1, 2), value=value), y)
        assert same(direct.pad(x, (1, 2), value=value), y)


@FORMS
class TestByHand:
    """Which element is copied where."""

    @pytest.mark.parametrize(
        ("mode", "padding", "expected"),
        [
            ("constant", (2, 1), "0012340"),
            ("reflect", (2, 1), "3212343"),
            ("reflect", (3, 3), "4321234321"),
            ("replicate", (2, 1), "1112344"),
            ("replicate", (0, 6), "1234444444"),
            ("circular", (1, 1), "412341"),
            ("circular", (4, 3), "12341234123"),
            ("constant", (-1, 2), "23400"),
            ("reflect", (-1, 2), "23432"),
            ("reflect", (3, -5), "43"),  # the input itself is cropped away
            ("replicate", (-1, 2), "23444"),
            ("replicate", (-5, 3), "44"),
            ("circular", (-1, 2), "23423"),
            ("circular", (2, -1), "23123"),
            ("circular", (-2, -2), ""),
            ("constant", (-2, -1), "3"),
        ],
    )
    def test_one_axis(
        self, module: Any, mode: str, padding: tuple[int, int], expected: str
    ) -> None:
        y = module.pad(np.array([1, 2, 3, 4]), padding, mode)
        assert "".join(map(str, y)) == expected
        # position 2 ** i tells, in the gradient's sums, which outputs were added up for input i
        gx = module.pad_grad((4,), 2.0 ** np.arange(len(expected)), padding, mode)
        copied = [[o for o, c in enumerate(expected) if c == str(i + 1)] for i in range(4)]
        assert gx.tolist() == [sum(2.0**o for o in found) for found in copied]

    def test_the_last_axis_comes_first(self, module: Any) -> None:
        x = np.arange(4).reshape(1, 2, 2)
        assert module.pad(x, (1, 0), value=7).tolist() == [[[7, 0, 1], [7, 2, 3]]]
        assert module.pad(x, (0, 0, 0, 1), value=7).tolist() == [[[0, 1], [2, 3], [7, 7]]]
        assert module.pad(x, (0, -1, 0, 0, 1, 0), value=7).tolist() == [[[7], [7]], [[0], [2]]]

    def test_corners_go_through_both_axes(self, module: Any) -> None:
        x = np.array([[1, 2], [3, 4]])
        assert module.pad(x, (1, 0, 1, 0), "reflect").tolist() == [[4, 3, 4], [2, 1, 2], [4, 3, 4]]
        assert module.pad(x, (1, 0, 1, 0), "replicate")[0].tolist() == [1, 1, 2]
        gx = module.pad_grad((2, 2), np.arange(1.0, 10).reshape(3, 3), (1, 0, 1, 0), "replicate")
        assert gx.tolist() == [[1 + 2 + 4 + 5, 3 + 6], [7 + 8, 9]]

    def test_half_is_summed_in_float32(self, module: Any) -> None:
        gy = np.array([2048, 1, 1, 0], np.float16)  # 2048 + 1 is 2048 in float16
        assert module.pad_grad((2,), gy, (2, 0), "replicate").tolist() == [2050, 0]

    @pytest.mark.parametrize("mode", MODES)
    def test_infinities_and_nan_are_copied(self, module: Any, mode: str) -> None:
        x = np.array([np.inf, np.nan, -np.inf])
        y = module.pad(x, (2, 2), mode, np.inf if mode == "constant" else 0)
        assert same(y[2:-2], x)
        gx = module.pad_grad((3,), np.full(7, np.inf), (2, 2), mode)
        assert gx.tolist() == [np.inf] * 3


class TestArrays:
    """Memory layout changes nothing, inputs stay as they were, results are new."""

    @pytest.mark.parametrize("layout", LAYOUTS)
    @pytest.mark.parametrize("mode", MODES)
    def test_layouts(self, layout: str, mode: str) -> None:
        rng = np.random.default_rng(2)
        x = laid_out(integers_in(rng, (2, 3, 4, 5), np.float32, 3), layout)
        before, padding = x.copy(), (1, 2, -1, 2)
        y = refconv.pad(x, padding, mode)
        assert same(y, direct.pad(plain(x), padding, mode))
        gy = laid_out(y, layout)
        gx = refconv.pad_grad(x.shape, gy, padding, mode)
        assert same_sum(gx, direct.pad_grad(x.shape, plain(gy), padding, mode))
        assert np.array_equal(x, before)

    @FORMS
    @pytest.mark.parametrize("mode", MODES)
    def test_results_are_new_even_where_nothing_is_padded(self, module: Any, mode: str) -> None:
        x = np.ones((2, 3))
        for padding in ((), (0, 0)):
            y = module.pad(x, padding, mode)
            gx = module.pad_grad(x.shape, y, padding, mode)
            assert same(x, y)
            assert same(gx, y)
            assert not np.shares_memory(x, y)
            assert not np.shares_memory(gx, y)

    @FORMS
    @pytest.mark.parametrize("mode", MODES)
    def test_empty_batch(self, module: Any, mode: str) -> None:
        x = np.ones((0, 2, 3))
        y = module.pad(x, (1, 1), mode)
        assert y.shape == (0, 2, 5)
        assert module.pad_grad(x.shape, y, (1, 1), mode).shape == x.shape

    @pytest.mark.parametrize("mode", MODES)
    def test_the_definition_takes_fractions(self, mode: str) -> None:
        x = np.array([Fraction(1, 3), Fraction(1, 7)], object)
        y = direct.pad(x, (1, 0), mode)
        assert y[1:].tolist() == x.tolist()
        assert sum(direct.pad_grad((2,), y, (1, 0), mode)) == Fraction(10, 21) + (
            y[0] if mode != "constant" else 0
        )


# --------------------------------------------------------------------------- errors

PAD: dict[str, Any] = {"x": zeros(2, 3, 5), "pad": (1, 1), "mode": "reflect"}
BAD_PADS = {
    "odd": Bad({"pad": (1, 1, 1)}, r"padding must be pairs.* got \(1, 1, 1\)"),
    "too many": Bad({"pad": (1,) * 8}, r"is for 4 axes, x has 3, shape \(2, 3, 5\)"),
    "padding int": Bad({"pad": 1}, "padding must be integers, got 1"),
    "padding string": Bad({"pad": "a"}, "padding must be integers, got 'a'"),
    "padding float": Bad({"pad": (1.5, 1)}, r"padding must be integers, got \(1.5, 1\)"),
    "padding bool": Bad({"pad": (True, 1)}, r"padding must be integers, got \(True, 1\)"),
    "unknown mode": Bad({"mode": "wrap"}, "mode must be one of .* got 'wrap'"),
    "mode number": Bad({"mode": 3}, "mode must be a string, got 3"),
    "reflect too far": Bad({"pad": (0, 5)}, r"padding=\(0, 5\) must be smaller .* \(2, 3, 5\)"),
    "reflect nothing left": Bad({"pad": (-3, -2)}, r"padding=\(-3, -2\) leaves nothing of x"),
    "reflect no columns": Bad({"x": zeros(2, 3, 0)}, r"x has shape \(2, 3, 0\)"),
    "reflect no channels": Bad({"x": zeros(2, 0, 5)}, r"x has shape \(2, 0, 5\)"),
    "reflect one axis in front": Bad({"x": zeros(0, 5)}, r"x has shape \(0, 5\)"),
    "replicate nothing left": Bad(
        {"mode": "replicate", "pad": (-6, 1)}, r"padding=\(-6, 1\) leaves nothing of x"
    ),
    "replicate no columns": Bad(
        {"mode": "replicate", "x": zeros(2, 3, 0)}, r"x has shape \(2, 3, 0\)"
    ),
    "circular too far": Bad(
        {"mode": "circular", "pad": (6, 0)}, r"padding=\(6, 0\) must not wrap .* \(2, 3, 5\)"
    ),
    "circular crops all": Bad(
        {"mode": "circular", "pad": (-3, -3)}, r"padding=\(-3, -3\) crops more than x"
    ),
    "constant crops all": Bad(
        {"mode": "constant", "pad": (7, -6)}, r"padding=\(7, -6\) crops more than x"
    ),
    "value in another mode": Bad({"value": 1.0}, "value must be 0 with mode='reflect', got 1.0"),
    "value complex": Bad({"mode": "constant", "value": 1j}, "value must be a real number, got 1j"),
    "value string": Bad({"mode": "constant", "value": "a"}, "value must be a real number, got 'a'"),
    "value too large": Bad({"mode": "constant", "value": 1e300}, r"value=1e\+300 does not fit"),
    "value too large for half": Bad(
        {"mode": "constant", "value": 65519.0, "x": zeros(5, dtype=np.float16)},
        "value=65519.0 does not fit dtype float16",
    ),
    "value negative": Bad(
        {"mode": "constant", "value": -0.5, "x": zeros(5, dtype=np.uint8)},
        "value=-0.5 does not fit dtype uint8",
    ),
    "value nan": Bad(
        {"mode": "constant", "value": np.nan, "x": zeros(5, dtype=np.int32)},
        "value=nan does not fit dtype int32",
    ),
    "x is a list": Bad({"x": [1.0]}, "x must be a numpy.ndarray, got list"),
}


def by_torchs_names(form: Any) -> Any:
    """Return a form of `pad` that calls its padding `pad`, as torch does."""
    return lambda x, pad, mode, value=0: form(x, pad, mode, value)


@pytest.mark.parametrize("name", BAD_PADS)
def test_errors(name: str) -> None:
    bad = BAD_PADS[name]
    ours = [by_torchs_names(refconv.pad), by_torchs_names(direct.pad)]
    fails_alike(ours, torch.nn.functional.pad, PAD | bad.arguments, bad.says)


@FORMS
@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        (((5,), zeros(6), (1, 1)), RuntimeError, r"grad_output has shape \(6,\), expected \(7,\)"),
        (((5,), zeros(7, dtype=bool), (1, 1)), NotImplementedError, "grad_output has dtype bool"),
        (((5,), [1.0], (1, 1)), TypeError, "grad_output must be a numpy.ndarray, got list"),
        (((5.5,), zeros(7), (1, 1)), TypeError, "input_shape must be integers"),
        (((5,), zeros(15), (5, 5), "reflect"), RuntimeError, r"input_shape has shape \(5,\)"),
        (((5,), zeros(3), (4, -6), "circular"), RuntimeError, "crops more than input_shape"),
    ],
)
def test_errors_of_the_gradient(
    module: Any, arguments: tuple[Any, ...], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says) as caught:
        module.pad_grad(*arguments)
    assert caught.type is error


@FORMS
def test_a_circle_smaller_than_its_padding_is_refused(module: Any) -> None:
    """Where torch returns memory that nothing was written to."""
    with pytest.raises(RuntimeError, match=r"padding=\(-3, 3\) must not wrap"):
        module.pad(zeros(2, 3, 5), (-3, 3), "circular")
    with pytest.raises(NotImplementedError, match="x has dtype <U1"):
        module.pad(np.array(["a"]), (1, 1))
