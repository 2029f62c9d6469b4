"""The exact tier, for the whole family: no result differs in a bit from any other.

(Of a sum that is zero either sign is right: see `agreement`.)

Every operator, gradient and second gradient, in every rank and dtype: fast form, definition, the
oracle (exact sums; choices by Python), and torch where it has them.
"""

import re
from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from rich.table import Table

import refconv
from refconv import direct, exact
from support import expected, integer_calls
from support.agreement import agreeing, same, same_sum
from support.tables import show

Array = NDArray[Any]

FLOATS = (np.float16, np.float32, np.float64, np.longdouble)
COMPLEX = (np.complex64, np.complex128, np.clongdouble)
SIGNED = (np.int8, np.int16, np.int32, np.int64)
UNSIGNED = (np.uint8, np.uint16, np.uint32, np.uint64)
DTYPES = FLOATS + COMPLEX + SIGNED + UNSIGNED
TORCH = (np.float16, np.float32, np.float64, np.complex64, np.complex128, np.int64, np.uint8)

FAMILY = (
    *("conv", "conv_transpose", "pad", "unfold", "fold", "avg_pool", "adaptive_avg_pool"),
    *("max_pool", "adaptive_max_pool", "fractional_max_pool", "max_unpool", "lp_pool"),
)


def run(module: Any, call: integer_calls.Call) -> list[Array]:
    name, args, options = call
    out = getattr(module, name)(*args, **options)
    return list(out) if isinstance(out, tuple) else [out]


@cache
def right(rank: int, kind: str) -> list[dict[str, list[Array]]]:
    """Return what every call must find: the same whole numbers in all dtypes of a kind."""
    widest = {"f": np.float64, "c": np.complex128, "i": np.int64, "u": np.uint64}[kind]
    return [
        {key: expected.found(call) for key, call in case.calls.items()}
        for case in integer_calls.cases(rank, widest, direct, n=1)
    ]


