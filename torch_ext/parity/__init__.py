"""Does an implementation agree with the reference? A verdict one can trust.

>>> import torch
>>> from torch_ext import parity
>>> verdict = parity.check(torch.nn.functional.max_pool1d, "max_pool1d", dtypes=[torch.float64])
>>> verdict.ok
True
"""

from torch_ext.parity.cases import OPS, Case
from torch_ext.parity.failure import Failure
from torch_ext.parity.report import Row, Verdict
from torch_ext.parity.runner import check

__all__ = ["OPS", "Case", "Failure", "Row", "Verdict", "check"]
