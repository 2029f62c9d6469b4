"""Odd values in every place of every function: where torch refuses too, we refuse alike."""

import inspect
from collections import Counter

import numpy as np
import pytest
import torch
from torch import ones
from torch.nn import functional as F

from support.functional_calls import call_of
from support.torch_refusals import raised, says, sentence
from torch_ext import functional

DOCUMENTED = (TypeError, ValueError, RuntimeError, NotImplementedError)
ODD = (
    None, True, False, 0, -1, -7, 1.5, float("nan"), float("inf"), 2 + 3j, "a", "same" * 200,
    b"1", object(), [], (), [[1]], [1.5], (None,), ("a",), (2, -1), (1,) * 9, "x" * 5000,
    [7] * 5000, type, Ellipsis, slice(1), np.float32(2), np.array(["a"]), np.zeros((100, 100)),
    torch.tensor(2.0), ones(2, 2), ones(1, 4, 8, 7).bool(), ones(0),
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", functional.__all__)
def test_odd_values(name):
    """The type is torch's, and its sentence is there; what torch takes has a documented type."""
    count = Counter()
    for parameter in inspect.signature(getattr(functional, name)).parameters:
        for value in ODD:
            call = {**call_of(name), parameter: value}
            theirs, ours = (raised(getattr(f, name), **call) for f in (F, functional))
            if ours is not None:
                says(ours, ())  # in so many words
            if ours is not None and theirs is not None:
                assert type(ours) is type(theirs), (parameter, value)
                assert sentence(theirs) in str(ours), (parameter, value)
                count["alike"] += 1
            elif ours is not None:
                assert type(ours) in DOCUMENTED, (parameter, value)
                count["ours alone"] += 1
            else:
                count["taken"] += 1
    assert count["alike"] > 0.6 * count.total()
    assert count["ours alone"] < 0.1 * count.total()
