"""The same array laid out in memory in other ways."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

LAYOUTS = (
    "fortran",
    "reversed",
    "strided",
    "broadcast",
    "read-only",
    "big-endian",
    "channels last",
)


def laid_out(a: Array, layout: str) -> Array:
    """Return `a` in another layout; "broadcast" repeats its first column."""
    if layout == "fortran":
        return np.asfortranarray(a)
    if layout == "reversed":
        return np.ascontiguousarray(a[..., ::-1])[..., ::-1]
    if layout == "strided":
        return np.repeat(a, 2, axis=-1)[..., ::2]
    if layout == "broadcast":
        return np.broadcast_to(a[..., :1], a.shape)
    if layout == "big-endian":
        return a.astype(a.dtype.newbyteorder(">"))
    if layout == "channels last":
        return np.moveaxis(np.ascontiguousarray(np.moveaxis(a, 1, -1)), -1, 1)
    a = a.copy()
    a.setflags(write=False)
    return a


def plain(a: Array) -> Array:
    """Return the same values, C-contiguous and in native byte order."""
    return np.ascontiguousarray(a.astype(a.dtype.newbyteorder("=")))
