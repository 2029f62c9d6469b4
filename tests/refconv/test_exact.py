"""The oracle against arithmetic that is not ours: Fraction, math.fsum, big integers, bit patterns.

Expected values come from the definitions run on Fractions, from Python's own correctly rounded
operations, from neighbouring bit patterns or from hand calculation, never from float code of ours.
"""

import inspect
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import refconv
from refconv import direct, exact
from refconv.exact import BFLOAT16, FLOAT16, FLOAT32, FLOAT64, Format
from support.exact_values import floats, fractions

Array = NDArray[Any]

CONTAINER = {FLOAT16: np.float16, FLOAT32: np.float32, FLOAT64: np.float64}
WORD = {FLOAT16: np.uint16, BFLOAT16: np.uint16, FLOAT32: np.uint32, FLOAT64: np.uint64}


def from_bits(bits: Array, f: Format) -> Array:
    """The floats of these bit patterns; bfloat16 is the upper half of a float32."""
    if f == BFLOAT16:
        return (bits.astype(np.uint32) << 16).view(np.float32)
    return bits.astype(WORD[f]).view(CONTAINER[f])


# --- rounding -----------------------------------------------------------------------------------


@pytest.mark.parametrize("f", [FLOAT16, BFLOAT16, FLOAT32, FLOAT64])
def test_rounds_to_the_nearest_bit_pattern_ties_to_even(f: Format) -> None:
    """Between neighbours a < b: below the midpoint a, above it b, on it the even pattern."""
    rng = np.random.default_rng(1)
    infinity = ((1 << (f.emax - f.emin).bit_length()) - 1) << (f.precision - 1)
    border = [0, 1, 2, (1 << (f.precision - 1)) - 1, 1 << (f.precision - 1), infinity - 2]
    bits = np.array([*border, *rng.integers(0, infinity - 1, 500).tolist()], WORD[f])
    low, high = fractions(from_bits(bits, f)), fractions(from_bits(bits + WORD[f](1), f))
    middle, hair = (low + high) / 2, (high - low) / 2**70
    even = np.where(bits % 2 == 0, low, high)
    for sign in (1, -1):
        for value, expected in [
            (low, low),
            (middle, even),
            (middle - hair, low),
            (middle + hair, high),
        ]:
            got = exact.rounded(sign * value, f)
            assert (fractions(got) == sign * expected).all()
            assert (np.signbit(got) == (sign * value < 0)).all()


def test_rounded_to_float64_is_pythons_own_division() -> None:
    rng = np.random.default_rng(2)
    values = [Fraction(int(a), int(b)) for a, b in rng.integers(1, 2**60, (500, 2))]
    assert exact.rounded(values, np.float64).tolist() == [float(v) for v in values]


@pytest.mark.parametrize(
    ("f", "largest"),
    [
        (FLOAT16, 65504),
        (BFLOAT16, 255 * 2**120),
        (FLOAT32, (2**24 - 1) * 2**104),
        (FLOAT64, (2**53 - 1) * 2**971),
    ],
)
def test_overflow_begins_half_a_step_beyond_the_largest(f: Format, largest: int) -> None:
    edge = largest + Fraction(largest, 2 * (2**f.precision - 1))  # largest = (2**p - 1) steps
    got = exact.rounded([largest, edge - Fraction(1, 9), edge, -edge], f)
    assert got.tolist() == [largest, largest, math.inf, -math.inf]


def test_underflow_keeps_the_sign() -> None:
    got = exact.rounded([FLOAT16.tiny / 2, -FLOAT16.tiny / 3, Fraction(0)], np.float16)
    assert got.dtype == np.float16
    assert got.tolist() == [0.0, 0.0, 0.0]
    assert np.signbit(got).tolist() == [False, True, False]
    assert exact.rounded([FLOAT64.tiny], np.float64)[0].hex() == "0x0.0000000000001p-1022"


