"""The operators again, tap by tap in torch, with one planted bug each: candidates for parity.

Without a bug (the empty string) they are right. A bug is a string, compared where it strikes.
"""

import itertools
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

Shape = tuple[int, ...]
SHUFFLE = random.Random(0)
MARGIN = 30  # of zeros beyond the padding, so that a wrong tap reads zeros and not nothing


@dataclass
class Taps:
    """Where each tap of a window reads the padded input, for every output."""

    i: Shape
    k: Shape
    s: Shape
    d: Shape
    p: Shape  # on the left
    o: Shape

    def __iter__(self) -> Iterator[Shape]:
        return itertools.product(*map(range, self.k))

    def padded(self, x: Tensor, value: float = 0.0) -> Tensor:
        return F.pad(x, [v for p in reversed(self.p) for v in (p, MARGIN)], value=value)

    def unpadded(self, x: Tensor) -> Tensor:
        inside = (slice(p, p + i) for p, i in zip(self.p, self.i, strict=True))
        return x[(..., *inside)].clone()

    def view(self, padded: Tensor, tap: Shape) -> Tensor:
        each = zip(tap, self.s, self.d, self.o, strict=True)
        window = (slice(k * d, k * d + s * (o - 1) + 1, s) for k, s, d, o in each)
        return padded[(..., *window)]


def sized(value: Any, rank: int) -> Shape:
    return (value,) * rank if isinstance(value, int) else tuple(value)


