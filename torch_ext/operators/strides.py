"""In which order results lie in memory: in that of the input, where torch's do.

Torch keeps the channels last in convolutions, max pools and all pools of images; the averages, the
adaptive pools and the unpooling of volumes, and fractional pools, come out contiguous.
"""

import torch
from torch import Tensor
from torch._prims_common import suggest_memory_format

CHANNELS_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}


def like(y: Tensor, *sources: Tensor) -> Tensor:
    """Return y with its channels last if those of a source are, (N, *i, C) in memory."""
    if y.dim() in CHANNELS_LAST and any(channels_last(source) for source in sources):
        return torch.empty_like(y, memory_format=CHANNELS_LAST[y.dim()]).copy_(y)
    return y


def like_image(y: Tensor, x: Tensor) -> Tensor:
    """Return an image as `like` does, and a volume as it is."""
    return like(y, x) if y.dim() == 4 else y


def channels_last(x: Tensor) -> bool:
    """Return whether the channels of x lie last, by its strides alone, as torch decides it.

    >>> x = torch.ones(2, 1, 3, 3)  # one channel: in the same place in memory either way
    >>> channels_last(x), channels_last(torch.empty_like(x, memory_format=torch.channels_last))
    (False, True)
    """
    channel, last = x.stride(1), x.stride(-1)
    if type(channel) is type(last) is int and channel > last:  # not symbolic, and told at once
        return False
    return suggest_memory_format(x) is not torch.contiguous_format
