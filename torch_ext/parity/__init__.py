"""Does an implementation agree with the reference? A verdict one can trust.

>>> import torch
>>> from torch_ext import parity
>>> verdict = parity.check(torch.nn.functional.max_pool1d, "max_pool1d", dtypes=[torch.float64])
>>> verdict.ok
True
"""

from torch_ext.parity.catalogue import OPERATORS, Case
from torch_ext.parity.failure import Failure
from torch_ext.parity.report import Row, Verdict
from torch_ext.parity.runner import TIERS, check

OPS = tuple(OPERATORS)
"""The operators that can be certified, by their names in torch.nn.functional."""

__all__ = ["OPS", "TIERS", "Case", "Failure", "Row", "Verdict", "check"]