def conv_taps(x: Shape, w: Shape, options: dict[str, Any], bug: str) -> Taps:
    i, k, rank = x[2:], w[2:], len(w) - 2
    s, d = (sized(options.get(name, 1), rank) for name in ("stride", "dilation"))
    padding = options.get("padding", 0)
    if isinstance(padding, str):
        full = [d_ * (k_ - 1) * (padding == "same") for k_, d_ in zip(k, d, strict=True)]
        before, after = tuple(v // 2 for v in full), tuple(v - v // 2 for v in full)
        if bug == "odd padding on the left":
            before, after = after, before
    else:
        before = after = sized(padding, rank)
    each = zip(i, k, s, d, before, after, strict=True)
    o = tuple((i_ + p + q - d_ * (k_ - 1) - 1) // s_ + 1 for i_, k_, s_, d_, p, q in each)
    d = d[::-1] if bug == "dilation of the wrong axis" else d
    d = (1,) * rank if bug == "dilation ignored" else d
    return Taps(i, k, s, d, before, o)


# --- convolution --------------------------------------------------------------------------------


def widened(t: Tensor, bug: str) -> Tensor:
    if t.dtype == torch.float64:
        return t.float() if bug == "float64 summed in float32" else t
    return t if bug == "sums kept in the half" else t.float()


def conv_forward(
    x: Tensor, w: Tensor, b: Tensor | None, options: dict[str, Any], bug: str
) -> Tensor:
    if bug == "one channel, channels_last misread" and x.shape[1] == 1 and x.stride(1) == 1:
        x = x.transpose(2, 3).reshape(x.shape)
    if bug == "strides ignored" and 0 not in x.stride():
        x = x.as_strided(x.shape, torch.empty(x.shape).stride())
    if bug == "operands cut to TF32":
        x = (x.contiguous().view(torch.int32) & ~0x1FFF).view(torch.float32)
    taps, g = conv_taps(x.shape, w.shape, options, bug), options.get("groups", 1)
    padded, weight = taps.padded(widened(x, bug)), widened(w, bug).unflatten(0, (g, -1))
    y = padded.new_zeros(x.shape[0], g, weight.shape[1], *taps.o)
    order = list(taps)
    if bug == "another order of summation every time":
        SHUFFLE.shuffle(order)
    for tap in order:
        view = taps.view(padded, tap).unflatten(1, (g, -1))
        y += torch.einsum("ngc...,gmc->ngm...", view, weight[(..., *tap)])
    y = y.flatten(1, 2)
    if b is not None:
        y += widened(b, bug).view(-1, *(1,) * len(taps.k))
    return y.to(x.dtype)


def conv_grad_input(x: Shape, w: Tensor, gy: Tensor, options: dict[str, Any], bug: str) -> Tensor:
    taps, g = conv_taps(x, w.shape, options, bug), options.get("groups", 1)
    weight, grad = widened(w, bug).unflatten(0, (g, -1)), widened(gy, bug).unflatten(1, (g, -1))
    gx = taps.padded(torch.zeros(x, dtype=grad.dtype))
    if bug == "no flip in the input gradient":
        weight = weight.flip(tuple(range(3, weight.ndim)))
    if bug == "input gradient of the wrong group":
        weight = weight.roll(1, 0)
    for tap in taps:
        share = torch.einsum("ngm...,gmc->ngc...", grad, weight[(..., *tap)])
        taps.view(gx, tap).add_(share.flatten(1, 2))
    scale = 1.001 if bug == "input gradient x 1.001" else 1.0
    return (taps.unpadded(gx) * scale).to(gy.dtype)


def conv_grad_weight(x: Tensor, w: Shape, gy: Tensor, options: dict[str, Any], bug: str) -> Tensor:
    taps, g = conv_taps(x.shape, w, options, bug), options.get("groups", 1)
    if bug == "stride ignored in the weight gradient":
        taps = replace(taps, s=(1,) * len(taps.s))
    padded, grad = taps.padded(widened(x, bug)), widened(gy, bug).unflatten(1, (g, -1))
    gw = padded.new_zeros(w).unflatten(0, (g, -1))
    for tap in taps:
        view = taps.view(padded, tap).unflatten(1, (g, -1))
        if bug == "weight gradient from the first group":
            view = view[:, :1].expand_as(view)
        gw[(..., *tap)] = torch.einsum("ngm...,ngc...->gmc", grad, view)
    return gw.flatten(0, 1).to(gy.dtype)


class Conv(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor, b: Tensor | None, *rest: Any) -> Tensor:
        ctx.save_for_backward(x, w)
        ctx.rest = rest
        return conv_forward(x, w, b, *rest)

    @staticmethod
    def backward(ctx: Any, gy: Tensor) -> Any:
        (x, w), (options, bug) = ctx.saved_tensors, ctx.rest
        gx = ConvGradInput.apply(x.shape, w, gy, options, bug)
        gw = ConvGradWeight.apply(x, w.shape, gy, options, bug)
        by_filter = gy.transpose(0, 1)
        if bug == "bias gradient over the wrong axes":
            by_filter = gy.reshape(by_filter.shape)
        if bug == "bias gradient of the first image":
            by_filter = by_filter[:, :1]
        gb = by_filter.flatten(1).float() if gy.dtype.itemsize == 2 else by_filter.flatten(1)
        return gx, gw, gb.sum(1).to(gy.dtype) if ctx.needs_input_grad[2] else None, None, None


class ConvGradInput(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Shape, w: Tensor, gy: Tensor, *rest: Any) -> Tensor:
        ctx.save_for_backward(w, gy)
        ctx.rest = rest
        return conv_grad_input(x, w, gy, *rest)

    @staticmethod
    def backward(ctx: Any, v: Tensor) -> Any:
        (w, gy), (options, bug) = ctx.saved_tensors, ctx.rest
        bug = "dilation ignored" if bug == "double backward ignores dilation" else bug
        gw = ConvGradWeight.apply(v, w.shape, gy, options, bug)
        gw = None if bug == "double backward without the weight" else gw
        if bug == "double backward ignores transposed" and v.shape == gy.shape:
            return None, gw, ConvGradInput.apply(v.shape, w, v, options, bug), None, None
        return None, gw, Conv.apply(v, w, None, options, bug), None, None


class ConvGradWeight(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Shape, gy: Tensor, *rest: Any) -> Tensor:
        ctx.save_for_backward(x, gy)
        ctx.rest = rest
        return conv_grad_weight(x, w, gy, *rest)

    @staticmethod
    def backward(ctx: Any, v: Tensor) -> Any:
        (x, gy), (options, bug) = ctx.saved_tensors, ctx.rest
        ggy = Conv.apply(x, v, None, options, bug)
        ggy = -ggy if bug == "double backward loses a sign" else ggy
        return ConvGradInput.apply(x.shape, v, gy, options, bug), None, ggy, None, None


def conv(bug: str, rank: int) -> Callable[..., Tensor]:
    def candidate(x: Tensor, weight: Tensor, bias: Tensor | None = None, **options: Any) -> Tensor:
        if bug == "an exception":
            raise RuntimeError("no such kernel")
        if bug == "the input written to" and not torch.is_grad_enabled():
            x.neg_()
        batch = x if x.ndim == weight.ndim else x.unsqueeze(0)
        if bug == "no bias where there is no batch" and batch is not x:
            bias = None
        y: Tensor = Conv.apply(batch, weight, bias, options, bug)
        y = y if batch is x else y.squeeze(0)
        return {"zeros": y * 0, "another dtype": y.double()}.get(bug, y)

    return candidate


# --- pooling ------------------------------------------------------------------------------------


def pool_taps(x: Shape, rank: int, options: dict[str, Any]) -> Taps:
    i, k = x[-rank:], sized(options["kernel_size"], rank)
    s = sized(options.get("stride", k), rank)
    p, d = sized(options.get("padding", 0), rank), sized(options.get("dilation", 1), rank)
    o = []
    for i_, k_, s_, p_, d_ in zip(i, k, s, p, d, strict=True):
        room = i_ + 2 * p_ - d_ * (k_ - 1) - 1
        size = (-(-room // s_) if options.get("ceil_mode") else room // s_) + 1
        o.append(size - 1 if (size - 1) * s_ >= i_ + p_ else size)
    return Taps(i, k, s, d, p, tuple(o))


def maximum(x: Tensor, taps: Taps, bug: str) -> tuple[Tensor, Tensor]:
    values = taps.padded(x, 0.0 if bug == "padding of zeros takes part" else -math.inf)
    places = taps.padded(torch.arange(math.prod(taps.i)).view(taps.i), -1)
    y: Tensor = torch.full((*x.shape[: -len(taps.i)], *taps.o), -math.inf, dtype=x.dtype)
    at = torch.full(y.shape, -1)
    for tap in taps:
        v, place = taps.view(values, tap), taps.view(places, tap)
        larger = v >= y if bug == "the last of equals wins" else v > y
        nan = v.isnan() & ~y.isnan() if bug == "the first NaN wins" else v.isnan()
        first = (at < 0) & (bug != "no index for a window of -inf")
        take = (place >= 0) & (larger | nan | first)
        if bug == "NaN dropped":
            take = (place >= 0) & (larger | first) & ~v.isnan()
        if bug == "padding of zeros takes part":
            take = take | (place < 0) & larger
        y, at = torch.where(take, v, y), torch.where(take, place.expand_as(at), at)
    if bug == "indices transposed unless contiguous" and not x.is_contiguous():
        at = at.transpose(-1, -2).reshape(at.shape)
    return y + 0.0 if bug == "sign of zero lost" else y, at.clamp_min(0)


class Max(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, taps: Taps, bug: str) -> Any:
        y, at = maximum(x, taps, bug)
        ctx.mark_non_differentiable(at)
        ctx.save_for_backward(x, at)
        ctx.rest = len(taps.i), bug
        return y, at

    @staticmethod
    def backward(ctx: Any, gy: Tensor, _: Any) -> Any:
        return Scatter.apply(gy, *ctx.saved_tensors, *ctx.rest), None, None


class Scatter(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gy: Tensor, x: Tensor, at: Tensor, rank: int, bug: str) -> Tensor:
        ctx.save_for_backward(at)
        ctx.rest = rank, bug
        flat, where, values = gy.flatten(-rank), at.flatten(-rank), x.flatten(-rank)
        gx = torch.zeros_like(values).scatter_add_(-1, where, flat)
        if bug == "gradients overwrite each other":
            gx = torch.zeros_like(values).scatter_(-1, where, flat)
        if bug == "ties split":
            equal = values.unsqueeze(-2) == values.gather(-1, where).unsqueeze(-1)
            gx = (flat.unsqueeze(-1) * equal / equal.sum(-1, keepdim=True)).sum(-2)
        return gx.view(x.shape)

    @staticmethod
    def backward(ctx: Any, v: Tensor) -> Any:
        ((at,), (rank, bug)) = ctx.saved_tensors, ctx.rest
        got = v.flatten(-rank).gather(-1, at.flatten(-rank)).view(at.shape)
        return got.abs() if bug == "double backward loses a sign" else got, None, None, None, None


def max_pool(bug: str, rank: int) -> Callable[..., Any]:
    def candidate(x: Tensor, *, return_indices: bool = False, **options: Any) -> Any:
        y, at = Max.apply(x, pool_taps(x.shape, rank, options), bug)
        return (y, at) if return_indices else y

    return candidate


def divisors(taps: Taps, options: dict[str, Any], bug: str) -> Tensor:
    """What each window is divided by, (*o)."""
    override, whole = options.get("divisor_override"), torch.ones(taps.o, dtype=torch.int64)
    if override is not None:
        return whole * (abs(override) if bug == "sign of the divisor lost" else override)
    padded = options.get("count_include_pad", True) or bug == "count_include_pad ignored"
    for axis, (i, k, s, p, o) in enumerate(
        zip(taps.i, taps.k, taps.s, taps.p, taps.o, strict=True)
    ):
        start = torch.arange(o) * s - p
        end = start + k
        if bug not in ("divisor not clipped", "divisor not clipped in the gradient"):
            end = end.clamp_max(i + p)
        count = end - start if padded else end.clamp_max(i) - start.clamp_min(0)
        whole = whole * count.view(-1, *(1,) * (len(taps.i) - 1 - axis))
    return whole


class Average(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, taps: Taps, options: dict[str, Any], bug: str) -> Tensor:
        ctx.rest = taps, options, bug
        mine = "" if bug == "divisor not clipped in the gradient" else bug
        padded, divisor = taps.padded(x), divisors(taps, options, mine)
        y: Tensor = sum(taps.view(padded, tap) for tap in taps) + torch.zeros(())
        y = y * (1 / divisor) if bug == "reciprocal of the divisor" else y / divisor
        return y + 0.0  # as torch: 0 / -3 is +0.0

    @staticmethod
    def backward(ctx: Any, gy: Tensor) -> Any:
        return Spread.apply(gy, *ctx.rest), None, None, None


class Spread(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gy: Tensor, taps: Taps, options: dict[str, Any], bug: str) -> Tensor:
        ctx.rest = taps, options, bug
        gx = taps.padded(torch.zeros((*gy.shape[: -len(taps.i)], *taps.i), dtype=gy.dtype))
        for tap in taps:
            taps.view(gx, tap).add_(gy / divisors(taps, options, bug))
        return taps.unpadded(gx)

    @staticmethod
    def backward(ctx: Any, v: Tensor) -> Any:
        taps, options, bug = ctx.rest
        if bug == "double backward ignores options":
            options = {}
        return Average.apply(v, taps, options, bug), None, None, None


def avg_pool(bug: str, rank: int) -> Callable[..., Tensor]:
    def candidate(x: Tensor, **options: Any) -> Tensor:
        y: Tensor = Average.apply(x, pool_taps(x.shape, rank, options), options, bug)
        return y

    return candidate


MAKE = {"conv": conv, "max_pool": max_pool, "avg_pool": avg_pool}

MUTANTS = [  # operator, bug, a quantity that must show it
    ("conv2d", "dilation of the wrong axis", "y (no grad)"),
    ("conv1d", "odd padding on the left", "y (no grad)"),
    ("conv2d", "one channel, channels_last misread", "y (no grad)"),
    ("conv1d", "strides ignored", "y (no grad)"),
    ("conv1d", "no bias where there is no batch", "y (no grad)"),
    ("conv1d", "zeros", "y (no grad)"),
    ("conv1d", "no flip in the input gradient", "gx"),
    ("conv1d", "input gradient of the wrong group", "gx"),
    ("conv1d", "input gradient x 1.001", "gx"),
    ("conv1d", "stride ignored in the weight gradient", "gw"),
    ("conv3d", "weight gradient from the first group", "gw"),
    ("conv1d", "bias gradient over the wrong axes", "gb"),
    ("conv1d", "bias gradient of the first image", "gb"),
    ("conv1d", "double backward ignores dilation", "gw(gx)"),
    ("conv1d", "double backward without the weight", "gw(gx)"),
    ("conv1d", "double backward loses a sign", "gy(all)"),
    ("conv1d", "double backward ignores transposed", "gy(all)"),
    ("conv1d", "operands cut to TF32", "y (no grad)"),
    ("conv1d", "sums kept in the half", "y (no grad)"),
    ("conv1d", "float64 summed in float32", "y (no grad)"),
    ("conv1d", "another order of summation every time", "y (no grad)"),
    ("conv1d", "another dtype", "y (no grad)"),
    ("conv1d", "the input written to", "x"),
    ("conv1d", "an exception", "y (no grad)"),
    ("max_pool2d", "the last of equals wins", "indices"),
    ("max_pool1d", "NaN dropped", "y (no grad)"),
    ("max_pool1d", "the first NaN wins", "indices"),
    ("max_pool1d", "no index for a window of -inf", "indices"),
    ("max_pool2d", "padding of zeros takes part", "y (no grad)"),
    ("max_pool2d", "indices transposed unless contiguous", "indices"),
    ("max_pool1d", "sign of zero lost", "y (no grad)"),
    ("max_pool1d", "ties split", "gx"),
    ("max_pool1d", "gradients overwrite each other", "gx"),
    ("max_pool1d", "double backward loses a sign", "gy(gx)"),
    ("avg_pool2d", "divisor not clipped", "y (no grad)"),
    ("avg_pool1d", "divisor not clipped in the gradient", "gx"),
    ("avg_pool1d", "count_include_pad ignored", "y (no grad)"),
    ("avg_pool2d", "sign of the divisor lost", "y (no grad)"),
    ("avg_pool1d", "reciprocal of the divisor", "y (no grad)"),
    ("avg_pool2d", "double backward ignores options", "gy(gx)"),
]
