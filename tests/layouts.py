"""Tensors that do not lie in memory as their shape says, for the tests of every function."""

import pytest
import torch

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
