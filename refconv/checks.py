"""Argument normalisation and errors: every operator, direct or fast, enters through here.

Errors are of the type torch raises for the same mistake (TypeError for a wrong Python type,
NotImplementedError for a dtype without the operator, RuntimeError for everything else) and name the
argument, what it was and what was expected.
"""

import math
import operator
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from refconv import shapes
from refconv.shapes import Pads, Shape

Array = NDArray[Any]
Ints = int | Sequence[int]

NUMBERS = "iufc"  # dtype kinds an average or a sum of products has a meaning for
ORDERED = "iuf"  # ... and the ones a maximum has


class Conv(NamedTuple):
    """A checked convolution: everything but the data.

    n images, g groups, m filters and c channels of each group; i, k, o are the spatial shapes.
    """

    n: int
    g: int
    m: int
    c: int
    i: Shape
    k: Shape
    o: Shape
    s: Shape
    p: Pads
    d: Shape

    @property
    def x_shape(self) -> Shape:
        """(N, C, *i)."""
        return (self.n, self.g * self.c, *self.i)

    @property
    def w_shape(self) -> Shape:
        """(M, C / groups, *k)."""
        return (self.g * self.m, self.c, *self.k)

    @property
    def y_shape(self) -> Shape:
        """(N, M, *o)."""
        return (self.n, self.g * self.m, *self.o)


class Pool(NamedTuple):
    """A checked pooling: everything but the data."""

    n: int
    c: int
    i: Shape
    k: Shape
    o: Shape
    s: Shape
    p: Shape
    d: Shape

    @property
    def x_shape(self) -> Shape:
        """(N, C, *i)."""
        return (self.n, self.c, *self.i)

    @property
    def y_shape(self) -> Shape:
        """(N, C, *o)."""
        return (self.n, self.c, *self.o)


# --------------------------------------------------------------------------- arrays


def array(name: str, value: Any, kinds: str) -> Array:
    """Return `value` in native byte order, or raise if it is no array of one of the dtype kinds."""
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{name} must be a numpy.ndarray, got {type(value).__name__}")
    if value.dtype.kind not in kinds:
        raise NotImplementedError(f"{name} has dtype {value.dtype}, for which this is not defined")
    return value.astype(value.dtype.newbyteorder("="), copy=False)


def same_dtype(first: tuple[str, Array], *others: tuple[str, Array | None]) -> None:
    """Raise unless all arrays have one dtype: nothing is promoted, as in torch."""
    name, a = first
    for other, b in others:
        if b is not None and b.dtype != a.dtype:
            raise RuntimeError(
                f"{other} has dtype {b.dtype} and {name} has dtype {a.dtype}: they must be the same"
            )


