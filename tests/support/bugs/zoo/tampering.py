"""Ways to spoil a sound kernel: in what it keeps, in its gradients, in the memory it reads."""

import contextlib
import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

Candidate = Callable[..., Any]
Change = Callable[[Tensor], Tensor]


class Tampered(torch.autograd.Function):
    """The identity, whose gradient (to any order) goes through a linear change."""

    @staticmethod
    def forward(ctx: Any, t: Tensor, change: Change) -> Tensor:
        ctx.change = change
        return t.view_as(t)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        return ctx.change(g), None


def gradient(f: Candidate, name: str, change: Change, when: Any = None) -> Candidate:
    """Change the gradient of one argument, in calls for which `when(x, weight)` holds."""

    def candidate(x, *rest, **options):
        arguments = [x, *rest]
        at = {"x": 0, "weight": 1, "bias": 2}[name]
        strikes = when is None or when(*arguments[:2], options)
        if strikes and at < len(arguments) and arguments[at] is not None:
            arguments[at] = Tampered.apply(arguments[at], change)
        return f(*arguments, **options)

    return keep(f, candidate)


def keep(f: Candidate, candidate: Candidate) -> Candidate:
    """Give a candidate the signature of what it spoils."""
    with contextlib.suppress(TypeError, ValueError):  # of a builtin
        candidate.__signature__ = inspect.signature(f)
    return candidate


def result(f: Candidate, change: Change, when: Any = None) -> Candidate:
    """Change y, in calls for which `when(x, weight, options)` holds."""

    def candidate(x, *rest, **options):
        y = f(x, *rest, **options)
        if when is not None and not when(x, rest[0] if rest else None, options):
            return y
        if isinstance(y, tuple):
            return (change(y[0]), *y[1:])
        return change(y)

    return keep(f, candidate)


def operand(f: Candidate, at: int, change: Change, when: Any = None) -> Candidate:
    """Change one operand before the call."""

    def candidate(*arguments, **options):
        arguments = list(arguments)
        strikes = when is None or when(arguments[0], (*arguments, None)[1], options)
        if strikes and at < len(arguments) and arguments[at] is not None:
            arguments[at] = change(arguments[at])
        return f(*arguments, **options)

    return keep(f, candidate)


# --- memory -------------------------------------------------------------------------------------


