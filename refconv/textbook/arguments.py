"""Checks shared by the derivations: an error names the argument, what it is and what it should be.

Numbers are real. Booleans and integers of every width become int64, so that images of bytes and
nested lists can be given as they are; floats keep their dtype. Nothing wraps: integers that int64
cannot hold, in the arguments or in a sum of their products, are refused.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[Any]
Number = int | float

LARGEST = 2**63 - 1  # of int64


def as_numbers(name: str, value: ArrayLike) -> Array:
    """Return the value as an array of any shape, of int64 or floats."""
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"{name} must be an array or nested lists of equal lengths, got {described(value)}: "
            f"{str(error)[:100]}"
        ) from None
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{name} must not be masked: fill it, got {described(value)}")
    if array.dtype.kind == "f":
        return array.astype(array.dtype.newbyteorder("="), copy=False)
    if array.dtype.kind not in "bui":
        raise TypeError(f"{name} must hold integers or floats, got {described(value)}")
    if array.size and int(array.max()) > LARGEST:
        raise ValueError(f"{name} holds {array.max()}, more than int64 can hold: give floats")
    return array.astype(np.int64, copy=False)


def as_array(name: str, value: ArrayLike, axes: str) -> Array:
    """Return the value as an array with the given axes, such as "H W", none of them empty."""
    array = as_numbers(name, value)
    if array.ndim != len(axes.split()) or array.size == 0:
        wanted = axes.replace(" ", ", ")
        raise ValueError(
            f"{name} must be a non-empty array ({wanted}), got shape {short(array.shape)}"
        )
    return array


def as_number(name: str, value: ArrayLike) -> Number:
    """Return one number as Python's own, which leaves the dtype of an array it is added to."""
    array = as_numbers(name, value)
    if array.ndim:
        raise ValueError(f"{name} must be one number, got shape {short(array.shape)}")
    number: Number = array.item()
    return number


def as_floats(array: Array) -> Array:
    """Return integers as float64: averages, norms and errors are floats, and cannot wrap."""
    return array.astype(np.float64) if array.dtype.kind == "i" else array


def as_integer(name: str, value: Any, minimum: int | None = None) -> int:
    """Return an integer, at least `minimum`."""
    try:
        if isinstance(value, bool | np.bool_):
            raise TypeError
        integer = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer, got {described(value)}") from None
    if minimum is not None and integer < minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {short(integer)}")
    return integer


def as_sizes(name: str, value: Any) -> tuple[int, int]:
    """Return the shape of an image or a filter: two integers, at least 1."""
    try:
        rows, columns = value
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be two sizes, got {described(value)}") from None
    return as_integer(name, rows, 1), as_integer(name, columns, 1)


def as_image_and_filter(
    image_name: str, image: ArrayLike, filter_name: str, filter_: ArrayLike
) -> tuple[Array, Array]:
    """Return an image (H, W) and a filter (k1, k2) that fits inside it."""
    image, filter_ = as_array(image_name, image, "H W"), as_array(filter_name, filter_, "k1 k2")
    expect_fit(image_name, image.shape, filter_name, filter_.shape)
    return image, filter_


def expect_fit(
    image_name: str, image: tuple[int, ...], filter_name: str, filter_: tuple[int, ...]
) -> None:
    """ValueError unless a filter of this shape fits inside an image of that shape."""
    if filter_[0] > image[0] or filter_[1] > image[1]:
        raise ValueError(
            f"{filter_name} must fit inside {image_name} of shape {short(image)}, "
            f"got shape {short(filter_)}"
        )


def sum_dtype(**arrays: Array) -> np.dtype[Any]:
    """Return the dtype of sums of products, one factor of each array; refuse sums past int64.

    No sum here has more terms than the smallest of its arrays has elements.
    """
    dtype = np.result_type(*arrays.values())
    if dtype.kind == "i":
        largest = min(a.size for a in arrays.values())
        for a in arrays.values():
            largest *= _magnitude(a)
        _expect_int64(largest, *arrays)
    return dtype


def expect_addable(a: Array, b: Array | Number, *names: str) -> None:
    """ValueError where the sum or the difference of two integers may be past int64."""
    b = np.asarray(b)
    if a.dtype.kind == b.dtype.kind == "i":
        _expect_int64(_magnitude(a) + _magnitude(b), *names)


def _magnitude(array: Array) -> int:
    """Return the largest absolute value of integers."""
    return max(-int(array.min()), int(array.max())) if array.size else 0


def _expect_int64(largest: int, *names: str) -> None:
    """ValueError unless int64 can hold what sums of the named arguments may come to."""
    if largest > LARGEST:
        raise ValueError(
            f"sums over {' and '.join(names)} may be larger than int64 can hold: give floats"
        )


def expect_shape(name: str, array: Array, shape: tuple[int, ...]) -> None:
    """ValueError unless the array has the shape."""
    if array.shape != shape:
        raise ValueError(f"{name} must have shape {short(shape)}, got {short(array.shape)}")


def expect_room(name: str, value: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """ValueError unless there is memory for a result of the shape that the argument asks for."""
    try:
        np.empty(shape, dtype)
    except (MemoryError, OverflowError, ValueError):
        raise ValueError(
            f"{name} must leave room in memory for the result, got {short(value)}"
        ) from None


def expect_place(name: str, place: tuple[Any, Any], shape: tuple[int, ...]) -> None:
    """ValueError unless the place lies inside the shape."""
    if not all(0 <= as_integer(name, i) < size for i, size in zip(place, shape, strict=True)):
        raise ValueError(f"{name} must lie inside shape {shape}, got {short(place)}")


def described(value: Any) -> str:
    """Return what an error says of a value that may be anything, of any size."""
    kind = type(value).__name__
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"{kind} of shape {short(tuple(value.shape))} and dtype {value.dtype}"
    if isinstance(value, int | float | complex | str | None):
        return f"{short(repr(value))} ({kind})"
    return f"{kind} of {len(value)}" if hasattr(value, "__len__") else kind


def short(value: Any) -> str:
    """Return the value in at most 40 characters."""
    text = str(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
