"""refconv as PyTorch operators, with three doors.

Swap: the reference in your model.

    torch_ext.swap(model)              gives a model's layers the reference's forward
    torch_ext.restore(model)           undoes it
    with torch_ext.override(): ...     sends every call of these functions to the reference
    torch_ext.functional, .nn          the functions and layers themselves, by torch's names

Certify: your kernel against the reference.

    from torch_ext import parity
    print(parity.check(my_conv2d, "conv2d"))        or: python -m torch_ext.parity

Study: `torch_ext.derivatives` says why each gradient is right; ARCHITECTURE.md follows one call.
"""

import importlib

try:
    importlib.import_module("torch")
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(
        "torch_ext needs torch, which is an extra: pip install 'refconv[torch]'", name="torch"
    ) from missing

from refconv import __version__
from torch_ext import functional, nn
from torch_ext.override import override
from torch_ext.swap import restore, swap

__all__ = ["__version__", "functional", "nn", "override", "restore", "swap"]
