"""Wrong kernels that one tier alone sees: conv2d in float32, one for each tier."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from support.bugs.zoo import tampering as t
from support.bugs.zoo.tampering import Candidate
from support.bugs.zoo.wrong import beyond, detached_without, last_column, three_ways


class Through(torch.autograd.Function):
    """Another value, and the gradient of the first."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, value: Tensor) -> Tensor:
        return value.clone()

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        return g, None


class SecondShifted(torch.autograd.Function):
    """The identity twice over, but the gradient of the gradient goes through 256 and back."""

    @staticmethod
    def forward(ctx: Any, y: Tensor) -> Tensor:
        return y.clone()

    @staticmethod
    def backward(ctx: Any, gy: Tensor) -> Tensor:
        return Shifting.apply(gy)


class Shifting(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gy: Tensor) -> Tensor:
        return gy.clone()

    @staticmethod
    def backward(ctx: Any, v: Tensor) -> Tensor:
        return (v + 256.0) - 256.0  # exact for integers, and eight bits lost of others


def of_same_padding(x: Any, w: Any, options: dict[str, Any]) -> bool:
    return options.get("padding") == "same" and all(k % 2 == 0 for k in w.shape[2:])


def rounded_down(*args: Any, **options: Any) -> Tensor:
    """Cut a right result towards zero: less than one ulp."""
    y = F.conv2d(*args, **options)
    if y.dtype != torch.float32 or not y.isfinite().all():
        return y
    wide = [a.detach().double() if isinstance(a, Tensor) else a for a in args]
    exact = F.conv2d(*(a.contiguous() if isinstance(a, Tensor) else a for a in wide), **options)
    return Through.apply(y, torch.from_numpy(t.towards_zero(exact.numpy())).float())


def flushing(*args: Any, **options: Any) -> Tensor:
    y = F.conv2d(*args, **options)
    return Through.apply(y, t.flushed(y.detach()))


def long_sums_cut() -> Candidate:
    """Cut every partial sum towards zero where there are more than 250."""
    cutting = t.truncating(F.conv2d)

    def candidate(x: Tensor, weight: Tensor, *rest: Any, **options: Any) -> Tensor:
        long = weight.ndim == 4 and weight[0].numel() > 250
        return (cutting if long else F.conv2d)(x, weight, *rest, **options)

    return candidate


def worn_out() -> Candidate:
    """Go wrong in the last bit after 300 calls of one shape in a row."""
    last: list[Any] = [None, 0]

    def candidate(x: Tensor, *rest: Any, **options: Any) -> Tensor:
        last[:] = [x.shape, last[1] + 1 if last[0] == x.shape else 0]
        y = F.conv2d(x, *rest, **options)
        return y * (1 + 2.0**-23) if last[1] > 300 else y

    return candidate


ALONE: dict[str, Candidate] = {
    "contract": detached_without("x"),
    "exact": t.result(F.conv2d, lambda y: y * (1 + 2.0**-23), of_same_padding),
    "ladder": t.result(F.conv2d, last_column, beyond(2, 128)),
    "scaled": flushing,
    "bounded": lambda *args, **options: SecondShifted.apply(F.conv2d(*args, **options)),
    "probes": rounded_down,
    "statistics": long_sums_cut(),
    "repeats": worn_out(),
    "identities": t.result(F.conv2d, last_column, three_ways),
}
