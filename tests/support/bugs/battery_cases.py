"""The cases of the battery: calls on integers, and in half precision."""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

inf, nan = np.inf, np.nan


Array = NDArray[Any]


Call = tuple[str, tuple[Any, ...], dict[str, Any]]  # operator, arguments, options


RNG = np.random.default_rng(0)


@dataclass
class BatteryCase:
    """Calls (the operator first, then its gradients) and what torch answers to each, if it does."""

    calls: list[Call]
    torch: list[list[Array]] = field(default_factory=list)
    gy: Array | None = None
    operands: dict[int, Array] = field(default_factory=dict)  # call -> what it is the gradient for
    offset: Array | None = None  # what the operator adds to A x


def draw(*shape: int, most: int = 4, dtype: Any = np.float64, unit: int = 1) -> Array:
    values = unit * RNG.integers(-most, most + 1, shape)
    if np.dtype(dtype).kind == "c":
        return (values + 1j * RNG.integers(-most, most + 1, shape)).astype(dtype)
    return values.astype(dtype)


def by_torch(function: Callable[..., Any], operands: list[Array], gy: Array | None = None) -> Any:
    """Return torch's outputs and, if there is a gy, its gradient for every operand: lists."""
    leaves = [torch.tensor(a, requires_grad=gy is not None) for a in operands]
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # 'same' copies the input
        out = function(*leaves)
    first, *more = out if isinstance(out, tuple) else (out,)
    grads = [] if gy is None else torch.autograd.grad(first, leaves, torch.tensor(gy))
    outputs, found = ([t.detach().numpy() for t in group] for group in ((first, *more), grads))
    return [outputs, *([g] for g in found)]


def convolutions() -> Iterator[BatteryCase]:
    grouped = {"stride": (3, 2), "padding": (2, 1), "dilation": (2, 1), "groups": 2}
    plain = {"padding": (2, 0), "dilation": (2, 1), "groups": 2}
    for x_shape, w_shape, dtype, options in [
        ((2, 4, 8, 5), (4, 2, 3, 2), np.float64, grouped),
        ((2, 4, 5, 4), (6, 2, 3, 2), np.float64, plain),
        ((2, 1, 6), (2, 1, 4), np.float64, {"padding": "same"}),
        ((1, 2, 3, 6), (2, 2, 2, 3), np.complex128, {"stride": (1, 2), "padding": (0, 1)}),
        ((1, 2, 6), (3, 2, 2), np.complex128, {"padding": 1}),
        ((1, 4, 3, 2, 4), (4, 2, 2, 1, 3), np.float64, {"padding": (1, 0, 1), "groups": 2}),
    ]:
        x, w, b = draw(*x_shape, dtype=dtype), draw(*w_shape, dtype=dtype), draw(w_shape[0])
        b = b.astype(dtype)

        def conv(x: Any, w: Any, b: Any, options: Any = options) -> Any:
            return (F.conv1d, F.conv2d, F.conv3d)[x.ndim - 3](x, w, b, **options)

        gy = draw(*by_torch(conv, [x, w, b])[0][0].shape, dtype=dtype)
        yield BatteryCase(
            [
                ("conv", (x, w, b), options),
                ("conv_grad_input", (x.shape, w, gy), options),
                ("conv_grad_weight", (x, w.shape, gy), options),
                ("conv_grad_bias", (gy,), {}),
            ],
            by_torch(conv, [x, w, b], gy),
            gy,
            {1: x, 2: w},
            b.reshape(-1, *(1,) * (x.ndim - 2)),
        )
    gy = draw(3, 3, 4)
    yield BatteryCase([("conv_grad_bias", (gy,), {})], [[gy.sum((0, 2))]])
    x, w = draw(1, 2, 4, most=3, dtype=np.int64) + 2**61, draw(3, 2, 2, dtype=np.int64)
    calls: list[Call] = [("conv", (x, w), {}), ("conv_transpose", (x, w[:2]), {"stride": 2})]
    yield BatteryCase(calls)