@pytest.mark.parametrize("f", [FLOAT16, BFLOAT16, FLOAT32, FLOAT64])
def test_ulp_distance_is_the_difference_of_bit_patterns(f: Format) -> None:
    rng = np.random.default_rng(3)
    infinity = ((1 << (f.emax - f.emin).bit_length()) - 1) << (f.precision - 1)
    a, b = (np.append(rng.integers(0, infinity, 300), [0, infinity]) for _ in range(2))
    b = b[::-1]
    x, y = from_bits(a, f), from_bits(b, f)
    expected = [int(i) - int(j) for i, j in zip(a, b, strict=True)]
    assert exact.ulp_distance(x, y, f).tolist() == [abs(v) for v in expected]
    across = [int(i) + int(j) for i, j in zip(a, b, strict=True)]
    assert exact.ulp_distance(-x, y, f).tolist() == across


# --- operators ----------------------------------------------------------------------------------


@st.composite
def convolutions(draw: st.DrawFn) -> dict[str, Any]:
    """A small convolution, asymmetric in everything."""
    rank = draw(st.integers(1, 3))

    def axes(low: int, high: int) -> tuple[int, ...]:
        return tuple(draw(st.integers(low, high)) for _ in range(rank))

    k, d, p, s = axes(1, 3), axes(1, 2), axes(0, 2), axes(1, 3)
    spare = axes(0, 3)
    i = tuple(
        max(1, d_ * (k_ - 1) + 1 - 2 * p_) + more
        for k_, d_, p_, more in zip(k, d, p, spare, strict=True)
    )
    g = draw(st.integers(1, 2))
    c, m, n = draw(st.integers(1, 2)), draw(st.integers(1, 2)), draw(st.integers(0, 2))
    batch = () if n == 0 else (n,)
    options = {"stride": s, "padding": p, "dilation": d, "groups": g}
    if draw(st.booleans()) and n:
        options |= {"stride": 1, "padding": draw(st.sampled_from(["same", "valid"]))}
        i = tuple(d_ * (k_ - 1) + 1 + more for k_, d_, more in zip(k, d, spare, strict=True))
    seed = draw(st.integers(0, 99))
    return {
        "x": floats(*batch, g * c, *i, seed=seed),
        "w": floats(g * m, c, *k, seed=seed + 1),
        "b": floats(g * m, seed=seed + 2) if draw(st.booleans()) else None,
        "options": options,
    }


def assert_exact(got: exact.Exact, operator: Any, *args: Any, **options: Any) -> None:
    """y*, S and n against the definition on Fractions, on absolute values and on ones."""
    on = {
        "y": lambda a: fractions(a),
        "S": lambda a: fractions(abs(a)),
        "n": lambda a: np.full(a.shape, 1, object),
    }

    def run(kind: str) -> Array:
        return np.asarray(
            operator(*(on[kind](a) if isinstance(a, np.ndarray) else a for a in args), **options)
        )

    assert (got.value == run("y")).all()
    assert (got.magnitude == run("S")).all()
    assert (got.terms == run("n")).all()


@settings(max_examples=40, deadline=None)
@given(convolutions())
def test_convolution_equals_the_definition_on_fractions(case: dict[str, Any]) -> None:
    x, w, b, options = case["x"], case["w"], case["b"], case["options"]
    y = exact.conv(x, w, b, **options)
    assert_exact(y, direct.conv, x, w, b, **options)
    gy = floats(*y.shape, seed=5)
    assert_exact(
        exact.conv_grad_input(x.shape, w, gy, **options),
        direct.conv_grad_input, x.shape, w, gy, **options,
    )  # fmt: skip
    assert_exact(
        exact.conv_grad_weight(x, w.shape, gy, **options),
        direct.conv_grad_weight, x, w.shape, gy, **options,
    )  # fmt: skip
    if x.ndim == w.ndim:
        got = exact.conv_grad_bias(gy)
        expected = [math.fsum(gy[:, m].ravel().tolist()) for m in range(gy.shape[1])]
        assert got.rounded(np.float64).tolist() == expected
        assert_exact(got, direct.conv_grad_bias, gy)