def accumulator(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype sums of products are kept in: float32 for float16, else the dtype itself."""
    return np.dtype(np.float32) if dtype == np.float16 else dtype


def matches(name: str, a: Array, shape: Shape) -> None:
    """Raise unless `a` has this shape."""
    if a.shape != shape:
        raise RuntimeError(f"{name} has shape {a.shape}, expected {shape}")


def batched(shape: Sequence[int], rank: int, name: str, what: str) -> tuple[Shape, bool]:
    """Return the shape with its batch axis, and whether that axis had to be added."""
    full = integers(name, shape)
    if len(full) == rank + 2:
        return full, False
    if len(full) == rank + 1:
        return (1, *full), True
    raise RuntimeError(
        f"{name} has {len(full)} dimensions, shape {full}: "
        f"{what} with {rank} spatial axes expects {rank + 1} (unbatched) or {rank + 2} (batched)"
    )


# --------------------------------------------------------------------------- integers


def integers(name: str, value: Any) -> Shape:
    """Return a sequence of integers as a tuple."""
    try:
        if isinstance(value, str):
            raise TypeError
        return tuple(integer(name, v) for v in value)
    except TypeError:
        raise TypeError(f"{name} must be integers, got {value!r}") from None


def integer(name: str, value: Any) -> int:
    """Return an integer; a bool or a float is refused."""
    if isinstance(value, bool | np.bool_) or not hasattr(value, "__index__"):
        raise TypeError(f"{name} must be an integer, got {value!r} ({type(value).__name__})")
    return operator.index(value)


def per_axis(name: str, value: Any, rank: int, minimum: int) -> Shape:
    """Return one integer for every spatial axis; an int, or a sequence of one, stands for all."""
    if hasattr(value, "__index__") or isinstance(value, bool):
        sizes = (integer(name, value),) * rank
    else:
        sizes = integers(name, value)
        sizes = sizes * rank if len(sizes) == 1 else sizes
    if len(sizes) != rank:
        raise RuntimeError(
            f"{name} must be an integer or one per spatial axis ({rank}), got {value!r}"
        )
    if any(v < minimum for v in sizes):
        raise RuntimeError(f"{name} must be at least {minimum} in every axis, got {value!r}")
    return sizes


# --------------------------------------------------------------------------- convolution


def conv(
    x_shape: Sequence[int],
    weight_shape: Sequence[int],
    stride: Ints,
    padding: Ints | str,
    dilation: Ints,
    groups: int,
    x_name: str = "x",
    weight_name: str = "weight",
) -> tuple[Conv, bool]:
    """Return a checked convolution, and whether the input came without a batch axis."""
    w = integers(weight_name, weight_shape)
    rank = len(w) - 2
    if rank < 1:
        raise RuntimeError(f"{weight_name} has shape {w}, expected (M, C / groups, *kernel_size)")
    x, unbatched = batched(x_shape, rank, x_name, "a convolution")
    s = per_axis("stride", stride, rank, 1)
    d = per_axis("dilation", dilation, rank, 1)
    g = integer("groups", groups)
    if g < 1:
        raise RuntimeError(f"groups must be at least 1, got {g}")
    if w[0] < 1 or w[0] % g:
        raise RuntimeError(
            f"{weight_name} has shape {w}: its first dimension, {w[0]}, "
            f"must be a positive multiple of groups={g}"
        )
    if x[1] != w[1] * g:
        raise RuntimeError(
            f"{x_name} has {x[1]} channels, shape {x}: {weight_name} of shape {w} with groups={g} "
            f"expects {w[1] * g}"
        )
    if min(w[2:]) < 1:
        raise RuntimeError(f"{weight_name} has shape {w}: an empty kernel")
    if min(x[2:]) < 1:
        raise RuntimeError(f"{x_name} has shape {x}: a spatial axis is empty")
    p = conv_padding(padding, w[2:], s, d)
    o = tuple(map(shapes.conv_output_size, x[2:], w[2:], s, p, d))
    if min(o) < 1:
        padded = tuple(i + sum(pads) for i, pads in zip(x[2:], p, strict=True))
        extent = tuple(map(shapes.window_extent, w[2:], d))
        raise RuntimeError(
            f"{weight_name} has shape {w}: its kernel spans {extent}, "
            f"more than the padded input {padded}"
        )
    return Conv(x[0], g, w[0] // g, w[1], x[2:], w[2:], o, s, p, d), unbatched


def conv_padding(padding: Ints | str, k: Shape, s: Shape, d: Shape) -> Pads:
    """Return (before, after) for every axis, from integers, 'same' or 'valid'."""
    if not isinstance(padding, str):
        return tuple((p, p) for p in per_axis("padding", padding, len(k), 0))
    if padding == "valid":
        return ((0, 0),) * len(k)
    if padding != "same":
        raise RuntimeError(f"padding must be integers, 'same' or 'valid', got {padding!r}")
    if any(v != 1 for v in s):
        raise RuntimeError(f"padding='same' needs stride 1, got stride={s}")
    return tuple(map(shapes.same_padding, k, d))


def conv_bias(bias: Array | None, filters: int) -> None:
    """Raise unless there is no bias or one value for each filter."""
    if bias is not None and bias.shape != (filters,):
        raise RuntimeError(f"bias has shape {bias.shape}, expected ({filters},), one per filter")


def grad_bias(grad_output_shape: Shape) -> None:
    """Raise unless the gradient is batched: without the batch axis its rank would be a guess."""
    if len(grad_output_shape) < 3:
        raise RuntimeError(
            f"grad_output has shape {grad_output_shape}, expected (N, M, *output_size), batched"
        )


# --------------------------------------------------------------------------- pooling


def pool(
    x_shape: Sequence[int],
    kernel_size: Ints,
    stride: Ints | None,
    padding: Ints,
    dilation: Ints,
    ceil_mode: bool,
    x_name: str = "x",
) -> tuple[Pool, bool]:
    """Return a checked pooling, and whether the input came without a batch axis.

    The rank is len(kernel_size); one integer means the input is batched, of rank ndim - 2.
    """
    shape = integers(x_name, x_shape)
    rank = max(1, len(shape) - 2)
    if not hasattr(kernel_size, "__index__"):
        rank = len(integers("kernel_size", kernel_size))
    k = per_axis("kernel_size", kernel_size, rank, 1)
    x, unbatched = batched(shape, rank, x_name, "a pooling")
    s = k if stride is None or stride == () else per_axis("stride", stride, rank, 1)
    p = per_axis("padding", padding, rank, 0)
    d = per_axis("dilation", dilation, rank, 1)
    if any(2 * before > size for before, size in zip(p, k, strict=True)):
        raise RuntimeError(
            f"padding must be at most half of kernel_size={kernel_size!r}, got {padding!r}"
        )
    if min(x[1:]) < 1:
        raise RuntimeError(f"{x_name} has shape {x}: only the batch axis may be empty")
    o = tuple(
        shapes.pool_output_size(*sizes, bool(ceil_mode))
        for sizes in zip(x[2:], k, s, p, d, strict=True)
    )
    if min(o) < 1:
        extent = tuple(map(shapes.window_extent, k, d))
        raise RuntimeError(
            f"kernel_size={kernel_size!r} spans {extent}, more than the padded input "
            f"{tuple(i + 2 * before for i, before in zip(x[2:], p, strict=True))}"
        )
    for i, s_, before, d_ in zip(x[2:], s, p, d, strict=True):
        if i < d_ and any((start - before) % d_ >= i for start in range(0, before, s_)):
            raise RuntimeError(
                f"padding={padding!r} with dilation={dilation!r} leaves a window of "
                f"kernel_size={kernel_size!r} without any element of {x_name} {x}"
            )
    return Pool(x[0], x[1], x[2:], k, o, s, p, d), unbatched


def divisor_override(value: int | None, dtype: np.dtype[Any]) -> int | None:
    """Return the divisor that replaces the window's own size; negative if dtype has a sign."""
    if value is None:
        return None
    divisor = integer("divisor_override", value)
    if divisor == 0:
        raise RuntimeError("divisor_override must not be zero")
    if divisor < 0 and dtype.kind == "u":
        raise RuntimeError(f"divisor_override must be positive for dtype {dtype}, got {divisor}")
    return divisor


def indices(name: str, value: Any, shape: Shape, spatial: Shape) -> Array:
    """Return int64 flat positions within `spatial`, of this shape."""
    found = array(name, value, "i")
    if found.dtype != np.int64:
        raise RuntimeError(f"{name} has dtype {found.dtype}, expected int64")
    matches(name, found, shape)
    if found.size and not 0 <= found.min() <= found.max() < math.prod(spatial):
        raise RuntimeError(
            f"{name} holds {found.min()} to {found.max()}, expected positions in a map of {spatial}"
        )
    return found


def selection(x_shape: Shape, indices_: Array, rank: int) -> Array:
    """Return int64 flat positions in the last `rank` axes of x; the axes before agree with x."""
    r = integer("rank", rank)
    if not 1 <= r < len(x_shape):
        raise RuntimeError(f"rank must be from 1 to {len(x_shape) - 1} for x {x_shape}, got {r}")
    lead = x_shape[:-r]
    outputs = array("indices", indices_, "i").shape[-r:]
    return indices("indices", indices_, (*lead, *outputs), x_shape[-r:])


def summing(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype averages are summed in: the widest integer, else the accumulator."""
    return np.dtype({"i": np.int64, "u": np.uint64}.get(dtype.kind, accumulator(dtype)))
