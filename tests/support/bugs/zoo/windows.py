"""Every operator of the family by one algorithm: gather all windows, then reduce them.

Along every axis, index_select takes the elements of all windows (what lies outside is padding), so
that x (N, C, *i) becomes (N, C, *o, *k). Everything is made of torch's own differentiable pieces,
none of which is a convolution or a pool, so that autograd gives first and second gradients. Halves
are computed in float32.

`defect` names a change to the definition; the sound kernel is the one without.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

Candidate = Callable[..., Any]


def sized(value: Any, rank: int) -> list[int]:
    return list(value) if isinstance(value, Sequence) else [value] * rank


def widened(t: Tensor) -> Tensor:
    return t.float() if t.dtype in (torch.float16, torch.bfloat16) else t


def gathered(x: Tensor, places: list[Tensor], fill: float) -> Tensor:
    """Return (N, C, o1, o2, ..., k1, k2, ...): x at places (o, k) of every axis, `fill` outside."""
    rank = len(places)
    for axis, place in enumerate(places):
        at, size = axis + 2, x.shape[axis + 2]
        before, after = max(0, -int(place.min())), max(0, int(place.max()) - size + 1)
        shape = list(x.shape)
        parts = []
        for extra in (before, None, after):
            if extra is None:
                parts.append(x)
            elif extra:
                shape[at] = extra
                parts.append(x.new_full(shape, fill))
        x = torch.cat(parts, at).index_select(at, (place + before).flatten())
    for axis, place in reversed(list(enumerate(places))):
        x = x.unflatten(axis + 2, place.shape)
    order = [2 + 2 * axis for axis in range(rank)] + [3 + 2 * axis for axis in range(rank)]
    return x.permute(0, 1, *order)


def places(i: int, o: int, k: int, s: int, p: int, d: int) -> Tensor:
    return torch.arange(o)[:, None] * s + torch.arange(k)[None] * d - p


def outputs(i: int, k: int, s: int, p: int, d: int, up: bool = False) -> int:
    room = i + 2 * p - d * (k - 1) - 1
    if room < 0:
        raise RuntimeError("the kernel is wider than the input")
    o = (-(-room // s) if up else room // s) + 1
    return o - 1 if up and (o - 1) * s >= i + p else o


def demand(condition: bool, message: str) -> None:
    if not condition:
        raise RuntimeError(message)


def checked(k: list[int], s: list[int], p: list[int], d: list[int]) -> None:
    demand(min(k) > 0 and min(s) > 0 and min(p) >= 0 and min(d) > 0, "sizes must be positive")


# --- convolutions -------------------------------------------------------------------------------


def conv(rank: int, defect: str = "") -> Candidate:
    def candidate(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
        demand(weight.ndim == rank + 2, "weight must have two axes more than the rank")
        demand(x.ndim in (rank + 1, rank + 2), "x must have one or two axes more")
        batch = x if x.ndim == rank + 2 else x[None]
        k, s, d = list(weight.shape[2:]), sized(stride, rank), sized(dilation, rank)
        if padding == "same":
            before = [d_ * (k_ - 1) // 2 for d_, k_ in zip(d, k, strict=True)]
            if defect == "the extra padding of 'same' on the left":
                before = [d_ * (k_ - 1) - b for d_, k_, b in zip(d, k, before, strict=True)]
            o = list(batch.shape[2:])
        else:
            before = sized(0 if padding == "valid" else padding, rank)
            o = [outputs(*sizes) for sizes in zip(batch.shape[2:], k, s, before, d, strict=True)]
        checked(k, s, before, d)
        demand(batch.shape[1] == weight.shape[1] * groups, "channels")
        demand(weight.shape[0] % groups == 0, "groups")
        demand(bias is None or bias.shape == weight.shape[:1], "bias")
        if defect == "padding one less on the left":
            before = [max(0, b - 1) for b in before]
        if defect == "dilation of the first axis everywhere":
            d = [d[0]] * rank
        if defect == "stride clipped to 2":
            s = [min(2, s_) for s_ in s]
            o = [
                min(o_, outputs(*v))
                for o_, *v in zip(o, batch.shape[2:], k, s, before, d, strict=True)
            ]
        at = [places(*v) for v in zip(batch.shape[2:], o, k, s, before, d, strict=True)]
        if defect == "circular padding":
            at = [a % i for a, i in zip(at, batch.shape[2:], strict=True)]
        if defect == "replicated padding":
            at = [a.clamp(0, i - 1) for a, i in zip(at, batch.shape[2:], strict=True)]
        windows = gathered(widened(batch), at, 0.0).unflatten(1, (groups, -1))
        w = widened(weight).unflatten(0, (groups, -1))
        if defect == "true convolution":
            w = w.flip(tuple(range(3, w.ndim)))
        if defect == "groups interleaved":
            w = widened(weight).unflatten(0, (-1, groups)).transpose(0, 1)
        if defect == "axes of the kernel exchanged" and rank > 1 and k[-1] == k[-2]:
            w = w.transpose(-1, -2)
        letters = "xyz"[:rank], "uvw"[:rank]
        y = torch.einsum(
            f"ngc{letters[0]}{letters[1]},gmc{letters[1]}->ngm{letters[0]}", windows, w
        )
        y = y.flatten(1, 2)
        if bias is not None and defect != "no bias":
            b = widened(bias)
            if defect == "bias of the next filter":
                b = b.roll(1)
            y = y + b.view(-1, *[1] * rank)
        y = y.to(x.dtype)
        return y if batch is x else y[0]

    return candidate


def conv_transpose(rank: int, defect: str = "") -> Candidate:
    def candidate(
        x, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1
    ):
        demand(weight.ndim == rank + 2 and x.ndim in (rank + 1, rank + 2), "axes")
        batch = x if x.ndim == rank + 2 else x[None]
        k, s, d = list(weight.shape[2:]), sized(stride, rank), sized(dilation, rank)
        p, a = sized(padding, rank), sized(output_padding, rank)
        checked(k, s, p, d)
        demand(batch.shape[1] == weight.shape[0] and weight.shape[0] % groups == 0, "channels")
        demand(bias is None or bias.shape == (weight.shape[1] * groups,), "bias")
        demand(all(e < max(s_, d_) for e, s_, d_ in zip(a, s, d, strict=True)), "output padding")
        if defect == "output padding on the left":
            p = [p_ + a_ for p_, a_ in zip(p, a, strict=True)]
        if defect == "padding ignored where the stride is 1" and max(s) == 1:
            p = [0] * rank
        o = [
            (i - 1) * s_ - 2 * p_ + d_ * (k_ - 1) + a_ + 1
            for i, s_, p_, d_, k_, a_ in zip(batch.shape[2:], s, p, d, k, a, strict=True)
        ]
        if defect == "output padding on the left":
            o = [o_ + a_ for o_, a_ in zip(o, a, strict=True)]
        demand(min(o) > 0, "nothing is left")
        spread = widened(batch)
        for axis, s_ in enumerate(s):  # zeros between the elements
            if s_ > 1:
                at = axis + 2
                zeros = spread.new_zeros((*spread.shape[: at + 1], s_ - 1, *spread.shape[at + 1 :]))
                spread = torch.cat((spread.unsqueeze(at + 1), zeros), at + 1).flatten(at, at + 1)
                spread = spread.narrow(at, 0, spread.shape[at] - s_ + 1)
        at = [
            torch.arange(o_)[:, None] + p_ - torch.arange(k_)[None] * d_
            for o_, p_, k_, d_ in zip(o, p, k, d, strict=True)
        ]
        windows = gathered(spread, at, 0.0).unflatten(1, (groups, -1))
        w = widened(weight).unflatten(0, (groups, -1))
        if defect == "one filter a group":
            w = torch.cat((w[:, :, :1], w[:, :, 1:] * 0), 2)
        if defect == "kernel flipped":
            w = w.flip(tuple(range(3, w.ndim)))
        letters = "xyz"[:rank], "uvw"[:rank]
        y = torch.einsum(
            f"ngc{letters[0]}{letters[1]},gcm{letters[1]}->ngm{letters[0]}", windows, w
        )
        y = y.flatten(1, 2)
        if bias is not None:
            b = widened(bias)
            if defect == "bias once a tap":
                b = b * math.prod(k)
            y = y + b.view(-1, *[1] * rank)
        y = y.to(x.dtype)
        return y if batch is x else y[0]

    return candidate


def conv_tbc(defect: str = "") -> Candidate:
    inner = conv(1, "true convolution" if defect == "true convolution" else "")

    def candidate(x, weight, bias, pad=0):
        demand(x.ndim == 3 and weight.ndim == 3, "axes")
        moved = x.permute(1, 2, 0)
        if defect == "time and batch exchanged":
            moved = x.permute(0, 2, 1) if x.shape[0] == x.shape[1] else moved
        w = weight.permute(2, 1, 0)
        if defect == "taps beyond the first padded twice" and pad > 1:
            w = torch.cat((w[..., :1], w[..., 1:] * 2), -1)
        return inner(moved, w, bias, padding=pad).permute(2, 0, 1).contiguous()

    return candidate


# --- folds --------------------------------------------------------------------------------------


def unfold(defect: str = "") -> Candidate:
    def candidate(x, kernel_size, dilation=1, padding=0, stride=1):
        demand(x.ndim in (3, 4), "x must have three or four axes")
        batch = x if x.ndim == 4 else x[None]
        k, d, p, s = (sized(v, 2) for v in (kernel_size, dilation, padding, stride))
        checked(k, s, p, d)
        o = [outputs(*v) for v in zip(batch.shape[2:], k, s, p, d, strict=True)]
        if defect == "dilation and stride exchanged where they may be" and s != d:
            other = [outputs(*v) for v in zip(batch.shape[2:], k, d, p, s, strict=True) if v[0] > 8]
            if other == o:
                s, d = d, s
        at = [places(*v) for v in zip(batch.shape[2:], o, k, s, p, d, strict=True)]
        windows = gathered(batch, at, 0.0)
        order = (0, 1, 4, 5, 2, 3) if defect != "taps before channels" else (0, 4, 5, 1, 2, 3)
        y = windows.permute(order).flatten(1, 3).flatten(2)
        if defect == "windows by columns" and o[0] == o[1]:
            y = y.unflatten(2, o).transpose(2, 3).flatten(2)
        return y if batch is x else y[0]

    return candidate


def fold(defect: str = "") -> Candidate:
    def candidate(x, output_size, kernel_size, dilation=1, padding=0, stride=1):
        batch = x if x.ndim == 3 else x[None]
        i = sized(output_size, 2)
        k, d, p, s = (sized(v, 2) for v in (kernel_size, dilation, padding, stride))
        checked(k, s, p, d)
        o = [outputs(*v) for v in zip(i, k, s, p, d, strict=True)]
        demand(batch.shape[1] % math.prod(k) == 0 and batch.shape[2] == math.prod(o), "columns")
        cols = widened(batch).unflatten(1, (-1, *k)).unflatten(4, o)  # (N, C, k1, k2, o1, o2)
        if defect == "rows and columns of the kernel exchanged" and k[0] == k[1]:
            cols = cols.transpose(2, 3)
        rows, columns = (places(*v).T for v in zip(i, o, k, s, p, d, strict=True))  # (k, o)
        flat = rows[:, None, :, None] * i[1] + columns[None, :, None, :]
        inside = ((rows >= 0) & (rows < i[0]))[:, None, :, None]
        inside = inside & ((columns >= 0) & (columns < i[1]))[None, :, None, :]
        keep = inside.expand(flat.shape).flatten()
        values = cols.flatten(2)[..., keep]
        y = values.new_zeros((*batch.shape[:1], cols.shape[1], math.prod(i)))
        if defect == "overlaps overwrite":
            y = y.index_copy(2, flat.expand(inside.shape).flatten()[keep], values)
        else:
            y = y.index_add(2, flat.flatten()[keep], values)
        if defect == "overlaps averaged":
            ones = y.new_zeros(math.prod(i)).index_add(
                0, flat.flatten()[keep], torch.ones_like(values[0, 0]) if len(values) else values
            )
            y = y / ones.clamp_min(1)
        y = y.unflatten(2, i).to(x.dtype)
        return y if batch is x else y[0]

    return candidate
