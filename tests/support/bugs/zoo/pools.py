"""Pools by gathered windows; see `windows`."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from support.bugs.zoo.windows import (
    Candidate,
    checked,
    demand,
    gathered,
    outputs,
    places,
    sized,
    widened,
)


def chosen(values: Tensor, positions: Tensor, defect: str) -> tuple[Tensor, Tensor]:
    """Return the maximum over the last axis and its position: NaN wins, then the first."""
    keys = values.detach()
    nan = keys.isnan()
    keys = torch.where(nan, torch.full_like(keys, math.inf), keys)
    valid = positions >= 0
    lowest = torch.where(valid, keys, torch.full_like(keys, -math.inf))
    best = lowest.amax(-1, keepdim=True)
    if defect == "NaN loses":
        lowest = torch.where(nan, torch.full_like(keys, -math.inf), lowest)
        best = lowest.amax(-1, keepdim=True)
        nan = nan & False
    order = torch.arange(values.shape[-1])
    ties = (lowest == best) & valid
    rank = torch.where(ties, order, torch.full_like(order, 2**30))
    at = rank.amin(-1)
    if defect == "the last of equals":
        at = torch.where(ties, order, torch.full_like(order, -1)).amax(-1)
    last = torch.where(nan & valid, order, torch.full_like(order, -1)).amax(-1)
    if defect == "the first NaN":
        first = torch.where(nan & valid, order, torch.full_like(order, 2**30)).amin(-1)
        last = torch.where(last >= 0, first, last)
    at = torch.where(last >= 0, last, at)
    y = values.gather(-1, at[..., None])[..., 0]
    return y, positions.expand(values.shape).gather(-1, at[..., None])[..., 0]


def flat_positions(at: list[Tensor], i: Sequence[int]) -> Tensor:
    """Return (o1, ..., k1, ...) flat positions in a map, -1 outside."""
    rank = len(at)
    total, inside = torch.zeros((), dtype=torch.int64), torch.ones((), dtype=torch.bool)
    for axis, (place, size) in enumerate(zip(at, i, strict=True)):
        shape = [1] * (2 * rank)
        shape[axis], shape[rank + axis] = place.shape
        total = total * size + place.view(shape)
        inside = inside & ((place >= 0) & (place < size)).view(shape)
    return torch.where(inside, total, torch.full_like(total, -1))


def max_pool(rank: int, defect: str = "") -> Candidate:
    def candidate(
        x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False
    ):
        demand(x.ndim in (rank + 1, rank + 2), "axes")
        batch = x if x.ndim == rank + 2 else x[None]
        k = sized(kernel_size, rank)
        s, p, d = sized(stride or k, rank), sized(padding, rank), sized(dilation, rank)
        checked(k, s, p, d)
        demand(all(2 * p_ <= k_ for p_, k_ in zip(p, k, strict=True)), "padding")
        up = ceil_mode and defect != "ceil mode ignored"
        o = [outputs(*v, up) for v in zip(batch.shape[2:], k, s, p, d, strict=True)]
        at = [places(*v) for v in zip(batch.shape[2:], o, k, s, p, d, strict=True)]
        fill = 0.0 if defect == "padding of zeros" else -math.inf
        windows = gathered(batch, at, fill).flatten(-rank)
        positions = flat_positions(at, batch.shape[2:]).flatten(-rank)
        y, indices = chosen(windows, positions, defect)
        if defect == "padding of zeros":
            y = windows.amax(-1)
        if defect == "indices within the window":
            indices = torch.zeros_like(indices) + windows.detach().argmax(-1)
        if defect == "indices over all channels":
            each = torch.arange(batch.shape[1]).view(-1, *[1] * rank)
            indices = indices + each * math.prod(batch.shape[2:])
        if batch is not x:
            y, indices = y[0], indices[0]
        return (y, indices) if return_indices else y

    return candidate


def avg_pool(rank: int, defect: str = "") -> Candidate:
    def candidate(x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True,
                  divisor_override=None):  # fmt: skip
        demand(x.ndim in (rank + 1, rank + 2), "axes")
        batch = x if x.ndim == rank + 2 else x[None]
        k = sized(kernel_size, rank)
        s, p = sized(stride or k, rank), sized(padding, rank)
        checked(k, s, p, [1])
        demand(all(2 * p_ <= k_ for p_, k_ in zip(p, k, strict=True)), "padding")
        o = [outputs(*v, ceil_mode) for v in zip(batch.shape[2:], k, s, p, [1] * rank, strict=True)]
        at = [places(*v) for v in zip(batch.shape[2:], o, k, s, p, [1] * rank, strict=True)]
        total = gathered(widened(batch), at, 0.0).flatten(-rank).sum(-1)
        divisor = torch.ones((), dtype=torch.int64)
        for axis, (a, i, p_) in enumerate(zip(at, batch.shape[2:], p, strict=True)):
            padded = count_include_pad or defect == "padding always counted"
            low, high = (-p_, i + p_) if padded else (0, i)
            if defect == "the divisor beyond the padding" and padded:
                high = 2**40
            counts = ((a >= low) & (a < high)).sum(1)
            divisor = divisor * counts.view([-1 if n == axis else 1 for n in range(rank)])
        if divisor_override is not None and defect != "divisor ignored":
            demand(divisor_override != 0, "divisor")
            divisor = torch.tensor(divisor_override)
        y = (total / divisor + 0.0).to(x.dtype)
        return y if batch is x else y[0]

    return candidate


def lp_pool(rank: int, defect: str = "") -> Candidate:
    def candidate(x, norm_type, kernel_size, stride=None, ceil_mode=False):
        demand(x.ndim in (rank + 1, rank + 2), "axes")
        batch = x if x.ndim == rank + 2 else x[None]
        k = sized(kernel_size, rank)
        s = sized(stride or k, rank)
        checked(k, s, [0], [1])
        o = [
            outputs(*v, ceil_mode)
            for v in zip(batch.shape[2:], k, s, [0] * rank, [1] * rank, strict=True)
        ]
        at = [
            places(*v) for v in zip(batch.shape[2:], o, k, s, [0] * rank, [1] * rank, strict=True)
        ]
        powers = widened(batch) ** norm_type
        if defect == "p = 1 by magnitudes squared" and norm_type == 1:
            powers = widened(batch) ** 2
        total = gathered(powers, at, 0.0).flatten(-rank).sum(-1)
        count = torch.ones((), dtype=torch.int64)
        for axis, (a, i) in enumerate(zip(at, batch.shape[2:], strict=True)):
            counts = (a < i).sum(1).view([-1 if n == axis else 1 for n in range(rank)])
            count = count * counts
        if defect != "partial windows not scaled":
            total = total / count * math.prod(k)
        if defect == "an average":
            total = total / math.prod(k)
        root = 1 / norm_type
        if defect == "no root":
            root = 1.0
        y = (total**root).to(x.dtype)
        return y if batch is x else y[0]

    return candidate


def cells(i: int, o: int) -> list[tuple[int, int]]:
    return [(j * i // o, -(-(j + 1) * i // o)) for j in range(o)]


def even_cells(i: int, o: int) -> list[tuple[int, int]]:
    return [(j * (i // o), (j + 1) * (i // o)) for j in range(o)] if i >= o else cells(i, o)


def adaptive(rank: int, average: bool, defect: str = "") -> Candidate:
    def candidate(x, output_size, return_indices=False):
        demand(x.ndim in (rank + 1, rank + 2), "axes")
        batch = x if x.ndim == rank + 2 else x[None]
        sizes = output_size if isinstance(output_size, Sequence) else [output_size] * rank
        demand(len(sizes) == rank, "output size")
        o = [i if o_ is None else o_ for i, o_ in zip(batch.shape[2:], sizes, strict=True)]
        demand(min(o) >= 0, "output size")
        split = even_cells if defect == "windows of one size" else cells
        ranges = [split(i, o_) for i, o_ in zip(batch.shape[2:], o, strict=True)]
        if defect == "windows end one early":
            ranges = [[(a, max(a + 1, b - (b - a > 2))) for a, b in axis] for axis in ranges]
        most = [max(b - a for a, b in axis) for axis in ranges]
        at = [
            torch.tensor([[a + j if a + j < b else -1 for j in range(m)] for a, b in axis])
            for axis, m in zip(ranges, most, strict=True)
        ]
        if average:
            total = gathered(widened(batch), at, 0.0).flatten(-rank).sum(-1)
            inside = (flat_positions(at, batch.shape[2:]) >= 0).flatten(-rank).sum(-1)
            if defect == "one divisor":
                inside = inside.max()
            y = (total / inside).to(x.dtype)
            return y if batch is x else y[0]
        windows = gathered(batch, at, -math.inf).flatten(-rank)
        positions = flat_positions(at, batch.shape[2:]).flatten(-rank)
        y, indices = chosen(windows, positions, defect)
        if batch is not x:
            y, indices = y[0], indices[0]
        return (y, indices) if return_indices else y

    return candidate


def fractional(rank: int, defect: str = "") -> Candidate:
    def candidate(x, kernel_size, output_size=None, output_ratio=None, return_indices=False,
                  _random_samples=None):  # fmt: skip
        demand(x.ndim in (rank + 1, rank + 2), "axes")
        batch = x if x.ndim == rank + 2 else x[None]
        n, c = batch.shape[:2]
        k = sized(kernel_size, rank)
        i = list(batch.shape[2:])
        if output_size is None:
            o = [int(i_ * r) for i_, r in zip(i, sized(output_ratio, rank), strict=True)]
        else:
            o = sized(output_size, rank)
        demand(all(o_ + k_ - 1 <= i_ for i_, o_, k_ in zip(i, o, k, strict=True)), "sizes")
        demand(_random_samples.shape == (max(n, len(_random_samples)), c, rank), "samples")
        u = _random_samples.double()[: max(n, 1)]
        if defect == "one sample for all channels":
            u = u[:, :1].expand(u.shape)
        if rank == 2 and defect != "samples by axis, the first first":
            u = u.flip(-1)
        flat = torch.zeros((n, c, *[1] * 2 * rank), dtype=torch.int64)
        for axis in range(rank):
            a = (i[axis] - k[axis]) / (o[axis] - 1) if o[axis] > 1 else 0.0
            first = u[:n, :, axis, None]
            starts = ((torch.arange(o[axis]) + first) * a).floor() - (first * a).floor()
            if defect == "starts rounded to nearest":
                starts = (torch.arange(o[axis]) * a).round().expand(starts.shape).clone()
            starts[..., -1] = i[axis] - k[axis]
            at = starts.long()[..., None] + torch.arange(k[axis])
            shape = [n, c, *[1] * 2 * rank]
            shape[2 + axis], shape[2 + rank + axis] = o[axis], k[axis]
            flat = flat * i[axis] + at.view(shape)
        windows = batch.flatten(2).gather(2, flat.flatten(2)).view(flat.shape).flatten(-rank)
        y, at_ = chosen(windows, flat.flatten(-rank), defect)
        if batch is not x:
            y, at_ = y[0], at_[0]
        return (y, at_) if return_indices else y

    return candidate


def max_unpool(rank: int, defect: str = "") -> Candidate:
    def candidate(x, indices, kernel_size, stride=None, padding=0, output_size=None):
        demand(x.ndim in (rank + 1, rank + 2) and x.shape == indices.shape, "axes")
        k = sized(kernel_size, rank)
        s, p = sized(stride or k, rank), sized(padding, rank)
        i = list(x.shape[-rank:])
        o = [(i_ - 1) * s_ - 2 * p_ + k_ for i_, s_, p_, k_ in zip(i, s, p, k, strict=True)]
        if output_size is not None:
            wanted = list(output_size)[-rank:]
            demand(
                all(abs(w - o_) < s_ for w, o_, s_ in zip(wanted, o, s, strict=True)), "output size"
            )
            o = wanted if defect != "output size ignored" else o
        lead = x.shape[:-rank]
        flat, at = x.flatten(-rank), indices.flatten(-rank)
        y = flat.new_zeros((*lead, math.prod(o)))
        at = at.clamp_max(math.prod(o) - 1)
        if defect == "lowest number instead of zero":
            y = y - 1
        if defect == "the last position dropped":
            at = at.clamp_max(math.prod(o) - 2)
        return y.scatter(-1, at, flat).unflatten(-1, o)

    return candidate
