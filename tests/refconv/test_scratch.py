"""Scratch memory of every operator, forward and backward: what a call takes beside its result.

Everything is counted, temporary arrays too: NumPy tells tracemalloc what it allocates. One thread
takes at most 4 MiB, as much for a large batch and image as for a small one.
"""

import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

import refconv
from support.scratch import kept_behind

MOST = 4.0  # MiB
Call = tuple[str, Callable[[], Any]]


def ones(*shape: int) -> Any:
    """Return ones in float32."""
    return np.ones(shape, np.float32)


def convolutions(n: int, c: int, i: int) -> Iterator[Call]:
    """Yield convolutions of C maps by as many filters, and their gradients."""
    x, gy, half = ones(n, c, i, i), ones(n, c, i, i), ones(n, c, i // 2, i // 2)
    for name, w, gy, options in (  # noqa: B020
        ("3x3", ones(c, c, 3, 3), gy, (1, 1)),
        ("3x3 stride 2", ones(c, c, 3, 3), half, (2, 1)),
        ("1x1", ones(c, c, 1, 1), gy, (1, 0)),
        ("depthwise", ones(c, 1, 3, 3), gy, (1, 1, 1, c)),
        ("depthwise 7x7", ones(c, 1, 7, 7), gy, (1, 3, 1, c)),
        ("groups of 4", ones(c, 4, 3, 3), gy, (1, 1, 1, c // 4)),
    ):
        yield f"conv {name}", lambda w=w, o=options: refconv.conv(x, w, None, *o)
        yield (
            f"conv_grad_input {name}",
            lambda w=w, gy=gy, o=options: refconv.conv_grad_input(x.shape, w, gy, *o),
        )
        yield (
            f"conv_grad_weight {name}",
            lambda w=w, gy=gy, o=options: refconv.conv_grad_weight(x, w.shape, gy, *o),
        )
    w = ones(c, c, 2, 2)
    yield "conv_grad_bias", lambda: refconv.conv_grad_bias(x)
    yield "conv_transpose", lambda: refconv.conv_transpose(half, w, None, 2)
    yield "its gradient", lambda: refconv.conv_transpose_grad_input(half.shape, w, x, 2)
    yield "its weight's", lambda: refconv.conv_transpose_grad_weight(half, w.shape, x, 2)


def copies(n: int, c: int, i: int) -> Iterator[Call]:
    """Yield padding, unfold and fold."""
    x, wide = ones(n, c, i, i), ones(n, c, i + 2, i + 2)
    few = ones(n, 4, i, i)
    cols = refconv.unfold(few, 3, 1, 1)
    for mode in ("constant", "reflect", "replicate", "circular"):
        yield f"pad {mode}", lambda mode=mode: refconv.pad(x, (1, 1, 1, 1), mode)
        yield (
            f"pad_grad {mode}",
            lambda mode=mode: refconv.pad_grad(x.shape, wide, (1, 1, 1, 1), mode),
        )
    yield "unfold", lambda: refconv.unfold(few, 3, 1, 1)
    yield "fold", lambda: refconv.fold(cols, (i, i), 3, 1, 1)


def pools(n: int, c: int, i: int) -> Iterator[Call]:
    """Yield pools and their gradients."""
    x = ones(n, c, i, i)
    for window in ((2, 2, 0), (3, 2, 1), (5, 1, 2)):
        y, at = refconv.max_pool(x, *window, return_indices=True)
        yield f"max {window}", lambda o=window: refconv.max_pool(x, *o, return_indices=True)
        yield f"max {window}, no indices", lambda o=window: refconv.max_pool(x, *o)
        yield (
            f"max_grad {window}",
            lambda o=window, y=y, at=at: refconv.max_pool_grad(x.shape, at, y, *o),
        )
        yield f"avg {window}", lambda o=window: refconv.avg_pool(x, *o)
        yield f"avg_grad {window}", lambda o=window, y=y: refconv.avg_pool_grad(x.shape, y, *o)
    y, at = refconv.max_pool(x, 2, return_indices=True)
    yield "select", lambda: refconv.max_pool_select(x, at, 2)
    yield "scatter", lambda: refconv.max_pool_scatter(x.shape, at, y, 2)
    yield "unpool", lambda: refconv.max_unpool(y, at, 2)
    yield "unpool_grad", lambda: refconv.max_unpool_grad(at, x, 2)
    for mathematical in (False, True):
        o = {"mathematical": mathematical}
        yield f"lp {mathematical}", lambda o=o: refconv.lp_pool(x, 2.0, 2, **o)
        yield f"lp_grad {mathematical}", lambda o=o: refconv.lp_pool_grad(x, y, 2.0, 2, **o)


def adaptive_pools(n: int, c: int, i: int) -> Iterator[Call]:
    """Yield adaptive and fractional pools, and their gradients."""
    x = ones(n, c, i, i)
    for size in (1, 7, i // 2 + 1):
        o = (size, size)
        y, at = refconv.adaptive_max_pool(x, o, return_indices=True)
        yield f"avg {size}", lambda o=o: refconv.adaptive_avg_pool(x, o)
        yield f"avg_grad {size}", lambda o=o, y=y: refconv.adaptive_avg_pool_grad(x.shape, y, o)
        yield f"max {size}", lambda o=o: refconv.adaptive_max_pool(x, o, return_indices=True)
        yield (
            f"max_grad {size}",
            lambda o=o, y=y, at=at: refconv.adaptive_max_pool_grad(x.shape, at, y, o),
        )
    u, half = np.full((n, c, 2), 0.5, np.float32), (i // 2, i // 2)
    y, at = refconv.fractional_max_pool(x, 2, half, None, True, u)
    yield "fractional", lambda: refconv.fractional_max_pool(x, 2, half, None, True, u)
    yield "fractional_grad", lambda: refconv.fractional_max_pool_grad(x.shape, at, y, 2, half)


SETS = (convolutions, copies, pools, adaptive_pools)


def beside_the_result(call: Callable[[], Any]) -> float:
    """Return the peak of what a call allocates in a thread of its own, less its result, in MiB."""

    def work() -> float:
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        result = call()
        peak = tracemalloc.get_traced_memory()[1] - before
        tracemalloc.stop()
        arrays = result if isinstance(result, tuple) else (result,)
        return float(peak - sum(each.nbytes for each in arrays)) / (1 << 20)

    with ThreadPoolExecutor(1) as pool, threadpool_limits(1, user_api="blas"):
        return pool.submit(work).result()


def too_much(sizes: tuple[int, int, int], calls: Callable[..., Iterator[Call]]) -> dict[str, float]:
    """Return the calls that take more than they may."""
    found = {name: beside_the_result(call) for name, call in calls(*sizes)}
    return {name: most for name, most in found.items() if most > MOST}


@pytest.mark.parametrize("sizes", [(1, 32, 56), (4, 32, 56), (1, 32, 112)])
@pytest.mark.parametrize("calls", SETS)
def test_scratch_stays_small(sizes: tuple[int, int, int], calls: Any) -> None:
    assert too_much(sizes, calls) == {}


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [(1, 256, 112), (2, 256, 112), (1, 256, 224)])
@pytest.mark.parametrize("calls", SETS)
def test_so_it_does_in_the_largest_layers(sizes: tuple[int, int, int], calls: Any) -> None:
    """The shapes of 64 images of 256 x 224 x 224, on fewer: it does not grow with the batch."""
    assert too_much(sizes, calls) == {}


def test_many_filters_stay_small() -> None:
    """Of 2048 filters the outputs of a tile are more than its windows."""
    x, w = np.ones((8, 64, 16, 16)), np.ones((2048, 64, 3, 3))
    gy = refconv.conv(x, w, None, 2, 1)
    for call in (
        lambda: refconv.conv_grad_weight(x, w.shape, gy, 2, 1),
        lambda: refconv.conv_grad_input(x.shape, w, gy, 2, 1),
    ):
        assert kept_behind(call) <= 4 << 20


def test_a_copy_of_the_input_is_seen() -> None:
    x = ones(1, 32, 200, 200)
    assert beside_the_result(lambda: refconv.max_pool(x.copy(), 2)) > MOST
    assert beside_the_result(lambda: refconv.max_pool(x, 2)) < MOST
