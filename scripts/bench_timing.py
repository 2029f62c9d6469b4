"""How the benchmark measures: two ways to do the same work, in alternating blocks.

Threads that busy-wait behind a call poison the measurement behind it, so the two alternate in
blocks, never call by call: a pause, calls to warm up, then the timed calls. Each round has one
block of either, and gives one ratio of medians.
"""

import platform
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import threadpoolctl
import torch

from refconv.engine import tiles

PAUSE = 0.2  # seconds, before a block
LONG = 0.12  # seconds of timed calls in a block, if those are at least two and at most MOST
MOST = 300


class Calls(NamedTuple):
    """The same work by both."""

    ours: Callable[[], Any]
    torch: Callable[[], Any]


class Timing(NamedTuple):
    """Medians over rounds, in seconds, and of the ratios with the lowest and highest."""

    ours: float
    torch: float
    ratio: float
    low: float
    high: float


def seconds(call: Callable[[], Any]) -> float:
    """Return how long a call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def block(call: Callable[[], Any]) -> float:
    """Return the median time of a call in seconds, measured on its own."""
    time.sleep(PAUSE)
    warm = min(seconds(call) for _ in range(2))
    return statistics.median(seconds(call) for _ in range(max(2, min(MOST, int(LONG / warm)))))


def compare(pair: Calls, rounds: int) -> Timing:
    """Time both in alternating blocks."""
    ours: list[float] = []
    theirs: list[float] = []
    for number in range(rounds):
        for first in (True, False) if number % 2 else (False, True):
            (ours if first else theirs).append(block(pair.ours if first else pair.torch))
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    return Timing(
        statistics.median(ours), statistics.median(theirs), statistics.median(ratios),
        min(ratios), max(ratios),
    )  # fmt: skip


def scratch(call: Callable[[], Any]) -> float:
    """Return the MiB of scratch memory that a thread keeps behind a call."""

    def work() -> float:
        call()
        buffers = tiles._local.__dict__.get("buffers", {})
        return float(sum(buffer.nbytes for buffer in buffers.values()) / (1 << 20))

    with ThreadPoolExecutor(1) as pool, threadpoolctl.threadpool_limits(1, user_api="blas"):
        return pool.submit(work).result()


def blas() -> list[dict[str, Any]]:
    """Return what threadpoolctl tells of NumPy's BLAS, and of others that are loaded."""
    return [lib for lib in threadpoolctl.threadpool_info() if lib["user_api"] == "blas"]


def kernels() -> str:
    """Return which kernels NumPy's BLAS uses."""
    return ", ".join(str(lib.get("architecture", lib["internal_api"])) for lib in blas())


def environment() -> str:
    """Return what the numbers depend on."""
    libraries = [
        f"{lib['internal_api']} {lib['version']} ({lib.get('architecture', '?')} kernels)"
        for lib in blas()
    ]
    return (
        f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}, "
        f"{torch.get_num_threads()} threads; NumPy {np.__version__} with {', '.join(libraries)}; "
        f"torch {torch.__version__}"
    )