def transposed_convolutions() -> Iterator[BatteryCase]:
    strided = {"stride": (3, 2), "padding": (1, 0), "dilation": (2, 1), "output_padding": (1, 1)}
    for x_shape, w_shape, dtype, options in [
        ((2, 4, 2, 3), (4, 2, 3, 2), np.float64, {**strided, "groups": 2}),
        ((2, 4, 4, 3), (4, 3, 3, 2), np.float64, {"padding": (1, 0), "groups": 2}),
        ((1, 2, 4), (2, 3, 3), np.complex128, {"stride": 2, "padding": 1}),
        ((1, 2, 4), (2, 3, 3), np.complex128, {"padding": 1, "dilation": 2}),
    ]:
        x, w = draw(*x_shape, dtype=dtype), draw(*w_shape, dtype=dtype)
        b = draw(w_shape[1] * options.get("groups", 1)).astype(dtype)

        def conv_transpose(x: Any, w: Any, b: Any, options: Any = options) -> Any:
            return (F.conv_transpose1d if x.ndim == 3 else F.conv_transpose2d)(x, w, b, **options)

        gy = draw(*by_torch(conv_transpose, [x, w, b])[0][0].shape, dtype=dtype)
        yield BatteryCase(
            [
                ("conv_transpose", (x, w, b), options),
                ("conv_transpose_grad_input", (x.shape, w, gy), options),
                ("conv_transpose_grad_weight", (x, w.shape, gy), options),
                ("conv_transpose_grad_bias", (gy,), {}),
            ],
            by_torch(conv_transpose, [x, w, b], gy),
            gy,
            {1: x, 2: w},
            b.reshape(-1, *(1,) * (x.ndim - 2)),
        )


def copies() -> Iterator[BatteryCase]:
    """Padding, unfolding, folding."""
    for mode in ("constant", "reflect", "replicate", "circular"):
        for padding in [(2, 3, 1, 2), (-1, 2, 2, -1)]:
            x, value = draw(2, 3, 4, 5), 2.5 if mode == "constant" else 0.0

            def pad(x: Any, padding: Any = padding, mode: str = mode, value: Any = value) -> Any:
                return F.pad(x, padding, mode, value) if value else F.pad(x, padding, mode)

            gy = draw(*by_torch(pad, [x])[0][0].shape)
            calls: list[Call] = [
                ("pad", (x, padding, mode, value), {}),
                ("pad_grad", (x.shape, gy, padding, mode), {}),
            ]
            linear = {} if value else {1: x}
            yield BatteryCase(calls, by_torch(pad, [x], gy), gy, linear)
    window = {"kernel_size": (3, 2), "dilation": (1, 2), "padding": (1, 2), "stride": (2, 1)}
    x = draw(2, 2, 4, 5)
    cols = F.unfold(torch.tensor(x), **window).numpy()
    gy = draw(*cols.shape)
    yield BatteryCase(
        [("unfold", (x,), window), ("fold", (gy, (4, 5)), window)],
        by_torch(lambda x: F.unfold(x, **window), [x], gy),
        gy,
        {1: x},
    )


def maximum_pools() -> Iterator[BatteryCase]:
    def case(
        x: Array, forward: Callable[[Any], Any], names: tuple[str, str], *options: dict[str, Any]
    ) -> BatteryCase:
        """Options of the operator, then those of its gradient where they differ."""
        ((y, at),) = by_torch(forward, [x])
        gy = draw(*y.shape)
        return BatteryCase(
            [
                (names[0], (x,), {**options[0], "return_indices": True}),
                (names[1], (x.shape, at, gy), options[-1]),
                ("max_pool_select", (x, at, x.ndim - 2), {}),
                ("max_pool_scatter", (x.shape, at, gy, x.ndim - 2), {}),
            ],
            [*(both := by_torch(forward, [x], gy)), [y], both[1]],
            gy,
        )

    x = draw(2, 2, 6, 7, most=1)
    x[0, 0, 1, 2] = nan
    x[0, 1, :3, :4] = -inf
    x[1, 1, 3:, 2:5] = nan
    x[1, 0, :4][x[1, 0, :4] == 1] = 0
    x[1, 0, ::2] *= -1  # zeros of both signs
    for o in [
        {"kernel_size": (3, 2), "stride": (2, 3), "padding": (1, 1), "ceil_mode": True},
        {"kernel_size": (2, 3), "stride": 1, "padding": (1, 0), "dilation": (3, 2)},
        {"kernel_size": (4, 3), "stride": 1, "ceil_mode": True},
    ]:

        def max_pool(x: Any, o: Any = o) -> Any:
            return F.max_pool2d(x, **o, return_indices=True)

        yield case(x, max_pool, ("max_pool", "max_pool_grad"), o)
    for size in [(4, 3), (5, 2)]:
        yield case(
            x,
            lambda x, size=size: F.adaptive_max_pool2d(x, size, return_indices=True),
            ("adaptive_max_pool", "adaptive_max_pool_grad"),
            {"output_size": size},
        )
    ramp = np.arange(2 * 11 * 9, dtype=np.float64).reshape(1, 2, 11, 9) % 7
    u = np.array([[[0.9, 0.15], [0.3, 0.7]]])
    o = {"kernel_size": (3, 2), "output_size": (4, 5)}
    yield case(
        ramp,
        lambda x: F.fractional_max_pool2d(
            x, **o, return_indices=True, _random_samples=torch.tensor(u)
        ),
        ("fractional_max_pool", "fractional_max_pool_grad"),
        {**o, "random_samples": u},
        o,
    )


