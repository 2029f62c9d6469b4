"""The exact tier on a device: CuPy's arrays give the bits that NumPy's give.

Every operator with its first and second gradients, in every rank and every dtype that CuPy has, on
data that no sum rounds; and the calls that select other code (`branches`). Without a GPU the
double of CuPy takes its place: the same source on another library's arrays.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

import refconv
from refconv import direct
from support import integer_calls
from support.agreement import agreeing, one_nan
from support.branch_calls import more_calls
from support.doubles import numpy_like

GPU = torch.cuda.is_available()
DTYPES = (
    *(np.float16, np.float32, np.float64, np.complex64, np.complex128),
    *(np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64),
)
ROOTS = ("lp_pool", "lp_pool_grad")  # a device's powers differ from the host's in the last bits


class Library(NamedTuple):
    """A library of arrays, and the way in and out."""

    asarray: Callable[[Any], Any]
    asnumpy: Callable[[Any], Any]


@pytest.fixture(
    params=[
        "the double of CuPy",
        pytest.param(
            "CuPy", marks=pytest.mark.skipif(not GPU, reason="no GPU here: this has not run")
        ),
    ]
)
def library(request: pytest.FixtureRequest) -> Library:
    if request.param == "the double of CuPy":
        return Library(numpy_like.asarray, numpy_like.asnumpy)
    cupy = pytest.importorskip("cupy", reason="CuPy is not installed: this has not run")
    return Library(cupy.asarray, cupy.asnumpy)


def computed(library: Library, call: integer_calls.Call) -> list[Any]:
    """Return what refconv answers to a call made with the library's arrays, as NumPy's."""
    name, args, options = call

    def there(value: Any) -> Any:
        return library.asarray(value) if isinstance(value, np.ndarray) else value

    out = getattr(refconv, name)(*map(there, args), **{k: there(v) for k, v in options.items()})
    return list(map(library.asnumpy, out if isinstance(out, tuple) else (out,)))


def agrees(library: Library, call: integer_calls.Call) -> bool:
    """Return whether the library finds what NumPy finds."""
    name, args, options = call
    ours = getattr(refconv, name)(*args, **options)
    ours = ours if isinstance(ours, tuple) else (ours,)
    there = map(one_nan, computed(library, call))  # whose bits a device chooses
    return all(agreeing(name)(a, one_nan(b)) for a, b in zip(there, ours, strict=True))


@pytest.mark.parametrize("rank", integer_calls.RANKS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_whole_family_finds_the_same(library: Library, dtype: Any, rank: int) -> None:
    calls = [
        (case.name, key, call)
        for case in integer_calls.cases(rank, dtype, direct)
        for key, call in case.calls.items()
    ]
    assert len(calls) > 30
    assert [call[:2] for call in calls if not agrees(library, call[2])] == []


MORE = [call for call in more_calls() if call[0] not in ROOTS]


@pytest.mark.parametrize("name", sorted({name for name, _, _ in MORE}))
def test_other_code_finds_the_same(library: Library, name: str) -> None:
    calls = [call for call in MORE if call[0] == name]
    assert [call[2] for call in calls if not agrees(library, call)] == []


def test_roots_differ_in_the_last_bits_only(library: Library) -> None:
    for name, args, options in (call for call in more_calls() if call[0] in ROOTS):
        ours = getattr(refconv, name)(*args, **options)
        (there,) = computed(library, (name, args, options))
        assert there.dtype == ours.dtype
        np.testing.assert_allclose(there, ours, rtol=32 * np.finfo(ours.dtype).eps, atol=0)


def test_a_wrong_element_is_seen(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison, tested: one element of one result is off by one unit."""
    call = next(call for call in MORE if call[0] == "conv")
    assert agrees(library, call)
    right = library.asnumpy

    def wrong(array: Any) -> Any:
        found = right(array).copy()
        found.flat[-1] += 1
        return found

    assert not agrees(library._replace(asnumpy=wrong), call)
