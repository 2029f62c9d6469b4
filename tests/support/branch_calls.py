"""Calls that select other code than those of the battery do: depthwise, pointwise, odd layouts.

No sum of theirs rounds, and pools see infinities, NaN and both zeros.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

import refconv
from support.bugs.battery import Call
from support.strategies import integers_in

RNG = np.random.default_rng(0)


def whole(*shape: int, dtype: Any = np.float32) -> Any:
    return integers_in(RNG, shape, dtype, 3)


def normal(*shape: int, dtype: Any = np.float32) -> Any:
    return RNG.standard_normal(shape).astype(dtype)


def more_calls() -> Iterator[Call]:
    """Yield them."""
    for dtype in (np.float16, np.float32, np.complex64, np.uint8, np.int16):
        x, w, b = (whole(*shape, dtype=dtype) for shape in [(3, 6, 7, 5), (6, 2, 3, 2), (6,)])
        depthwise, pointwise = w[:, :1].copy(), w[:, :, :1, :1].copy()
        for weight, options in [
            (w, {"groups": 3}),
            (w, {"groups": 3, "stride": (2, 1), "padding": (2, 1), "dilation": (1, 2)}),
            (depthwise, {"groups": 6, "padding": "same"}),
            (pointwise, {"groups": 3}),
            (pointwise, {"groups": 3, "stride": 3}),
        ]:
            gy = refconv.conv(x, weight, b, **options)
            yield "conv", (x, weight, b), options
            yield "conv", (x[0], weight), options
            yield "conv_grad_input", (x.shape, weight, gy), options
            yield "conv_grad_weight", (x, weight.shape, gy), options
            yield "conv_grad_bias", (gy,), {}
            if options.get("padding") != "same":
                back = {**options, "output_padding": int(options.get("stride") == 3)}
                shape = refconv.conv_transpose(gy, weight, **back).shape
                yield "conv_transpose", (gy, weight, None), back
                again = whole(*shape, dtype=dtype)
                yield "conv_transpose_grad_input", (gy.shape, weight, again), back
                yield "conv_transpose_grad_weight", (gy, weight.shape, again), back
        yield "pad", (x, (1, -2, -1, 2), "reflect"), {}
        yield "pad_grad", ((3, 6, 6, 6), x, (1, -2, -1, 2), "replicate"), {}
        yield "fold", (refconv.unfold(x, 2, padding=1), (7, 5), 2), {"padding": 1}
        for divisor in (None, 3):
            o = {"ceil_mode": True, "divisor_override": divisor, "padding": 1}
            yield "avg_pool", (x, 3, 2), o
            yield "avg_pool_grad", (x.shape, refconv.avg_pool(x, 3, 2, **o), 3, 2), o
        yield "adaptive_avg_pool", (x, (4, 3)), {}
        yield "adaptive_avg_pool", (x, (0, 3)), {}
        yield "adaptive_avg_pool_grad", (x.shape, x[..., :4, :3], (4, 3)), {}
    yield "pad", (normal(2, 3), (1, 2), "constant", -0.0), {}
    yield "unfold", (RNG.integers(0, 2, (2, 2, 4, 5)).astype(bool), 2), {}
    yield "fold", (RNG.integers(0, 2, (2, 8, 12)).astype(bool), (4, 5), 2), {}
    wide = whole(1, 80, 20, 20)  # with shifts, in usual tiles
    yield "conv", (wide, whole(4, 80, 3, 3)), {"padding": 1}
    yield "conv_grad_weight", (wide, (4, 80, 3, 3), whole(1, 4, 18, 18)), {}
    for dtype in (np.float16, np.float64, np.int64, np.uint8):  # in order, whatever is rounded
        x = (8 * normal(2, 3, 9, 8)).astype(dtype)
        if x.dtype.kind == "f":
            x[0, 0, :4], x[0, 1, ::2, 1], x[1, 1, 2:5] = -np.inf, np.nan, -0.0
        x = np.maximum(x, 0) if dtype == np.float64 else x
        u = RNG.random((2, 3, 2)).astype(dtype if x.dtype.kind == "f" else np.float64)
        pools: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
            ("max_pool", (3, 1, 1, 2), {"ceil_mode": True}),
            ("adaptive_max_pool", ((5, 3),), {}),
            ("fractional_max_pool", (3, (4, 5)), {"random_samples": u}),
        ]
        for name, args, options in pools:
            y, at = getattr(refconv, name)(x, *args, return_indices=True, **options)
            gy = normal(*y.shape).astype(dtype)
            yield name, (x, *args), {**options, "return_indices": True}
            options = {key: v for key, v in options.items() if key != "random_samples"}
            yield f"{name}_grad", (x.shape, at, gy, *args), options
            yield "max_pool_select", (x, at, 2), {}
            yield "max_pool_scatter", (x.shape, at, gy, 2), {}
        at, v, gy = RNG.integers(0, 24, (2, 3, 4)), x[:, :, 0, :4], normal(2, 3, 8).astype(dtype)
        yield "max_unpool", (v, at % 8, (2,)), {}  # of the same position the last stays
        for strict in (False, True):
            yield "max_unpool_grad", (at % 8, gy, (2,)), {"strict": strict}
        yield "max_pool_scatter", ((2, 3, 5), at % 3, v, 1), {}
    for p in (0.5, 1, 2, 3, -2, 2.5, np.inf, -np.inf):
        for mathematical in (False, True):
            o = {"ceil_mode": True, "mathematical": mathematical}
            x, gy = normal(2, 2, 5, 4), normal(2, 2, 3, 2)
            yield "lp_pool", (x, p, 2), o
            yield "lp_pool_grad", (x, gy, p, 2), o
