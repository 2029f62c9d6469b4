"""A fractional max pooling: its sizes, and the random numbers that place its windows."""

import math
from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np

from refconv.geometry.adaptive_pooling import Maps, maps_and_winners
from refconv.geometry.arguments import (
    NUMBERS,
    ORDERED,
    Array,
    Ints,
    array,
    batched,
    flag,
    integers,
    library,
    per_axis,
    spatial_axes,
)
from refconv.geometry.messages import shown
from refconv.geometry.sizes import Shape

Ratios = float | Sequence[float]

LARGEST_SAMPLE = 1000  # far beyond the usual 0 to 1, and still a place on the axis


def fractional(
    x_shape: Sequence[int],
    kernel_size: Ints,
    output_size: Ints | None,
    output_ratio: Ratios | None,
    x_name: str = "x",
    channels: int = 0,
) -> tuple[Maps, Shape]:
    """Return a checked pooling, and its kernel.

    The rank is len(kernel_size); one integer means (N, C, *i), unless x has three axes.
    """
    shape = integers(x_name, x_shape)
    rank = spatial_axes("kernel_size", kernel_size, shape, x_name)
    k = per_axis("kernel_size", kernel_size, rank, 1)
    x, unbatched = batched(shape, rank, x_name, "a fractional pooling")
    if output_size is not None:
        o = per_axis("output_size", output_size, rank, 0)
    elif output_ratio is not None:
        o = scaled(x[2:], output_ratio)
    else:
        raise ValueError("one of output_size and output_ratio must be given, got None for both")
    if min(x[2:]) < 1 or (x[1] < channels and not unbatched):
        raise RuntimeError(
            f"{x_name} has shape {shown(x[unbatched:])}: only the batch axis may be empty"
        )
    if any(o_ + k_ - 1 > i for i, o_, k_ in zip(x[2:], o, k, strict=True)):
        raise RuntimeError(
            f"kernel_size={shown(kernel_size)} is too large for {shown(o)} windows in {x_name} "
            f"{shown(x[unbatched:])}: o + k - 1 must be at most i in every axis"
        )
    return Maps(x[0], x[1], x[2:], o, unbatched), k


def scaled(i: Shape, output_ratio: Ratios) -> Shape:
    """Return the output size for a ratio, or one per axis: rounded down."""
    if isinstance(output_ratio, Real):
        ratios: list[Any] = [output_ratio] * len(i)
    elif isinstance(output_ratio, Sequence):
        ratios = list(output_ratio)
    else:
        raise TypeError(f"output_ratio must be a number or numbers, got {shown(output_ratio)}")
    if len(ratios) != len(i):
        raise ValueError(
            f"output_ratio must be a number or one per spatial axis ({len(i)}), "
            f"got {shown(output_ratio)}"
        )
    if not all(isinstance(ratio, Real) for ratio in ratios):
        raise TypeError(f"output_ratio must be numbers, got {shown(output_ratio)}")
    if not all(0 <= ratio < math.inf for ratio in ratios):
        raise RuntimeError(f"output_ratio must be at least 0 and finite, got {shown(output_ratio)}")
    return tuple(int(size * ratio) for size, ratio in zip(i, ratios, strict=True))


def samples(value: Array | None, geo: Maps, k: Shape, dtype: np.dtype[Any], xp: Any = np) -> Array:
    """Return one number for every image, channel and axis, (N, C, rank); as a rule from 0 to 1.

    They have the dtype of x, or float64 if that is not a floating-point one. None draws them.
    """
    rank, kind = len(geo.i), dtype if dtype.kind == "f" else np.dtype(np.float64)
    if value is None:
        drawn = xp.random.default_rng().random((geo.n, geo.c, rank))
        return countable(drawn.astype(kind), geo, k)
    found = array("random_samples", value, "f", xp)
    if found.dtype != kind:
        raise RuntimeError(
            f"random_samples has dtype {found.dtype}, expected {kind} for x of dtype {dtype}"
        )
    if found.ndim != 3 or found.shape[0] < geo.n or found.shape[1:] != (geo.c, rank):
        raise RuntimeError(
            f"random_samples has shape {shown(found.shape)}, expected (N, C, rank) = "
            f"{shown((geo.n, geo.c, rank))}"
        )
    if found.size and not abs(found).max() <= LARGEST_SAMPLE:
        raise RuntimeError(
            f"random_samples holds {found.min()} to {found.max()}, "
            f"expected numbers of at most {LARGEST_SAMPLE} in size"
        )
    return countable(found[: geo.n], geo, k)


def countable(u: Array, geo: Maps, k: Shape) -> Array:
    """Return the samples u, or raise if positions computed from them overflow their dtype."""
    largest = float(abs(u).max()) if u.size else 0.0
    for i, o, k_ in zip(geo.i, geo.o, k, strict=True):
        room = i - k_ if o > 1 else 0
        if max(room, (largest + o) * room / max(1, o - 1)) > float(np.finfo(u.dtype).max):
            raise RuntimeError(
                f"x of {shown(geo.i)} is too large for random_samples of dtype {u.dtype}, of at "
                f"most {largest} in size: positions computed from them overflow"
            )
    return u


# --------------------------------------------------------------------------- calls


def fractional_max_pool_call(
    x: Array,
    kernel_size: Ints,
    output_size: Ints | None,
    output_ratio: Ratios | None,
    return_indices: bool,
    random_samples: Array | None,
    kinds: str = ORDERED,
) -> tuple[Maps, Shape, Array, Array]:
    """Return what `fractional_max_pool` computes with: the geometry, k, x (N, C, *i) and u."""
    xp = library(kinds, x=x, random_samples=random_samples)
    x = array("x", x, kinds, xp)
    flag("return_indices", return_indices)
    geo, k = fractional(x.shape, kernel_size, output_size, output_ratio)
    u = samples(random_samples, geo, k, x.dtype, xp)
    return geo._replace(dtype=x.dtype), k, x.reshape(geo.x_shape), u


def fractional_max_pool_grad_call(
    input_shape: Sequence[int],
    at: Array,
    grad_output: Array,
    kernel_size: Ints,
    output_size: Ints | None,
    output_ratio: Ratios | None,
    kinds: str = NUMBERS,
) -> tuple[Maps, Array, Array]:
    """Return what `fractional_max_pool_grad` computes with: the geometry, indices and gy."""
    xp = library(kinds, indices=at, grad_output=grad_output)
    gy = array("grad_output", grad_output, kinds, xp)
    geo, _ = fractional(input_shape, kernel_size, output_size, output_ratio, "input_shape")
    return maps_and_winners(geo, at, gy, xp)
