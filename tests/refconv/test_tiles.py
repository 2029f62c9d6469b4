"""Tiles, scratch memory and threads."""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

import refconv
from refconv.engine import tiles
from support.scratch import kept_behind
from support.threads import same_at_any_number


def blas_threads() -> list[int]:
    """Return the thread count of NumPy's BLAS (others may be loaded later, by other packages)."""
    return [library.num_threads for library in tiles._threads.blas]


def wait(barrier: threading.Barrier) -> None:
    """Return when as many threads as the barrier asks for are here."""
    barrier.wait()


@pytest.mark.parametrize("size", [0, 1, 7, 12])
@pytest.mark.parametrize("most", [0, 1, 3, 5, 100])
def test_blocks_cover_once_and_in_order(size: int, most: int) -> None:
    parts = tiles.blocks(size, most)
    assert [v for part in parts for v in range(size)[part]] == list(range(size))
    assert all(part.stop - part.start <= max(1, most) for part in parts)


@pytest.mark.parametrize("extent", [(5,), (4, 6), (3, 1, 7), (0, 4), (2, 3, 4, 5)])
@pytest.mark.parametrize("most", [0, 1, 6, 13, 1000])
def test_boxes_cover_once_and_are_runs(extent: tuple[int, ...], most: int) -> None:
    numbers = np.arange(int(np.prod(extent))).reshape(extent)
    seen = [numbers[box].ravel() for box in tiles.boxes(extent, most)]
    assert all(np.all(np.diff(run) == 1) for run in seen)
    assert sorted(np.concatenate([[], *seen])) == list(range(numbers.size))
    assert all(len(run) <= max(1, most) for run in seen)


def test_scratch_is_reused_in_a_thread_and_not_between_threads() -> None:
    mine = tiles.scratch(np, (4, 4), np.dtype(np.float64), "test")
    again = tiles.scratch(np, (2,), np.dtype(np.float32), "test")
    other = tiles.scratch(np, (4, 4), np.dtype(np.float64), "another test")
    with ThreadPoolExecutor(1) as pool:
        theirs = pool.submit(tiles.scratch, np, (4, 4), np.dtype(np.float64), "test").result()
    assert np.shares_memory(mine, again)
    assert not np.shares_memory(mine, other)
    assert not np.shares_memory(mine, theirs)


def test_work_is_shared_by_as_many_threads_as_blas_has() -> None:
    for count in (1, 2, 3):
        barrier = threading.Barrier(count, timeout=20)
        with threadpool_limits(count, user_api="blas"):
            tiles.run(np, lambda _, barrier=barrier: wait(barrier), range(count))


def test_blas_runs_at_one_thread_within_and_as_before_behind() -> None:
    inside: list[int] = []
    with threadpool_limits(2, user_api="blas"):
        tiles.run(np, lambda _: inside.extend(blas_threads()), [0, 1])
        behind = blas_threads()
    assert set(inside) == {1}
    assert set(behind) == {2}


def test_calls_from_several_threads_take_turns() -> None:
    inside: list[int] = []
    start = threading.Barrier(3, timeout=20)

    def caller() -> None:
        start.wait()
        for _ in range(20):
            tiles.run(np, lambda _: inside.extend(blas_threads()), range(4))

    with threadpool_limits(2, user_api="blas"), ThreadPoolExecutor(3) as callers:
        for done in [callers.submit(caller) for _ in range(3)]:
            done.result()
        assert set(blas_threads()) == {2}
    assert set(inside) == {1}


def test_callers_with_one_blas_thread_run_side_by_side() -> None:
    meet = threading.Barrier(2, timeout=20)
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(2) as callers:
        for done in [callers.submit(tiles.run, np, lambda _: wait(meet), [0]) for _ in range(2)]:
            done.result()


@pytest.mark.parametrize("count", [1, 3])
def test_an_error_in_a_tile_is_raised_and_leaves_blas_as_it_was(count: int) -> None:
    def task(item: int) -> None:
        if item == 3:
            raise ValueError("tile 3")

    with threadpool_limits(count, user_api="blas"):
        with pytest.raises(ValueError, match="tile 3"):
            tiles.run(np, task, range(100))
        assert set(blas_threads()) == {count}


def test_an_error_of_a_helper_is_raised_and_stops_the_others() -> None:
    meet, done, caller = threading.Barrier(2, timeout=20), [], threading.current_thread()

    def task(item: int) -> None:
        if item < 2:
            wait(meet)
            if threading.current_thread() is not caller:
                raise ValueError("a helper's tile")
        time.sleep(1e-3)
        done.append(item)

    with (
        threadpool_limits(2, user_api="blas"),
        pytest.raises(ValueError, match="a helper's tile"),
    ):
        tiles.run(np, task, range(5000))
    assert 1 <= len(done) < 4000


openblas = pytest.mark.skipif(
    any(library.internal_api != "openblas" for library in tiles._threads.blas),
    reason="NumPy's BLAS is not OpenBLAS: every product holds it",
)


