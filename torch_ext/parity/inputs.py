"""The numbers of a case: drawn for a dtype and a tier, laid out in memory.

Exact tier: integers times a power of two, so small that no partial sum of any quantity can round.
Products x w, gy w, gy x, ... all keep their scales apart by powers of two, except where second
gradients add them up. Bounded tier: normal numbers.
"""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from refconv import exact
from refconv.exact import Exact, Format
from torch_ext.parity.cases import Case

FORMATS: dict[torch.dtype, Format] = {
    torch.float32: exact.FLOAT32,
    torch.float64: exact.FLOAT64,
    torch.float16: exact.FLOAT16,
    torch.bfloat16: exact.BFLOAT16,
}
DTYPES = tuple(FORMATS)
LARGEST = {torch.float32: 2**8, torch.float64: 2**20, torch.float16: 2**8, torch.bfloat16: 2**7}
"""The largest integer drawn: exact in bfloat16, thus in TF32; in float64, not in a float32 sum."""

Values = dict[str, Tensor]


def draw(case: Case, dtype: torch.dtype, tier: str, seed: int) -> Values:
    """Return contiguous CPU tensors: x, gy and vx; for a convolution weight, bias, vw and vb too.

    vx, vw and vb are the cotangents of gx, gw and gb in the second gradients.
    """
    stream = [seed, case.identity, list(FORMATS).index(dtype), tier == "exact"]
    rng = np.random.default_rng(stream)
    if case.family == "conv":
        return _convolution(case, dtype, tier, rng)
    return _pooling(case, dtype, tier, rng)


def _convolution(case: Case, dtype: torch.dtype, tier: str, rng: np.random.Generator) -> Values:
    assert case.weight is not None
    zeros = np.zeros(case.shape), np.zeros(case.weight)
    y = exact.conv(*zeros, **case.options)
    m, k = case.weight[0] // case.options.get("groups", 1), math.prod(case.weight[2:])
    shapes = {"x": case.shape, "weight": case.weight, "gy": y.shape}
    shapes |= {"vx": case.shape, "vw": case.weight}
    if case.bias:
        shapes |= {"bias": case.weight[:1], "vb": case.weight[:1]}
    if tier == "bounded":
        return {name: normal(shape, dtype, rng) for name, shape in shapes.items()}
    terms = max(2 * case.weight[1] * k + 1, m * k, math.prod(y.shape) // case.weight[0])
    largest = min(LARGEST[dtype], max(1, math.isqrt(2 ** FORMATS[dtype].precision // terms)))
    a, b, c = (int(v) for v in rng.integers(-2, 3, 3))
    scale = {"x": a, "vx": a, "weight": b, "vw": b, "bias": a + b, "vb": a + b, "gy": c}
    return {
        name: integers(shape, dtype, rng, largest, 2.0 ** scale[name])
        for name, shape in shapes.items()
    }


def _pooling(case: Case, dtype: torch.dtype, tier: str, rng: np.random.Generator) -> Values:
    pool = exact.avg_pool if case.family == "avg_pool" else exact.max_pool
    y: Exact = pool(np.zeros(case.shape), **per_axis(case))  # a maximum has denominators of 1
    if tier == "bounded":
        values = {name: normal(case.shape, dtype, rng) for name in ("x", "vx")}
        return values | {"gy": normal(y.shape, dtype, rng)}
    terms = math.prod(per_axis(case)["kernel_size"])
    most = 2 ** FORMATS[dtype].precision
    largest = min(LARGEST[dtype], max(1, most // terms))
    a, b = (int(v) for v in rng.integers(-2, 3, 2))
    values = {name: integers(case.shape, dtype, rng, largest, 2.0**a) for name in ("x", "vx")}
    if case.values != "plain":
        values["x"] = special(case, dtype, rng)
    # every share gy / divisor is an integer: then the gradient of an average does not round either
    divisor = math.lcm(*y.denominators.ravel())
    widest = divisor // int(min(y.denominators.ravel()))
    largest = min(LARGEST[dtype], max(1, most // max(widest * terms, divisor)))
    values["gy"] = integers(y.shape, dtype, rng, largest, divisor * 2.0**b)
    return values


def per_axis(case: Case) -> dict[str, Any]:
    """Return the options with a kernel size for every axis, from which refconv takes the rank."""
    k = case.options["kernel_size"]
    return case.options | {"kernel_size": (k,) * case.rank if isinstance(k, int) else k}


def normal(shape: tuple[int, ...], dtype: torch.dtype, rng: np.random.Generator) -> Tensor:
    """Return standard normal numbers, rounded to the dtype."""
    return torch.from_numpy(np.asarray(rng.standard_normal(shape))).to(dtype)


def integers(
    shape: tuple[int, ...], dtype: torch.dtype, rng: np.random.Generator, largest: int, scale: float
) -> Tensor:
    """Return scale times integers from -largest to largest."""
    return torch.from_numpy(rng.integers(-largest, largest + 1, shape) * scale).to(dtype)


def special(case: Case, dtype: torch.dtype, rng: np.random.Generator) -> Tensor:
    """Return an input of the kind `case.values`, for a maximum to choose from."""
    inf, nan = math.inf, math.nan
    choices: dict[str, list[float]] = {
        "ties": [0, 1],
        "zeros of both signs": [-0.0, 0.0],
        "one NaN": [-2, -1, 0, 1, 2, 3],
        "several NaN": [-1, 0, 1, nan],
        "all NaN": [nan],
        "windows of -inf": [-inf] * 9 + [0],
        "all -inf": [-inf],
        "infinities and NaN": [-inf, inf, nan, 0, 1],
    }
    x = rng.choice(np.array(choices[case.values], np.float64), case.shape)
    if case.values == "one NaN":
        x.reshape(-1)[x.size // 2] = nan
    return torch.from_numpy(x).to(dtype)


# --------------------------------------------------------------------------- memory


def laid_out(case: Case, values: Values, device: str | torch.device) -> Values:
    """Return the tensors on the device, in the case's memory layouts, as leaves for autograd."""
    layouts = {"x": case.memory, "gy": case.grad_memory}
    if case.memory == "channels_last":
        layouts["weight"] = "channels_last"
    leaves = {}
    for name, value in values.items():
        channels = 1 if name == "weight" or not case.unbatched else 0
        leaf = lay_out(value.to(device), layouts.get(name, "contiguous"), channels)
        leaves[name] = leaf.requires_grad_(name in ("x", "weight", "bias", "gy"))
    return leaves


def lay_out(value: Tensor, memory: str, channels: int) -> Tensor:
    """Return the tensor in another memory layout; `channels` is the axis of the channels.

    "expanded" repeats the first part along the first axis without copying it, "constant" one number
    along all axes, as in the gradient of a sum; "gaps" are filled with NaN, which nobody should
    read.
    """
    if memory == "channels_last":
        last = value.movedim(channels, -1)
        return last.clone(memory_format=torch.contiguous_format).movedim(-1, channels)
    if memory == "transposed":
        back = tuple(reversed(range(value.ndim)))
        return value.permute(back).contiguous().permute(back)
    if memory == "gaps":
        wide = value.new_full((*value.shape, 2), math.nan)
        wide[..., 0] = value
        return wide[..., 0]
    if memory == "expanded":
        return value[:1].clone().expand(value.shape)
    if memory == "constant":
        return value.abs().max().expand(value.shape)
    return value.clone()
