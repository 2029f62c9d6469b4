"""A double of CuPy's dealings with torch, around the double of its arrays in `numpy_like`.

It shares tensors of the CPU by DLPack, as CuPy shares those of a GPU, computes only where device,
stream and allocator are set, and keeps what it returns in memory of that allocator.
"""

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from support.doubles import numpy_like

TF32, FULL = 7, 1  # as CuPy numbers them
OFFSET = 16  # bytes before an array in its block


class CuPy:
    """The module, as far as torch_ext uses it; `log` tells what was entered and left."""

    def __init__(self) -> None:
        self.log: list[Any] = []
        self.entries = threading.local()  # how many surroundings this thread is within
        self.compute_type = TF32
        self.shared: list[Any] = []  # the memory of tensors, as arrays
        self.cuda = SimpleNamespace(
            Device=lambda index: self.entered("device", index),
            Stream=SimpleNamespace(
                from_external=lambda stream: self.entered("stream", stream.__cuda_stream__()[1])
            ),
            UnownedMemory=UnownedMemory,
            MemoryPointer=lambda memory, offset: SimpleNamespace(
                mem=memory, ptr=memory.ptr + offset
            ),
            using_allocator=self.using_allocator,
        )
        self._core = SimpleNamespace(
            get_compute_type=lambda dtype: self.compute_type,
            set_compute_type=self.set_compute_type,
            _routines_linalg=SimpleNamespace(COMPUTE_TYPE_DEFAULT=FULL),
        )

    @contextmanager
    def entered(self, what: str, which: Any) -> Iterator[None]:
        self.log.append((what, which))
        self.entries.count = self.count() + 1
        try:
            yield
        finally:
            self.entries.count -= 1
            self.log.append((f"end of {what}", which))

    def count(self) -> int:
        return getattr(self.entries, "count", 0)

    @contextmanager
    def using_allocator(self, malloc: Any) -> Iterator[None]:
        self.malloc = malloc
        with self.entered("allocator", None):
            yield

    def set_compute_type(self, dtype: str, compute_type: int) -> None:
        assert dtype == "f"
        self.compute_type = compute_type

    def from_dlpack(self, tensor: Any) -> numpy_like.ndarray:
        self.ready()
        shared = np.from_dlpack(tensor)
        self.shared.append(shared)
        return numpy_like.asarray(shared)

    def ready(self) -> None:
        """Assert that this is where and how torch would compute."""
        assert self.count() == 3, "outside of device, stream and allocator"
        assert self.compute_type == FULL, "a matmul could round to TF32"

    def call(self, *args: Any, **options: Any) -> numpy_like.ndarray:
        """Stand for `numpy_like._call`: every function of the library."""
        self.ready()
        return CALL(*args, **options)

    def data(self, array: numpy_like.ndarray) -> Any:
        """Return where an array lies: in memory of the allocator, which it moves into when asked.

        That is freed when the array is gone.
        """
        self.ready()
        if not hasattr(array, "block"):
            inside = array._inside
            assert not any(np.shares_memory(inside, each) for each in self.shared), "not a result"
            array.block = self.malloc(OFFSET + inside.nbytes)
            memory = (ctypes.c_uint8 * (OFFSET + inside.nbytes)).from_address(array.block.ptr)
            moved = np.frombuffer(memory, np.uint8, inside.nbytes, OFFSET)
            array._inside = moved.view(inside.dtype).reshape(inside.shape)
            array._inside[...] = inside
        return SimpleNamespace(mem=array.block.mem, ptr=array.block.ptr + OFFSET)


class UnownedMemory(NamedTuple):
    """Memory, and the object that keeps it."""

    ptr: int
    size: int
    owner: Any
    device: int | None


CALL = numpy_like._call
