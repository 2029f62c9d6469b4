"""Arrays of another library: computed by that library alone, to the same bits as NumPy's."""

import ast
import inspect
import threading
from functools import cache
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import refconv
from refconv import direct, geometry
from refconv.engine import columns, planes, tiles, winners
from support.agreement import agreeing, same
from support.arrays import LAYOUTS, laid_out
from support.branch_calls import more_calls, whole
from support.bugs import battery
from support.bugs.planting import Bug, copy_with
from support.doubles import numpy_like

Call = battery.Call


@cache
def calls() -> list[Call]:
    of_battery = [call for case in battery.cases() for call in case.calls]
    return [*of_battery, *(call for call, _ in battery.halves()), *more_calls()]


def there(value: Any) -> Any:
    """Bring the arrays among arguments into the other library."""
    return numpy_like.asarray(value) if isinstance(value, np.ndarray) else value


def computed_there(package: Any, call: Call) -> list[Any]:
    """Return what a package answers to the call made with the other library's arrays."""
    name, args, options = call
    out = getattr(package, name)(
        *map(there, args), **{key: there(value) for key, value in options.items()}
    )
    return [numpy_like.asnumpy(a) for a in (out if isinstance(out, tuple) else (out,))]


def agrees(package: Any, call: Call) -> bool:
    """Return whether a package answers with the other library's arrays what NumPy's get."""
    ours = battery.run(refconv, call)
    return ours is not None and all(map(agreeing(call[0]), computed_there(package, call), ours))


