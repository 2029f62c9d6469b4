"""What a max pool returns, by `return_indices`: y, or y and the indices; as torch types it.

A call that does not know the flag when it is written has the union. Each of the functions here is
put around an implementation, whose arguments it holds to the overloads, and returns it as it is.
"""

from collections.abc import Sequence
from typing import Literal, Protocol, TypeVar, overload

from torch import Tensor

from refconv.geometry import Ints

Pair = tuple[Tensor, Tensor]
Outputs = int | Sequence[int | None]  # None stands for the size of the input
Ratios = float | Sequence[float]
Size = TypeVar("Size", contravariant=True)
Ratio = TypeVar("Ratio", contravariant=True)


class MaxPool(Protocol):
    """The type of `max_pool1d` to `max_pool3d`."""

    @overload
    def __call__(
        self,
        input: Tensor,
        kernel_size: Ints,
        stride: Ints | None = None,
        padding: Ints = 0,
        dilation: Ints = 1,
        ceil_mode: bool = False,
        return_indices: Literal[False] = False,
    ) -> Tensor: ...
    @overload
    def __call__(
        self,
        input: Tensor,
        kernel_size: Ints,
        stride: Ints | None,
        padding: Ints,
        dilation: Ints,
        ceil_mode: bool,
        return_indices: Literal[True],
    ) -> Pair: ...
    @overload
    def __call__(
        self,
        input: Tensor,
        kernel_size: Ints,
        stride: Ints | None = None,
        padding: Ints = 0,
        dilation: Ints = 1,
        ceil_mode: bool = False,
        *,
        return_indices: Literal[True],
    ) -> Pair: ...
    @overload
    def __call__(
        self,
        input: Tensor,
        kernel_size: Ints,
        stride: Ints | None = None,
        padding: Ints = 0,
        dilation: Ints = 1,
        ceil_mode: bool = False,
        return_indices: bool = False,
    ) -> Tensor | Pair: ...


class AdaptiveMaxPool(Protocol[Size]):
    """The type of `adaptive_max_pool1d` to `adaptive_max_pool3d`."""

    @overload
    def __call__(
        self, input: Tensor, output_size: Size, return_indices: Literal[False] = False
    ) -> Tensor: ...
    @overload
    def __call__(self, input: Tensor, output_size: Size, return_indices: Literal[True]) -> Pair: ...
    @overload
    def __call__(
        self, input: Tensor, output_size: Size, return_indices: bool = False
    ) -> Tensor | Pair: ...


class FractionalMaxPool(Protocol[Ratio]):
    """The type of `fractional_max_pool2d` and `fractional_max_pool3d`."""

    @overload
    def __call__(
        self,
        input: Tensor,
        kernel_size: Ints,
        output_size: Ints | None = None,
        output_ratio: Ratio | None = None,
        return_indices: Literal[False] = False,
        _random_samples: Tensor | None = None,
    ) -> Tensor: ...
    @overload
    def __call__(
        self,
        input: Tensor,
        kernel_size: Ints,
        output_size: Ints | None,
        output_ratio: Ratio | None,
        return_indices: Literal[True],
        _random_samples: Tensor | None = None,
    ) -> Pair: ...
    @overload
    def __call__(
        self,
        input: Tensor,
        kernel_size: Ints,
        output_size: Ints | None = None,
        output_ratio: Ratio | None = None,
        *,
        return_indices: Literal[True],
        _random_samples: Tensor | None = None,
    ) -> Pair: ...
    @overload
    def __call__(
        self,
        input: Tensor,
        kernel_size: Ints,
        output_size: Ints | None = None,
        output_ratio: Ratio | None = None,
        return_indices: bool = False,
        _random_samples: Tensor | None = None,
    ) -> Tensor | Pair: ...


def max_pool(function: MaxPool) -> MaxPool:
    """Type a max pool over any number of axes."""
    return function


def adaptive_max_pool1d(function: AdaptiveMaxPool[Ints]) -> AdaptiveMaxPool[Ints]:
    """Type an adaptive max pool over one axis, whose size is always given."""
    return function


def adaptive_max_pool(function: AdaptiveMaxPool[Outputs]) -> AdaptiveMaxPool[Outputs]:
    """Type an adaptive max pool over two or three axes."""
    return function


def fractional_max_pool2d(
    function: FractionalMaxPool[Sequence[float]],
) -> FractionalMaxPool[Sequence[float]]:
    """Type a fractional max pool over two axes, with a ratio for each."""
    return function


def fractional_max_pool3d(function: FractionalMaxPool[Ratios]) -> FractionalMaxPool[Ratios]:
    """Type a fractional max pool over three axes, with a ratio for each or one for all."""
    return function
