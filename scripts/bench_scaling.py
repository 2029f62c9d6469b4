"""How time grows: with batch, image, channels, window and threads; and the exponent that fits."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import threadpoolctl
from bench_cases import arrays
from bench_timing import blas, block

import refconv


class Curve(NamedTuple):
    """Times over a size; the work grows with its power `expected`."""

    name: str
    expected: float
    sizes: Sequence[int]
    call: Callable[[int], Callable[[], Any]]


def conv(n: int = 4, c: int = 64, i: int = 28, m: int = 64, k: int = 3) -> Callable[[], Any]:
    """Return a convolution to time."""
    x, w = arrays("float32", (n, c, i, i), (m, c, k, k))
    return lambda: refconv.conv(x, w, None, 1, k // 2)


def pool(n: int = 8, i: int = 56, k: int = 3) -> Callable[[], Any]:
    """Return a max pool to time."""
    (x,) = arrays("float32", (n, 64, i, i))
    return lambda: refconv.max_pool(x, k, 1, return_indices=True)


CURVES = (
    Curve("convolution 3x3, batch", 1, (1, 2, 4, 8, 16), lambda n: conv(n=n)),
    Curve("convolution 3x3, pixels along an axis", 2, (14, 28, 56, 112), lambda i: conv(i=i)),
    Curve("convolution 3x3, channels in", 1, (32, 64, 128, 256), lambda c: conv(c=c)),
    Curve("convolution 3x3, channels out", 1, (32, 64, 128, 256), lambda m: conv(m=m)),
    Curve("convolution, taps along an axis", 2, (3, 5, 7, 9), lambda k: conv(k=k)),
    Curve("max pool 3x3, batch", 1, (2, 4, 8, 16), lambda n: pool(n=n)),
    Curve("max pool 3x3, pixels along an axis", 2, (28, 56, 112), lambda i: pool(i=i)),
    Curve("max pool, taps along an axis", 2, (3, 5, 7, 9), lambda k: pool(k=k)),
)


def exponent(sizes: Sequence[int], times: Sequence[float]) -> float:
    """Return b of the power law a size^b that fits best.

    >>> round(exponent([1, 2, 4], [3.0, 12.0, 48.0]), 6)
    2.0
    """
    return float(np.polyfit(np.log(sizes), np.log(times), 1)[0])


def table() -> list[str]:
    """Return the curves, and what two threads gain."""
    lines = ["| | milliseconds | exponent | of the work |", "|---|---|---|---|"]
    for curve in CURVES:
        times = [block(curve.call(size)) * 1e3 for size in curve.sizes]
        both = ", ".join(f"{size}: {t:.2g}" for size, t in zip(curve.sizes, times, strict=True))
        fit = exponent(curve.sizes, times)
        lines.append(f"| {curve.name} | {both} | {fit:.2f} | {curve.expected:g} |")
        print(lines[-1], flush=True)
    for name, call in (("convolution 3x3", conv(n=8)), ("max pool 3x3", pool())):
        counts = sorted({1, *(lib["num_threads"] for lib in blas())})
        times = []
        for count in counts:
            with threadpoolctl.threadpool_limits(count, user_api="blas"):
                times.append(block(call) * 1e3)
        both = ", ".join(f"{count}: {t:.2g}" for count, t in zip(counts, times, strict=True))
        gain = f"{exponent(counts, times):.2f}" if len(counts) > 1 else "-"
        lines.append(f"| {name}, threads | {both} | {gain} | -1 |")
        print(lines[-1], flush=True)
    return lines
