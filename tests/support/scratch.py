"""The scratch memory that a thread keeps behind calls."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from threadpoolctl import threadpool_limits

from refconv.engine import tiles


def kept_behind(*calls: Callable[[], Any]) -> int:
    """Return the bytes of scratch that a fresh thread has after the calls, made alone."""

    def work() -> int:
        for call in calls:
            call()
        buffers = tiles._local.__dict__.get("buffers", {})  # none where nothing asked for any
        return sum(buffer.nbytes for buffer in buffers.values())

    with ThreadPoolExecutor(1) as pool, threadpool_limits(1, user_api="blas"):
        return pool.submit(work).result()
