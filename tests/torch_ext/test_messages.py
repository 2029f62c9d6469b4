"""Every refusal of torch_ext.functional fits in 300 characters by itself: nothing is cut off."""

import inspect

import pytest
import torch

from support import functional_calls
from support.odd_values import HUGE
from torch_ext import functional
from torch_ext.functional import _arguments, _door

OF_TORCH = {
    "a tensor": torch.zeros(99, 99),
    "a tensor of axes": torch.zeros((1,) * 60),
    "indices of axes in a tensor": torch.zeros((1,) * 60, dtype=torch.int64),
    "a tensor of one axis": torch.arange(5000),
}


def too_long(name):
    """Return the arguments and values that a function refuses in more words than fit."""
    found, function = [], getattr(functional, name)
    for argument in inspect.signature(function).parameters:
        for kind, value in {**HUGE, **OF_TORCH}.items():
            try:
                function(**functional_calls.call_of(name) | {argument: value})
            except Exception as error:
                ours = str(error).partition("\ntorch: ")[0]
                if len(ours) > 300 or "\n" in ours:
                    found.append((argument, kind, ours))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", functional.__all__)
def test_refusals_are_short_before_they_are_cut(name, monkeypatch):
    monkeypatch.setattr(_door, "LONGEST", 10**9)
    assert too_long(name) == []


def test_what_does_not_fit_is_seen(monkeypatch):
    monkeypatch.setattr(_door, "LONGEST", 10**9)
    monkeypatch.setattr(_arguments.geometry, "shown", lambda value: "x" * 300)
    assert too_long("lp_pool2d") != []
