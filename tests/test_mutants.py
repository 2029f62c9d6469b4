"""Bugs seen in the wild, planted one at a time: `parity.check` catches each, by name."""

from collections.abc import Iterator

import pytest
import torch
from rich.table import Table

from mutants import MAKE
from showing import show
from torch_ext import parity

MUTANTS = [  # operator, bug, a quantity that must show it
    ("conv2d", "dilation of the wrong axis", "y (no grad)"),
    ("conv1d", "odd padding on the left", "y (no grad)"),
    ("conv2d", "one channel, channels_last misread", "y (no grad)"),
    ("conv1d", "strides ignored", "y (no grad)"),
    ("conv1d", "no bias where there is no batch", "y (no grad)"),
    ("conv1d", "zeros", "y (no grad)"),
    ("conv1d", "no flip in the input gradient", "gx"),
    ("conv1d", "input gradient of the wrong group", "gx"),
    ("conv1d", "input gradient x 1.001", "gx"),
    ("conv1d", "stride ignored in the weight gradient", "gw"),
    ("conv3d", "weight gradient from the first group", "gw"),
    ("conv1d", "bias gradient over the wrong axes", "gb"),
    ("conv1d", "bias gradient of the first image", "gb"),
    ("conv1d", "double backward ignores dilation", "gw(gx)"),
    ("conv1d", "double backward without the weight", "gw(gx)"),
    ("conv1d", "double backward loses a sign", "gy(all)"),
    ("conv1d", "operands cut to TF32", "y (no grad)"),
    ("conv1d", "sums kept in the half", "y (no grad)"),
    ("conv1d", "float64 summed in float32", "y (no grad)"),
    ("conv1d", "another order of summation every time", "y (no grad)"),
    ("conv1d", "another dtype", "y (no grad)"),
    ("conv1d", "the input written to", "x"),
    ("conv1d", "an exception", "y (no grad)"),
    ("max_pool2d", "the last of equals wins", "indices"),
    ("max_pool1d", "NaN dropped", "y (no grad)"),
    ("max_pool1d", "the first NaN wins", "indices"),
    ("max_pool1d", "no index for a window of -inf", "indices"),
    ("max_pool2d", "padding of zeros takes part", "y (no grad)"),
    ("max_pool2d", "indices transposed unless contiguous", "indices"),
    ("max_pool1d", "sign of zero lost", "y (no grad)"),
    ("max_pool1d", "ties split", "gx"),
    ("max_pool1d", "gradients overwrite each other", "gx"),
    ("max_pool1d", "double backward loses a sign", "gy(gx)"),
    ("avg_pool2d", "divisor not clipped", "y (no grad)"),
    ("avg_pool1d", "divisor not clipped in the gradient", "gx"),
    ("avg_pool1d", "count_include_pad ignored", "y (no grad)"),
    ("avg_pool2d", "sign of the divisor lost", "y (no grad)"),
    ("avg_pool1d", "reciprocal of the divisor", "y (no grad)"),
    ("avg_pool2d", "double backward ignores options", "gy(gx)"),
]
DTYPE = {"sums kept in the half": torch.bfloat16, "float64 summed in float32": torch.float64}
ROUNDING = (  # right wherever nothing rounds
    "operands cut to TF32",
    "sums kept in the half",
    "another order of summation every time",
)


def checked(op: str, bug: str, dtype: torch.dtype, order: int) -> parity.Verdict:
    candidate = MAKE[op[:-2]](bug, int(op[-2]))
    return parity.check(candidate, op, dtypes=[dtype], order=order, random_cases=0)


@pytest.fixture(scope="module")
def caught(request: pytest.FixtureRequest) -> Iterator[Table]:
    table = Table(
        "operator", "planted bug", "shown by", "failures", title="Planted bugs, all caught"
    )
    yield table
    show(table, request.config, width=100)


@pytest.mark.parametrize(("op", "bug", "quantity"), MUTANTS, ids=str)
def test_caught(op: str, bug: str, quantity: str, caught: Table) -> None:
    order = quantity.startswith("g") + (quantity.startswith("g") and "(" in quantity)
    failures = checked(op, bug, DTYPE.get(bug, torch.float32), order).failures
    shown = [failure for failure in failures if failure.quantity == quantity]
    assert shown
    assert {failure.party for failure in failures} == {"candidate"}
    if bug in ROUNDING:
        assert {failure.tier for failure in failures} == {"bounded"}
    caught.add_row(op, bug, f"{quantity}, {shown[0].tier} tier", str(len(failures)))


@pytest.mark.parametrize("op", parity.OPS)
def test_right_without_a_bug(op: str) -> None:
    verdict = checked(op, "", torch.float32, order=1 if op == "conv3d" else 2)
    assert verdict.ok, verdict


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_right_without_a_bug_in_other_formats(dtype: torch.dtype) -> None:
    verdict = checked("conv1d", "", dtype, order=1)
    assert verdict.ok, verdict
