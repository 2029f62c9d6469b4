# mypy: allow-untyped-calls
"""What `torch.jit.trace` records of a function: one call of it, whose sizes are found anew.

A tracer records operators, and what Python computes between them as constants: the sizes of the
example's shapes, which would be wrong at any other. So a call is recorded whole, before it looks at
any size, as one operator that makes the call again when the trace runs:

    refconv::traced("adaptive_avg_pool", [input], '[2, {"tensor": 0}, [2, null]]')

The string is JSON. A size that was traced itself (`x.shape[2]` is a tensor then) is among the
tensors: the trace computes it. Checks, autocast and derivatives are those of the call that is made.
"""

import json
import operator
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.jit import is_tracing  # type: ignore[attr-defined]

from torch_ext.functional import _autocast
from torch_ext.operators.registration import LIBRARY

Function = TypeVar("Function", bound=Callable[..., Any])

FUNCTIONS: dict[str, Callable[..., Any]] = {}


def recorded(function: Function) -> Function:
    """Let a trace record the calls of a function `_name(rank, ...)`, or `_name(...)`, by its name.

    Its arguments are positional, tensors and what JSON has, in tuples and lists or not. Name and
    order stay for good: a saved trace holds only the name, not the function. It returns a tensor or
    a tuple of tensors.
    """
    name = function.__name__.removeprefix("_")
    FUNCTIONS[name] = function

    @wraps(function)
    def call(*args: Any) -> Any:
        if not is_tracing():
            return function(*args)
        if torch._C._functorch.peek_interpreter_stack() is not None:
            raise RuntimeError(
                f"torch.jit.trace does not record {name} inside of a transform of torch.func: "
                "trace the function first, and transform what the trace returns"
            )
        public = f"{name}{args[0]}d" if isinstance(args[0], int) else name
        # a trace made under autocast keeps its casts; one that runs under it has those of the call
        values = _autocast.cast(public, *args)
        tensors: list[Tensor] = []

        def plain(value: Any) -> Any:
            if not isinstance(value, Tensor):
                return value.tolist() if isinstance(value, np.ndarray) else operator.index(value)
            tensors.append(value)
            size = value.dim() == 0 and not value.is_floating_point()
            return {"size" if size else "tensor": len(tensors) - 1}

        try:
            arguments = json.dumps(values, default=plain)
        except TypeError:  # something no function takes: this one says so
            return function(*values)
        results = torch.ops.refconv.traced(name, tensors, arguments)
        return results[0] if len(results) == 1 else tuple(results)

    return call  # type: ignore[return-value]


def again(name: str, tensors: Sequence[Tensor], arguments: str) -> list[Tensor]:
    """Make a call that was recorded."""

    def original(value: dict[str, int]) -> Any:
        if "size" in value:
            return int(tensors[value["size"]])
        return tensors[value["tensor"]] if "tensor" in value else value

    result = FUNCTIONS[name](*json.loads(arguments, object_hook=original))
    return [result] if isinstance(result, Tensor) else list(result)


LIBRARY.define(
    "traced(str function, Tensor[] tensors, str arguments) -> Tensor[]",
    tags=(torch.Tag.pt2_compliant_tag,),
)
LIBRARY.impl("traced", again, "CompositeImplicitAutograd")
LIBRARY.impl("traced", again, "FuncTorchBatchedDecomposition")