@pytest.fixture(params=["a device's tiles", "tiny tiles"])
def size(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "tiny tiles":
        monkeypatch.setattr(tiles, "DEVICE_TIMES", 1)
        monkeypatch.setattr(tiles, "SCRATCH_BYTES", 200)
        monkeypatch.setattr(planes, "TILE_BYTES", 200)
        monkeypatch.setattr(columns, "COLUMNS", 3)
        monkeypatch.setattr(columns, "SHIFT_ROWS", 1)
        monkeypatch.setattr(columns, "PRODUCTS", 1)


# --------------------------------------------------------------------------- results


def test_every_operator_is_called() -> None:
    assert {name for name, _, _ in calls()} == set(refconv.__all__) - {"direct"}


@pytest.mark.usefixtures("size")
def test_computed_there_to_the_same_bits() -> None:
    assert {call[0] for call in calls() if not agrees(refconv, call)} == set()


@pytest.mark.parametrize("layout", [v for v in LAYOUTS if v not in ("big-endian", "read-only")])
def test_any_layout(layout: str) -> None:
    x, w = laid_out(whole(2, 4, 6, 5), layout), whole(4, 4, 3, 2)
    for call in [
        ("conv", (x, laid_out(w, layout)), {}),
        ("conv_transpose", (x, laid_out(w, layout)), {"stride": 2}),
        ("avg_pool", (x, 2), {}),
        ("max_pool", (x, 2), {"return_indices": True}),
        ("pad", (x, (1, 1), "circular"), {}),
    ]:
        assert agrees(refconv, call)


def test_samples_are_drawn_there() -> None:
    x = np.arange(81.0).reshape(1, 1, 9, 9)
    y = numpy_like.asnumpy(refconv.fractional_max_pool(numpy_like.asarray(x), 2, 4))
    assert y.shape == (1, 1, 4, 4)
    assert y[0, 0, -1, -1] == 80  # the last window ends where x does


def test_equal_positions_take_turns() -> None:
    at = np.array([3, 5, 3, 3, 5])
    parts = [numpy_like.asnumpy(turn) for turn in winners.turns(numpy_like.asarray(at))]
    assert [sorted(part.tolist()) for part in parts] == [[0, 1], [2, 4], [3]]
    assert list(winners.turns(at)) == [slice(None)]


# --------------------------------------------------------------------------- tiles


def test_tiles_of_a_device_follow_one_another_in_the_calling_thread() -> None:
    seen: list[tuple[int, threading.Thread, list[int]]] = []

    def task(item: int) -> None:
        seen.append((item, threading.current_thread(), before()))

    def before() -> list[int]:
        return [library.num_threads for library in tiles._threads.blas]

    held = before()
    tiles.run(numpy_like, task, range(50))
    assert seen == [(item, threading.current_thread(), held) for item in range(50)]


def test_scratch_of_a_device_is_new_for_every_stream() -> None:
    """Whether the last tile is done with an old one, only the device knows."""
    first, again = (
        numpy_like.asnumpy(tiles.scratch(numpy_like, (4,), np.dtype(np.float32), "test"))
        for _ in "ab"
    )
    assert not np.shares_memory(first, again)


def test_a_device_is_called_more_rarely(monkeypatch: pytest.MonkeyPatch) -> None:
    x, w = (numpy_like.asarray(whole(*s)) for s in [(8, 16, 30, 30), (16, 16, 3, 3)])
    monkeypatch.setattr(tiles, "SCRATCH_BYTES", 1 << 16)
    monkeypatch.setattr(columns, "PRODUCTS", 1 << 16)
    monkeypatch.setattr(planes, "TILE_BYTES", 1 << 14)

    def count() -> int:
        before = numpy_like.calls
        refconv.conv(x, w)
        refconv.max_pool(x, 2)
        return numpy_like.calls - before

    larger = count()
    monkeypatch.setattr(tiles, "DEVICE_TIMES", 1)
    assert 4 * larger < count()


# --------------------------------------------------------------------------- errors


X = np.ones((1, 2, 4, 4), np.float32)
AT = np.zeros((1, 2, 2, 2), np.int64)
GY, U = X[..., :2, :2].copy(), np.zeros((1, 2, 2), np.float32)


@pytest.mark.parametrize(
    ("call", "names"),
    [
        (("conv", (X, X), {}), ("x", "weight")),
        (("conv", (X, X, X[0, :, 0, 0]), {}), ("x", "bias")),
        (("conv_grad_input", (X.shape, X, GY), {}), ("weight", "grad_output")),
        (("conv_grad_weight", (X, X.shape, GY), {}), ("x", "grad_output")),
        (("conv_transpose", (X, X), {}), ("x", "weight")),
        (("conv_transpose_grad_input", (X.shape, X, GY), {}), ("weight", "grad_output")),
        (("conv_transpose_grad_weight", (X, X.shape, GY), {}), ("x", "grad_output")),
        (("max_pool_grad", (X.shape, AT, GY, 2), {}), ("indices", "grad_output")),
        (("max_pool_select", (X, AT, 2), {}), ("x", "indices")),
        (("max_pool_scatter", (X.shape, AT, GY, 2), {}), ("indices", "grad_output")),
        (("adaptive_max_pool_grad", (X.shape, AT, GY, 2), {}), ("indices", "grad_output")),
        (("fractional_max_pool", (X, 2, 2, None, False, U), {}), ("x", "random_samples")),
        (("fractional_max_pool_grad", (X.shape, AT, GY, 2, 2), {}), ("indices", "grad_output")),
        (("max_unpool", (GY, AT, 2), {}), ("x", "indices")),
        (("max_unpool_grad", (AT, X, 2), {}), ("indices", "grad_output")),
        (("lp_pool_grad", (X, GY, 2, 2), {}), ("x", "grad_output")),
    ],
)
def test_two_libraries_in_one_call(call: Call, names: tuple[str, str]) -> None:
    name, args, _ = call
    last = max(n for n, a in enumerate(args) if isinstance(a, np.ndarray))
    one, other = names
    mixed = [there(a) if n == last else a for n, a in enumerate(args)]
    with pytest.raises(
        TypeError, match=f"{one} is a numpy.ndarray and {other} is a numpy_like.nda"
    ):
        getattr(refconv, name)(*mixed)
    mixed = [a if n == last else there(a) for n, a in enumerate(args)]
    with pytest.raises(
        TypeError, match=f"{one} is a numpy_like.ndarray and {other} is a numpy.nda"
    ):
        getattr(refconv, name)(*mixed)


def test_no_array_beside_another_librarys() -> None:
    with pytest.raises(TypeError, match=r"weight must be a numpy_like.ndarray, got list"):
        refconv.conv(there(X), [1.0])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "array",
    [
        torch.ones(1, 2, 4, 4),  # has no strided views
        np.float32(1),
        type("Array", (), {"__array_namespace__": lambda self: SimpleNamespace(ndarray=object)})(),
    ],
)
def test_a_library_without_numpys_interface(array: Any) -> None:
    assert geometry.namespace(array) is None or not isinstance(array, np.ndarray)
    with pytest.raises(TypeError, match=r"x must be a numpy.ndarray, got .*\."):
        refconv.max_pool(array, 2)


