"""The adjoint of a convolution by its columns: they are added back onto x (col2im), at any stride.

    transposed        x += columns^T (w^T @ y)

Where `phases` serve they take less, but they need finite weights and twice as many outputs as
filters; this needs neither.
"""

import itertools

from refconv.engine import tiles
from refconv.engine.columns import Plan, cost, matrices_of, side_by_side, takes_threads
from refconv.engine.patches import add_patch
from refconv.geometry import Array, Conv, namespace


def transposed(geo: Conv, plan: Plan, w: Array, gys: Array, gx: Array) -> None:
    """Add onto gx, (N, g, c, *i), at any stride: w^T @ gy, where their columns were read."""
    xp = namespace(gys)
    ws = matrices_of(geo, plan, w)[0]  # (g, m, c taps): the adjoint does not shift

    def task(tile: tuple[slice, slice, slice]) -> None:
        n, g, c = tile  # owns gx[n, g, c]: its boxes overlap, and follow one another in order
        kernel = ws[g, :, plan.rows(c)].swapaxes(1, 2)  # (g, c K, m)
        for box in plan.boxes:
            outputs = side_by_side(gys, n, g, slice(0, geo.m), box)  # (g, m, n P)
            shape = (*kernel.shape[:2], outputs.shape[2])
            cols = tiles.scratch(xp, shape, gys.dtype, "columns")
            xp.matmul(kernel, outputs, out=cols)
            # (g, cK, nP) -> (g, c, *k, n, *o) -> (n, g, c, *k, *o)
            counts = (g.stop - g.start, c.stop - c.start, *geo.k, n.stop - n.start)
            by_window = xp.moveaxis(cols.reshape(*counts, *tiles.extent(box)), 2 + len(geo.k), 0)
            add_patch(geo, gx[n, g, c], by_window, box)

    cut = list(itertools.product(plan.images, plan.groups, plan.channels))
    tiles.run(xp, task, cut, takes_threads(geo, gys.dtype), cost(geo))
