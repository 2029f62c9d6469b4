"""A few cases of the oracle, and its tiers that compare small ones: for what is tested of it."""

from torch_ext import parity

FEW = (
    "plain",
    "all options",
    "all options, padding not counted",
    "stride, padding and dilation",
    "unbatched",
    "ties",
    "p = 2.0, stride",
)
COMPARED = ("exact", "bounded")


def few(case: parity.Case) -> bool:
    return case.name in FEW
