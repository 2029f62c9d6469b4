"""Data for samples of torch's database that leave nothing to rounding."""

import warnings
from typing import Any

import torch
from torch import Tensor

from support import torch_database
from support.torch_database import Arguments


def results(found: Any) -> tuple[Tensor, ...]:
    """Return one result as several are."""
    return found if isinstance(found, tuple) else (found,)


def torchs(op: Any, *args: Any, **options: Any) -> tuple[Tensor, ...]:
    """Return the results of torch's function."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, on its own samples
        return results(op(*args, **options))


def normals(y: Tensor) -> Tensor:
    """Draw a cotangent of an operator that adds up."""
    return torch.randn(y.shape, dtype=y.dtype)


def integers(y: Tensor) -> Tensor:
    """Draw a cotangent of an operator that chooses, of -2, -1, 1 and 2."""
    if y.is_complex():
        return torch.complex(*(integers(part) for part in (y.real, y.imag)))
    return (torch.randint(1, 3, y.shape) * (2 * torch.randint(0, 2, y.shape) - 1)).to(y.dtype)


def of_winners(op: Any, arguments: Arguments, gy: Tensor) -> Tensor:
    """Each gy goes to where torch's own indices say that the maximum was."""
    with_indices = {**arguments, "return_indices": True}
    x = with_indices.pop("x").detach()
    _, indices = torchs(op, x, **with_indices)
    _, rank = torch_database.kind_and_rank(op.name)
    gx = torch.zeros(x.shape, dtype=gy.dtype).flatten(-rank)
    return gx.scatter_add(-1, indices.flatten(-rank), gy.flatten(-rank))


def of_places(op: Any, arguments: Arguments, gy: Tensor) -> Tensor:
    """Each x has the gy of the place it was put to, be it written over by another or not."""
    _, rank = torch_database.kind_and_rank(op.name)
    return gy.flatten(-rank).gather(-1, arguments["indices"].flatten(-rank))


def of_copies(op: Any, arguments: Arguments, gy: Tensor) -> Tensor:
    """Each gy goes to where torch's own function finds the number of the input's element."""
    options = dict(arguments)
    x = options.pop("x")
    numbers = torch.arange(1, x.numel() + 1, dtype=torch.float64).view(x.shape)
    (at,) = torchs(op, numbers, **options)  # 0 in the padding
    gx = torch.zeros(x.numel() + 1, dtype=gy.dtype)
    return gx.scatter_add(0, at.long().flatten(), gy.flatten())[1:]
