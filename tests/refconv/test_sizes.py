"""What a size may be: each argument of each function that is an integer or several, as anything.

Whatever holds integers means what Python's own integers do, to the last bit; anything else is a
TypeError that names the argument.
"""

from typing import Any, NamedTuple

import pytest

import refconv
from support import refconv_calls
from support.bugs.planting import Bug, copy_with
from support.odd_values import BAD, ONE, SEVERAL, takes
from support.refconv_calls import ARRAYS, FLAGS, equal_results


class Size(NamedTuple):
    """An argument that is one integer or several, of a function."""

    function: str
    name: str

    @property
    def value(self) -> Any:
        return CALLS[self.function][self.name]


CALLS = refconv_calls.of_image()
WINDOWS = ("kernel_size", "stride", "padding", "dilation", "output_padding")
OTHERS = (*ARRAYS, *FLAGS, "norm_type")
SIZES = [Size(f, name) for f, call in CALLS.items() for name in call if name not in OTHERS]


def ways(size: Size) -> list[Any]:
    """Return the ways to write a size."""
    value = size.value
    if isinstance(value, int):
        return [one(value) for one in ONE.values()]
    written = [several(value) for several in SEVERAL.values()]
    if size.name in WINDOWS and len(set(value)) == 1:  # the sides of `pad` differ
        written += [one(value[0]) for one in ONE.values()]
        if size.name != "kernel_size":  # whose length is the number of axes
            written += [several(value[:1]) for several in SEVERAL.values()]
    return written


def mistaken(floor: Any, size: Size) -> list[Any]:
    """Return the ways to write a size, right and wrong ones, that a function does not take so."""
    function, call = getattr(floor, size.function), CALLS[size.function]
    expected, found = function(**call), []
    for way in ways(size):
        try:
            right = equal_results(function(**call | {size.name: way}), expected)
        except Exception:
            right = False
        if not right:
            found.append(way)
    for bad in BAD:
        if takes(size.function, size.name, bad):
            continue
        try:
            function(**call | {size.name: bad})
            right = False
        except TypeError as error:
            says = str(error)
            right = says.startswith(f"{size.name} must be ") and len(says) <= 300
        except Exception:
            right = False
        if not right:
            found.append(bad)
    return found


def test_every_size_is_swept() -> None:
    assert len(SIZES) == 87
    assert sum(len(ways(size)) for size in SIZES) == 2570
    assert len(BAD) == 36


@pytest.mark.parametrize("floor", [refconv, refconv.direct])
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size.function} {size.name}")
def test_whatever_holds_integers_means_them(floor: Any, size: Size) -> None:
    assert mistaken(floor, size) == []


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size.function} {size.name}")
def test_whatever_holds_integers_means_them_exactly(size: Size) -> None:
    assert mistaken(refconv_calls.FLOORS[2], size) == []


def test_no_stride_is_that_of_the_kernel() -> None:
    x = CALLS["max_pool"]["x"]
    for stride in (None, (), []):
        assert equal_results(refconv.max_pool(x, 2, stride), refconv.max_pool(x, 2, 2))


@pytest.mark.parametrize(
    ("size", "bug"),
    [
        (
            Size("max_pool", "stride"),
            Bug("compared", "geometry/max_pooling.py",
                "(isinstance(stride, tuple | list) and not stride)", "stride == ()", "", ""),
        ),
        (
            Size("conv", "stride"),
            Bug("bytes", "geometry/arguments.py", "(str, bytes, bytearray, memoryview)", "(str,)",
                "", ""),
        ),
        (
            Size("pad", "padding"),
            Bug("sets", "geometry/arguments.py", "isinstance(value, Sequence) and",
                "hasattr(value, '__iter__') and", "", ""),
        ),
        (
            Size("conv", "groups"),
            Bug("bools", "geometry/arguments.py", "    logical = isinstance(value, bool) or ",
                "    logical = ", "", ""),
        ),
        (
            Size("lp_pool_grad", "kernel_size"),
            Bug("arrays of one axis as one integer", "geometry/arguments.py",
                'hasattr(value, "__index__") and getattr(value, "ndim", 0) == 0',
                'hasattr(value, "__index__")', "", ""),
        ),
        (
            Size("max_pool_select", "rank"),
            Bug("NumPy's own arithmetic", "geometry/max_pooling.py",
                '    rank = integer("rank", rank)\n    return x, selection(',
                "    return x, selection(", "", ""),
        ),
    ],
    ids=lambda value: value.name,
)  # fmt: skip
def test_caught(size: Size, bug: Bug) -> None:
    assert mistaken(copy_with(bug), size) != []
