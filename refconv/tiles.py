"""The one place for tiles, scratch memory and threads.

Work is cut into tiles whose scratch fits a core's cache. The cut depends on the problem alone,
never on the number of threads, and tiles write to disjoint places: results are bit-identical at any
thread count. While tiles run, BLAS is held at one thread, so that no BLAS worker is left spinning
beside them; `refconv` uses as many threads as NumPy's BLAS had, and so obeys the same controls
(`threadpoolctl.threadpool_limits`, `OPENBLAS_NUM_THREADS`, ...).
"""

import contextvars
import itertools
import math
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
from threadpoolctl import ThreadpoolController

from refconv.checks import Array
from refconv.shapes import Shape

Item = TypeVar("Item")
Box = tuple[slice, ...]

SCRATCH_BYTES = 1 << 20  # of the largest scratch array of a tile: twice a core's L2 on today's CPUs

# --------------------------------------------------------------------------- tiles


def blocks(size: int, most: int) -> list[slice]:
    """Cut range(size) into equal blocks of at most `most`, the last one possibly shorter.

    >>> blocks(10, 4)
    [slice(0, 4, None), slice(4, 8, None), slice(8, 10, None)]
    """
    count = -(-size // max(1, most))
    step = -(-size // max(1, count))
    return [slice(first, min(first + step, size)) for first in range(0, size, max(1, step))]


def boxes(extent: Shape, most: int) -> list[Box]:
    """Cut an index space into boxes of at most `most` points, whole in the last axes.

    >>> boxes((4, 6), 12)
    [(slice(0, 2, None), slice(0, 6, None)), (slice(2, 4, None), slice(0, 6, None))]
    """
    cuts = []
    for axis, size in enumerate(extent):
        rest = math.prod(extent[axis + 1 :])
        cuts.append(blocks(size, max(1, most // max(1, rest))))
    return list(itertools.product(*cuts))


def extent(box: Box) -> Shape:
    """Return the shape of a box."""
    return tuple(side.stop - side.start for side in box)


# --------------------------------------------------------------------------- scratch

_local = threading.local()


def scratch(shape: Shape, dtype: np.dtype[Any], slot: str) -> Array:
    """Return an uninitialised array that this thread reuses for every tile; one for each slot."""
    buffers: dict[str, Array] = _local.__dict__.setdefault("buffers", {})
    size = math.prod(shape) * dtype.itemsize
    buffer = buffers.get(slot)
    if buffer is None or buffer.size < size:
        buffer = buffers[slot] = np.empty(size, np.uint8)
    return buffer[:size].view(dtype).reshape(shape)


# --------------------------------------------------------------------------- threads


class _Threads:
    """BLAS held at one thread while at least one call is running tiles, and the pool beside it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.blas = ThreadpoolController().select(user_api="blas")
        self.running = 0
        self.width = 1
        self.pool: ThreadPoolExecutor | None = None
        self.limit: Any = None

    @contextmanager
    def hold(self) -> Iterator[int]:
        """Hold BLAS at one thread; yield how many threads it had."""
        with self.lock:
            if self.running == 0:
                counts = [library.num_threads for library in self.blas.lib_controllers]
                self.width = max(counts) if counts else os.cpu_count() or 1
                self.limit = self.blas.limit(limits=1)
            self.running += 1
            width = self.width
        try:
            yield width
        finally:
            with self.lock:
                self.running -= 1
                if self.running == 0:
                    self.limit.restore_original_limits()

    def workers(self, width: int) -> ThreadPoolExecutor:
        """Return a pool of at least width - 1 threads; the calling thread is one more."""
        with self.lock:
            if self.pool is None or self.pool._max_workers < width - 1:
                self.pool = ThreadPoolExecutor(width - 1, "refconv")
            return self.pool


_threads = _Threads()


def _forget_threads() -> None:
    global _threads
    _threads = _Threads()  # a forked child has the parent's pool and locks, but not its threads


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)


def run(task: Callable[[Item], None], items: Sequence[Item]) -> None:
    """Call task(item) for every item, on as many threads as BLAS would use; the first error raises.

    Floating-point exceptions are silent, as in torch: infinities and NaN tell.
    """
    if not items:
        return
    queue = iter(items)  # next() on a tuple or list iterator is atomic
    stop = threading.Event()

    def work() -> None:
        with np.errstate(all="ignore"):
            try:
                for item in queue:
                    if stop.is_set():
                        return
                    task(item)
            except BaseException:
                stop.set()
                raise

    with _threads.hold() as width:
        helpers = min(width, len(items)) - 1
        if helpers == 0:
            work()
            return
        pool = _threads.workers(width)
        futures = [pool.submit(contextvars.copy_context().run, work) for _ in range(helpers)]
        try:
            work()
        finally:
            for future in futures:
                future.cancel()
            wait_for(futures)


def wait_for(futures: Iterable[Any]) -> None:
    """Wait for all futures that run; raise the first error among them."""
    errors = [f.exception() for f in futures if not f.cancelled()]
    for error in errors:
        if error is not None:
            raise error
