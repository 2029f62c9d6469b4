"""CUDA tensors as arrays: CuPy's, in torch's memory and on its stream, or NumPy's on the host.

With CuPy, an input is shared through DLPack. Results, and all scratch memory, come from torch's
allocator, each in a tensor of bytes that its array holds; a result is a tensor over the same
storage. So torch alone owns the memory: its statistics count it, and `record_stream` works, as it
would not on a tensor that is imported.

Without CuPy, values go through page-locked memory of the host.
"""

import importlib
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

DEVICE = "cuda"  # the type of the devices that all of this is about

# by address: the memory that arrays of CuPy have from torch, as long as they have it
_blocks: weakref.WeakValueDictionary[int, Tensor] = weakref.WeakValueDictionary()


@cache
def library() -> Any:
    """Return CuPy, or None where it is not installed or torch's CUDA is another (ROCm)."""
    if torch.version.cuda is None:
        return None
    try:
        return importlib.import_module("cupy")
    except ImportError:
        return None


# --------------------------------------------------------------------------- conversion


def to_array(tensor: Tensor) -> NDArray[Any]:
    """Return the values of a tensor that is on a GPU, as an array of CuPy's or of NumPy's."""
    cupy = library()
    if cupy is not None:
        return cupy.from_dlpack(tensor)  # type: ignore[no-any-return]
    host = torch.empty_like(tensor, device="cpu", pin_memory=True)
    host.copy_(tensor, non_blocking=True)
    torch.cuda.current_stream(tensor.device).synchronize()  # until then host holds nothing
    return host.numpy()


def to_tensor(array: Any, device: torch.device) -> Tensor:
    """Return a result on a GPU: an array of CuPy's by its memory, one of NumPy's by a copy."""
    if isinstance(array, np.ndarray):
        host = torch.from_numpy(array).pin_memory()
        return host.to(device, non_blocking=True)  # torch keeps the page locked until it is done
    dtype = torch.from_numpy(np.empty(0, array.dtype)).dtype
    if array.size == 0:
        return torch.empty(array.shape, dtype=dtype, device=device)
    block = _blocks[array.data.mem.ptr]
    offset = (array.data.ptr - block.data_ptr()) // array.itemsize
    strides = [step // array.itemsize for step in array.strides]
    view = torch.empty(0, dtype=dtype, device=device)
    return view.set_(block.untyped_storage(), offset, array.shape, strides)


# --------------------------------------------------------------------------- surroundings


@contextmanager
def on(device: torch.device) -> Iterator[None]:
    """Let CuPy compute on a device: on torch's stream, in torch's memory, in full precision.

    What a stream records for a CUDA graph could not be replayed: results pass through Python.
    """
    if device.type == "cuda" and torch.cuda.is_current_stream_capturing():
        raise RuntimeError(
            "operators of torch_ext cannot be captured in a CUDA graph: they run in Python. "
            "Capture the model without them (torch_ext.restore), or run it without a graph."
        )
    cupy = library()
    if cupy is None:
        yield
        return
    with (
        cupy.cuda.Device(device.index),
        cupy.cuda.Stream.from_external(torch.cuda.current_stream(device)),
        cupy.cuda.using_allocator(partial(_allocate, cupy, device)),
        _precision.full(cupy),
    ):
        yield


def _allocate(cupy: Any, device: torch.device, size: int) -> Any:
    """Return so many bytes of torch's, on its stream, as memory of CuPy's that holds them."""
    block = torch.empty(size, dtype=torch.uint8, device=device)
    address = block.data_ptr()
    _blocks[address] = block
    memory = cupy.cuda.UnownedMemory(address, size, block, block.device.index)
    return cupy.cuda.MemoryPointer(memory, 0)


class _Precision:
    """CuPy's choice of what a matmul of float32 may round its operands to: one for all threads."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.inside = 0
        self.before = 0

    @contextmanager
    def full(self, cupy: Any) -> Iterator[None]:
        """Multiply float32 as NumPy does, never in TF32, until the last thread has left."""
        core = cupy._core
        with self.lock:
            if self.inside == 0:
                self.before = core.get_compute_type("f")
                core.set_compute_type("f", core._routines_linalg.COMPUTE_TYPE_DEFAULT)
            self.inside += 1
        try:
            yield
        finally:
            with self.lock:
                self.inside -= 1
                if self.inside == 0:
                    core.set_compute_type("f", self.before)


_precision = _Precision()
