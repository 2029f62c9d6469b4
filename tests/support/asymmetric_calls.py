"""Every function of `torch_ext.functional`, called once, with everything asymmetric.

No two axes agree in size nor in an option, so that an exchange of any two of them shows. Data are
small integers, of averages and power averages such that no quotient and no root rounds: two right
implementations agree in every bit, in values and in derivatives of any order.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from torch_ext import functional

Tensors = tuple[Tensor, ...]
Axes = tuple[int, ...]


class Draw:
    """Draw tensors of a dtype; `more` asks for another size of the batch and of every axis."""

    def __init__(
        self, dtype: torch.dtype = torch.float64, more: bool = False, seed: int = 11
    ) -> None:
        self.dtype, self.more = dtype, more
        self.generator = torch.Generator().manual_seed(seed)
        self.batch = 3 if more else 2

    def integers(self, *shape: int, most: int = 2) -> Tensor:
        """Integers from -most to most, in both parts if complex."""
        if self.dtype.is_complex:
            real = Draw(self.dtype.to_real())
            real.generator = self.generator
            return torch.complex(*(real.integers(*shape, most=most) for _ in range(2)))
        values = torch.randint(-most, most + 1, shape, generator=self.generator)
        return values.to(self.dtype)

    def distinct(self, *shape: int) -> Tensor:
        """Values of which no two of a channel are equal."""
        rows = [self.order(math.prod(shape[2:])) for _ in range(shape[0] * shape[1])]
        return (torch.stack(rows).view(shape) - math.prod(shape[2:]) // 2).to(self.dtype)

    def order(self, count: int) -> Tensor:
        """Return 0, 1, ..., in any order."""
        return torch.randperm(count, generator=self.generator)

    def blocks(self, k: Axes, *shape: int) -> Tensor:
        """Powers of two in either sign, and of one size in each block k: of whole norms."""
        size = torch.randint(0, 3, shape, generator=self.generator)
        for axis, count in enumerate(k, 2):
            size = size.repeat_interleave(count, axis).narrow(axis, 0, shape[axis])
        sign = 2 * torch.randint(0, 2, shape, generator=self.generator) - 1
        return (sign * 2**size).to(self.dtype)

    def sizes(self, *axes: int, more: int = 2) -> Axes:
        """Return the axes, or larger ones."""
        return tuple(axis + more * self.more for axis in axes)


@dataclass(frozen=True)
class FunctionCase:
    """A function, its options, and its tensors, of which the first so many have derivatives."""

    name: str
    draw: Callable[[Draw], Tensors]
    options: dict[str, Any]
    differentiable: int = 1

    @property
    def complex(self) -> bool:
        """Whether the function takes complex numbers."""
        return not any(word in self.name for word in ("max", "fractional", "lp"))

    @property
    def rank(self) -> int:
        """Return the number of spatial axes."""
        return {"fold": 2, "unfold": 2, "conv_tbc": 1}.get(self.name) or int(
            self.name.partition("d")[0][-1]
        )

    @property
    def images(self) -> int:
        """Return the axis of the images."""
        return 1 if self.name == "conv_tbc" else 0

    def bind(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function of the tensors alone."""

        def bound(*tensors: Tensor) -> Any:
            if "fractional" in self.name:
                return function(tensors[0], **self.options, _random_samples=tensors[1])
            return function(*tensors, **self.options)

        return bound

    @property
    def ours(self) -> Callable[..., Any]:
        """Return the function under test, of the tensors alone."""
        return self.bind(getattr(functional, self.name))

    @property
    def torchs(self) -> Callable[..., Any]:
        """Return torch's function of that name, of the tensors alone."""
        return self.bind(getattr(F, self.name))


# by rank, and every axis another
SIZE = {1: (7,), 2: (5, 4), 3: (2, 3, 5)}
KERNEL = {1: (3,), 2: (3, 2), 3: (2, 1, 3)}
STRIDE = {1: (2,), 2: (2, 1), 3: (1, 2, 2)}
PADDING = {1: (1,), 2: (1, 0), 3: (1, 0, 1)}
DILATION = {1: (2,), 2: (1, 2), 3: (2, 1, 1)}
MORE = {1: (1,), 2: (1, 1), 3: (1, 0, 1)}
AVERAGED: dict[int, dict[str, Any]] = {  # divisors 1 and 2; 8; 4
    1: {"kernel_size": 2, "stride": 2, "padding": 1, "ceil_mode": True, "count_include_pad": False},
    2: {"kernel_size": (4, 2), "stride": (1, 2), "padding": (1, 0)},
    3: {
        "kernel_size": (2, 1, 3),
        "stride": (1, 2, 2),
        "padding": (1, 0, 1),
        "divisor_override": -4,
    },
}
SHARED = {  # sizes and, from either, the number of windows, which all are of one or two elements
    1: ((5,), (8,), (4,)),
    2: ((5, 4), (8, 6), (4, 3)),
    3: ((3, 4, 5), (4, 6, 8), (2, 3, None)),
}
NORM = {1: (4,), 2: (4, 1), 3: (1, 2, 2)}
FRACTIONS: dict[int, tuple[Axes, dict[str, Any]]] = {
    2: ((7, 6), {"kernel_size": (2, 3), "output_size": (4, 3)}),
    3: ((4, 5, 6), {"kernel_size": (2, 1, 3), "output_size": (2, 3, 2)}),
}
COLUMNS = {
    "kernel_size": KERNEL[2],
    "dilation": DILATION[2],
    "padding": PADDING[2],
    "stride": STRIDE[2],
}
UNPOOL = {
    1: {"kernel_size": 3, "stride": 2, "padding": 1},
    2: {"kernel_size": (3, 2), "stride": (2, 3), "padding": (1, 0)},
    3: {"kernel_size": (2, 1, 3), "stride": (2, 1, 2), "padding": (0, 0, 1)},
}