@pytest.mark.parametrize("name", ["conv", "max_pool", "max_unpool_grad", "pad"])
def test_definitions_are_numpys(name: str) -> None:
    args, options = next(rest for called, *rest in calls() if called == name)
    with pytest.raises(TypeError, match=r"must be a numpy.ndarray, got numpy_like.ndarray"):
        getattr(direct, name)(*map(there, args), **options)


def test_an_array_that_names_its_library_by_its_type_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """As CuPy's arrays do up to version 14."""
    assert geometry.namespace(there(X)) is numpy_like
    monkeypatch.delattr(numpy_like.ndarray, "__array_namespace__")
    assert geometry.namespace(there(X)) is numpy_like
    assert same(numpy_like.asnumpy(refconv.max_pool(there(X), 2)), GY)


# --------------------------------------------------------------------------- planted bugs


@pytest.mark.parametrize(
    "bug",
    [
        Bug("NumPy's function", "engine/patches.py",
            "namespace(x).lib", "__import__('numpy').lib", "foreign", "conv"),
        Bug("NumPy's ufunc", "engine/winners.py",
            "xp.greater(v, best", "np.greater(v, best", "foreign", "max_pool"),
        Bug("NumPy's memory", "engine/tiles.py",
            "array: Array = xp.empty(shape, dtype)", "array: Array = np.empty(shape, dtype)",
            "foreign", "conv_grad_input"),
        Bug("CuPy's zero has no sign", "fast/padding.py",
            "xp.copyto(y[block], fill)", "y[block] = fill", "foreign", "pad"),
        Bug("a result of NumPy's", "fast/convolution.py",
            "geometry.namespace(gy).empty(gy", "__import__('numpy').empty(gy",
            "foreign", "conv_grad_bias"),
        Bug("a divisor of NumPy's", "fast/adaptive_pooling.py",
            "xp.arange(side.start", "__import__('numpy').arange(side.start",
            "foreign", "adaptive_avg_pool"),
        Bug("by way of NumPy", "fast/power_pooling.py",
            "return by_hand[e]()", "return np.asarray(by_hand[e]())",
            "foreign", "lp_pool"),
        Bug("a loop over elements", "engine/ragged.py",
            "int(self.size.max())", "max(self.size)", "foreign", "adaptive_max_pool"),
        Bug("values race for a position", "engine/winners.py",
            "if xp is np:\n        yield", "if xp:\n        yield", "foreign", "max_unpool"),
        Bug("sums race for a position", "engine/winners.py",
            "if xp is np:\n        yield", "if xp:\n        yield", "foreign", "max_pool_grad"),
        Bug("equal positions in any order", "engine/winners.py",
            'xp.argsort(at, kind="stable")', 'xp.argsort(at, kind="stable")[::-1]',
            "foreign", "max_unpool"),
    ],
    ids=lambda bug: bug.name,
)  # fmt: skip
def test_a_planted_bug_is_caught(bug: Bug) -> None:
    package = copy_with(bug)

    def caught(call: Call) -> bool:
        try:
            return not agrees(package, call)
        except AssertionError:
            return True

    assert any(caught(call) for call in calls() if call[0] == bug.operator)


