"""The oracle before a zoo: every wrong kernel is rejected, no sound one is, for the family whole.

The zoo (tests/support/bugs/zoo) was written before the tiers met it, and imports nothing of ours.
Tiers run in their order until one rejects, as `check` runs them all.
"""

from collections import Counter
from collections.abc import Iterator

import pytest
import torch
from rich.table import Table

from support.bugs.candidates import MUTANTS as PLANTED
from support.bugs.zoo.sound import SOUND
from support.bugs.zoo.tampering import Candidate
from support.bugs.zoo.wrong import WRONG, Wrong
from support.tables import show
from torch_ext import parity

EVERYDAY = 12  # every so many, the rest with the slow tests
SLOW = {  # gathered windows of large volumes: no ladder, whose largest calls take them minutes
    ("conv3d", "gathered windows"),
    ("conv_transpose2d", "gathered windows"),
    ("conv_transpose3d", "gathered windows"),
}


def rejected_by(wrong: Wrong) -> str:
    """Return the first tier that finds something, or nothing."""
    for tier in parity.TIERS:
        verdict = parity.check(wrong.make(), wrong.op, dtypes=[wrong.dtype], tiers=[tier])
        if verdict.failures:
            assert {failure.party for failure in verdict.failures} == {"candidate"}
            assert not verdict.ok
            return tier
    return ""


@pytest.fixture(scope="module")
def rejected(request: pytest.FixtureRequest) -> Iterator[Table]:
    table = Table("operator", "defect", "rejected by", title="Wrong kernels, all rejected")
    yield table
    show(table, request.config, width=120)


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(
            wrong, id=f"{wrong.op}: {wrong.defect}", marks=[pytest.mark.slow][: n % EVERYDAY]
        )
        for n, wrong in enumerate(WRONG)
    ],
)
def test_every_wrong_kernel_is_rejected(wrong: Wrong, rejected: Table) -> None:
    tier = rejected_by(wrong)
    assert tier
    rejected.add_row(wrong.op, wrong.defect, tier)


@pytest.mark.parametrize(
    ("op", "algorithm", "candidate"),
    [
        pytest.param(*sound, id=f"{sound[0]}: {sound[1]}", marks=[pytest.mark.slow][: n % EVERYDAY])
        for n, sound in enumerate(SOUND)
    ],
)
def test_no_sound_kernel_is_rejected(op: str, algorithm: str, candidate: Candidate) -> None:
    tiers = [t for t in parity.TIERS if t != "ladder" or (op, algorithm) not in SLOW]
    verdict = parity.check(candidate, op, dtypes=[torch.float32], tiers=tiers)
    assert verdict.ok, verdict
    row = verdict.rows[0]
    assert row.bit_equal == row.cases > 0
    assert not row.withheld


def test_the_zoo_is_large_and_covers_the_family() -> None:
    wrong = Counter(wrong.op for wrong in WRONG)
    sound = Counter(op for op, _, _ in SOUND)
    assert len(WRONG) + len(PLANTED) >= 120 + 40
    assert len(SOUND) >= 25
    assert set(wrong) == set(parity.OPS) - {"lp_pool3d", "conv_transpose3d", "adaptive_avg_pool3d"}
    assert set(sound) == set(parity.OPS)
    assert len({(w.op, w.defect) for w in WRONG}) == len(WRONG)
