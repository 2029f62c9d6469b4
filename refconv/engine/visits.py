"""Which taps of a window meet the input, what each reads of it, and for which outputs.

Only integers, so that positions stay right above 2**53. Letters as in `refconv.geometry.sizes`.
"""

import itertools
from collections.abc import Iterable, Iterator

from refconv.engine.tiles import Box
from refconv.geometry.sizes import Shape

Visits = list[tuple[int, slice, slice]]  # of one axis: taps, what each reads, and for which outputs


def tap_range(i: int, o: int, k: int, s: int, p: int, d: int) -> tuple[int, int]:
    """Return the outputs [first, last) whose tap k reads inside the input.

    Output j reads input j s + k d - p, which lies in [0, i) for
    ceil((p - k d) / s) <= j < ceil((i + p - k d) / s).

    >>> tap_range(5, 5, 0, 1, 1, 1)  # the left tap of a 3-wide window padded by one
    (1, 5)
    """
    first = max(0, -((k * d - p) // s))
    last = min(o, -((k * d - p - i) // s))
    return first, max(first, last)


def reaching_taps(i: int, k: int, s: int, p: int, d: int, outputs: slice) -> list[int]:
    """Return the taps that read inside the input for one of the outputs, in order.

    Tap t of output j does so for ceil((p - j s) / d) <= t < ceil((i + p - j s) / d). There are at
    most as many as inputs for each output, however large the window is.

    >>> reaching_taps(4, 10**8, 1, 5 * 10**7, 1, slice(0, 1))
    [50000000, 50000001, 50000002, 50000003]
    >>> reaching_taps(2, 10, 4, 0, 1, slice(0, 2)), reaching_taps(2, 10, 4, 5, 1, slice(0, 2))
    ([0, 1], [1, 2, 5, 6])
    """
    if outputs.start >= outputs.stop:
        return []

    def reach(j: int) -> range:
        return range(max(0, -((j * s - p) // d)), max(0, min(k, -((j * s - p - i) // d))))

    lowest, highest = reach(outputs.stop - 1).start, reach(outputs.start).stop
    if s <= i:  # windows that follow so closely leave out no tap
        return [*range(lowest, highest)]
    return sorted({tap for j in range(outputs.start, outputs.stop) for tap in reach(j)})


def axis_visits(i: int, k: int, o: int, s: int, p: int, d: int, side: slice) -> Visits:
    """Return the taps that read inside the input for outputs of a side: each with what it reads
    of the input, and for which of these outputs.

    >>> axis_visits(5, 3, 5, 1, 1, 1, slice(0, 5))[0]  # the left tap, window padded by one
    (0, slice(0, 4, 1), slice(1, 5, None))
    """
    found = []
    for tap in reaching_taps(i, k, s, p, d, side):
        first, last = tap_range(i, o, tap, s, p, d)
        first, last = max(first, side.start), min(last, side.stop)
        if first < last:
            at = first * s + tap * d - p
            of_x = slice(at, at + (last - first - 1) * s + 1, min(s, i))
            found.append((tap, of_x, slice(first - side.start, last - side.start)))
    return found


def visits(axes: Iterable[Visits]) -> Iterator[tuple[Shape, Box, Box]]:
    """Yield, tap by tap in order, the tap, the inputs it reads and the outputs that read them.

    >>> for tap, of_x, of_y in visits([axis_visits(3, 2, 4, 1, 1, 1, slice(0, 4))]):
    ...     print(tap, of_x[0], of_y[0])
    (0,) slice(0, 3, 1) slice(1, 4, None)
    (1,) slice(0, 3, 1) slice(0, 3, None)
    """
    for each in itertools.product(*axes):
        taps, of_x, of_y = zip(*each, strict=True)
        yield taps, of_x, of_y
