"""In which order results lie in memory: in that of the input, as torch's do."""

import torch
from torch import Tensor

CHANNELS_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}


def like(y: Tensor, *sources: Tensor) -> Tensor:
    """Return y with its channels last if those of a source are, (N, *i, C) in memory."""
    if any(channels_last(source) for source in sources) and y.dim() in CHANNELS_LAST:
        return y.contiguous(memory_format=CHANNELS_LAST[y.dim()])
    return y


def channels_last(x: Tensor) -> bool:
    """Return whether the channels of x lie last, and not first as well."""
    return (
        x.dim() in CHANNELS_LAST
        and not x.is_contiguous()
        and x.is_contiguous(memory_format=CHANNELS_LAST[x.dim()])
    )
