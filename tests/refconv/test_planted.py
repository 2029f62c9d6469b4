"""Bugs planted into refconv's own source, one at a time: the battery shows each, by name."""

from collections import Counter
from collections.abc import Iterator
from functools import cache

import pytest
from rich.table import Table

import refconv
from support.bugs import battery
from support.bugs.candidates import MUTANTS
from support.bugs.planted import BUGS
from support.bugs.planting import Bug, copy_with
from support.bugs.seen import SEEN, stands_for
from support.tables import show

CHECKS = ("direct", "torch", "adjoint", "half", "refused")


@pytest.fixture(scope="module")
def caught(request: pytest.FixtureRequest) -> Iterator[Table]:
    table = Table(
        *("planted bug", "where", "caught by", "seen as"),
        title="Bugs planted into refconv, all caught",
    )
    yield table
    show(table, request.config, width=150)


@cache
def right(form: str) -> battery.Answers:
    """Return the answers without a bug, for the form that a bug does not touch."""
    return battery.fast(refconv) if form == "fast" else battery.direct(refconv)


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_caught(bug: Bug, caught: Table) -> None:
    package = copy_with(bug)
    form = battery.fast(package) if bug.in_fast else right("fast")
    definition = battery.direct(package) if bug.in_direct else right("direct")
    found = battery.failures(form, definition)
    assert bug.operator in found.get(bug.check, set()), found
    by = ", ".join(check for check in CHECKS if check in found)
    caught.add_row(bug.name, bug.file, by, stands_for(bug.name))


def test_nothing_found_without_a_bug() -> None:
    assert battery.failures(right("fast"), right("direct")) == {}


def test_a_copy_is_fresh_and_leaves_the_package_alone() -> None:
    copy = copy_with(BUGS[0])
    assert copy is not refconv
    assert copy.conv is not refconv.conv
    assert copy.direct.conv.__module__ == refconv.direct.conv.__module__
    assert __import__("refconv") is refconv
    assert __import__("refconv.fast.convolution").fast.convolution.conv is refconv.conv


def test_every_bug_is_another_one() -> None:
    assert len(BUGS) >= 40
    assert Counter((bug.file, bug.right, bug.wrong) for bug in BUGS).most_common(1)[0][1] == 1
    assert len({bug.name for bug in BUGS}) == len(BUGS)
    assert {bug.check for bug in BUGS} == set(CHECKS)


def test_every_bug_seen_in_the_wild_is_planted() -> None:
    """Here or in parity's candidates, and under the name that the list gives it."""
    planted = {bug.name for bug in BUGS} | {bug for _, bug, _ in MUTANTS}
    assert all(SEEN.values())
    assert {name for names in SEEN.values() for name in names} <= planted


def test_every_operator_is_in_the_battery() -> None:
    names = {name for case in battery.cases() for name, _, _ in case.calls}
    assert names == set(refconv.__all__) - {"direct"}