@settings(max_examples=40, deadline=None)
@given(convolutions())
def test_transposed_convolution_equals_the_definition_on_fractions(case: dict[str, Any]) -> None:
    """With x and y of a convolution exchanged; what its last windows leave is output padding."""
    c, options = case["w"].shape[0], case["options"]
    if isinstance(options["padding"], str):
        options |= {"padding": 0}
    like = exact.conv(case["x"], case["w"], **options)
    rank = case["w"].ndim - 2
    sizes = zip(case["x"].shape[-rank:], like.shape[-rank:], case["w"].shape[2:], strict=True)
    s, p, d = (np.broadcast_to(options[v], rank) for v in ("stride", "padding", "dilation"))
    left = [
        i - ((o - 1) * s[axis] - 2 * p[axis] + d[axis] * (k - 1) + 1)
        for axis, (i, o, k) in enumerate(sizes)
    ]
    options |= {"output_padding": left}
    x, w = floats(*like.shape, seed=7), case["w"]
    b = None if case["b"] is None else floats(case["x"].shape[-rank - 1], seed=8)
    y = exact.conv_transpose(x, w, b, **options)
    assert y.shape == case["x"].shape
    assert c == x.shape[-rank - 1]
    assert_exact(y, direct.conv_transpose, x, w, b, **options)
    gy = floats(*y.shape, seed=5)
    assert_exact(
        exact.conv_transpose_grad_input(x.shape, w, gy, **options),
        direct.conv_transpose_grad_input, x.shape, w, gy, **options,
    )  # fmt: skip
    assert_exact(
        exact.conv_transpose_grad_weight(x, w.shape, gy, **options),
        direct.conv_transpose_grad_weight, x, w.shape, gy, **options,
    )  # fmt: skip
    if x.ndim == w.ndim:
        assert_exact(exact.conv_transpose_grad_bias(gy), direct.conv_transpose_grad_bias, gy)


def test_output_padding_beyond_the_stride_has_no_terms() -> None:
    x, w = floats(1, 1, 2), floats(1, 1, 2, seed=1)
    options = {"output_padding": 2, "dilation": 3}
    y = exact.conv_transpose(x, w, **options)
    assert y.terms.tolist() == [[[1, 1, 0, 1, 1, 0, 0]]]
    assert_exact(y, direct.conv_transpose, x, w, **options)


POOLS: list[tuple[tuple[int, ...], dict[str, Any]]] = [
    ((2, 3, 7), {"kernel_size": (3,), "stride": (2,), "padding": (1,), "ceil_mode": True}),
    ((2, 6), {"kernel_size": (2,), "stride": (1,)}),
    ((2, 2, 5, 8), {"kernel_size": (2, 3), "stride": (1, 2), "padding": (1, 0)}),
    ((1, 2, 6, 5), {"kernel_size": (3, 2), "stride": (2, 3), "padding": 1, "ceil_mode": True}),
    ((1, 2, 4, 5, 3), {"kernel_size": (2, 3, 1), "padding": (0, 1, 0), "ceil_mode": True}),
]


@pytest.mark.parametrize(("shape", "options"), POOLS)
@pytest.mark.parametrize(
    "divisor", [{}, {"count_include_pad": False}, {"divisor_override": 7}, {"divisor_override": -3}]
)
def test_average_equals_the_definition_on_fractions(
    shape: tuple[int, ...], options: dict[str, Any], divisor: dict[str, Any]
) -> None:
    x = floats(*shape)
    y = exact.avg_pool(x, **options, **divisor)
    assert (y.value == direct.avg_pool(fractions(x), **options, **divisor)).all()
    size = direct.avg_pool(fractions(abs(x)), **options, **divisor)
    assert (y.magnitude == abs(size)).all()
    gy = floats(*y.shape, seed=5)
    gx = exact.avg_pool_grad(x.shape, gy, **options, **divisor)
    expected = direct.avg_pool_grad(x.shape, fractions(gy), **options, **divisor)
    assert (gx.value == expected).all()
    size = direct.avg_pool_grad(x.shape, fractions(abs(gy)), **options, **divisor)
    assert (gx.magnitude == abs(size)).all()
    ones = np.ones(x.shape, object)
    sums = {"count_include_pad": True, "divisor_override": 1}
    assert (y.terms == direct.avg_pool(ones, **options, **sums)).all()


