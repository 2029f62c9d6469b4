"""Functions of ours beside torch's, rank by rank, and what the tests of torch_ext run them with."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from torch_ext import functional

Pair = tuple[Callable[..., Any], Callable[..., Any]]

FLOATS = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
SUMS = [  # dtypes of convolutions, and the largest integers whose sums are exact in them
    (torch.float64, 2),
    (torch.float32, 2),
    (torch.float16, 1),
    (torch.bfloat16, 1),  # integers up to 256 are exact
    (torch.complex128, 2),
    (torch.complex64, 2),
]

ranks = pytest.mark.parametrize("rank", [1, 2, 3])
dtypes = pytest.mark.parametrize("dtype", FLOATS, ids=str)
sums = pytest.mark.parametrize(("dtype", "most"), SUMS, ids=str)


def pairs(name: str, least: int = 1) -> dict[int, Pair]:
    """Return (ours, torch's) by rank of the function whose name has {} for its rank."""
    names = {rank: name.format(f"{rank}d") for rank in range(least, 4)}
    return {rank: (getattr(functional, n), getattr(F, n)) for rank, n in names.items()}
