"""Tensors to arrays and back: the one place where torch and NumPy meet.

On the CPU memory is shared, both ways, and strides are kept. Any other device goes through the
host: the result returns to where the input was. bfloat16, unknown to NumPy, goes through float32,
which holds it exactly; the result is rounded once.
"""

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor


def to_array(tensor: Tensor) -> NDArray[Any]:
    """Return the values of a tensor, detached; a lazy conjugate or negation is carried out.

    >>> to_array(torch.tensor([1.5, -2.0], dtype=torch.bfloat16))
    array([ 1.5, -2. ], dtype=float32)
    """
    if tensor.dtype is torch.bfloat16:
        tensor = tensor.float()
    array: NDArray[Any] = tensor.numpy(force=True)
    return array


def to_tensor(array: NDArray[Any], like: Tensor) -> Tensor:
    """Return the array as a tensor on the device of `like`, in bfloat16 if that is what `like` was.

    >>> half_words = torch.tensor([1.5, -2.0], dtype=torch.bfloat16)
    >>> to_tensor(to_array(half_words) / 3, like=half_words)
    tensor([ 0.5000, -0.6680], dtype=torch.bfloat16)
    """
    tensor = torch.from_numpy(array)
    if array.size == 0:  # NumPy may give it strides of 0
        tensor = torch.empty_like(tensor, memory_format=torch.contiguous_format)
    if like.dtype is torch.bfloat16 and tensor.dtype is torch.float32:
        tensor = tensor.bfloat16()
    return tensor.to(like.device)
