"""Checks are made once: what is found again is what would be checked, and refusals stay theirs."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import refconv
from refconv import geometry
from refconv.geometry.remembering import KEPT, remembered
from support.bugs.planting import Bug, copy_with

X, W = np.arange(2 * 3 * 7 * 6.0).reshape(2, 3, 7, 6), np.ones((4, 3, 3, 2))
PLAIN = (X.shape, W.shape, (1, 2), (1, 1), 1, 1)


def test_a_call_like_an_earlier_one_is_found() -> None:
    asked = []

    def check(*args: Any) -> Any:
        asked.append(args)
        return args

    first = remembered(check)((3, 4), [1, 2], 1, "same", None)
    again = remembered(check)((3, 4), (1, 2), 1, "same", None)
    assert first is again
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("position", "value"),
    [(2, (True, 2)), (2, [1, True]), (4, True), (5, True), (4, 1.0), (3, (1.0, 1)), (2, ([1], 2))],
)
def test_what_equals_a_plain_argument_is_refused_all_the_same(position: int, value: Any) -> None:
    remembered(geometry.conv)(*PLAIN)
    changed = [*PLAIN[:position], value, *PLAIN[position + 1 :]]
    with pytest.raises(TypeError) as expected:
        geometry.conv(*changed)  # type: ignore[arg-type]
    with pytest.raises(TypeError) as found:
        remembered(geometry.conv)(*changed)
    assert str(found.value) == str(expected.value)


def test_a_refusal_shows_what_was_given() -> None:
    for stride in ([0, 1], (0, 1)):  # one key, two sentences
        with pytest.raises(RuntimeError, match="stride") as error:
            refconv.conv(X, W, None, stride)
        assert str(error.value).endswith(str(stride))


def test_numpys_integers_and_ranges_are_taken_as_before() -> None:
    expected = refconv.conv(X, W, None, (1, 2), (1, 1))
    for ones in (np.array([1, 1]), [np.int64(1), np.int8(1)], range(1, 2)):
        assert np.array_equal(refconv.conv(X, W, None, (np.int64(1), 2), ones), expected)


def test_callers_in_several_threads_find_the_same() -> None:
    start = threading.Barrier(4, timeout=20)

    def caller(first: int) -> list[geometry.Conv]:
        start.wait()
        shapes = [(1, 3, 7 + (first + step) % 90, 6) for step in range(400)]
        return [remembered(geometry.conv)(shape, *PLAIN[1:]) for shape in shapes]

    with ThreadPoolExecutor(4) as callers:
        for number, done in enumerate([callers.submit(caller, n) for n in range(4)]):
            sizes = [geo.i[0] for geo in done.result()]
            assert sizes == [7 + (number + step) % 90 for step in range(400)]


def test_no_more_is_kept_than_the_layers_of_a_large_model() -> None:
    made = []

    def check(size: int) -> int:
        made.append(size)
        return size

    for size in [*range(2 * KEPT), 0]:
        remembered(check)(size)
    assert len(made) == 2 * KEPT + 1


@pytest.mark.parametrize(
    "bug",
    [
        Bug("a bool is found among integers", "geometry/remembering.py",
            "OF_SEVERAL = frozenset((int, type(None)))",
            "OF_SEVERAL = frozenset((int, type(None), bool))", "", ""),
        Bug("a bool is found as an integer", "geometry/remembering.py",
            "typed=True", "typed=False", "", ""),
    ],
    ids=lambda bug: bug.name,
)  # fmt: skip
def test_caught(bug: Bug) -> None:
    wrong = copy_with(bug)
    wrong.conv(X, W, None, (1, 1), 1, 1, 1)
    taken = 0
    for options in (((True, 1), 1, 1, 1), ((1, 1), 1, 1, True)):
        try:
            wrong.conv(X, W, None, *options)
            taken += 1
        except TypeError:
            pass
    assert taken == 1
