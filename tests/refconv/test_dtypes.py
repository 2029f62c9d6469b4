"""Which operator takes which dtype: tried, one by one, and written down in the README.

A dtype is taken and the result right, in both forms, against whole numbers found by other means;
or it is refused with a NotImplementedError by both.
"""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import refconv
from refconv import direct
from support import expected, integer_calls
from support.agreement import agreeing

Array = NDArray[Any]

GROUPS: dict[str, tuple[Any, ...]] = {
    "float16 to longdouble": (np.float16, np.float32, np.float64, np.longdouble),
    "complex": (np.complex64, np.complex128, np.clongdouble),
    "integers": (
        *(np.int8, np.int16, np.int32, np.int64),
        *(np.uint8, np.uint16, np.uint32, np.uint64),
    ),
    "bool": (np.bool_,),
}
REFUSED = (np.object_, "datetime64[s]", "timedelta64[s]", "U1", "V8")
DTYPES = (*(dtype for group in GROUPS.values() for dtype in group), *REFUSED)

ROWS = {  # as the README words them -> the operators
    "`conv` (stride, padding, 'same', dilation, groups, bias), `conv_transpose`": (
        *("conv", "conv_transpose"),
    ),
    "`max_pool` (dilation, ceil_mode, indices), `adaptive_max_pool`, `fractional_max_pool`": (
        *("max_pool", "adaptive_max_pool", "fractional_max_pool"),
    ),
    "`max_unpool`": ("max_unpool",),
    "`avg_pool` (ceil_mode, count_include_pad, divisor_override), `adaptive_avg_pool`": (
        *("avg_pool", "adaptive_avg_pool"),
    ),
    "`lp_pool` (as torch computes it, or the p-norm)": ("lp_pool",),
    "`pad` (constant, reflect, replicate, circular), `unfold`, `fold`": ("pad", "unfold", "fold"),
}


def numbers(a: Array, dtype: np.dtype[Any]) -> Array:
    """Return small whole numbers that the dtype has: none below 0 without a sign, 0 and 1 of bool.

    Of a dtype without numbers, anything: it is refused.
    """
    if dtype.kind == "b":
        return (a != 0).astype(a.dtype)
    return abs(a) if dtype.kind == "u" else a


def cast(call: integer_calls.Call, change: Any, sample: Any = np.float64) -> integer_calls.Call:
    """Return the same call of other data; indices stay, random samples have their own dtype."""
    name, args, options = call
    if "random_samples" in options:
        options = {**options, "random_samples": options["random_samples"].astype(sample)}
    data = (isinstance(a, np.ndarray) and a.dtype == np.float64 for a in args)
    return name, tuple(change(a) if d else a for a, d in zip(args, data, strict=True)), options


@cache
def tried(dtype: Any) -> dict[str, bool]:
    """Return whether every function takes a dtype, and is right; both forms refuse it otherwise."""
    kind, found = np.dtype(dtype), {}
    for case in integer_calls.cases(1, np.float64, direct) + integer_calls.cases(
        2, np.float64, direct
    ):
        for key, call in case.calls.items():
            whole = cast(call, lambda a: numbers(a, kind))
            sample = kind if kind.kind == "f" else np.float64
            typed = cast(whole, lambda a: a.astype(np.int64).astype(dtype), sample)
            answers = [answer(form, typed) for form in (refconv, direct)]
            taken = answers[0] is not None
            assert found.setdefault(call[0], taken) == taken, (case.name, key)
            if kind == np.object_:
                assert not taken  # the definitions run on Fractions; the fast forms do not
                continue
            assert (answers[1] is not None) == taken, (case.name, key)
            if taken:
                right = stored(whole, kind)
                for results in answers:
                    assert all(map(agreeing(call[0]), results, right)), (case.name, key)
    return found


def answer(form: Any, call: integer_calls.Call) -> list[Array] | None:
    """Return what a form finds; None if it refuses the dtype."""
    name, args, options = call
    try:
        out = getattr(form, name)(*args, **options)
    except NotImplementedError as error:
        if "has dtype" in str(error):
            return None
        raise
    return list(out) if isinstance(out, tuple) else [out]


def stored(call: integer_calls.Call, dtype: np.dtype[Any]) -> list[Array]:
    """Return what must be found, of real numbers in a complex dtype too."""
    results = expected.found(call)
    if dtype.kind == "c":
        results = [results[0], 0 * results[0]] if len(results) == 1 else results
    return expected.stored(results, dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_taken_and_right_or_refused(dtype: Any) -> None:
    found = tried(dtype)
    assert set(found) == set(refconv.__all__) - {"direct"}
    assert not any(found.values()) or dtype not in REFUSED


@pytest.mark.parametrize("operator", [name for row in ROWS.values() for name in row])
def test_gradients_take_every_number_that_the_operator_takes(operator: str) -> None:
    numbers = [dtype for name, group in GROUPS.items() if name != "bool" for dtype in group]
    for dtype in numbers:
        for name, taken in tried(dtype).items():
            if name.startswith(f"{operator}_grad"):
                assert taken or not tried(dtype)[operator], (name, dtype)


def table() -> list[str]:
    """Return the README's table, from what was found."""
    lines = ["| operator | " + " | ".join(GROUPS) + " |", "|---|" + ":-:|" * len(GROUPS)]
    for label, operators in ROWS.items():
        cells = []
        for group in GROUPS.values():
            found = {tried(dtype)[operator] for dtype in group for operator in operators}
            assert len(found) == 1, (label, group)
            cells.append("yes" if found.pop() else "")
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    return lines


def test_the_table_of_operators_says_what_was_found() -> None:
    page = (
        (Path(__file__).parents[2] / "docs/operators.md").read_text(encoding="utf-8").splitlines()
    )
    start = page.index(table()[0])
    assert page[start : start + len(table())] == table()
    forward = {name for name in refconv.__all__ if "_grad" not in name}
    parts = {"direct", "max_pool_select", "max_pool_scatter"}  # of gradients
    assert {name for row in ROWS.values() for name in row} == forward - parts
