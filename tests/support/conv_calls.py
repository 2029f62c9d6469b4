"""Convolutions to compare: shapes with options, and numbers that leave nothing to rounding."""

from typing import Any, NamedTuple

import numpy as np

from refconv.geometry import Conv, conv

ODD = (np.inf, -np.inf, np.nan)


class Call(NamedTuple):
    """The shapes of a convolution, and its options."""

    x: tuple[int, ...]
    w: tuple[int, ...]
    options: dict[str, Any]

    @property
    def geo(self) -> Conv:
        """What is checked of it."""
        o = self.options
        return conv(self.x, self.w, o["stride"], o["padding"], o["dilation"], o["groups"])


def numbers(seed: int, shape: tuple[int, ...], odd: int = 0) -> Any:
    """Return small whole numbers, some of which are not finite."""
    rng = np.random.default_rng(seed)
    a = rng.integers(-4, 5, shape).astype(float)
    for value in rng.choice(ODD, odd):
        a.flat[rng.integers(a.size)] = value
    return a
