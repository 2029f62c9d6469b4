"""Memory layouts of the tensors that go in."""

import math

import torch
from torch import Tensor

from torch_ext.parity.catalogue.case import Case

Values = dict[str, Tensor]

ALONE = ("transposed", "gaps", "offset", "rows", "channels")
"""Layouts that one tensor is given while all others are contiguous."""


def laid_out(case: Case, values: Values, device: str | torch.device, unbatched: bool) -> Values:
    """Return the tensors on the device, in the case's memory layouts, as leaves for autograd."""
    leaves = {}
    for name, value in values.items():
        batch = 0 if unbatched and name != "weight" else 1
        leaf = lay_out(value.to(device), case.layouts.get(name, "contiguous"), batch)
        variable = name in ("x", "weight", "bias", "gy") and value.dtype != torch.int64
        leaves[name] = leaf.requires_grad_(variable)
    return leaves


def lay_out(value: Tensor, memory: str, channels: int) -> Tensor:
    """Return the tensor in another memory layout; `channels` is the axis of the channels.

    "expanded" repeats the first part along the first axis without copying it, "constant" one number
    along all axes, as in the gradient of a sum; "gaps" stand between all elements, "rows" behind
    each row; "offset" starts one element into its memory, and "channels" is a slice of more
    channels that come last. What surrounds them is filled with NaN, which nobody should read.
    """
    poison = 2**62 if value.dtype == torch.int64 else math.nan
    if memory == "channels_last" and value.ndim > 1:
        last = value.movedim(channels, -1)
        return last.clone(memory_format=torch.contiguous_format).movedim(-1, channels)
    if memory == "transposed":
        back = tuple(reversed(range(value.ndim)))
        return value.permute(back).contiguous().permute(back)
    if memory == "gaps":
        wide = value.new_full((*value.shape, 2), poison)
        wide[..., 0] = value
        return wide[..., 0]
    if memory == "offset":
        wide = value.new_full((value.numel() + 2,), poison)
        wide[1:-1] = value.flatten()
        return wide[1:-1].view(value.shape)
    if memory == "rows":
        wide = value.new_full((*value.shape[:-1], value.shape[-1] + 3), poison)
        wide[..., : value.shape[-1]] = value
        return wide[..., : value.shape[-1]]
    if memory == "channels":
        axis = min(channels, value.ndim - 1)
        last = value.movedim(axis, -1)
        wide = value.new_full((*last.shape[:-1], last.shape[-1] + 4), poison)
        wide[..., 2:-2] = last
        return wide[..., 2:-2].movedim(-1, axis)
    if memory == "expanded":
        return value[:1].clone().expand(value.shape)
    if memory == "constant" and value.numel():
        largest = value.flatten()[0] if value.is_complex() else value.abs().amax()
        return largest.expand(value.shape)
    return value.clone()
