"""Sizes and bounds of convolution and pooling: integers in, integers out.

Only `//` and comparisons are used, never a float, so that sizes stay right above 2**53 and
symbolic integers pass through.

Letters: i input size, o output size, k kernel size, s stride, d dilation, p padding.
"""

from collections.abc import Iterable
from typing import Any

Shape = tuple[int, ...]
Pads = tuple[tuple[int, int], ...]  # (before, after) for every spatial axis


def last_axes(box: Iterable[slice | int]) -> Any:
    """Return the index that applies a box to the last axes of an array: x[..., *box]."""
    return (Ellipsis, *box)


def window_extent(k: int, d: int) -> int:
    """Return how many input elements a dilated window spans: d (k - 1) + 1.

    >>> window_extent(3, 2)
    5
    """
    return d * (k - 1) + 1


def conv_output_size(i: int, k: int, s: int, pads: tuple[int, int], d: int) -> int:
    """Return o = floor((i + p_before + p_after - d (k - 1) - 1) / s) + 1.

    Source: Dumoulin and Visin, arXiv:1603.07285, relationship 6 with dilation.

    >>> conv_output_size(8, 3, 2, (1, 1), 1)
    4
    """
    return (i + pads[0] + pads[1] - window_extent(k, d)) // s + 1


def conv_transpose_output_size(i: int, k: int, s: int, p: int, d: int, a: int) -> int:
    """Return o = (i - 1) s - 2 p + d (k - 1) + a + 1, with a the output padding.

    Of the a sizes with `conv_output_size(o, ...) = i`, one for each remainder of the division by s,
    the output padding says which is meant.

    Source: Dumoulin and Visin, arXiv:1603.07285, relationship 14 with dilation.

    >>> conv_transpose_output_size(4, 3, 2, 1, 1, 0), conv_transpose_output_size(4, 3, 2, 1, 1, 1)
    (7, 8)
    >>> conv_output_size(7, 3, 2, (1, 1), 1), conv_output_size(8, 3, 2, (1, 1), 1)
    (4, 4)
    """
    return (i - 1) * s - 2 * p + window_extent(k, d) + a


def pool_output_size(i: int, k: int, s: int, p: int, d: int, ceil_mode: bool) -> int:
    """Return the output size of a pooling axis.

    Floor mode is `conv_output_size`. Ceil mode rounds up, but drops a last window that would start
    beyond the input and its left padding: o is reduced by one when (o - 1) s >= i + p.

    >>> pool_output_size(5, 2, 2, 0, 1, False), pool_output_size(5, 2, 2, 0, 1, True)
    (2, 3)
    >>> pool_output_size(1, 1, 3, 0, 1, True)  # 2 by rounding up; the second would start at 3
    1
    """
    if not ceil_mode:
        return conv_output_size(i, k, s, (p, p), d)
    o = (i + 2 * p - window_extent(k, d) + s - 1) // s + 1
    return o - 1 if (o - 1) * s >= i + p else o


def same_padding(k: int, d: int) -> tuple[int, int]:
    """Return the padding that keeps the size at stride 1; an odd one out goes to the right.

    >>> same_padding(3, 1), same_padding(4, 1)
    ((1, 1), (1, 2))
    """
    total = d * (k - 1)
    return total // 2, total - total // 2


def adaptive_range(i: int, o: int, j: Any) -> tuple[Any, Any]:
    """Return the inputs [first, last) of output j: floor(j i / o) <= input < ceil((j + 1) i / o).

    The windows cover the input; neighbours share at most one element where i >= o. Input m lies in
    the windows adaptive_range(o, i, m) of the outputs: exchanging i and o turns one into the other.

    >>> [adaptive_range(5, 3, j) for j in range(3)]
    [(0, 2), (1, 4), (3, 5)]
    >>> [adaptive_range(3, 5, m) for m in range(5)]
    [(0, 1), (0, 2), (1, 2), (1, 3), (2, 3)]
    """
    return j * i // o, -(-((j + 1) * i) // o)


def unpool_output_size(i: int, k: int, s: int, p: int) -> int:
    """Return (i - 1) s - 2 p + k: the smallest input that a pool without dilation turns into i.

    >>> unpool_output_size(2, 3, 2, 1)
    3
    """
    return (i - 1) * s - 2 * p + k