def convolved(rank: int) -> FunctionCase:
    def draw(d: Draw) -> Tensors:
        x = d.integers(d.batch, 4, *d.sizes(*SIZE[rank]), most=1)
        return x, d.integers(6, 2, *KERNEL[rank], most=1), d.integers(6, most=1)

    options = {
        "stride": STRIDE[rank],
        "padding": PADDING[rank],
        "dilation": DILATION[rank],
        "groups": 2,
    }
    return FunctionCase(f"conv{rank}d", draw, options, 3)


def transposed(rank: int) -> FunctionCase:
    def draw(d: Draw) -> Tensors:
        x = d.integers(d.batch, 4, *d.sizes(*SIZE[rank]), most=1)
        return x, d.integers(4, 3, *KERNEL[rank], most=1), d.integers(6, most=1)

    options = {
        "stride": STRIDE[rank],
        "padding": PADDING[rank],
        "output_padding": MORE[rank],
        "groups": 2,
    }
    return FunctionCase(f"conv_transpose{rank}d", draw, options | {"dilation": DILATION[rank]}, 3)


def of_sequences() -> FunctionCase:
    def draw(d: Draw) -> Tensors:
        x = d.integers(*d.sizes(*SIZE[1]), d.batch, 4, most=1)
        return x, d.integers(*KERNEL[1], 4, 6, most=1), d.integers(6, most=1)

    return FunctionCase("conv_tbc", draw, {"pad": 2}, 3)


def largest(rank: int, form: str = "") -> FunctionCase:
    def draw(d: Draw) -> Tensors:
        return (d.distinct(d.batch, 3, *d.sizes(*SIZE[rank])),)

    options = {
        "kernel_size": KERNEL[rank],
        "stride": STRIDE[rank],
        "padding": PADDING[rank],
        "dilation": DILATION[rank],
    }
    return FunctionCase(f"max_pool{rank}d{form}", draw, options | {"ceil_mode": True})


def shared(rank: int, kind: str, form: str = "") -> FunctionCase:
    small, large, o = SHARED[rank]

    def draw(d: Draw) -> Tensors:
        shape = d.batch, 3, *(large if d.more else small)
        return (d.distinct(*shape) if kind == "max" else d.integers(*shape),)

    return FunctionCase(f"adaptive_{kind}_pool{rank}d{form}", draw, {"output_size": o})


def fractional(rank: int, form: str = "") -> FunctionCase:
    size, options = FRACTIONS[rank]

    def draw(d: Draw) -> Tensors:
        x = d.distinct(d.batch, 3, *d.sizes(*size))
        samples = torch.rand(d.batch, 3, rank, generator=d.generator, dtype=torch.float64)
        return x, samples.to(d.dtype)

    return FunctionCase(f"fractional_max_pool{rank}d{form}", draw, options)


def unpooled(rank: int) -> FunctionCase:
    options = UNPOOL[rank]
    k, s, p = ((v,) if rank == 1 else v for v in options.values())

    def draw(d: Draw) -> Tensors:
        i = d.sizes(*SIZE[rank], more=1)
        o = [(a - 1) * s_ - 2 * p_ + k_ for a, k_, s_, p_ in zip(i, k, s, p, strict=True)]
        rows = [d.order(math.prod(o))[: math.prod(i)] for _ in range(d.batch * 3)]
        return d.integers(d.batch, 3, *i), torch.stack(rows).view(d.batch, 3, *i)

    return FunctionCase(f"max_unpool{rank}d", draw, options)


def averaged(rank: int) -> FunctionCase:
    def draw(d: Draw) -> Tensors:
        return (d.integers(d.batch, 3, *d.sizes(*SIZE[rank])),)

    return FunctionCase(f"avg_pool{rank}d", draw, AVERAGED[rank])


def normed(rank: int) -> FunctionCase:
    def draw(d: Draw) -> Tensors:
        i = d.sizes(*(k + n for n, k in enumerate(NORM[rank], 1)))
        return (d.blocks(NORM[rank], d.batch, 3, *i),)

    k = NORM[rank][0] if rank == 1 else NORM[rank]
    return FunctionCase(
        f"lp_pool{rank}d", draw, {"norm_type": 2.0, "kernel_size": k, "ceil_mode": True}
    )


ALL = [
    *(convolved(rank) for rank in (1, 2, 3)),
    *(transposed(rank) for rank in (1, 2, 3)),
    of_sequences(),
    FunctionCase("unfold", lambda d: (d.integers(d.batch, 3, *d.sizes(*SIZE[2])),), COLUMNS),
    FunctionCase(
        "fold",
        lambda d: (d.integers(d.batch, 18 if d.more else 12, 6),),
        COLUMNS | {"output_size": SIZE[2]},
    ),
    *(largest(rank, form) for rank in (1, 2, 3) for form in ("", "_with_indices")),
    *(unpooled(rank) for rank in (1, 2, 3)),
    *(averaged(rank) for rank in (1, 2, 3)),
    *(normed(rank) for rank in (1, 2, 3)),
    *(shared(rank, "avg") for rank in (1, 2, 3)),
    *(shared(rank, "max", form) for rank in (1, 2, 3) for form in ("", "_with_indices")),
    *(fractional(rank, form) for rank in (2, 3) for form in ("", "_with_indices")),
]
CASES = {case.name: case for case in ALL}


def values(result: Any) -> Tensors:
    """Return what a function returns as a tuple."""
    return result if isinstance(result, tuple) else (result,)
