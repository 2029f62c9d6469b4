"""Checks shared by the derivations: a ValueError names the argument, what it is and should be."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[Any]


def as_array(name: str, value: ArrayLike, axes: str) -> Array:
    """The value as an array with the given axes, such as "H W", none of them empty."""
    array = np.asarray(value)
    if array.ndim != len(axes.split()) or array.size == 0:
        wanted = axes.replace(" ", ", ")
        raise ValueError(f"{name} must be a non-empty array ({wanted}), got shape {array.shape}")
    return array


def as_image_and_filter(
    image_name: str, image: ArrayLike, filter_name: str, filter_: ArrayLike
) -> tuple[Array, Array]:
    """An image (H, W) and a filter (k1, k2) that fits inside it."""
    image, filter_ = as_array(image_name, image, "H W"), as_array(filter_name, filter_, "k1 k2")
    if filter_.shape[0] > image.shape[0] or filter_.shape[1] > image.shape[1]:
        raise ValueError(
            f"{filter_name} must fit inside {image_name} of shape {image.shape}, "
            f"got shape {filter_.shape}"
        )
    return image, filter_


def expect_shape(name: str, array: Array, shape: tuple[int, ...]) -> None:
    """ValueError unless the array has the shape."""
    if array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got {array.shape}")


def expect_positive(name: str, value: int) -> None:
    """ValueError unless the value is at least one."""
    if value < 1:
        raise ValueError(f"{name} must be at least 1, got {value}")
