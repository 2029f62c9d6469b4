"""Fractional max pooling against its definition, torch and hand calculation."""

import dataclasses
import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch.nn import functional

import refconv
from refconv import direct, exact
from refconv.engine import planes
from support.agreement import one_nan, same, same_sum
from support.arrays import LAYOUTS, laid_out, plain
from support.refusals import Bad, fails_alike, zeros
from support.strategies import FLOATS, INTEGERS, integers_in

Array = NDArray[Any]
SPECIAL = (0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, 1.0, -1.0)


@pytest.fixture(params=["usual tiles", "tiny tiles"])
def tiles(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "tiny tiles":
        monkeypatch.setattr(planes, "TILE_BYTES", 64)


@dataclass(frozen=True)
class FractionalCase:
    """The arguments of one fractional pooling, batched, with integer-valued data."""

    x: Array
    kernel_size: tuple[int, ...]
    output_size: tuple[int, ...]
    samples: Array
    rng: np.random.Generator

    @property
    def arguments(self) -> tuple[Any, ...]:
        return (self.kernel_size, self.output_size, None, True, self.samples)

    def like(self, shape: tuple[int, ...]) -> Array:
        return integers_in(self.rng, shape, self.x.dtype, 3)

    def special(self) -> Array:
        return self.rng.choice(np.array(SPECIAL), self.x.shape).astype(self.x.dtype)


@st.composite
def cases(
    draw: st.DrawFn,
    ranks: tuple[int, ...] = (1, 2, 3, 4),
    dtypes: Any = FLOATS,
    room: int = 0,
    least: int = 0,
) -> FractionalCase:
    """Draw a fractional pooling with at least so much `room` between O + k - 1 and i."""
    rank = draw(st.sampled_from(ranks))
    axis = st.tuples(
        st.integers(1, 3 if rank < 3 else 2),  # k
        st.integers(least, 6 if rank < 3 else 3),  # o
        st.integers(room, 9 if rank < 3 else 3),
    )
    k, o, more = zip(*draw(st.lists(axis, min_size=rank, max_size=rank)), strict=True)
    i = tuple(max(1, k_ + o_ - 1 + m) for k_, o_, m in zip(k, o, more, strict=True))
    n, c = draw(st.integers(0, 2)), draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    dtype = np.dtype(draw(st.sampled_from(dtypes)))
    u = rng.random((n, c, rank)).astype(dtype if dtype.kind == "f" else np.float64)
    return FractionalCase(integers_in(rng, (n, c, *i), dtype, 3), k, o, u, rng)


@pytest.mark.usefixtures("tiles")
@given(cases(dtypes=FLOATS + INTEGERS), st.booleans())
def test_fast_equals_direct(case: FractionalCase, special: bool) -> None:
    x = case.special() if special and case.x.dtype.kind == "f" else case.x
    y, indices = refconv.fractional_max_pool(x, *case.arguments)
    defined = direct.fractional_max_pool(x, *case.arguments)
    assert same(indices, defined[1])
    assert same(one_nan(y), one_nan(defined[0]))
    gy, sizes = case.like(y.shape), (case.kernel_size, case.output_size)
    gx = refconv.fractional_max_pool_grad(x.shape, indices, gy, *sizes)
    assert same_sum(gx, direct.fractional_max_pool_grad(x.shape, indices, gy, *sizes))


@given(cases(dtypes=(np.float64, np.int64)))
def test_the_gradient_by_indices_is_adjoint_to_select(case: FractionalCase) -> None:
    y, indices = refconv.fractional_max_pool(case.x, *case.arguments)
    v, gy = case.like(case.x.shape), case.like(y.shape)
    sy = refconv.max_pool_select(v, indices, v.ndim - 2)
    sizes = (case.kernel_size, case.output_size)
    gx = refconv.fractional_max_pool_grad(v.shape, indices, gy, *sizes)
    assert np.vdot(sy, gy) == np.vdot(v, gx)  # <S v, gy> = <v, S' gy>


@given(
    cases(ranks=(2, 3), dtypes=FLOATS, room=1, least=1),
    st.booleans(),
    st.sampled_from([(1, 0), (9, -4), (-2, 0.5)]),
)
def test_torch(case: FractionalCase, special: bool, scale: tuple[float, float]) -> None:
    """Bitwise, indices too, whatever the samples: from 0 to 1, or around 0 and to both sides of it.

    In three axes torch asks for one element more than the windows need.
    """
    values = case.special() if special else case.x
    number = case.samples.dtype.type
    case = dataclasses.replace(case, samples=case.samples * number(scale[0]) + number(scale[1]))
    pool: Any = {2: functional.fractional_max_pool2d, 3: functional.fractional_max_pool3d}
    x, u = torch.from_numpy(values).requires_grad_(), torch.from_numpy(case.samples)
    y, indices = pool[x.ndim - 2](
        x, case.kernel_size, case.output_size, return_indices=True, _random_samples=u
    )
    ours = refconv.fractional_max_pool(values, *case.arguments)
    assert same(ours[1], indices.numpy())
    assert same(one_nan(ours[0]), one_nan(y.detach().numpy()))
    gy = case.like(tuple(y.shape))
    (gx,) = torch.autograd.grad(y, x, torch.from_numpy(gy))
    got = refconv.fractional_max_pool_grad(
        values.shape, ours[1], gy, case.kernel_size, case.output_size
    )
    assert same_sum(got, gx.numpy())


def rounded(v: Fraction, dtype: Any) -> Fraction:
    """Return a fraction from 0 on rounded to the dtype's significand, half to even."""
    if not v:
        return v
    exponent = v.numerator.bit_length() - v.denominator.bit_length()
    exponent -= v < Fraction(2) ** exponent  # 2**exponent <= v < 2**(exponent + 1)
    unit = Fraction(2) ** (exponent - np.finfo(dtype).nmant)
    return round(v / unit) * unit


def first_taps(i: int, k: int, o: int, u: Any) -> Array:
    """Return where the windows start: the largest of an ascending window is its last."""
    x = np.arange(i, dtype=u.dtype).reshape(1, 1, i)
    _, indices = refconv.fractional_max_pool(x, (k,), o, None, True, u.reshape(1, 1, 1))
    return np.asarray(indices[0, 0] - (k - 1))


SIZES = (st.integers(1, 60), st.integers(1, 4))  # i, k


@given(
    *SIZES,
    st.integers(1, 20),
    st.one_of(*(st.floats(0, 1, width=n).map(np.dtype(f"f{n // 8}").type) for n in (16, 32, 64))),
)
@example(i=3, k=1, o=3, u=np.float64(0.9999999999999999))  # 1 + u is 2: a step of 2 where alpha = 1
def test_starts_are_products_rounded_in_the_dtype_of_the_samples(
    i: int, k: int, o: int, u: Any
) -> None:
    """trunc((j + u) alpha) - trunc(u alpha): quotient, sum and products each rounded once."""
    i = max(i, o + k - 1)
    expected = [i - k]  # the last window ends where the input does
    if o > 1:
        alpha = rounded(Fraction(i - k, o - 1), u.dtype)
        sums = [rounded(j + Fraction(float(u)), u.dtype) for j in range(o - 1)]
        products = [math.floor(rounded(each * alpha, u.dtype)) for each in sums]
        expected = [min(each - products[0], i - k) for each in products] + expected
    assert first_taps(i, k, o, u).tolist() == expected


@given(*SIZES, st.sampled_from([2, 3, 5, 9, 17]), st.integers(0, 16))
def test_steps_are_a_fraction_rounded_down_or_up(i: int, k: int, o: int, sixteenths: int) -> None:
    """Where no product rounds: alpha and u have few bits."""
    i = max(i, o + k - 1)
    first = first_taps(i, k, o, np.float64(sixteenths / 16))
    alpha = Fraction(i - k, o - 1)
    assert first[0] == 0
    steps = np.diff(first)
    assert ((steps == math.floor(alpha)) | (steps == math.ceil(alpha))).all()


@given(cases(ranks=(1, 2, 3), dtypes=(np.float64,)))
def test_exact(case: FractionalCase) -> None:
    fraction = np.frompyfunc(Fraction, 1, 1)
    x = case.x / 7
    y, indices = exact.fractional_max_pool(x, *case.arguments)
    best, at = direct.fractional_max_pool(np.asarray(fraction(x), object), *case.arguments)
    assert (y.value == best).all()
    assert same(indices, at)
    k, o, _, _, u = case.arguments
    assert (exact.fractional_max_pool(x, k, o, random_samples=u).value == best).all()
    gy = case.like(best.shape) / 7
    gx = exact.fractional_max_pool_grad(x.shape, at, gy, k, o)
    gys = np.asarray(fraction(gy), object)
    assert (gx.value == direct.fractional_max_pool_grad(x.shape, at, gys, k, o)).all()


@pytest.mark.parametrize("module", [refconv, direct])
class TestByHand:
    """Starts worked by hand: i = 9, k = 2, O = 4, alpha = 7 / 3."""

    @pytest.mark.parametrize(
        ("u", "last"), [(0.0, [1, 3, 5, 8]), (0.3, [1, 4, 6, 8]), (1.0, [1, 3, 6, 8])]
    )
    def test_starts(self, module: Any, u: float, last: list[int]) -> None:
        x = np.arange(9.0).reshape(1, 1, 9)
        y, indices = module.fractional_max_pool(x, (2,), 4, None, True, np.array([[[u]]]))
        assert indices.tolist() == [[last]]
        assert y.tolist() == [[last]]

    def test_one_window_lies_at_the_end(self, module: Any) -> None:
        x = np.arange(9.0, 0, -1).reshape(1, 1, 9)
        _, indices = module.fractional_max_pool(x, (3,), 1, None, True, np.zeros((1, 1, 1)))
        assert indices.tolist() == [[[6]]]

    def test_two_axes_take_their_samples_in_reverse(self, module: Any) -> None:
        x = np.arange(81.0).reshape(1, 1, 9, 9)
        u = np.array([[[0.3, 0.0]]])  # the first is the last axis's
        y = module.fractional_max_pool(x, 2, 4, random_samples=u)
        assert (y[0, 0] == 9 * np.array([[1], [3], [5], [8]]) + [1, 4, 6, 8]).all()
        x = np.arange(729.0).reshape(1, 1, 9, 9, 9)
        y = module.fractional_max_pool(x, 2, 4, random_samples=np.array([[[0.3, 0.0, 0.0]]]))
        assert (y[0, 0, :, 0, 0] == 81 * np.array([1, 4, 6, 8]) + 10).all()

    def test_ratio(self, module: Any) -> None:
        x, u = np.arange(72.0).reshape(1, 1, 9, 8), np.array([[[0.3, 0.6]]])
        expected = module.fractional_max_pool(x, 2, (4, 6), random_samples=u)
        y = module.fractional_max_pool(x, 2, output_ratio=(0.5, 0.75), random_samples=u)
        assert same(y, expected)
        y = module.fractional_max_pool(x, 2, (4, 6), (0.1, 0.1), random_samples=u)
        assert same(y, expected)  # the size counts
        assert module.fractional_max_pool(x, 2, output_ratio=0.5).shape == (1, 1, 4, 4)
        assert module.fractional_max_pool(x, 1, output_ratio=1.0).tolist() == x.tolist()
        assert module.fractional_max_pool(x, 2, output_ratio=(0, 0.5)).shape == (1, 1, 0, 4)

    def test_unbatched_and_more_samples_than_images(self, module: Any) -> None:
        x, u = np.arange(144.0).reshape(2, 9, 8), np.full((3, 2, 2), 0.3)
        y, indices = module.fractional_max_pool(x, (2, 2), 3, None, True, u)
        batched = module.fractional_max_pool(x[None], 2, 3, None, True, u)
        assert same(y, batched[0][0])
        assert same(indices, batched[1][0])
        gx = module.fractional_max_pool_grad(x.shape, indices, y, (2, 2), 3)
        assert same_sum(
            gx, module.fractional_max_pool_grad((1, *x.shape), batched[1], y[None], 2, 3)[0]
        )

    def test_without_samples_the_windows_differ_from_call_to_call(self, module: Any) -> None:
        x = np.arange(400.0).reshape(1, 4, 100)
        seen = {module.fractional_max_pool(x, (2,), 30).tobytes() for _ in range(4)}
        assert len(seen) > 1
        for dtype in (np.float16, np.int64, np.longdouble):
            y = module.fractional_max_pool(x.astype(dtype), (2,), 30)
            assert (y.shape, y.dtype) == ((1, 4, 30), dtype)

    def test_long_double(self, module: Any) -> None:
        x = np.arange(9).reshape(1, 1, 9).astype(np.longdouble)
        y = module.fractional_max_pool(
            x, (2,), 4, random_samples=np.full((1, 1, 1), 0.3, np.longdouble)
        )
        assert y.tolist() == [[[1, 4, 6, 8]]]

    def test_half_precision_stays_inside(self, module: Any) -> None:
        """Where float16 counts in steps of 4, torch's rule could start beyond the input."""
        x = np.arange(4999).reshape(1, 1, 4999).astype(np.float16)
        for u in (0.0, 0.7, 1.0):
            samples = np.full((1, 1, 1), u, np.float16)
            _, at = module.fractional_max_pool(x, (2,), 30, None, True, samples)
            assert 0 <= at.min() <= at.max() < 4999


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(layout: str) -> None:
    rng = np.random.default_rng(5)
    values = rng.integers(-9, 9, (2, 3, 6, 7)).astype(np.float32)
    u = laid_out(rng.random((2, 3, 2)).astype(np.float32), "big-endian")
    x = laid_out(values, layout)
    kept = x.copy()
    y, indices = refconv.fractional_max_pool(x, 2, 3, None, True, u)
    defined = direct.fractional_max_pool(plain(x), 2, 3, None, True, plain(u))
    assert same(y, defined[0])
    assert same(indices, defined[1])
    gy = laid_out(y, layout)
    assert same_sum(
        refconv.fractional_max_pool_grad(x.shape, laid_out(indices, "fortran"), gy, 2, 3),
        direct.fractional_max_pool_grad(x.shape, indices, plain(gy), 2, 3),
    )
    assert (x == kept).all()


X, U = zeros(2, 3, 9, 8), zeros(2, 3, 2)
GOOD: dict[str, Any] = {"x": X, "kernel_size": 2, "output_size": 3}
RATIO = {"output_size": None}
BAD = {
    "no size": Bad(RATIO, "one of output_size and output_ratio must be given"),
    "ratio length": Bad(
        RATIO | {"output_ratio": (0.5, 0.5, 0.5)}, r"output_ratio must be a number .* \(2\)"
    ),
    "ratio above one": Bad(RATIO | {"output_ratio": (2.0, 2.0)}, "kernel_size=2 is too large for"),
    "ratio negative": Bad(RATIO | {"output_ratio": (-0.5, 0.5)}, "output_ratio must be at least 0"),
    "size negative": Bad({"output_size": -1}, "output_size must be at least 0 .* got -1"),
    "too many windows": Bad(
        {"output_size": (8, 8)}, r"kernel_size=2 is too large for \(8, 8\) windows in x \(2, 3, 9"
    ),
    "size float": Bad({"output_size": 2.0}, "output_size must be integers, got 2.0"),
    "size length": Bad({"output_size": (2, 2, 2)}, r"output_size must be .* got \(2, 2, 2\)"),
    "kernel float": Bad({"kernel_size": 2.0}, "kernel_size must be integers, got 2.0"),
    "rank too high": Bad({"x": zeros(1, 2, 3, 9, 8), "kernel_size": (2, 2)}, "x has 5 dimensions"),
    "no height": Bad({"x": X[:, :, :0]}, r"x has shape \(2, 3, 0, 8\)"),
    "samples dtype": Bad(
        {"random_samples": U.astype(np.float64)}, "random_samples has dtype float64, expected"
    ),
    "samples images": Bad(
        {"random_samples": U[:1]}, r"random_samples has shape \(1, 3, 2\), .* \(2, 3, 2\)"
    ),
    "samples channels": Bad({"random_samples": U[:, :2]}, "random_samples has shape"),
    "samples rank": Bad({"random_samples": U[..., :1]}, "random_samples has shape"),
    "samples dimensions": Bad({"random_samples": U[0]}, r"random_samples has shape \(3, 2\)"),
    "samples list": Bad({"random_samples": [1.0]}, "random_samples must be a .*, got list"),
    "complex": Bad({"x": X.astype(np.complex64)}, "x has dtype complex64"),
    "bool": Bad({"x": X.astype(bool)}, "x has dtype bool"),
}


def torch_pool(**arguments: Any) -> Any:
    """Call torch, where the samples have another name."""
    if "random_samples" in arguments:
        arguments["_random_samples"] = arguments.pop("random_samples")
    return functional.fractional_max_pool2d(**arguments)


@pytest.mark.parametrize("name", BAD)
def test_errors(name: str) -> None:
    bad = BAD[name]
    ours = [refconv.fractional_max_pool, direct.fractional_max_pool]
    fails_alike(ours, torch_pool, GOOD | bad.arguments, bad.says)


@pytest.mark.parametrize("module", [refconv, direct])
def test_errors_of_the_gradient_and_ours_alone(module: Any) -> None:
    gy, at = zeros(2, 3, 3, 3), np.zeros((2, 3, 3, 3), np.int64)
    with pytest.raises(RuntimeError, match=r"grad_output has shape \(2, 3, 3, 2\), expected"):
        module.fractional_max_pool_grad(X.shape, at, gy[..., :2], 2, 3)
    with pytest.raises(RuntimeError, match="indices holds 72 to 72"):
        module.fractional_max_pool_grad(X.shape, at + 72, gy, 2, 3)
    with pytest.raises(RuntimeError, match="input_shape has 1 dimensions"):
        module.fractional_max_pool_grad((8,), at, gy, (2, 2), 3)
    with pytest.raises(ValueError, match="one of output_size and output_ratio"):
        module.fractional_max_pool_grad(X.shape, at, gy, 2)
    with pytest.raises(RuntimeError, match="kernel_size must be at least 1"):  # torch takes it
        module.fractional_max_pool(X, 0, 3)
    for u in (-2000, 2000, math.nan):  # torch takes them, and may read elsewhere
        with pytest.raises(RuntimeError, match=r"random_samples holds .* at most 1000 in size"):
            module.fractional_max_pool(X, 2, 3, random_samples=U + np.float32(u))
    long, u = np.zeros((1, 1, 70000), np.float16), np.zeros((1, 1, 1), np.float16)
    for samples in (u, None):
        with pytest.raises(RuntimeError, match=r"x of \(70000,\) is too large .* float16"):
            module.fractional_max_pool(long, (2,), 3, random_samples=samples)
    with pytest.raises(RuntimeError, match=r"x of \(5000,\) is too large .* 1000.0 in size"):
        module.fractional_max_pool(long[..., :5000], (2,), 3, random_samples=u + np.float16(1000))
    with pytest.raises(TypeError, match="output_ratio must be numbers"):
        module.fractional_max_pool(X, 2, output_ratio=("a", "b"))
    with pytest.raises(TypeError, match="output_ratio must be a number"):
        module.fractional_max_pool(X, 2, output_ratio=object())
    with pytest.raises(RuntimeError, match="random_samples has dtype float32, expected float64"):
        module.fractional_max_pool(X.astype(np.int64), 2, 3, random_samples=U)