# --------------------------------------------------------------------------- names


NUMPY_ONLY = (
    "bands.py",
    "phases.py",
    "pointwise.py",
    "adaptive_sums.py",
    "shared_windows.py",
    "shifts.py",
    "large_windows.py",
)
FAST = sorted(
    path
    for path in Path(refconv.__file__).parent.rglob("*.py")
    if not {"direct", "exact", "textbook", "__main__.py"} & set(path.parts)
    and path.name not in NUMPY_ONLY  # for NumPy's own arrays alone
)
# of NumPy, what computes on no array: dtypes and their limits, indices, errors; and what tiles and
# winners keep for NumPy's own arrays
HOST = {
    *(
        "ndarray",
        "memmap",
        "dtype",
        "bool_",
        "uint8",
        "int64",
        "uint64",
        "float16",
        "float32",
        "float64",
    ),
    *("inf", "iinfo", "finfo", "min_scalar_type", "ndindex", "ravel_multi_index", "errstate"),
    *("empty", "add.at"),
}


def dotted(node: ast.expr) -> list[str]:
    """Return the names of a.b.c, outermost first; `namespace(x)` is xp."""
    if isinstance(node, ast.Attribute):
        return [*dotted(node.value), node.attr]
    if isinstance(node, ast.Call) and dotted(node.func)[-1:] == ["namespace"]:
        return ["xp"]
    return [node.id] if isinstance(node, ast.Name) else []


def used(library: str) -> dict[str, list[ast.Call]]:
    """Return the names that the fast forms use of a library, and their calls."""
    found: dict[str, list[ast.Call]] = {}
    for tree in (ast.parse(path.read_text(encoding="utf-8")) for path in FAST):
        nodes = list(ast.walk(tree))
        inner = {id(n.value) for n in nodes if isinstance(n, ast.Attribute)}
        for node in nodes:
            if isinstance(node, ast.Attribute) and id(node) not in inner:
                first, *rest = dotted(node) or [""]
                if first == library and rest:
                    found.setdefault(".".join(rest), [])
            if isinstance(node, ast.Call) and dotted(node.func)[:1] == [library]:
                found.setdefault(".".join(dotted(node.func)[1:]), []).append(node)
    return {name: calls for name, calls in found.items() if name}


def lacking(library: ModuleType) -> list[str]:
    """Return the names, and calls, that the fast forms use and a library does not take."""
    missing = []
    for name, calls in used("xp").items():
        value: Any = library
        for part in name.split("."):
            value = getattr(value, part, None)
        if value is None:
            missing.append(name)
        for call in calls if value is not None else ():
            given = [arg for arg in call.args if not isinstance(arg, ast.Starred)]
            options = {str(k.arg): None for k in call.keywords}
            try:
                inspect.signature(value).bind(*given, **options)
            except (TypeError, ValueError) as error:
                if not (hasattr(value, "nin") and set(options) <= {"out"}):  # a ufunc
                    missing.append(f"{name}: {error}")
    return missing


def test_numpy_itself_computes_on_no_array() -> None:
    assert set(used("np")) - HOST == set()
    assert {"moveaxis", "lib.stride_tricks.as_strided", "matmul"} <= set(used("xp"))


def test_every_name_is_in_the_other_library() -> None:
    assert lacking(numpy_like) == []


def test_every_name_is_in_cupy_with_its_signature() -> None:
    cupy = pytest.importorskip("cupy", exc_type=ImportError)
    assert lacking(cupy) == []
    mine = {name for name in vars(numpy_like.ndarray) if not name.startswith("_")}
    assert {name for name in mine if not hasattr(cupy.ndarray, name)} == set()


def test_a_name_that_cupy_lacks_is_seen() -> None:
    bare = SimpleNamespace(**{name: v for name, v in vars(numpy_like).items() if name != "flip"})
    assert lacking(bare) == ["flip"]  # type: ignore[arg-type]