@pytest.mark.parametrize("rank", integer_calls.RANKS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_form_finds_the_same(rank: int, dtype: Any) -> None:
    """Fast form, definition and oracle."""
    answers = right(rank, np.dtype(dtype).kind)
    cases = integer_calls.cases(rank, dtype, direct, n=1)  # torch is compared on two images
    for case, answer in zip(cases, answers, strict=True):
        for key, call in case.calls.items():
            fast, defined = run(refconv, call), run(direct, call)
            wanted = expected.stored(answer[key], dtype)
            assert any(a.any() for a in wanted), "a comparison of zeros proves nothing"
            assert len(fast) == len(defined) == len(wanted)
            for ours, theirs, exactly in zip(fast, defined, wanted, strict=True):
                assert agreeing(call[0])(ours, theirs), (case.name, key)
                assert agreeing(call[0])(ours, exactly), (case.name, key)


# --- torch --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def compared(request: pytest.FixtureRequest) -> Iterator[dict[str, dict[str, str]]]:
    """Collect the ranks in which torch was compared, by operator and dtype, and show them."""
    found: dict[str, dict[str, str]] = {}
    yield found
    columns = [np.dtype(dtype).name for dtype in TORCH]
    table = Table("operator", *columns, title="Compared with torch bit for bit, in these ranks")
    for name, ranks in found.items():
        table.add_row(name, *(ranks.get(column, "") for column in columns))
    show(table, request.config, width=110)


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("dtype", TORCH)
def test_torch_finds_the_same(rank: int, dtype: Any, compared: dict[str, dict[str, str]]) -> None:
    """Outputs, first and second gradients; a second gradient we have no call for is zero."""
    kind = np.dtype(dtype).kind
    for case in integer_calls.cases(rank, dtype, direct):
        if not case.torch:
            continue
        try:
            answers = integer_calls.by_torch(case, order=2 if kind in "fc" else 0)
        except (NotImplementedError, RuntimeError) as error:  # torch lacks the dtype
            if re.search("not implemented for|not supported|Unsupported", str(error)):
                continue
            raise
        for key, theirs in answers.items():
            if key == "indices":
                assert same(run(refconv, case.calls["y"])[1], theirs), case.name
            elif key in case.calls:
                call = case.calls[key]
                assert agreeing(call[0])(run(refconv, call)[0], theirs), (case.name, key)
            else:
                assert not theirs.any(), (case.name, key)
        if kind in "fc":
            assert set(case.calls) - {key for key in case.calls if " " in key} <= set(answers)
        by_dtype = compared.setdefault(case.name, {})
        name = np.dtype(dtype).name
        if str(rank) not in by_dtype.get(name, ""):
            by_dtype[name] = by_dtype.get(name, "") + str(rank)
    for name in FAMILY if dtype in (np.float32, np.float64) else ():
        lacks = {"unfold": (1, 3), "fold": (1, 3), "fractional_max_pool": (1,)}.get(name, ())
        ranks = compared.get(name, {}).get(np.dtype(dtype).name, "")
        assert (str(rank) in ranks) == (rank not in lacks), name


def test_the_whole_family_is_here() -> None:
    called = {
        name
        for rank in integer_calls.RANKS
        for case in integer_calls.cases(rank, np.float64, direct)
        for name, _, _ in case.calls.values()
    }
    assert called == set(refconv.__all__) - {"direct"}
    assert {case.name for case in integer_calls.cases(1, np.float64, direct)} == set(FAMILY)


# --- where torch has no answer ------------------------------------------------------------------


def test_a_convolution_of_four_axes_is_a_sum_of_torchs_of_three() -> None:
    """y[o] = sum over k of conv3d(x[o s + k d - p], w[k]) along the first axis."""
    case = next(c for c in integer_calls.cases(4, np.float64, direct) if c.name == "conv")
    (x, w, b), o = case.calls["y"][1], case.calls["y"][2]
    s, p, d = (o[name][0] for name in ("stride", "padding", "dilation"))
    rest = {name: o[name][1:] for name in ("stride", "padding", "dilation")}
    y = refconv.conv(x, w, b, **o)
    for at in range(y.shape[2]):
        total = np.zeros_like(y[:, :, at]) + b.reshape(-1, 1, 1, 1)
        for k in range(w.shape[2]):
            i = at * s + k * d - p
            if 0 <= i < x.shape[2]:
                part = torch.nn.functional.conv3d(
                    torch.tensor(x[:, :, i]), torch.tensor(w[:, :, k]), None, groups=2, **rest
                )
                total += part.numpy()
        assert same_sum(y[:, :, at], total)


FORMS = pytest.mark.parametrize("form", [refconv, direct], ids=["fast", "direct"])


@FORMS
@pytest.mark.parametrize("dtype", SIGNED + UNSIGNED)
def test_sums_of_products_wrap_as_big_integers_do(form: Any, dtype: Any) -> None:
    rng, info = np.random.default_rng(0), np.iinfo(dtype)

    def draw(*shape: int) -> Array:
        return rng.integers(info.min, info.max, shape, dtype, endpoint=True)

    x, w, b, gy = draw(2, 4, 5), draw(6, 2, 3), draw(6), draw(2, 6, 2)
    options = {"stride": 2, "groups": 2}
    for call in (
        ("conv", (x, w, b), options),
        ("conv_grad_input", (x.shape, w, gy), options),
        ("conv_grad_weight", (x, w.shape, gy), options),
        ("conv_grad_bias", (gy,), {}),
        ("conv_transpose", (gy, w, draw(4)), options),
        ("conv_transpose_grad_input", (gy.shape, w, x), options),
        ("conv_transpose_grad_weight", (gy, w.shape, x), options),
        ("fold", (draw(2, 6, 3), (4,), (2,)), {}),
        ("pad_grad", ((2, 4), draw(2, 9), (3, 2), "reflect"), {}),
        ("max_pool_scatter", ((1, 4), np.array([[1, 1, 1, 2]]), draw(1, 4), 1), {}),
    ):
        assert same(run(form, call)[0], expected.stored(expected.found(call), dtype)[0]), call[0]


@FORMS
@pytest.mark.parametrize("dtype", SIGNED + UNSIGNED)
def test_averages_of_integers_are_truncated_fractions(form: Any, dtype: Any) -> None:
    """Of sums far above 2**53 too, where a float64 would have rounded."""
    info = np.iinfo(dtype)
    most = min(int(info.max), 2**60)
    rng = np.random.default_rng(1)
    x = rng.integers(max(info.min, -most), most, (2, 3, 7), dtype)
    y = form.avg_pool(x, (3,), 2, 1)
    for n, c, o in np.ndindex(y.shape):
        inside = [int(v) for v in x[n, c, max(0, 2 * o - 1) : 2 * o + 2]]
        assert int(y[n, c, o]) == int(Fraction(sum(inside), 3))
    divisor = 7 if info.min == 0 else -7
    y = form.avg_pool(x, (4,), divisor_override=divisor)
    assert int(y[1, 2, 0]) == int(Fraction(sum(map(int, x[1, 2, :4])), divisor))
    y = form.adaptive_avg_pool(x, (2,))
    for (n, c, o), value in np.ndenumerate(y):
        inside = [int(v) for v in (x[n, c, 3:] if o else x[n, c, :4])]
        assert int(value) == int(Fraction(sum(inside), 4))
    gx = form.avg_pool_grad(x.shape, x[..., :3], (3,), 2)
    shares = [int(Fraction(int(v), 3)) for v in x[1, 2, :3]]
    expected = [shares[0], shares[0], sum(shares[:2]), shares[1], sum(shares[1:]), *shares[2:] * 2]
    bits = 8 * np.dtype(dtype).itemsize
    assert [int(v) % 2**bits for v in gx[1, 2]] == [v % 2**bits for v in expected]
    gx = form.adaptive_avg_pool_grad((1, 1, 3), x[:1, :1, :2], (2,))
    shares = [int(Fraction(int(v), 2)) for v in x[0, 0, :2]]
    expected = [shares[0], sum(shares), shares[1]]
    assert [int(v) % 2**bits for v in gx[0, 0]] == [v % 2**bits for v in expected]


@FORMS
@pytest.mark.parametrize("dtype", FLOATS[:3])
def test_averages_of_floats_are_one_rounded_division(form: Any, dtype: Any) -> None:
    """Sums that are exact, divided by 3, 7, 9, ...: the fraction rounded once."""
    x = np.random.default_rng(2).integers(-9, 10, (2, 3, 5, 7)).astype(dtype)
    for options in (
        {"kernel_size": (3, 3), "stride": (1, 2), "padding": (1, 1), "ceil_mode": True},
        {"kernel_size": (3, 2), "padding": (1, 0), "count_include_pad": False},
        {"kernel_size": (2, 3), "divisor_override": -7},
    ):
        y = exact.avg_pool(x, **options).rounded(np.float32 if dtype == np.float16 else dtype)
        assert same(form.avg_pool(x, **options), y.astype(dtype))
