"""refconv as PyTorch operators: functions, layers, and two ways into a model that exists already.

torch_ext.functional    every convolution, pooling and folding of torch.nn.functional
torch_ext.nn            the layers of the same names
swap(model)             gives a model's layers the reference's forward; restore(model) undoes it
with override(): ...    every call of these functions goes to the reference
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
