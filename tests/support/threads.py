"""Whether results depend on the number of threads, which they must not."""

from collections.abc import Callable, Sequence
from typing import Any

from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

COUNTS = (1, 2, 4)


def same_at_any_number(call: Callable[[], Sequence[NDArray[Any]]]) -> bool:
    """Return whether the arrays that a call returns have the same bits with 1, 2 and 4 threads."""
    found = []
    for count in COUNTS:
        with threadpool_limits(count, user_api="blas"):
            found.append([array.tobytes() for array in call()])
    return all(each == found[0] for each in found)
