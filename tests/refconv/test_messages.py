"""Every refusal fits in 300 characters and names its argument, whatever was given and how large."""

from typing import Any

import numpy as np
import pytest

import refconv
from refconv.geometry.messages import LONGEST, shown
from support import refconv_calls
from support.bugs.planting import Bug, copy_with
from support.odd_values import HUGE
from support.refconv_calls import ARRAYS, FLAGS

CALLS = refconv_calls.of_image()


def said(floor: Any, function: str, name: str, value: Any) -> str | None:
    """Return why a refusal does not say what it should, or None."""
    try:
        getattr(floor, function)(**CALLS[function] | {name: value})
    except (TypeError, RuntimeError, ValueError, NotImplementedError) as error:
        words = str(error)
        named = any(each in words for each in CALLS[function])  # one that sets what others must be
        return None if len(words) <= 300 and named and "\n" not in words else words
    except Exception as error:
        return repr(error)[:300]
    return None


def unclear(floor: Any, function: str) -> list[str]:
    """Return the refusals of a function that do not say what they should."""
    found = []
    for name in CALLS[function]:
        for kind, value in HUGE.items():
            words = said(floor, function, name, value)
            if words is not None:
                found.append(f"{name} of {kind}: {words}")
    return found


@pytest.mark.parametrize("function", CALLS)
def test_refusals_are_short(function: str) -> None:
    assert unclear(refconv, function) == []


@pytest.mark.slow
@pytest.mark.parametrize("floor", refconv_calls.FLOORS[1:])
@pytest.mark.parametrize("function", CALLS)
def test_refusals_of_the_definitions_are_short(floor: Any, function: str) -> None:
    assert unclear(floor, function) == []


@pytest.mark.parametrize("floor", refconv_calls.FLOORS)
@pytest.mark.parametrize("function", CALLS)
def test_a_flag_is_a_bool(floor: Any, function: str) -> None:
    for name in FLAGS:
        for value in (0, 1, None, "no", (), np.array([False, True]), 2.0):
            if name in CALLS[function]:
                with pytest.raises(TypeError, match=f"{name} must be a bool, got"):
                    getattr(floor, function)(**CALLS[function] | {name: value})
        getattr(floor, function)(
            **{key: np.bool_(v) if key in FLAGS else v for key, v in CALLS[function].items()}
        )


def test_how_much_is_swept() -> None:
    assert sum(map(len, CALLS.values())) * len(HUGE) == 146 * 21
    assert set(ARRAYS) <= {name for call in CALLS.values() for name in call}


@pytest.mark.parametrize("value", HUGE.values(), ids=HUGE)
def test_a_value_is_shown_in_one_short_line(value: Any) -> None:
    assert 0 < len(shown(value)) <= LONGEST
    assert "\n" not in shown(value)


@pytest.mark.parametrize(
    ("function", "bug"),
    [
        ("conv", Bug("values in full", "geometry/arguments.py",
            'raise TypeError(f"{name} must be integers, got {shown(among)}")',
            'raise TypeError(f"{name} must be integers, got {among!r}")', "", "")),
        ("max_pool", Bug("lists in full", "geometry/messages.py", "<= LONGEST else", "> 0 else",
            "", "")),
        ("max_pool_grad", Bug("shapes in full", "geometry/arguments.py",
            "dimensions, shape {shown(full)}", "dimensions, shape {full}", "", "")),
        ("avg_pool", Bug("any flag", "geometry/max_pooling.py", 'flag("ceil_mode", ceil_mode)',
            "bool(ceil_mode)", "", "")),
    ],
    ids=lambda value: getattr(value, "name", value),
)  # fmt: skip
def test_caught(function: str, bug: Bug) -> None:
    assert unclear(copy_with(bug), function) != []
