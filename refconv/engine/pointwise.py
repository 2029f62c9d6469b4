"""Convolution without windows (1 x 1, stride 1, no padding): x as it lies is its own columns.

    y[n] = b + w @ x[n]         (g, m, c) @ (g, c, P), in place

Nothing is copied and nothing is scratch: 8 images of 2048 maps of 7 x 7 to 512 take 6.7 ms where
tiles that fit the scratch take 10.4. One call multiplies several images where they are small: a
task for each took twice the time (8 images of 384 maps of 6 x 6 to 64: 358 and 170 microseconds).
`columns.used_as_it_lies` tells where this serves.
"""

import math
from typing import Any

import numpy as np

from refconv.engine import tiles
from refconv.engine.columns import cost
from refconv.geometry import Array, Conv

CALL = 1.2e5  # nanoseconds of a task at least: fewer, and they go into calls


def correlate(geo: Conv, xs: Array, w: Array, bias: Array | None, ys: Array) -> None:
    """Write b + w @ x to ys, (N, g, m, *o), for xs of (N, g, c, *i) and w of (g, m, c, *k)."""
    size = math.prod(geo.o)
    x, y = (a.reshape(*a.shape[:3], size) for a in (xs, ys))
    kernel = w.reshape(w.shape[:3])
    offset: Any = None if bias is None else bias.reshape(geo.g, geo.m, 1)

    def task(n: slice) -> None:
        np.matmul(kernel, x[n], out=y[n])  # (g, m, c) @ (n, g, c, P)
        if offset is not None:
            y[n] += offset

    total = max(1.0, cost(geo))
    images = tiles.blocks(geo.n, int(geo.n * CALL / total))
    takes_threads = tiles.takes_threads(x.dtype, geo.m, geo.c, size)
    tiles.run(np, task, images, takes_threads, total)
