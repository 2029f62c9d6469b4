# mypy: allow-untyped-calls
"""The door of every public function: who answers a call, and what it says where it refuses one.

First `__torch_function__` is asked, as torch does, before any type is looked at: the tracer of
torch.fx, a mode, or any other type that wants to answer for its arguments, may. Then the reference
computes. Where it refuses, the exception is torch's for the same call, if torch refuses too: of its
type, with our message and, after it, torch's own.
"""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from torch.compiler import is_compiling
from torch.jit import is_tracing  # type: ignore[attr-defined]
from torch.overrides import handle_torch_function, has_torch_function_variadic

from torch_ext.functional import _asking

Function = TypeVar("Function", bound=Callable[..., Any])

REFUSALS = (TypeError, ValueError, RuntimeError, IndexError, ZeroDivisionError)
LONGEST = 300  # of our part of a message


def door(theirs: Callable[..., Any]) -> Callable[[Function], Function]:
    """Put the door before a function that stands for one of torch.nn.functional."""

    def before(function: Function) -> Function:
        @wraps(function)
        def call(*args: Any, **options: Any) -> Any:
            if is_compiling():  # torch.compile asks the protocol itself, and runs bad calls again
                return function(*args, **options)
            if has_torch_function_variadic(*args, *options.values()):
                given = (*args, *options.values())
                return handle_torch_function(call, given, *args, **options)
            try:
                return function(*args, **options)
            except REFUSALS as error:
                if is_tracing():  # it would record what torch is asked
                    raise
                theirs_too = _asking.error_of(theirs, args, options)
                both = _together(_ours(error, theirs_too, function, args, options), theirs_too)
                if both is error:
                    raise
                raise both.with_traceback(error.__traceback__) from None

        return call  # type: ignore[return-value]

    return before


def _ours(
    error: Exception,
    theirs: Exception | None,
    function: Callable[..., Any],
    args: tuple[Any, ...],
    options: dict[str, Any],
) -> Exception:
    """Return our refusal, which names an integer that no operator of torch can be given."""
    dispatchers = str(error).startswith("refconv::")  # in torch's words for operators
    if dispatchers or (theirs and "Overflow when unpacking" in str(theirs)):
        names = inspect.signature(function).parameters
        for name, value in {**dict(zip(names, args, strict=False)), **options}.items():
            for each in _asking.flat(value):
                if isinstance(each, int) and not -(2**63) <= each < 2**63:
                    return ValueError(f"{name} must be integers of 64 bits, got {each}")
    return error


def _together(ours: Exception, theirs: Exception | None) -> Exception:
    """Return one exception of torch's type that says both, or ours if torch does not refuse."""
    if theirs is None:
        return ours
    said = str(ours)
    said = said if len(said) <= LONGEST else f"{said[: LONGEST - 3]}..."
    torchs = str(theirs).partition("\nException raised from")[0]  # a stack of C++
    return type(theirs)(f"{said}\ntorch: {torchs}")
