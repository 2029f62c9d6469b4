"""What an array may be, in every array argument of every function: NumPy's own, or one on disk.

A mask would be heeded by one operator and ignored by the next, and a matrix multiplies in its own
way; lists and tensors are told where to go.
"""

import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

import refconv
from support import refconv_calls
from support.bugs.planting import Bug, copy_with
from support.refconv_calls import ARRAYS, equal_results

pytestmark = pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")


class Own(np.ndarray):
    """A subclass that adds nothing."""


class Place(NamedTuple):
    """An argument of a function that is an array."""

    function: str
    name: str


CALLS = refconv_calls.of_image()
PLACES = [Place(f, name) for f, call in CALLS.items() for name in call if name in ARRAYS]
FLOORS = pytest.mark.parametrize("floor", refconv_calls.FLOORS)
EVERYWHERE = pytest.mark.parametrize("place", PLACES, ids=" ".join)


def refused(floor: Any, place: Place) -> dict[str, tuple[Any, str]]:
    """Return what is no array for a place, by its kind, each with the words it is refused with."""
    a = CALLS[place.function][place.name]
    must = rf"{place.name} must be a numpy.ndarray, got "
    lost = rf"{place.name} is a numpy.*, whose own rules would be lost: pass "
    return {
        "masked": (np.ma.masked_array(a), rf"{lost}{place.name}\.filled\(\.\.\.\)"),
        "matrix": (np.asmatrix(np.ones((2, 2), a.dtype)), rf"{lost}np\.asarray\({place.name}\)"),
        "record": (a.view(np.recarray), rf"{lost}np\.asarray\({place.name}\)"),
        "one's own": (a.view(Own), r"Own, whose own rules would be lost"),
        "list": (a.tolist(), rf"{must}list: pass np\.asarray\({place.name}\)"),
        "tuple": (tuple(a.tolist()), rf"{must}tuple: pass np\.asarray"),
        "tensor": (torch.tensor(a), rf"{must}torch\.Tensor: torch_ext\.functional takes tensors"),
        "number": (1.0, rf"{must}float: pass np\.asarray"),
        "NumPy's number": (np.float64(1), rf"{must}numpy\.float64: pass np\.asarray"),
        "word": ("x", rf"{must}str$"),
        "shape": (a.shape, rf"{must}tuple: pass np\.asarray"),
    }


def mistaken(floor: Any, place: Place, folder: Path) -> list[str]:
    """Return the kinds of values that a function does not take, or refuse, as it should."""
    function, call = getattr(floor, place.function), CALLS[place.function]
    a = call[place.name]
    found: list[str] = []
    on_disk = np.memmap(folder / "array", a.dtype, "w+", shape=a.shape)
    on_disk[...] = a
    try:
        result = function(**call | {place.name: on_disk})
        if not equal_results(result, function(**call)) or isinstance(result, np.memmap):
            found.append("on disk")
    except TypeError as error:
        found.append(f"on disk: {error}")
    for kind, (value, words) in refused(floor, place).items():
        try:
            function(**call | {place.name: value})
            found.append(kind)
        except Exception as error:
            said = re.search(words, str(error)) and len(str(error)) <= 300
            if not said or type(error) is not TypeError:
                found.append(f"{kind}: {error}")
    return found


@FLOORS
@EVERYWHERE
def test_only_arrays_are_taken(floor: Any, place: Place, tmp_path: Path) -> None:
    assert mistaken(floor, place, tmp_path) == []


def test_every_array_is_swept() -> None:
    assert len(PLACES) == 45
    assert len(refused(refconv, PLACES[0])) == 11


@pytest.mark.parametrize(
    "bug",
    [
        Bug("subclasses", "geometry/arguments.py", "kind not in (np.ndarray, np.memmap)", "False",
            "", ""),
        Bug("nothing on disk", "geometry/arguments.py", "kind not in (np.ndarray, np.memmap)",
            "kind is not np.ndarray", "", ""),
        Bug("no check", "geometry/unpooling.py",
            'gy = array("grad_output", grad_output, kinds, xp)', "gy = grad_output", "", ""),
    ],
    ids=lambda bug: bug.name,
)  # fmt: skip
def test_caught(bug: Bug, tmp_path: Path) -> None:
    package = copy_with(bug)
    place = Place("max_unpool_grad", "grad_output") if bug.in_direct else Place("pad", "x")
    assert mistaken(package.direct if "direct" in bug.file else package, place, tmp_path) != []
