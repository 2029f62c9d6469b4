"""The columns of a convolution as an operator, and its adjoint.

    unfold  x (N, C, *i) -> (N, C K, L)     cols[c k, o] = x[c, o s + k d - p]
    fold    (N, C K, L) -> x (N, C, *i)     x[c, i] = sum of cols[c k, o] over o s + k d - p = i

K = prod(k) taps, L = prod(o) windows. Each is linear and the gradient of the other:
<unfold(x), y> = <x, fold(y)>. A convolution is then one matrix product, w (M, C K) @ unfold(x).
"""

import itertools
import math
from typing import Any, NamedTuple

import numpy as np

from refconv import geometry
from refconv.engine import taps, tiles
from refconv.engine.patches import add_patch, patch_fits, read_patch, windows
from refconv.engine.tiles import Box
from refconv.geometry import Array, Conv, Ints, as_x
from refconv.geometry.folding import fold_call, unfold_call
from refconv.geometry.sizes import last_axes

NUMBERS = geometry.NUMBERS + "b"


def unfold(
    x: Array,
    kernel_size: Ints,
    dilation: Ints = 1,
    padding: Ints = 0,
    stride: Ints = 1,
) -> Array:
    """Lay all windows side by side, as columns (im2col).

        cols[n, c K + k, o] = x[n, c, o s + k d - p]

    with k and o counted through all axes, the last one fastest, and zeros outside x.

        Input abcd, kernel of 2 --(unfold)--> abc
                                              bcd

    Its gradient is `fold(grad, i, kernel_size, ...)`, with i the spatial shape of x.

    Args:
        x: (N, C, *i), or (C, *i); of three axes, an integer `kernel_size` is refused as a guess.
        kernel_size: k, one integer or one per spatial axis.
        dilation: d, at least 1.
        padding: p, integers of at least 0.
        stride: s, at least 1.

    Returns:
        (N, C K, L), or (C K, L) without a batch; C-contiguous and new, of the dtype of x.

    Raises:
        TypeError: an argument is not an array, or not an integer.
        NotImplementedError: the dtype is object or no number.
        RuntimeError: shapes do not fit, a size is out of range.

    Source: Chellapilla, Puri and Simard, "High performance convolutional neural networks for
    document processing" (2006). Counterpart of torch.nn.functional.unfold, which has two spatial
    axes, no integers, and takes an integer `kernel_size` for unbatched input too; here any rank,
    every number dtype and bool.

    >>> import numpy as np
    >>> x = np.arange(1.0, 5).reshape(1, 1, 4)
    >>> unfold(x, (2,))
    array([[[1., 2., 3.],
            [2., 3., 4.]]])
    >>> np.array([[1.0, 10.0]]) @ unfold(x, (2,))  # a convolution
    array([[[21., 32., 43.]]])
    """
    geo, x = unfold_call(x, kernel_size, dilation, padding, stride)
    xp = geometry.namespace(x)
    rows = geometry.result(xp, (geo.n, geo.m, math.prod(geo.o)), x.dtype)
    cols = rows.reshape(geo.n, geo.c, *geo.k, *geo.o)
    plan = plan_windows(xp, geo, x.itemsize)

    def task(tile: tuple[slice, slice, Box]) -> None:
        n, c, box = tile
        patch = read_patch(geo, x[n, c], box)
        cols[n, c][last_axes(box)] = windows(patch, geo.k, tiles.extent(box), geo.s, geo.d)

    if plan is None:
        cols.fill(0)
        for tap, of_x, of_y in taps.conv_visits(geo, tuple(slice(0, o) for o in geo.o)):
            cols[last_axes((*tap, *of_y))] = x[last_axes(of_x)]
    else:
        tiles.run(xp, task, list(itertools.product(*plan)), products=False)
    return rows.reshape(rows.shape[geo.unbatched :])


def fold(
    cols: Array,
    output_size: Ints,
    kernel_size: Ints,
    dilation: Ints = 1,
    padding: Ints = 0,
    stride: Ints = 1,
) -> Array:
    """Add all windows back where they were read (col2im): the adjoint of `unfold`.

        x[n, c, i] = sum over k, o with o s + k d - p = i of cols[n, c K + k, o]

    What a window holds of the padding is dropped. Of bool columns, x is true where any is.

        Columns abc --(fold to 4)--> a b+d c+e geo
                def

    Its gradient is `unfold(grad, kernel_size, ...)`.

    Args:
        cols: (N, C K, L) or (C K, L).
        output_size: i, the spatial shape of x; one integer or one per axis. Its length tells the
            rank; if it is an integer, that of `kernel_size`; if both are, there are two axes.
        kernel_size, dilation, padding, stride: as in `unfold`.

    Returns:
        (N, C, *i), or (C, *i) without a batch; C-contiguous and new, of the dtype of `cols`.
        float16 is summed in float32 and rounded once; integers wrap.

    Raises:
        TypeError, NotImplementedError, RuntimeError: as `unfold`; also if the rows of `cols` are no
            multiple of K, or its columns not as many as there are windows.

    Source: the transpose of the equation of `unfold`. Counterpart of torch.nn.functional.fold,
    which has two spatial axes and no integers; here any rank, every number dtype and bool.

    >>> import numpy as np
    >>> fold(np.array([[[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]]]), (4,), 2)
    array([[[ 1., 12., 23., 30.]]])
    """
    geo, cols = fold_call(cols, output_size, kernel_size, dilation, padding, stride)
    xp = geometry.namespace(cols)
    x = geometry.result(xp, geo.x_shape, geo.acc, zeros=True)
    near, kept = taps.reached(geo)
    by_window = cols[last_axes((*kept, *(slice(None),) * len(geo.o)))]
    plan = plan_windows(xp, near, x.itemsize)
    if plan is None:
        with np.errstate(all="ignore"):
            for tap, of_x, of_y in taps.conv_visits(near, tuple(slice(0, o) for o in near.o)):
                x[last_axes(of_x)] += by_window[last_axes((*tap, *of_y))]
    else:
        add_tiles(near, plan, by_window, x)
    return as_x(geo, x)


def add_tiles(geo: Conv, plan: "WindowPlan", by_window: Array, x: Array) -> None:
    """Add windows, (N, C, *k, *o), back onto x, (N, C, *i), tile by tile."""

    def task(tile: tuple[slice, slice]) -> None:
        n, c = tile  # owns x[n, c]: its boxes overlap, and follow one another in order
        for box in plan.boxes:
            add_patch(geo, x[n, c], by_window[n, c][last_axes(box)], box)

    cut = list(itertools.product(plan.images, plan.channels))
    tiles.run(geometry.namespace(x), task, cut, products=False)


class WindowPlan(NamedTuple):
    """How columns are cut into tiles."""

    images: list[slice]
    channels: list[slice]
    boxes: list[Box]


def plan_windows(xp: Any, geo: Conv, itemsize: int) -> WindowPlan | None:
    """Cut images, channels and windows so that the columns of one tile fit the scratch.

    Return None where what a tile reads of x would not fit: gaps, or padding, beyond measure.
    """
    if 0 in geo.k:
        return None
    room, k = tiles.room(xp, itemsize), math.prod(geo.k)
    boxes = tiles.boxes(geo.o, room // k)
    room //= k * math.prod(tiles.extent(boxes[0]))
    images, channels = tiles.blocks(geo.n, room // geo.c), tiles.blocks(geo.c, room)
    planes = images[0].stop * channels[0].stop if geo.n else 0
    fits = patch_fits(xp, geo, planes * itemsize, boxes[0])
    return WindowPlan(images, channels, boxes) if fits else None
