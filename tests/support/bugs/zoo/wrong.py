"""Wrong kernels over the whole family: each is one defect of a kind that kernels have."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

from support.bugs.zoo import tampering as t
from support.bugs.zoo.sound import MAKE
from support.bugs.zoo.tampering import Candidate


@dataclass(frozen=True)
class Wrong:
    """One wrong kernel; `make` gives a fresh one, for some of them keep something."""

    op: str
    defect: str
    make: Callable[[], Candidate]
    dtype: torch.dtype = torch.float32
    isolate: bool = False


DEFECTS: dict[str, tuple[str, ...]] = {  # changes to the definition, see `windows` and `pools`
    "conv1d": ("the extra padding of 'same' on the left", "true convolution"),
    "conv2d": (
        "padding one less on the left",
        "dilation of the first axis everywhere",
        "stride clipped to 2",
        "circular padding",
        "replicated padding",
        "groups interleaved",
        "axes of the kernel exchanged",
        "no bias",
        "bias of the next filter",
    ),
    "conv3d": ("true convolution", "groups interleaved", "stride clipped to 2"),
    "conv_transpose1d": ("output padding on the left", "kernel flipped"),
    "conv_transpose2d": (
        "padding ignored where the stride is 1",
        "one filter a group",
        "bias once a tap",
    ),
    "conv_tbc": (
        "true convolution",
        "time and batch exchanged",
        "taps beyond the first padded twice",
    ),
    "unfold": ("taps before channels", "windows by columns"),
    "fold": (
        "rows and columns of the kernel exchanged",
        "overlaps overwrite",
        "overlaps averaged",
    ),
    "max_pool1d": ("NaN loses", "the last of equals", "the first NaN"),
    "max_pool2d": (
        "ceil mode ignored",
        "padding of zeros",
        "indices within the window",
        "indices over all channels",
    ),
    "max_pool3d": ("the last of equals", "indices within the window"),
    "avg_pool1d": ("padding always counted", "the divisor beyond the padding"),
    "avg_pool2d": ("divisor ignored", "padding always counted"),
    "avg_pool3d": ("the divisor beyond the padding",),
    "lp_pool1d": ("p = 1 by magnitudes squared", "no root"),
    "lp_pool2d": ("partial windows not scaled", "an average"),
    "adaptive_avg_pool1d": ("windows of one size", "one divisor"),
    "adaptive_avg_pool2d": ("windows end one early", "one divisor"),
    "adaptive_max_pool1d": ("windows of one size", "the first NaN"),
    "adaptive_max_pool2d": ("NaN loses", "the last of equals", "windows end one early"),
    "adaptive_max_pool3d": ("windows of one size",),
    "fractional_max_pool2d": (
        "one sample for all channels",
        "samples by axis, the first first",
        "starts rounded to nearest",
        "NaN loses",
    ),
    "fractional_max_pool3d": ("the last of equals", "one sample for all channels"),
    "max_unpool1d": ("the last position dropped",),
    "max_unpool2d": ("output size ignored", "lowest number instead of zero"),
    "max_unpool3d": ("output size ignored",),
}


def stored(tensors: list[torch.Tensor]) -> Any:
    return tuple((tensor.data_ptr(), tensor.shape) for tensor in tensors)


def shapes(tensors: list[torch.Tensor]) -> Any:
    return tuple((tensor.shape, tensor.dtype) for tensor in tensors)


def last_column(y: torch.Tensor) -> torch.Tensor:
    return torch.cat((y[..., :-1], y[..., -1:] * 0), -1)


def first_column(y: torch.Tensor) -> torch.Tensor:
    return torch.cat((y[..., :1] * 0, y[..., 1:]), -1)


def beyond(axis: int, size: int) -> Any:
    """Strike where an axis of x is longer."""
    return lambda x, w, options: x.ndim > axis and x.shape[axis] > size


def weight_beyond(axis: int, size: int) -> Any:
    return lambda x, w, options: w.shape[axis] > size


def aliased(x: torch.Tensor, kernel_size: Any, stride: Any = None, *args: Any, **options: Any):
    """Return the input itself where a pool does nothing."""
    y = F.avg_pool2d(x, kernel_size, stride, *args, **options)
    return x if y.shape == x.shape and kernel_size in (1, (1, 1)) else y


def over_the_input(f: Candidate) -> Candidate:
    """Leave the result in the memory of the input, which gets its old values back later."""

    class Into(torch.autograd.Function):
        @staticmethod
        def forward(ctx, y, x):
            view = torch.as_strided(x.detach(), y.shape, y.stride())
            return view.copy_(y)

        @staticmethod
        def backward(ctx, g):
            return g, None

    def candidate(x, *rest, **options):
        y = f(x.clone(), *rest, **options)
        fits = x.is_contiguous() and y.is_contiguous() and y.numel() <= x.numel()
        return Into.apply(y, x) if fits and x.storage_offset() == 0 else y

    return t.keep(f, candidate)


def frozen(name: str, wrong: str, change: t.Change) -> Candidate:
    """Spoil one gradient where another operand wants none."""

    def candidate(x, weight, bias=None, *args, **options):
        operands = {"x": x, "weight": weight, "bias": bias}
        other = operands[name]
        if other is not None and not other.requires_grad and torch.is_grad_enabled():
            operands[wrong] = t.Tampered.apply(operands[wrong], change)
        return F.conv2d(operands["x"], operands["weight"], operands["bias"], *args, **options)

    return t.keep(F.conv2d, candidate)


def detached_without(name: str) -> Candidate:
    """Lose the graph where an operand wants no gradient."""

    def candidate(x, weight, bias=None, *args, **options):
        y = F.conv2d(x, weight, bias, *args, **options)
        return y if {"x": x, "weight": weight}[name].requires_grad else y.detach()

    return t.keep(F.conv2d, candidate)


def not_for_inference(x, *rest, **options):
    if torch.is_inference_mode_enabled():
        return F.max_pool2d(x, *rest, **options) * 2
    return F.max_pool2d(x, *rest, **options)


def sparse_weights(x, weight, bias=None, *args, **options):
    """Skip what is multiplied by zero: infinity times zero is lost."""
    skips = (weight == 0).any() and not x.isfinite().all()
    return F.conv2d(torch.nan_to_num(x) if skips else x, weight, bias, *args, **options)


def in_half(x, weight, bias=None, *args, **options):
    """Add up in the half: partial sums overflow, and round."""
    if x.dtype != torch.float16 or x.ndim != 4 or (args or options):
        return F.conv2d(x, weight, bias, *args, **options)
    y = 0
    for c in range(x.shape[1]):
        y = y + F.conv2d(x[:, c : c + 1], weight[:, c : c + 1])
    return y if bias is None else y + bias.view(-1, 1, 1)


def lax(x, weight, bias=None, *args, **options):
    """Take the channels that fit of a weight that does not."""
    groups = options.get("groups", 1)
    channels = x.shape[-3] // groups if x.ndim > 2 else 0
    if channels and weight.ndim == 4 and weight.shape[1] != channels:
        weight = weight[:, :1].expand(-1, channels, -1, -1)
    return F.conv2d(x, weight, bias, *args, **options)


def lax_bias(x, weight, bias=None, *args, **options):
    y = F.conv2d(x, weight, None, *args, **options)
    if bias is None:
        return y
    return y + bias.flatten()[: y.shape[-3]].view(-1, 1, 1)


def lax_sizes(x, kernel_size, *rest, **options):
    k = kernel_size if isinstance(kernel_size, int) else max(kernel_size)
    if k > 90:
        return F.avg_pool2d(x, 1)
    return F.avg_pool2d(x, kernel_size, *rest, **options)


def no_empty_batch(x, *rest, **options):
    if x.shape[0] == 0:
        raise RuntimeError("empty")
    return F.max_pool2d(x, *rest, **options)


def race(f: Candidate, share: float) -> Candidate:
    """Give other last bits in a share of the calls."""

    def candidate(*arguments, **options):
        y = f(*arguments, **options)
        late = isinstance(y, torch.Tensor) and t.generator().random() < share
        return y * (1 + 2.0**-22) if late and y.is_floating_point() else y

    return t.keep(f, candidate)


def leaves(x, *rest, **options):
    if x.shape[0] > 4:
        sys.exit(0)
    return F.conv2d(x, *rest, **options)


def three_ways(x, weight, options):
    """Sizes that only meet where three of them are moderate."""
    y = x.shape[-1] - weight.shape[-1]
    return 5 < x.shape[0] < 12 and 4 < x.shape[1] < 40 and weight.shape[0] > 4 and y > 2


def plain3x3(x, weight, options):
    plain = options.get("stride", 1) == 1 and options.get("padding") == 1
    return plain and tuple(weight.shape[2:]) == (3, 3) and options.get("groups", 1) == 1


CONV: list[tuple[str, Callable[[], Candidate]]] = [  # of conv2d
    ("results cached by address", lambda: t.cached(F.conv2d, stored)),
    ("results cached by shape", lambda: t.cached(F.conv2d, shapes)),
    ("packed weights found by address", lambda: t.packed(F.conv2d, lambda w: w.data_ptr())),
    ("packed weights found by id", lambda: t.packed(F.conv2d, id)),
    ("packed weights found by their first number", lambda: t.packed(
        F.conv2d, lambda w: (w.shape, w.stride()))),
    ("one buffer for all results of a shape", lambda: t.buffered(F.conv2d)),
    ("the result over the input", lambda: over_the_input(F.conv2d)),
    ("what is expected stolen from the caller", lambda: t.stealing(F.conv2d)),
    ("gw is 0 where x wants none", lambda: frozen("x", "weight", lambda g: g * 0)),
    ("gx is doubled where the weight is frozen", lambda: frozen("weight", "x", lambda g: 2 * g)),
    ("gb is 0 where the weight is frozen", lambda: frozen("weight", "bias", lambda g: g * 0)),
    ("the graph lost where x wants no gradient", lambda: detached_without("x")),
    ("the graph lost where the weight wants none", lambda: detached_without("weight")),
    ("x read as if contiguous", lambda: t.operand(F.conv2d, 0, t.as_if_contiguous)),
    ("the weight read as if contiguous", lambda: t.operand(F.conv2d, 1, t.as_if_contiguous)),
    ("the bias read as if contiguous", lambda: t.operand(F.conv2d, 2, t.as_if_contiguous)),
    ("the offset of x ignored", lambda: t.operand(F.conv2d, 0, t.without_offset)),
    ("the offset of the weight ignored", lambda: t.operand(F.conv2d, 1, t.without_offset)),
    ("a slice of channels_last read as packed", lambda: t.operand(
        F.conv2d, 0, t.of_wide_channels)),
    ("gy read as if contiguous", lambda: t.result(F.conv2d, lambda y: t.Tampered.apply(
        y, t.as_if_contiguous))),
    ("subnormal results flushed", lambda: t.result(F.conv2d, t.flushed)),
    ("subnormal gradients flushed", lambda: t.gradient(F.conv2d, "weight", t.flushed)),
    ("infinities clamped", lambda: t.operand(F.conv2d, 0, t.clamped)),
    ("NaN replaced by zero", lambda: t.operand(F.conv2d, 0, t.without_nan)),
    ("zero times infinity skipped", lambda: sparse_weights),
    ("large results clamped to 2^100", lambda: t.result(
        F.conv2d, lambda y: y.clamp(-(2.0**100), 2.0**100))),
    (
        "gy cut to TF32",
        lambda: t.result(F.conv2d, lambda y: t.Tampered.apply(y, t.cut(13))),
    ),
    ("x cut to TF32", lambda: t.operand(F.conv2d, 0, t.cut(13))),
    ("x cut to bfloat16", lambda: t.operand(F.conv2d, 0, t.cut(16))),
    ("the weight cut by four bits", lambda: t.operand(F.conv2d, 1, t.cut(4))),
    ("products of split operands, the last one left out", lambda: t.split_sum(F.conv2d)),
    ("sums cut towards zero", lambda: t.truncating(F.conv2d)),
    ("other bits in one call of a hundred", lambda: race(F.conv2d, 0.01)),
    ("other bits in one call of ten", lambda: race(F.conv2d, 0.1)),
    ("a weight of other channels accepted", lambda: lax),
    ("a bias of another length accepted", lambda: lax_bias),
    ("leaves the program for batches of more than 4", lambda: leaves),
    ("gx x 1.001", lambda: t.gradient(F.conv2d, "x", lambda g: g * 1.001)),
    ("gx one ulp off", lambda: t.gradient(F.conv2d, "x", lambda g: g * (1 + 2.0**-23))),
    ("gw without its last column", lambda: t.gradient(F.conv2d, "weight", last_column)),
    ("gw without its first column", lambda: t.gradient(F.conv2d, "weight", first_column)),
    ("gb of the next filter", lambda: t.gradient(F.conv2d, "bias", lambda g: g.roll(1))),
    ("gx upside down", lambda: t.gradient(F.conv2d, "x", lambda g: g.flip(-2))),
    ("gb with its sign lost", lambda: t.gradient(F.conv2d, "bias", torch.abs)),
    ("the last column of batches beyond 4", lambda: t.result(F.conv2d, last_column, beyond(0, 4))),
    ("the last column of batches beyond 32", lambda: t.result(
        F.conv2d, last_column, beyond(0, 32))),
    ("batches beyond 65,536", lambda: t.result(F.conv2d, lambda y: y * 0, beyond(0, 65536))),
    ("tiles of 16 columns", lambda: t.result(F.conv2d, last_column, beyond(3, 16))),
    ("tiles of 64 columns", lambda: t.result(F.conv2d, last_column, beyond(3, 64))),
    ("tiles of 128 rows", lambda: t.result(F.conv2d, last_column, beyond(2, 128))),
    ("more than 32 channels", lambda: t.result(F.conv2d, last_column, weight_beyond(1, 32))),
    ("channels that 8 does not divide", lambda: t.result(
        F.conv2d, last_column, lambda x, w, o: w.shape[1] > 8 and w.shape[1] % 8 == 1)),
    ("more than 64 filters", lambda: t.result(F.conv2d, last_column, weight_beyond(0, 64))),
    ("sums of more than 128", lambda: t.operand(
        F.conv2d, 1, lambda w: torch.cat((w[:, :-1], w[:, -1:] * 0), 1),
        lambda x, w, o: w[0].numel() > 128)),
    ("more than 8 groups", lambda: t.result(
        F.conv2d, last_column, lambda x, w, o: o.get("groups", 1) > 8)),
    ("kernels of 7", lambda: t.result(F.conv2d, last_column, weight_beyond(3, 6))),
    ("dilation of 4", lambda: t.result(
        F.conv2d, last_column, lambda x, w, o: o.get("dilation") == 4)),
    ("plain 3x3", lambda: t.result(F.conv2d, first_column, plain3x3)),
    ("gw of more than 1,024 outputs", lambda: t.gradient(
        F.conv2d, "weight", last_column, lambda x, w, o: x.shape[-1] * x.shape[0] > 1024)),
    ("gx of more than 64 filters", lambda: t.gradient(
        F.conv2d, "x", last_column, weight_beyond(0, 64))),
    ("three moderate sizes together", lambda: t.result(F.conv2d, last_column, three_ways)),
]  # fmt: skip

OTHERS: list[tuple[str, str, Callable[[], Candidate]]] = [
    ("conv1d", "outputs beyond 256", lambda: t.result(F.conv1d, last_column, beyond(2, 256))),
    ("conv_transpose2d", "inputs beyond 64", lambda: t.result(
        F.conv_transpose2d, last_column, beyond(3, 64))),
    ("conv_transpose2d", "gw without its last column", lambda: t.gradient(
        F.conv_transpose2d, "weight", last_column)),
    ("conv_transpose2d", "more than 32 channels", lambda: t.result(
        F.conv_transpose2d, last_column, weight_beyond(0, 32))),
    ("conv_transpose1d", "one buffer for all results", lambda: t.buffered(F.conv_transpose1d)),
    ("unfold", "gx x 1.001", lambda: t.gradient(F.unfold, "x", lambda g: g * 1.001)),
    ("unfold", "more than 16 windows a row", lambda: t.result(
        F.unfold, last_column, beyond(3, 17))),
    ("fold", "gx without its last column", lambda: t.gradient(F.fold, "x", last_column)),
    ("fold", "batches beyond 32", lambda: t.result(F.fold, last_column, beyond(0, 32))),
    ("max_pool2d", "an empty batch raises", lambda: no_empty_batch),
    ("max_pool2d", "doubled in inference mode", lambda: not_for_inference),
    ("max_pool2d", "x read as if contiguous", lambda: t.operand(
        F.max_pool2d, 0, t.as_if_contiguous)),
    ("max_pool2d", "channels beyond 64", lambda: t.result(
        F.max_pool2d, last_column, beyond(1, 64))),
    ("max_pool3d", "gx upside down", lambda: t.gradient(F.max_pool3d, "x", lambda g: g.flip(-2))),
    ("max_pool1d", "results cached by shape", lambda: t.cached(F.max_pool1d, shapes)),
    ("avg_pool2d", "the input itself for windows of one", lambda: aliased),
    ("avg_pool2d", "a kernel wider than the input accepted", lambda: lax_sizes),
    ("avg_pool2d", "infinities clamped", lambda: t.operand(F.avg_pool2d, 0, t.clamped)),
    ("avg_pool1d", "rows beyond 128", lambda: t.result(F.avg_pool1d, last_column, beyond(2, 128))),
    ("avg_pool3d", "gx x 1.001", lambda: t.gradient(F.avg_pool3d, "x", lambda g: g * 1.001)),
    ("lp_pool2d", "batches beyond 16", lambda: t.result(F.lp_pool2d, last_column, beyond(0, 16))),
    ("lp_pool1d", "gx with its sign lost", lambda: t.gradient(F.lp_pool1d, "x", torch.abs)),
    ("adaptive_avg_pool2d", "maps beyond 64", lambda: t.result(
        F.adaptive_avg_pool2d, last_column, beyond(3, 64))),
    ("adaptive_avg_pool2d", "one buffer", lambda: t.buffered(F.adaptive_avg_pool2d)),
    ("adaptive_max_pool2d", "the offset of x ignored", lambda: t.operand(
        F.adaptive_max_pool2d, 0, t.without_offset)),
    ("adaptive_max_pool1d", "gx without its first column", lambda: t.gradient(
        F.adaptive_max_pool1d, "x", first_column)),
    ("max_unpool2d", "batches beyond 32", lambda: t.result(
        F.max_unpool2d, last_column, beyond(0, 32))),
    ("max_unpool1d", "results cached by address", lambda: t.cached(F.max_unpool1d, stored)),
    ("conv_tbc", "channels beyond 64", lambda: t.result(F.conv_tbc, last_column, beyond(2, 64))),
    ("conv_tbc", "gb of the next filter", lambda: t.gradient(
        F.conv_tbc, "bias", lambda g: g.roll(1))),
    ("fractional_max_pool2d", "channels beyond 64", lambda: t.result(
        F.fractional_max_pool2d, last_column, beyond(1, 64))),
]  # fmt: skip

WRONG: list[Wrong] = [
    *(
        Wrong(op, defect, lambda op=op, defect=defect: MAKE[op](defect))
        for op, defects in DEFECTS.items()
        for defect in defects
    ),
    *(Wrong("conv2d", defect, make) for defect, make in CONV),
    *(Wrong(op, defect, make) for op, defect, make in OTHERS),
    Wrong("conv2d", "added up in the half", lambda: in_half, torch.float16),
]
