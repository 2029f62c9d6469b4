"""Arrays and tensors that do not lie in memory as their shape says."""

from typing import Any

import numpy as np
import pytest
import torch
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


strided = pytest.mark.parametrize(
    "view",
    [
        lambda t: t.transpose(-1, -2).contiguous().transpose(-1, -2),
        lambda t: t.repeat_interleave(2, -1)[..., ::2],
        lambda t: t[:, :1].expand_as(t),
        lambda t: t[..., :1].expand_as(t),
    ],
    ids=["transposed", "strided", "expanded channels", "expanded pixels"],
)
channels_last = pytest.mark.parametrize(
    ("rank", "layout"), [(2, torch.channels_last), (3, torch.channels_last_3d)], ids=str
)
