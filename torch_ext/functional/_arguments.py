"""Checks that concern tensors; those of sizes and shapes are refconv's own (`refconv.geometry`).

Names are torch's (`input`, not `x`), and so are, as a rule, the types of the errors: TypeError for
a wrong Python type, NotImplementedError for a dtype or a layout without the operator, RuntimeError
for all else. Where torch's own is another, the door exchanges it (`torch_ext.functional._door`).
"""

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.compiler import is_compiling

from refconv import geometry
from refconv.geometry.remembering import remembered
from refconv.geometry.sizes import Shape

P = ParamSpec("P")
R = TypeVar("R")

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
ORDERED = (*FLOATS, *INTEGERS)  # a maximum needs an order
NUMBERS = (*ORDERED, torch.complex64, torch.complex128)  # sums and products do not


def tensor(name: str, value: Any, dtypes: tuple[torch.dtype, ...]) -> None:
    """Raise unless the value is a tensor of one of these dtypes."""
    if not isinstance(value, Tensor):
        raise not_a_tensor(name, value)
    strided(name, value)
    if value.dtype not in dtypes:
        raise NotImplementedError(f"{name} has dtype {value.dtype}, for which this is not defined")


def not_a_tensor(name: str, value: Any) -> TypeError:
    """Return the error for what is not a tensor, and the way to one, where there is one."""
    kind = type(value).__name__
    remedy = f": pass torch.as_tensor({name})" if isinstance(value, np.ndarray | list) else ""
    return TypeError(f"{name} must be a torch.Tensor, got {kind:.80}{remedy}")


def strided(name: str, value: Tensor) -> None:
    """Raise unless the value's elements lie in memory as strides say: no other layout is read."""
    if value.is_nested:
        raise NotImplementedError(f"{name} is nested: use {name}.to_padded_tensor(0.0)")
    if value.layout is not torch.strided:
        raise NotImplementedError(
            f"{name} has layout {value.layout}, expected torch.strided: use {name}.to_dense()"
        )


def operand(name: str, value: Any, input: Tensor) -> None:
    """Raise unless the value is a tensor of the input's dtype and device: nothing is promoted."""
    tensor(name, value, NUMBERS)
    if value.dtype != input.dtype:
        raise RuntimeError(
            f"{name} has dtype {value.dtype} and input has dtype {input.dtype}: "
            "they must be the same"
        )
    together(name, value, input)


def together(name: str, value: Tensor, input: Tensor) -> None:
    """Raise unless the value is where the input is."""
    if value.device != input.device:
        raise RuntimeError(
            f"{name} is on {value.device} and input is on {input.device}: they must be together"
        )


def per_filter(bias: Tensor | None, filters: int) -> None:
    """Raise unless there is no bias, or one value for every output channel."""
    if bias is not None and bias.shape != (filters,):
        raise RuntimeError(
            f"bias has shape {tuple(bias.shape)}, expected ({filters},), one per output channel"
        )


def flag(name: str, value: Any) -> bool:
    """Return a bool; as in torch, nothing else passes for one."""
    if not isinstance(value, bool):
        kind = type(value).__name__
        raise TypeError(f"{name} must be a bool, got {geometry.shown(value)} ({kind:.40})")
    return value


def known(check: Callable[P, R]) -> Callable[P, R]:
    """Return a check of sizes that remembers what it found: but not for torch.compile.

    It traces what it sees, symbolic sizes too, and keeps the result itself.
    """
    return check if is_compiling() else remembered(check)


def pool_stride(stride: Any) -> Any:
    """Return the stride of a pooling, None (the kernel's size) for torch's empty list too."""
    return None if isinstance(stride, tuple | list) and not stride else stride


def every_axis(name: str, value: Any, rank: int, minimum: int) -> Shape:
    """Return one integer for every axis; where torch refuses that a sequence of one means all."""
    sizes = geometry.per_axis(name, value, rank, minimum)
    if rank > 1 and isinstance(value, tuple | list) and len(value) == 1:
        raise RuntimeError(
            f"{name} must be an integer or {rank} of them, got {geometry.shown(value)}"
        )
    return sizes