def averages() -> Iterator[BatteryCase]:
    x, gy_unit = draw(2, 2, 5, 7, unit=720), 720
    x[0, 0] = 0
    window = {"kernel_size": (3, 2), "stride": (2, 3), "padding": (1, 1), "ceil_mode": True}
    for more in [{}, {"count_include_pad": False}, {"divisor_override": -5}]:
        options = {**window, **more}

        def avg_pool(x: Any, options: Any = options) -> Any:
            return F.avg_pool2d(x, **options)

        gy = draw(*by_torch(avg_pool, [x])[0][0].shape, unit=gy_unit)
        calls: list[Call] = [("avg_pool", (x,), options), ("avg_pool_grad", (x.shape, gy), options)]
        yield BatteryCase(calls, by_torch(avg_pool, [x], gy), gy, {1: x})
    line = draw(1, 1, 6, unit=6)
    gy = draw(1, 1, 3, unit=6)
    o = {"kernel_size": (3,), "stride": 2, "padding": 1, "ceil_mode": True}
    calls = [("avg_pool", (line[..., :4],), o), ("avg_pool_grad", ((1, 1, 4), gy), o)]
    answer = by_torch(lambda x: F.avg_pool1d(x, 3, 2, 1, True), [line[..., :4]], gy)
    yield BatteryCase(calls, answer, gy, {1: line[..., :4]})
    whole = draw(1, 2, 7, most=20, dtype=np.int64)
    for integers in (whole, whole + 2**60):  # which float64 does not hold
        yield BatteryCase(
            [("avg_pool", (integers, (2,)), {}), ("adaptive_avg_pool", (integers, (3,)), {})]
        )
    thirds = draw(1, 2, 49, most=50)  # sums are exact, quotients not
    yield BatteryCase(
        [("avg_pool", (thirds, (7,)), {})], by_torch(lambda x: F.avg_pool1d(x, 7), [thirds])
    )
    yield BatteryCase(
        [("adaptive_avg_pool", (x, (None, 2)), {})],
        by_torch(lambda x: F.adaptive_avg_pool2d(x, (None, 2)), [x]),
    )
    for size in [(3, 2), (4, 5), (1, 1)]:
        gy = draw(2, 2, *size, unit=1260)
        yield BatteryCase(
            [
                ("adaptive_avg_pool", (x, size), {}),
                ("adaptive_avg_pool_grad", (x.shape, gy, size), {}),
            ],
            by_torch(lambda x, size=size: F.adaptive_avg_pool2d(x, size), [x], gy),
            gy,
            {1: x},
        )


def powers() -> Iterator[BatteryCase]:
    x = draw(1, 2, 5, 4, most=3)
    x[0, 0, :2, :2] = 0
    x[0, 1, 2:, :2] = [[1, 1], [-1, 1], [1, 1]]
    for p in (1.0, 2.0):

        def lp_pool(x: Any, p: float = p) -> Any:
            return F.lp_pool2d(x, p, 2, 2, ceil_mode=True)

        gy = draw(1, 2, 3, 2, unit=4)
        args, window = (p, 2, 2), {"ceil_mode": True}
        calls: list[Call] = [("lp_pool", (x, *args), window)]
        calls.append(("lp_pool_grad", (x, gy, *args), window))
        yield BatteryCase(calls, by_torch(lp_pool, [x], gy))
    for p in (1.0, 2.0, 3.0, inf, -inf):
        window = {"ceil_mode": True, "mathematical": True}
        gy, args = draw(1, 2, 3, 2), (p, 2, 2)
        yield BatteryCase(
            [("lp_pool", (x, *args), window), ("lp_pool_grad", (x, gy, *args), window)]
        )


def unpools() -> Iterator[BatteryCase]:
    x, at = draw(1, 2, 2, 3) + 5, np.array([[[[0, 7, 7], [20, 20, 23]], [[1, 3, 5], [13, 9, 5]]]])
    gy = draw(1, 2, 4, 6)
    answer = by_torch(lambda x: F.max_unpool2d(x, torch.tensor(at), 2), [x], gy)
    yield BatteryCase(
        [("max_unpool", (x, at, 2), {}), ("max_unpool_grad", (at, gy, 2), {})], answer
    )
    yield BatteryCase([("max_unpool_grad", (at, gy, 2), {"strict": True})])
    o = {"kernel_size": 3, "stride": 2, "padding": 1}
    at = at % 15
    yield BatteryCase([("max_unpool", (x, at), o)], by_torch(
        lambda x: F.max_unpool2d(x, torch.tensor(at), **o), [x]))  # fmt: skip