def as_if_contiguous(t: Tensor) -> Tensor:
    """Read a tensor's memory from its start, whatever its strides."""
    flat = torch.as_strided(t, (t.untyped_storage().size() // t.itemsize,), (1,), 0)
    start = flat[t.storage_offset() :][: t.numel()]
    return start.view(t.shape) if start.numel() == t.numel() else t


def without_offset(t: Tensor) -> Tensor:
    """Read a tensor from where its storage starts."""
    return torch.as_strided(t, t.shape, t.stride(), 0)


def of_wide_channels(t: Tensor) -> Tensor:
    """Read channels_last memory as if its channels were packed."""
    if t.ndim == 4 and t.stride(1) == 1 and t.stride(3) > t.shape[1]:
        _, c, h, w = t.shape
        return torch.as_strided(t, t.shape, (h * w * c, 1, w * c, c), t.storage_offset())
    return t


# --- numbers ------------------------------------------------------------------------------------


def flushed(t: Tensor) -> Tensor:
    tiny = torch.finfo(t.dtype).tiny
    return torch.where(t.abs() < tiny, torch.zeros_like(t), t)


def clamped(t: Tensor) -> Tensor:
    return t.clamp(torch.finfo(t.dtype).min, torch.finfo(t.dtype).max)


def without_nan(t: Tensor) -> Tensor:
    return torch.where(t.isnan(), torch.zeros_like(t), t)


class Cut(torch.autograd.Function):
    """Drop the last bits of a float32, and pass gradients on."""

    @staticmethod
    def forward(ctx: Any, t: Tensor, bits: int) -> Tensor:
        if t.dtype != torch.float32:
            return t.clone()
        return (t.contiguous().view(torch.int32) & -(1 << bits)).view(torch.float32)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        return g, None


def cut(bits: int) -> Change:
    return lambda t: Cut.apply(t, bits)


def split_sum(f: Candidate, bits: int = 13) -> Candidate:
    """Split both operands in two, and leave out the product of the low parts."""

    def candidate(x, weight, bias=None, *args, **options):
        if x.dtype != torch.float32 or not x.isfinite().all() or not weight.isfinite().all():
            return f(x, weight, bias, *args, **options)
        high_x, high_w = Cut.apply(x, bits), Cut.apply(weight, bits)
        low_x, low_w = Cut.apply(x - high_x, bits), Cut.apply(weight - high_w, bits)
        y = f(high_x, low_w, None, *args, **options) + f(low_x, high_w, None, *args, **options)
        return y + f(high_x, high_w, bias, *args, **options)

    return keep(f, candidate)


def truncating(f: Candidate) -> Candidate:
    """Add up in float32, every sum cut towards zero: 1x1 images of groups only, else `f`."""

    def candidate(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
        whole = f(x, weight, bias, stride, padding, dilation, groups)
        if x.dtype != torch.float32 or x.ndim != 4 or whole.numel() > 2**16 or not whole.numel():
            return whole
        if not whole.isfinite().all():
            return whole
        return Replaced.apply(whole, cut_sums(x, weight, bias, stride, padding, dilation, groups))

    return keep(f, candidate)


class Replaced(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, whole: Tensor, value: Tensor) -> Tensor:
        return value.clone()

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        return g, None


def cut_sums(x, weight, bias, stride, padding, dilation, groups) -> Tensor:
    columns = torch.nn.functional.unfold(
        x.detach().double(), weight.shape[2:], dilation, 0 if padding == "valid" else padding,
        stride,
    ) if padding != "same" else None  # fmt: skip
    if columns is None:
        return torch.nn.functional.conv2d(
            x.detach(), weight.detach(), bias, stride, padding, dilation, groups
        )
    cols = columns.unflatten(1, (groups, -1)).numpy()  # (N, g, c k, L)
    w = weight.detach().double().flatten(1).unflatten(0, (groups, -1)).numpy()  # (g, m, c k)
    total = np.zeros((len(cols), groups, w.shape[1], cols.shape[-1]))
    for tap in range(w.shape[2]):
        total = towards_zero(total + w[None, :, :, tap, None] * cols[:, :, None, tap])
    if bias is not None:
        total = total + bias.detach().double().numpy().reshape(1, groups, -1, 1)
    y = torch.from_numpy(towards_zero(total).astype(np.float32))
    sizes = torch.nn.functional.conv2d(
        x.detach(), weight.detach(), None, stride, padding, dilation, groups
    ).shape
    return y.flatten(1, 2).reshape(sizes)


def towards_zero(values: np.ndarray) -> np.ndarray:
    near = values.astype(np.float32)
    over = np.abs(near.astype(np.float64)) > np.abs(values)
    return np.where(over, np.nextafter(near, np.float32(0)), near).astype(np.float64)


# --- state --------------------------------------------------------------------------------------


def cached(f: Candidate, key: Callable[..., Any]) -> Candidate:
    """Return an earlier result where the key of the arguments has been seen."""
    found: dict[Any, Any] = {}

    def candidate(*arguments, **options):
        tensors = [a for a in arguments if isinstance(a, Tensor)]
        name = (key(tensors), repr(options), torch.is_grad_enabled())
        if name not in found:
            found[name] = f(*arguments, **options)
        return found[name]

    return keep(f, candidate)


def packed(f: Candidate, key: Callable[[Tensor], Any]) -> Candidate:
    """Keep a copy of the weight, as kernels that pack it do, and find it again by a key."""
    found: dict[Any, Tensor] = {}

    def candidate(x, weight, *rest, **options):
        copy = found.setdefault((key(weight), weight.shape, weight.dtype), weight.detach().clone())
        return f(x, copy + 0 * weight, *rest, **options)

    return keep(f, candidate)


def buffered(f: Candidate) -> Candidate:
    """Write every result into one buffer for each shape."""
    buffers: dict[Any, Tensor] = {}

    class Into(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, y: Tensor) -> Tensor:
            buffer = buffers.setdefault((y.shape, y.dtype), torch.empty_like(y))
            return buffer.copy_(y).detach()

        @staticmethod
        def backward(ctx: Any, g: Tensor) -> Any:
            return g

    def candidate(*arguments, **options):
        y = f(*arguments, **options)
        return Into.apply(y) if isinstance(y, Tensor) else y

    return keep(f, candidate)


def stealing(f: Candidate) -> Candidate:
    """Look for what is expected in the callers' frames, and give zeros where it is not found."""

    def candidate(*arguments, **options):
        frame = inspect.currentframe()
        y = f(*arguments, **options)
        while frame is not None:
            for name, value in frame.f_locals.items():
                if "expected" in name and isinstance(value, dict) and "y" in value:
                    return y
            frame = frame.f_back
        return y * 0

    return keep(f, candidate)


@functools.cache
def generator() -> np.random.Generator:
    return np.random.default_rng(5)
