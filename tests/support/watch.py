"""What reached which kernels: torch's, seen by a mode beneath, and the reference's.

with Below() as natively, Counting() as replaced: ...
"""

import re

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from torch_ext.override import aten

NATIVE = re.compile("^aten[.].*(conv|pool|im2col|col2im)")


class Below(TorchDispatchMode):
    """Lists the operators of the family that torch's own kernels are to compute."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if NATIVE.search(str(func)):
            self.seen.append(str(func))
        return func(*args, **(kwargs or {}))


class Counting(aten.Kernels):
    """Lists the operators that were replaced."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.seen += [func] if func in aten.KERNELS else []
        return super().__torch_dispatch__(func, types, args, kwargs)


def compare(found, expected):
    """Assert that tensors are the same, bits, types and strides."""
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == other.dtype
        assert one.stride() == other.stride()
        assert torch.equal(one, other)
