"""Tensors to arrays and back: the one place where torch and NumPy, or CuPy, meet.

On the CPU memory is shared, both ways, and strides are kept. On CUDA it is too, with CuPy's arrays
(`cuda`); without CuPy, and from any other device, values go through the host, and the result
returns to where the input was. bfloat16, unknown to NumPy, goes through float32, which holds it
exactly; the result is rounded once.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from torch_ext._bridge import cuda

Kernel = Callable[..., Any]


def to_array(tensor: Tensor) -> NDArray[Any]:
    """Return the values of a tensor, detached; a lazy conjugate or negation is carried out.

    >>> to_array(torch.tensor([1.5, -2.0], dtype=torch.bfloat16))
    array([ 1.5, -2. ], dtype=float32)
    """
    plain = tensor.detach().resolve_conj().resolve_neg()
    if plain.dtype is torch.bfloat16:
        plain = plain.float()
    if plain.device.type == cuda.DEVICE:
        return cuda.to_array(plain)
    # plain.numpy() would fix the size of the storage for good; FSDP frees and allocates it anew
    array: NDArray[Any] = np.from_dlpack(plain.cpu())
    return array


def to_tensor(array: NDArray[Any], like: Tensor) -> Tensor:
    """Return the array as a tensor on the device of `like`, in bfloat16 if that is what `like` was.

    >>> half_words = torch.tensor([1.5, -2.0], dtype=torch.bfloat16)
    >>> to_tensor(to_array(half_words) / 3, like=half_words)
    tensor([ 0.5000, -0.6680], dtype=torch.bfloat16)
    """
    if like.device.type == cuda.DEVICE:
        tensor = cuda.to_tensor(array, like.device)
    else:
        tensor = torch.from_numpy(array).to(like.device)
    if array.size == 0:  # NumPy may give it strides of 0
        tensor = torch.empty_like(tensor, memory_format=torch.contiguous_format)
    if like.dtype is torch.bfloat16 and tensor.dtype is torch.float32:
        tensor = tensor.bfloat16()
    return tensor


def in_place(kernel: Kernel) -> Kernel:
    """Return a kernel that computes where its tensors are: on their device and torch's stream."""

    @wraps(kernel)
    def placed(*args: Any) -> Any:
        for arg in args:
            if isinstance(arg, Tensor) and arg.device.type == cuda.DEVICE:
                with cuda.on(arg.device):
                    return kernel(*args)
        return kernel(*args)

    return placed
