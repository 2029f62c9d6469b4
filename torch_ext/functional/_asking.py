# mypy: allow-untyped-calls
"""Asking torch for its own exception, where the reference has refused a call.

It must not cost more than a refusal may, nor change anything: torch gets the call's tensors while
they and all it could make of them are small, and else tensors of the same shapes without data, of
which it says a little less. No mode, no level of torch.func and no generator of random numbers
takes notice.
"""

import math
import operator
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, nullcontext, suppress
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch._functorch.pyfunctorch import temporarily_clear_interpreter_stack
from torch.nn import Parameter
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

KINDS = (
    TypeError, ValueError, RuntimeError, NotImplementedError, IndexError, AttributeError,
    ZeroDivisionError, OverflowError,
)  # fmt: skip
WITHOUT_DATA = (TypeError, ValueError, RuntimeError, AttributeError)  # others are made there
FEW = 2**28  # of what `most` bounds from far above
OPTION = 8  # elements of the largest array or tensor that may be an option


def error_of(
    theirs: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]
) -> Exception | None:
    """Return the exception that a function of torch raises for a call, or None if it takes it.

    >>> error_of(torch.max_pool1d, (torch.ones(1, 4), 2, 0), {})
    RuntimeError('max_pool1d() stride must be greater than zero, but got 0')
    """
    ask = _asked
    if "torch._dynamo" in sys.modules:  # torch.compile would look into it
        ask = torch.compiler.disable(_asked)
    with ExitStack() as stack:
        for context in (
            torch.no_grad(),
            torch._C.DisableTorchFunction(),
            _disable_current_modes(),
            temporarily_clear_interpreter_stack(),
            torch.random.fork_rng(devices=()),
            warnings.catch_warnings(),
        ):
            stack.enter_context(context)
        warnings.simplefilter("ignore")
        return ask(theirs, args, options)


def _asked(
    theirs: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]
) -> Exception | None:
    """Return what torch raises, where no mode is on."""
    given = [*args, *options.values()]
    tensors = [value for value in given if isinstance(value, Tensor)]
    if any(tensor.is_nested for tensor in tensors):  # it has no shape
        return None
    sizes = [size for tensor in tensors for size in tensor.shape]
    if any(isinstance(value, torch.SymInt | torch.SymFloat) for value in flat([given, sizes])):
        return None
    small = most(tensors, given) <= FEW
    try:
        called = [_stand_in(value, small) for value in args]
        chosen = {name: _stand_in(value, small) for name, value in options.items()}
    except RuntimeError:  # of a dtype that has neither zeros nor shapes without data
        return None
    whole = small and not any(tensor.is_meta for tensor in tensors)
    try:
        with nullcontext() if whole else WithoutData():
            theirs(*called, **chosen)
    except Exception as error:
        kind = next(each for each in type(error).__mro__ if each in (*KINDS, Exception))
        if kind not in (KINDS if whole else WITHOUT_DATA):
            return None
        return error if type(error) is kind else kind(str(error))
    return None


class WithoutData(TorchDispatchMode):
    """Lets torch check a convolution as it would one with data, and compute nothing."""

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Refuse what torch refuses: its operators' shapes, and all it asks of a convolution."""
        if func is not torch.ops.aten.convolution.default:
            return func(*args, **(kwargs or {}))
        input, weight, bias, _, _, _, transposed, *_ = args
        if weight.dim() < 3:
            raise RuntimeError("weight should have at least three dimensions")
        torch._C._select_conv_backend(*args, None)
        one, zero = (1,) * (weight.dim() - 2), (0,) * (weight.dim() - 2)
        x = torch.zeros((16, 1, *one), dtype=input.dtype)  # as many as its libraries ask for
        w = torch.zeros((1, 1, *one), dtype=weight.dtype)
        b = None if bias is None else torch.zeros(1, dtype=bias.dtype)
        func(x, w, b, one, zero, one, transposed, zero, 1)  # checks the dtypes
        with suppress(TypeError):  # where it makes sizes of more than 64 bits
            return func(*args)
        return input


def most(tensors: list[Tensor], given: list[Any]) -> float:
    """Return more elements than a result or what it is made of can have.

    Every axis may grow by stride, padding, kernel or output size, L at most: in three dimensions to
    (1 + 2 L)^3 times as much, and of two an unfold makes (1 + 2 L)^4. Filters multiply that.
    """
    largest = max((abs(number) for number in numbers(given)), default=0)
    if not largest < FEW:
        return math.inf
    cells = max((math.prod(max(1, size) for size in each.shape) for each in tensors), default=1)
    operands = [each for each in tensors[1:] if each.dtype == tensors[0].dtype]  # no indices
    filters = max((size for each in operands for size in each.shape), default=1)
    volume = bool(tensors) and tensors[0].dim() == 5
    return float(cells * max(1, filters) * (1 + 2 * largest) ** (3 if volume else 4))


def flat(value: Any) -> Iterator[Any]:
    """Yield what is in nested tuples and lists, or the value itself."""
    if isinstance(value, tuple | list):
        for each in value:
            yield from flat(each)
    else:
        yield value


def numbers(value: Any) -> Iterator[int | float]:
    """Yield all numbers of an option, of any type."""
    for each in flat(value):
        if isinstance(each, Tensor):
            integers = not (each.is_floating_point() or each.is_complex())
            if integers and _plain(each) and each.dim() < 2 and each.numel() <= OPTION:
                yield from numbers(each.tolist())
        elif isinstance(each, np.ndarray):
            if each.size <= OPTION:
                yield from numbers(each.tolist())
        elif isinstance(each, int) or (isinstance(each, float) and math.isfinite(each)):
            yield each
        elif hasattr(each, "__index__"):
            with suppress(TypeError):
                yield operator.index(each)


def _plain(tensor: Tensor) -> bool:
    """Return whether a tensor has data of its own in the host's memory, and wraps no other."""
    return (
        type(tensor) in (Tensor, Parameter)
        and tensor.is_cpu
        and not torch._C._functorch.is_functorch_wrapped_tensor(tensor)
    )


def _stand_in(value: Any, small: bool) -> Any:
    """Return a value for torch to refuse: of a tensor its data, zeros, or its shape alone."""
    if not isinstance(value, Tensor):
        return value
    if not small or value.is_meta:
        return torch.empty((), dtype=value.dtype, device="meta").expand(value.shape)
    if _plain(value):
        return value.detach()
    return torch.zeros(value.shape, dtype=value.dtype)  # a device is left alone
