"""Padding, a choice that rounds nothing, and its gradient in exact arithmetic."""

from collections.abc import Sequence

import numpy as np

from refconv import direct, geometry
from refconv.direct.padding import copies
from refconv.exact.sums import Exact, exactly, scaled, total
from refconv.geometry import Array


def pad(
    x: Array,
    padding: Sequence[int],
    mode: str = "constant",
    value: complex | None = 0,
) -> Exact:
    """y[o] = x[source of o], or the value where there is none: a choice, which rounds nothing.

    >>> pad(np.array([1.0, 2.0]), (1, 0), value=3).value
    array([Fraction(3, 1), Fraction(1, 1), Fraction(2, 1)], dtype=object)
    """
    return exactly("x", direct.pad(x, padding, mode, value))


def pad_grad(
    input_shape: Sequence[int],
    grad_output: Array,
    padding: Sequence[int],
    mode: str = "constant",
) -> Exact:
    """gx[i] = sum of gy over the outputs that copy x[i], exactly."""
    gy, e = scaled("grad_output", grad_output)
    geo = geometry.pad(input_shape, padding, mode, "input_shape")
    geometry.matches("grad_output", grad_output, geo.y_shape)
    found = [
        (np.ravel_multi_index(x, geo.x_shape), np.ravel_multi_index(y, geo.y_shape))
        for x, y in copies(geo, mode)
    ]
    at_x, at_y = np.array(found, np.int64).reshape(-1, 2).T
    return total(gy.ravel()[at_y], e, at_x, geo.x_shape)