@openblas
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_does_not_hold_blas_has_its_bits_at_any_number_of_threads(dtype: Any) -> None:
    """Products of all shapes, the largest that count as small."""
    rng = np.random.default_rng(0)
    for _ in range(150):
        rows, inner = (int(2 ** rng.uniform(0, 9)) for _ in "ab")
        columns = max(1, tiles.ALONE // (rows * inner))
        while tiles.takes_threads(np.dtype(dtype), rows, inner, columns):
            columns = columns * 9 // 10  # a vector takes threads sooner
        a, b = (rng.standard_normal(s).astype(dtype) for s in ((rows, inner), (inner, columns)))
        same = same_at_any_number(lambda a=a, b=b: (a @ b, b.T @ a.T))
        assert same, (rows, inner, columns)


@openblas
@pytest.mark.parametrize(
    ("sizes", "shared"),
    [((64, 64, 64), False), ((64, 64, 65), True), ((1, 96, 96), False), ((1, 96, 97), True)],
)
def test_the_largest_products_that_blas_computes_alone(sizes: Any, shared: bool) -> None:
    assert tiles.takes_threads(np.dtype(np.float32), *sizes) == shared


@pytest.mark.parametrize(
    ("cost", "threads", "told"),
    [(0.9 * tiles.SHARED, 1, 0), (1.1 * tiles.SHARED, 2, 0), (1.1 * tiles.RESTED, 2, 1)],
)
def test_only_work_that_is_worth_it_is_shared(
    cost: float, threads: int, told: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Little stays in its thread; who is to rest before threads start is told for much."""
    calls: list[int] = []
    monkeypatch.setattr(tiles, "_before", [lambda: calls.append(1)])
    seen: set[threading.Thread] = set()
    meet = threading.Barrier(2, timeout=20)

    def task(_: int) -> None:
        seen.add(threading.current_thread())
        if threads == 2:
            wait(meet)

    with threadpool_limits(2, user_api="blas"):
        tiles.run(np, task, range(2), cost=cost)
    assert (len(seen), len(calls)) == (threads, told)


def test_complex_products_hold_blas_and_integers_do_not() -> None:
    assert tiles.takes_threads(np.dtype(complex), 2, 2, 2)
    assert not tiles.takes_threads(np.dtype(int), 10**6, 10**6, 10**6)


@pytest.mark.parametrize(("products", "inside"), [(True, {1}), (False, {2})])
def test_a_task_alone_holds_blas_only_for_its_products(products: bool, inside: set[int]) -> None:
    seen: list[int] = []
    with threadpool_limits(2, user_api="blas"):
        tiles.run(np, lambda _: seen.extend(blas_threads()), [0], products)
    assert set(seen) == inside


@pytest.mark.parametrize("count", [1, 4])
def test_a_task_may_call_again(count: int) -> None:
    """Its own call runs in its thread, and waits for nobody: also one that would hold BLAS."""
    seen: list[tuple[int, int]] = []

    def task(item: int) -> None:
        here = threading.current_thread()

        def inner(other: int) -> None:
            assert threading.current_thread() is here
            seen.append((item, other))

        tiles.run(np, inner, range(count))

    def work() -> None:
        with threadpool_limits(2, user_api="blas"):
            tiles.run(np, task, range(6))

    caller = threading.Thread(target=work, daemon=True)
    caller.start()
    caller.join(20)
    assert sorted(seen) == [(item, other) for item in range(6) for other in range(count)]


class OldLibrary:
    """A BLAS as threadpoolctl 3.5 has it, whom no thread controls."""

    num_threads = 4

    def set_num_threads(self, count: int) -> None:
        self.num_threads = count


class NewLibrary(OldLibrary):
    """A BLAS as threadpoolctl 3.7 has it: the thread that set it may set it, until cleared."""

    controlled = True

    def clear_controlling_thread(self, force: bool) -> None:
        assert force
        self.controlled = False

    def set_num_threads(self, count: int) -> None:
        assert not self.controlled
        self.num_threads, self.controlled = count, True


@pytest.mark.parametrize("library", [OldLibrary(), NewLibrary()])
def test_blas_is_held_whoever_controls_it(library: Any) -> None:
    threads = tiles._Threads()
    threads.blas = [library]
    with threads.held() as width:
        assert (width, library.num_threads) == (4, 1)
    assert library.num_threads == 4
    assert not getattr(library, "controlled", False)


def test_a_child_waits_for_no_thread_of_its_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a fork calls: the lock may be held by a thread that the child does not have."""
    old = tiles._threads
    monkeypatch.setattr(tiles, "_threads", old)  # so that it comes back behind
    done: list[int] = []
    with threadpool_limits(2, user_api="blas"), old.lock:
        tiles._forget_threads()
        caller = threading.Thread(target=tiles.run, args=(np, done.append, range(4)), daemon=True)
        caller.start()
        caller.join(20)
        assert sorted(done) == [0, 1, 2, 3]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_can_convolve() -> None:
    x, w = np.ones((8, 4, 20, 20)), np.ones((4, 4, 3, 3))
    with threadpool_limits(2, user_api="blas"):
        expected = refconv.conv(x, w)  # starts the threads that a child does not inherit
        child = os.fork()
        if child == 0:
            os._exit(0 if np.array_equal(refconv.conv(x, w), expected) else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_scratch_stays_small_whatever_the_size() -> None:
    for shape, kernel in (
        ((1, 3, 600, 600), (8, 3, 7, 7)),
        ((1, 600, 20, 20), (4, 600, 3, 3)),
        ((20, 16, 30, 30), (16, 16, 3, 3)),
        ((1, 2, 100_000), (3, 2, 9)),
        ((1, 256, 56, 56), (8, 256, 1, 1)),
    ):
        x, w = np.ones(shape, np.float32), np.ones(kernel, np.float32)
        for stride in (1, 2, 4):
            gy = refconv.conv(x, w, stride=stride)
            used = kept_behind(
                lambda x=x, w=w, s=stride: refconv.conv(x, w, stride=s),
                lambda x=x, w=w, s=stride, gy=gy: refconv.conv_grad_input(x.shape, w, gy, s),
                lambda x=x, w=w, s=stride, gy=gy: refconv.conv_grad_weight(x, w.shape, gy, s),
                lambda x=x: refconv.max_pool(x, (3,) * (x.ndim - 2), 2, 1),
                lambda x=x: refconv.avg_pool(x, (3,) * (x.ndim - 2), 2, 1),
            )
            assert used <= 4 << 20, (shape, kernel, stride, used)