@pytest.mark.parametrize(("shape", "options"), POOLS)
def test_maximum_equals_the_definition_on_fractions(
    shape: tuple[int, ...], options: dict[str, Any]
) -> None:
    x = floats(*shape)
    y, indices = exact.max_pool(x, **options, return_indices=True)
    value, at = direct.max_pool(fractions(x), **options, return_indices=True)
    assert (y.value == value).all()
    assert (indices == at).all()
    assert (exact.max_pool(x, **options).value == value).all()
    gy = floats(*y.shape, seed=5)
    assert_exact(
        exact.max_pool_grad(x.shape, indices, gy, **options),
        lambda g: direct.max_pool_grad(x.shape, at, g, **options), gy,
    )  # fmt: skip
    rank = len(options["kernel_size"])
    assert (exact.max_pool_select(x, indices, rank).value == value).all()


def test_by_hand() -> None:
    """0.1 + 0.2 = 0x1.3333333333333(4)p-2 before rounding, 0x1.3333333333334p-2 after."""
    y = exact.conv(np.array([[[0.1, 0.2]]]), np.array([[[1.0, 1.0]]]))
    assert y.value[0, 0, 0] == Fraction(0.1) + Fraction(0.2)
    assert y.rounded(np.float64)[0, 0, 0].hex() == "0x1.3333333333334p-2"
    assert y.rounded(np.float64)[0, 0, 0] == math.fsum([0.1, 0.2])


def test_a_dot_product_is_fsum_of_exact_products() -> None:
    x, w = floats(1, 4, 9, 5), floats(1, 4, 9, 5, seed=1)
    products = (x.astype(np.float64) * w.astype(np.float64)).ravel()  # 48 bits: exact
    got = exact.conv(x, w)
    assert got.rounded(np.float64).item() == math.fsum(products.tolist())
    assert got.terms.item() == products.size


def test_cancellation_over_the_whole_range_loses_nothing() -> None:
    x = np.array([[[1e300, 1e-300, -1e300, 5e-324]]])
    y = exact.conv(x, np.ones((1, 1, 4)))
    assert y.value[0, 0, 0] == Fraction(1e-300) + Fraction(5e-324)


def test_integers_and_every_window_in_the_padding() -> None:
    x, w = np.array([[[2**62, -3]]]), np.array([[[2**62]]])
    assert exact.conv(x, w).value.tolist() == [[[2**124, -3 * 2**62]]]
    y = exact.conv(floats(1, 1, 1), floats(1, 1, 2), stride=4, padding=2, dilation=4)
    assert (y.value.tolist(), y.terms.tolist()) == ([[[0]]], [[[0]]])


# --- bounds -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(set(refconv.__all__) - {"direct"}))
def test_every_operator_and_gradient_has_the_same_signature_here(name: str) -> None:
    ours, defined, exactly = (
        [
            (p.name, p.default, p.kind)
            for p in inspect.signature(getattr(m, name)).parameters.values()
        ]
        for m in (refconv, direct, exact)
    )
    assert ours == defined == exactly


# --- errors -------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_only_finite_numbers(bad: float) -> None:
    x, w = np.array([[[1.0, bad]]]), np.ones((1, 1, 1))
    for call in (
        lambda: exact.conv(x, w),
        lambda: exact.conv(w, x),
        lambda: exact.conv_grad_bias(x),
        lambda: exact.avg_pool(x, 1),
        lambda: exact.max_pool(x, 1),
    ):
        with pytest.raises(RuntimeError, match="finite"):
            call()
    with pytest.raises(RuntimeError, match="nan"):
        exact.ulp_distance(np.array([math.nan]), np.array([1.0]), np.float64)


def test_real_numbers_of_known_formats() -> None:
    with pytest.raises(NotImplementedError, match="complex128"):
        exact.conv(np.ones((1, 1, 2)) + 1j, np.ones((1, 1, 1)))
    with pytest.raises(NotImplementedError, match="int64"):
        exact.rounded([Fraction(1)], np.int64)
    with pytest.raises(RuntimeError, match="round it first"):
        exact.ulp_distance(np.array([0.1]), np.array([1.0]), BFLOAT16)
    with pytest.raises(RuntimeError, match="y has shape"):
        exact.conv(np.ones((1, 1, 2)), np.ones((1, 1, 1))).within(np.ones(2), FLOAT32, FLOAT32)
