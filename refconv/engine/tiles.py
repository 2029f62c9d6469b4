"""The one place for tiles, scratch memory and threads.

Work is cut into tiles whose scratch fits a core's cache. The cut depends on the problem alone,
never on the number of threads, and tiles write to disjoint places: results are bit-identical at any
thread count. While tiles run, BLAS is held at one thread, so that no BLAS worker is left spinning
beside them; `refconv` uses as many threads as NumPy's BLAS had, and so obeys the same controls
(`threadpoolctl.threadpool_limits`, `OPENBLAS_NUM_THREADS`, ...).

Arrays of another library (CuPy) are a device's. There tiles are larger and follow one another in
the calling thread: the device's stream orders them, and its library keeps the scratch memory.
"""

import itertools
import math
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from typing import Any, TypeVar

import numpy as np
from threadpoolctl import ThreadpoolController

from refconv.geometry import Array
from refconv.geometry.sizes import Shape

Item = TypeVar("Item")
Box = tuple[slice, ...]

SCRATCH_BYTES = 1 << 20  # of the largest scratch array of a tile: twice a core's L2 on today's CPUs
PARTS = 8  # at least as many tasks a convolution is cut into, so that threads can share them
PLANS = 256  # how many of a kind are kept: a call like an earlier one plans nothing
ALONE = 1 << 18  # multiply-adds of a real product for which OpenBLAS takes one thread
ALONE_BY_VECTOR = 9216  # likewise, of a matrix and a vector: its interface/gemm.c and gemv.c
SHARED = 5e5  # nanoseconds, as one thread would take: fewer, and threads cost more than they gain
RESTED = 1e6  # nanoseconds likewise: fewer, and what is called `before_threads` costs more
DEVICE_TIMES = 256  # as much in a tile on a device, where each call costs a launch: docs/cuda.md

# --------------------------------------------------------------------------- tiles


def times(xp: Any) -> int:
    """Return how many times a core's share of work or memory a tile is: 1 for NumPy."""
    return 1 if xp is np else DEVICE_TIMES


def room(xp: Any, itemsize: int) -> int:
    """Return how many elements the largest scratch array of a tile may have."""
    return times(xp) * SCRATCH_BYTES // itemsize


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


def scratch(xp: Any, shape: Shape, dtype: np.dtype[Any], slot: str) -> Array:
    """Return an uninitialised array that this thread reuses for every tile; one for each slot.

    Only the library of a device knows when a stream is done with such memory: it holds a pool.
    """
    if xp is not np:
        array: Array = xp.empty(shape, dtype)
        return array
    buffers: dict[str, Array] = _local.__dict__.setdefault("buffers", {})
    size = math.prod(shape) * dtype.itemsize
    if slot not in buffers or buffers[slot].size < size:
        buffers.pop(slot, None)  # frees what it had, before more is asked for
        buffers[slot] = np.empty(size, np.uint8)
    return buffers[slot][:size].view(dtype).reshape(shape)


# --------------------------------------------------------------------------- threads


class _Threads:
    """The pool, and BLAS held at one thread while it works. One call at a time has them."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.blas: list[Any] = ThreadpoolController().select(user_api="blas").lib_controllers
        self.cores = os.cpu_count() or 1
        self.pool: ThreadPoolExecutor | None = None
        self.size = 0

    @contextmanager
    def held(self) -> Iterator[int]:
        """Hold BLAS at one thread; yield how many it had. Where it had one, nothing is held."""
        self.lock.acquire()
        counts = [library.num_threads for library in self.blas]
        width = max(counts, default=self.cores)
        if width == 1:
            self.lock.release()
            yield 1
            return
        try:
            self.limit([1] * len(counts))
            yield width
        finally:
            self.limit(counts)
            self.lock.release()

    def limit(self, counts: Sequence[int]) -> None:
        """Limit BLAS, in the process or, where a library counts by thread, in this thread."""
        for library, count in zip(self.blas, counts, strict=True):
            if hasattr(library, "clear_controlling_thread"):  # threadpoolctl 3.7: one may set it
                library.clear_controlling_thread(force=True)
            library.set_num_threads(count)
            if hasattr(library, "clear_controlling_thread"):
                library.clear_controlling_thread(force=True)

    def workers(self, count: int) -> ThreadPoolExecutor:
        """Return a pool of at least this many threads."""
        if self.pool is None or self.size < count:
            once = [1] * len(self.blas)
            self.pool = ThreadPoolExecutor(count, "refconv", self.limit, (once,))
            self.size = count
        return self.pool


_threads = _Threads()


def _forget_threads() -> None:
    global _threads
    _threads = _Threads()  # a forked child has the parent's pool and lock, but not its threads


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)


_before: list[Callable[[], None]] = []


def before_threads(call: Callable[[], None]) -> None:
    """Have a call made whenever tiles are about to be shared with threads, by who shares them.

    Who leaves threads of its own spinning on the cores that ours need ends that here.
    """
    _before.append(call)


def takes_threads(dtype: np.dtype[Any], *sizes: int) -> bool:
    """Return whether BLAS may share a matrix product of three sizes with threads of its own.

    Then its bits may depend on their number. Small products OpenBLAS computes alone.
    """
    if dtype.kind != "f" or any(library.internal_api != "openblas" for library in _threads.blas):
        return dtype.kind in "fc"  # integers have no BLAS
    return math.prod(sizes) > (ALONE if min(sizes) > 1 else ALONE_BY_VECTOR)


def run(
    xp: Any,
    task: Callable[[Item], None],
    items: Sequence[Item],
    products: bool = True,
    cost: float = math.inf,
) -> None:
    """Call task(item) for every item, on as many threads as BLAS would use; the first error raises.

    Without `products`, of matrices that BLAS would share, a task alone need not hold BLAS. Tasks on
    a device, of another library xp than NumPy, are called here, one after another.
    Floating-point exceptions are silent, as in torch: infinities and NaN tell.
    """
    within = getattr(_local, "within", False)  # a task's own call: BLAS is held, and all are busy
    if xp is not np or len(items) < 2 or cost < SHARED or within:
        hold = xp is np and products and len(items) > 0 and not within
        with _threads.held() if hold else nullcontext(), np.errstate(all="ignore"):
            for item in items:
                task(item)
    else:
        share(task, items, cost)


def share(task: Callable[[Item], None], items: Sequence[Item], cost: float) -> None:
    """Call task(item) for every item, on as many threads as BLAS would use; the first error raises.

    BLAS is held meanwhile.
    """
    queue = iter(items)  # next() on a tuple or list iterator is atomic
    stop = threading.Event()

    def work() -> None:
        _local.within = True
        with np.errstate(all="ignore"):
            try:
                for item in queue:
                    if stop.is_set():
                        return
                    task(item)
            except BaseException:
                stop.set()
                raise
            finally:
                _local.within = False

    with _threads.held() as width:
        helpers = min(width, len(items)) - 1
        if helpers > 0 and cost >= RESTED:
            for call in _before:
                call()
        futures = [_threads.workers(width - 1).submit(work) for _ in range(helpers)]
        try:
            work()
        finally:
            errors = [future.exception() for future in futures if not future.cancel()]
        for error in errors:
            if error is not None:
                raise error
