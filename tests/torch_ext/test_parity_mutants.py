"""Generated mutants: right kernels that go wrong beyond one size, of which the oracle lets none by.

Every 50th runs here, every third of them with

    PARITY_MUTANTS=3 python -m pytest -n auto tests/torch_ext/test_parity_mutants.py
"""

import os

import pytest
import torch

from support.bugs.zoo.mutants import MUTANTS, Mutant
from torch_ext import parity

STEP = int(os.environ.get("PARITY_MUTANTS", "50"))
ORDER = ("ladder", *(tier for tier in parity.TIERS if tier != "ladder"))  # the likeliest first


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS[::STEP], ids=lambda m: f"{m.op}: {m.name}")
def test_a_mutant_is_rejected(mutant: Mutant) -> None:
    candidate = mutant.make()
    assert any(
        parity.check(candidate, mutant.op, dtypes=[torch.float32], tiers=[tier]).failures
        for tier in ORDER
    )


def test_there_are_many_and_no_two_are_the_same() -> None:
    assert len(MUTANTS) > 1500
    assert len(set(MUTANTS)) == len(MUTANTS)