def stretches() -> Iterator[BatteryCase]:
    """A map whose windows are shifts of one stretch, with stride and dilation; uneven windows."""
    x = np.arange(4 * 11 * 9, dtype=np.float64).reshape(2, 2, 11, 9) % 7
    o = {"kernel_size": 3, "stride": (2, 1), "padding": (1, 0), "dilation": (1, 2)}

    def max_pool(x: Any) -> Any:
        return F.max_pool2d(x, **o, return_indices=True)

    ((y, at),) = by_torch(max_pool, [x])
    gy = draw(*y.shape)
    calls: list[Call] = [("max_pool", (x,), {**o, "return_indices": True})]
    calls.append(("max_pool_grad", (x.shape, at, gy), o))
    yield BatteryCase(calls, by_torch(max_pool, [x], gy), gy)
    calls = [("adaptive_max_pool", (x, (4, 2)), {"return_indices": True})]
    yield BatteryCase(
        calls, by_torch(lambda x: F.adaptive_max_pool2d(x, (4, 2), return_indices=True), [x])
    )


def rare_ways() -> Iterator[BatteryCase]:
    """Convolutions that go a way of their own, by sizes that others here do not have."""
    x, w = draw(1, 1, 5, 6, 2), draw(2, 1, 2, 2, 1)  # shifts along the second axis, in tiny tiles
    yield BatteryCase(
        [("conv", (x, w), {"dilation": (1, 2, 1)})],
        by_torch(lambda x, w: F.conv3d(x, w, dilation=(1, 2, 1)), [x, w]),
    )
    x, w = draw(1, 8, 2, 2), draw(8, 2, 3, 3)  # too few outputs for phases
    yield BatteryCase(
        [("conv_transpose", (x, w), {"stride": 2, "groups": 2})],
        by_torch(lambda x, w: F.conv_transpose2d(x, w, stride=2, groups=2), [x, w]),
    )


@cache
def cases() -> list[BatteryCase]:
    parts = (
        convolutions, transposed_convolutions, copies, maximum_pools, averages, powers, unpools,
        stretches, rare_ways,
    )  # fmt: skip
    return [case for part in parts for case in part()]


@cache
def halves() -> list[tuple[Call, np.float16]]:
    """Return calls in float16 and their exact sums, which a sum kept in float16 does not find."""
    a = np.ones(300, np.float16)
    a[[0, -1]] = 2048  # in float16 2048 + 1 is 2048, from whichever end
    b, total = np.ones_like(a), a.astype(float).sum()
    one, zeros = np.ones((1, 1, 1), np.float16), np.zeros((1, 1, 300), np.int64)
    line, taps = a.reshape(1, 1, -1), b.reshape(1, 1, -1)
    combs = np.ones((1, 1, 500), np.float16)
    combs[..., ::200] = 2048  # one of them in any 200 neighbours
    column, filters = a.reshape(1, -1, 1), b.reshape(-1, 1, 1)
    images = np.zeros((300, 9, 2), np.float16)  # several channels at once: every sum is rounded
    images[:, 0, 1] = a
    corners = np.diag(a[-60:])[::-1].copy()[None]  # 60 windows, each with another tap at one input
    corners[0, -1, 0] = 2048
    found: list[tuple[Call, float]] = [
        (("conv", (line, taps), {}), total),
        (("conv", (column, filters.reshape(1, -1, 1)), {}), total),
        (("conv_grad_input", ((1, 1, 1), filters, column), {}), total),
        (("conv_grad_input", ((1, 1, 1), filters, column), {"stride": 2}), total),
        (("conv_grad_input", ((1, 90, 1), filters.repeat(90, 1), column), {}), total),
        (("conv_grad_weight", (line, (1, 1, 1), taps), {}), total),
        (("conv_grad_bias", (images,), {}), total),
        (("conv_transpose", (column, filters), {}), total),
        (("conv_transpose", (column, filters.repeat(90, 1)), {}), total),
        (("conv_transpose_grad_input", ((1, 1, 1), taps, line), {}), total),
        (("conv_transpose_grad_weight", (line, (1, 1, 1), taps), {}), total),
        (("fold", (corners, (1,), (60,)), {"padding": 59}), 4096 + 58),
        (("pad_grad", ((1, 1, 1), line, (100, 199), "replicate"), {}), total),
        (("avg_pool", (line, (300,)), {}), total / 300),
        (("avg_pool", (line, (300,)), {"divisor_override": 1}), total),
        (("avg_pool", (combs, (200,), 1), {}), 2247 / 200),
        (("avg_pool_grad", ((1, 1, 1), one, (1,)), {}), 1),
        (("adaptive_avg_pool", (line, (1,)), {}), total / 300),
        (("adaptive_avg_pool_grad", ((1, 1, 1), line, (300,)), {}), total),
        (("max_pool_scatter", ((1, 1, 3), zeros, line, 1), {}), total),
    ]
    return [(call, np.float16(exact)) for call, exact in found]
