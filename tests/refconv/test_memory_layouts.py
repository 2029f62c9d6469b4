"""Arrays laid out in memory in every way, for every operator and gradient: the same right answer.

Inputs stay as they were; results are C-contiguous, in native byte order, writable, and new.
"""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import refconv
from refconv import direct
from support import integer_calls
from support.agreement import agreeing
from support.arrays import LAYOUTS, laid_out, plain

Array = NDArray[Any]

CALLS = [
    (f"{case.name} {key} {np.dtype(dtype).name}", call)
    for dtype in (np.float32, np.complex64)
    for case in integer_calls.cases(2, dtype, direct)
    for key, call in case.calls.items()
]


def results(module: Any, call: integer_calls.Call) -> list[Array]:
    name, args, options = call
    out = getattr(module, name)(*args, **options)
    return list(out) if isinstance(out, tuple) else [out]


def with_arrays(call: integer_calls.Call, change: Any) -> integer_calls.Call:
    """Return the same call of other arrays."""
    name, args, options = call
    values = {k: change(v) if isinstance(v, np.ndarray) else v for k, v in options.items()}
    return name, tuple(change(a) if isinstance(a, np.ndarray) else a for a in args), values


def arrays(call: integer_calls.Call) -> list[Array]:
    return [a for a in (*call[1], *call[2].values()) if isinstance(a, np.ndarray)]


def arranged(a: Array, layout: str) -> Array:
    """Lay out an array; one of a single axis has no other order of axes."""
    return laid_out(a, layout.replace("channels last", "strided") if a.ndim == 1 else layout)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_operator_in_every_layout(layout: str) -> None:
    changed = 0
    for what, call in CALLS:
        laid = with_arrays(call, lambda a: arranged(a, layout))
        native = arrays(with_arrays(laid, plain))
        before = [a.tobytes() for a in native]
        changed += sum(a.strides != b.strides for a, b in zip(arrays(laid), native, strict=True))
        expected = results(direct, with_arrays(laid, plain))
        for module in (refconv, direct):
            for y, right in zip(results(module, laid), expected, strict=True):
                assert agreeing(call[0])(y, right), what
                assert y.flags.c_contiguous, what
                assert y.flags.writeable, what
                assert y.dtype.isnative, what
                assert not any(np.shares_memory(y, a) for a in arrays(laid)), what
        after = [plain(a).tobytes() for a in arrays(laid)]
        assert after == before, what
    assert changed > len(CALLS) // 2 or layout in ("read-only", "big-endian")


def test_a_layout_is_another_one() -> None:
    a = np.arange(120.0).reshape(2, 3, 4, 5)
    for layout in set(LAYOUTS) - {"broadcast"}:
        assert (laid_out(a, layout) == a).all()
    assert 0 in laid_out(a, "broadcast").strides
    assert min(laid_out(a, "reversed").strides) < 0
    assert laid_out(a, "fortran").flags.f_contiguous
    assert not laid_out(a, "read-only").flags.writeable
    assert not laid_out(a, "big-endian").dtype.isnative
    assert laid_out(a, "strided").strides[-1] == 16
    assert laid_out(a, "channels last").strides[1] == 8


@pytest.mark.parametrize("rank", integer_calls.RANKS)
def test_an_empty_batch(rank: int) -> None:
    """The shapes are those of two images but for their number; a sum over no image is 0."""
    pairs = zip(
        integer_calls.cases(rank, np.float32, direct, n=0),
        integer_calls.cases(rank, np.float32, direct),
        strict=True,
    )
    for case, full in pairs:
        for key, call in case.calls.items():
            for module in (refconv, direct):
                for y, like in zip(
                    results(module, call), results(refconv, full.calls[key]), strict=True
                ):
                    assert y.dtype == like.dtype
                    assert y.flags.c_contiguous
                    if key in ("gw", "gb", "gw(gx)"):
                        assert y.shape == like.shape
                        assert not y.any()
                    else:
                        assert y.shape == (0, *like.shape[1:]), (case.name, key)


def test_the_whole_family_is_here() -> None:
    assert {call[0] for _, call in CALLS} == set(refconv.__all__) - {"direct"}
