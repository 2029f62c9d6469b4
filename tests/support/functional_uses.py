"""One use of every function of the family, on data that leave nothing to rounding.

A use is called with the module whose functions it is to use, torch.nn.functional or
torch_ext.functional, and its tensors. Windows of averages have two elements an axis, power averages
are sums, and indices and random samples are fixed.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Use:
    """A function by its name, the shapes of its tensors (x first), and how it is called."""

    name: str
    shapes: tuple[Shape, ...]
    call: Callable[..., Any]  # (module, *tensors)
    signed: bool = True  # whether x may be negative
    unit: int = 1  # what x is a multiple of, so that averages are whole

    def draw(self, dtype: torch.dtype = torch.float32, seed: int = 8) -> list[Tensor]:
        """Draw integer values."""
        generator = torch.Generator().manual_seed(seed)
        low = -2 if self.signed else 0
        units = [self.unit] + [1] * (len(self.shapes) - 1)
        return [
            (unit * torch.randint(low, 3, shape, generator=generator)).to(dtype)
            for unit, shape in zip(units, self.shapes, strict=True)
        ]


def conv(name: str, options: dict[str, Any], module: Any, *tensors: Tensor) -> Any:
    return getattr(module, name)(*tensors, **options)


def pool(name: str, size: Any, options: dict[str, Any], module: Any, x: Tensor) -> Any:
    return getattr(module, name)(x, size, **options)


def lp_pool(name: str, options: dict[str, Any], p: float, module: Any, x: Tensor) -> Any:
    return getattr(module, name)(x, p, 2, **options)


def fractional(name: str, options: dict[str, Any], module: Any, x: Tensor) -> Any:
    samples = x.new_full((*x.shape[:2], x.dim() - 2), 0.5)
    options = {"output_size": 3, "_random_samples": samples, **options}
    return getattr(module, name)(x, 2, **options)


def unpool(name: str, module: Any, x: Tensor) -> Any:
    """Put every value at the first place of its window of two elements an axis."""
    grid = [2 * i for i in x.shape[2:]]
    places = torch.arange(torch.Size(grid).numel()).view(grid)
    first = places[tuple(slice(None, None, 2) for _ in grid)]
    indices = first.expand(x.shape).clone(memory_format=torch.contiguous_format).to(x.device)
    return getattr(module, name)(x, indices, 2)


def uses(rank: int) -> list[Use]:
    """Return a use of every function of this rank."""
    i, k, half = (6,) * rank, (3,) * rank, (3,) * rank
    x, both = (2, 4, *i), {"return_indices": True}
    unit = 2**rank
    found = [
        Use(f"conv{rank}d", (x, (6, 2, *k), (6,)),
            partial(conv, f"conv{rank}d", {"padding": 1, "groups": 2})),
        Use(f"conv_transpose{rank}d", (x, (4, 3, *k), (6,)),
            partial(conv, f"conv_transpose{rank}d", {"stride": 2, "groups": 2})),
        Use(f"max_pool{rank}d", (x,), partial(pool, f"max_pool{rank}d", 2, {"padding": 1})),
        Use(f"max_pool{rank}d_with_indices", (x,), partial(pool, f"max_pool{rank}d", 2, both)),
        Use(f"avg_pool{rank}d", (x,),
            partial(pool, f"avg_pool{rank}d", 2, {"padding": 1}), unit=unit),
        Use(f"lp_pool{rank}d", (x,), partial(lp_pool, f"lp_pool{rank}d", {}, 1), signed=False),
        Use(f"lp_pool{rank}d of infinite order", (x,),
            partial(lp_pool, f"lp_pool{rank}d", {}, math.inf)),
        Use(f"adaptive_avg_pool{rank}d", (x,),
            partial(pool, f"adaptive_avg_pool{rank}d", 4, {}), unit=unit),
        Use(f"adaptive_max_pool{rank}d", (x,), partial(pool, f"adaptive_max_pool{rank}d", 4, {})),
        Use(f"adaptive_max_pool{rank}d_with_indices", (x,),
            partial(pool, f"adaptive_max_pool{rank}d", 4, both)),
        Use(f"max_unpool{rank}d", ((2, 4, *half),), partial(unpool, f"max_unpool{rank}d")),
    ]  # fmt: skip
    if rank > 1:
        name = f"fractional_max_pool{rank}d"
        found += [
            Use(name, (x,), partial(fractional, name, {})),
            Use(f"{name}_with_indices", (x,), partial(fractional, name, both)),
        ]
    if rank == 2:
        found += [
            Use("unfold", (x,), partial(pool, "unfold", 2, {"padding": 1})),
            Use("conv_tbc", ((6, 2, 4), (3, 4, 6), (6,)), partial(conv, "conv_tbc", {"pad": 1})),
            Use("fold", ((2, 16, 4),), lambda module, x: module.fold(x, 3, 2)),
        ]
    return found


USES = {use.name: use for rank in (1, 2, 3) for use in uses(rank)}
