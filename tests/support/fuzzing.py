"""Calls with odd values in their arguments: what may come of one, and what may not.

A call may give a result, or an exception of a documented type that our own code raises, with a
message of ours. It takes at most a second and 256 MiB beyond its result.
"""

import contextlib
import inspect
import re
import time
import traceback
import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

import refconv
from torch_ext import functional

ALLOWED = (TypeError, ValueError, RuntimeError, NotImplementedError, ZeroDivisionError, IndexError)
OURS = tuple(str(Path(package.__file__ or "").parent) for package in (refconv, functional))
OURS += (str(Path(functional.__file__ or "").parent.parent),)
SECONDS, BYTES, LONGEST = 1.0, 256 << 20, 300

NUMBERS: tuple[Any, ...] = (
    *(None, True, False, 0, 1, 2, 3, -1, -2, 7, 1.5, -0.0, float("nan"), float("inf"), 1e300, 2j),
    *(2**31 - 1, 2**31, 2**33, 2**61, 2**62, 2**63 - 1, 2**63, 2**64, -(2**63), -(2**63) - 1),
)
ROWS: tuple[Any, ...] = (
    *((), (1,), (2, 2), (1, 2, 3), (0, 1), (-1, 2), (2**61, 1), (2**63, 2), (None, 2), (1.0, 2)),
    *(
        [],
        [2],
        [1, 1],
        [[1, 2], [3, 4]],
        range(2),
        {1, 2},
        {1: 2},
        "same",
        "valid",
        "x" * 500,
        b"12",
    ),
    *(np.int64(2), np.uint8(1), np.float64(2), np.bool_(True), np.array(2), np.array([2, 1])),
    *(np.array([1.5, 2]), np.array([[1, 1]]), torch.tensor(2), torch.tensor([1, 2]), object(), len),
    *(torch.Size([2, 2]), slice(2), Ellipsis, type, "reflect", "circular", np.array("a")),
)
SHAPES = ((), (0,), (3,), (2, 3), (1, 2, 5), (2, 0, 5), (0, 2, 5), (1, 2, 4, 5), (1, 2, 0, 5),
          (1, 1, 3, 4, 2), (2, 2, 2, 2, 2, 2))  # fmt: skip
DTYPES = ("f4", "f8", "f2", "i8", "i4", "u1", "?", "c8", "O", "S1", "M8[s]", ">f8", "g")


@dataclass
class Found:
    """What went wrong, by the call that shows it."""

    calls: int = 0
    refused: int = 0
    wrong: list[str] = field(default_factory=list)


def odd_array(rng: np.random.Generator, tensors: bool) -> Any:
    """Return an array of a random shape, dtype and content; a tensor where those are asked for."""
    shape = SHAPES[rng.integers(len(SHAPES))]
    dtype = np.dtype(DTYPES[rng.integers(len(DTYPES))])
    with warnings.catch_warnings(action="ignore"), np.errstate(all="ignore"):
        a = rng.integers(-3, 4, shape).astype(dtype)
        if dtype.kind == "f" and a.size and rng.random() < 0.5:
            a.flat[rng.integers(a.size)] = (np.nan, np.inf, -np.inf)[rng.integers(3)]
    if not tensors or dtype.kind in "OSM" or dtype.char == "g":
        return a
    return torch.from_numpy(np.array(a.astype(dtype.newbyteorder("="))))


def odd_value(rng: np.random.Generator, tensors: bool) -> Any:
    """Return a value that hardly belongs anywhere."""
    kind = rng.integers(4)
    if kind == 0:
        return odd_array(rng, tensors)
    pool = NUMBERS if kind < 3 else ROWS
    return pool[rng.integers(len(pool))]


def good(name: str, rng: np.random.Generator, tensors: bool, rank: int) -> dict[str, Any]:
    """Return arguments that the function takes, by their names, of a random small size."""
    i, small = (5, 4, 3)[:rank], (2, 2, 2)[:rank]

    def a(*shape: int, whole: bool = False) -> Any:
        x = rng.integers(0, 2, shape) if whole else rng.integers(-2, 3, shape).astype(np.float64)
        return torch.tensor(x) if tensors else x

    x = "input" if tensors else "x"
    o = tuple(n - 1 for n in i)
    if name == "conv_tbc":
        return {"input": a(5, 2, 2), "weight": a(2, 2, 3), "bias": a(3), "pad": 1}
    if "conv_transpose" in name or name.startswith("conv"):
        return {
            x: a(1, 2, *i), "weight": a(2, 2, *small), "bias": a(2), "input_shape": (1, 2, *i),
            "weight_shape": (2, 2, *small), "stride": 1, "padding": 0, "dilation": 1, "groups": 1,
            "grad_output": a(1, 2, *(tuple(n + 1 for n in i) if "transpose" in name else o)),
            "output_padding": 0,
        }  # fmt: skip
    if name == "pad":
        return {"x": a(1, 2, *i), "padding": (1, 1), "mode": "constant", "value": 0}
    if name == "pad_grad":
        return {"input_shape": (2, 4), "grad_output": a(2, 6), "padding": (1, 1), "mode": "reflect"}
    windows = (5, 4, 3)[:rank]
    cols = int(np.prod([n - 1 for n in windows]))
    return {
        x: a(1, 4, cols) if name == "fold" else a(1, 2, *i), "cols": a(1, 2 * 2**rank, cols),
        "kernel_size": small, "stride": 1 if "unpool" not in name else 2, "padding": 0,
        "dilation": 1, "ceil_mode": False, "count_include_pad": True, "divisor_override": None,
        "return_indices": False, "input_shape": (1, 2, *i), "grad_output": a(1, 2, *o),
        "indices": a(1, 2, *(i if "unpool" in name else o), whole=True), "rank": rank,
        "output_size": i if name == "fold" else o, "output_ratio": None, "norm_type": 2,
        "random_samples": None, "_random_samples": None, "strict": False, "mathematical": False,
    }  # fmt: skip


def functions(module: ModuleType) -> list[str]:
    """Return the names of the public functions."""
    return [name for name in module.__all__ if inspect.isroutine(getattr(module, name))]


def cases(module: ModuleType, count: int, seed: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield calls in which an argument is odd, or two: each of every function in turn."""
    rng, tensors = np.random.default_rng(seed), module is functional
    turns = [
        (name, argument)
        for name in functions(module)
        for argument in inspect.signature(getattr(module, name)).parameters
    ]
    for number in range(count):
        name, argument = turns[number % len(turns)]
        told = re.search(r"(\d)d", name)
        rank = int(told[1]) if told else int(rng.integers(1, 4))
        names = inspect.signature(getattr(module, name)).parameters
        values = {n: v for n, v in good(name, rng, tensors, rank).items() if n in names}
        values[argument] = odd_value(rng, tensors)
        if rng.random() < 0.3:
            values[list(names)[rng.integers(len(names))]] = odd_value(rng, tensors)
        yield name, values


def size(result: Any) -> int:
    """Return the bytes of a result."""
    parts = result if isinstance(result, tuple) else (result,)
    return sum(getattr(part, "nbytes", 0) for part in parts)


def try_call(function: Callable[..., Any], values: dict[str, Any]) -> tuple[str, bool]:
    """Return what is wrong with what a call does, if anything, and whether it was refused."""
    tracemalloc.start()
    start, refused, result = time.process_time(), False, None
    wrong = ""
    try:
        with warnings.catch_warnings(action="ignore"):
            result = function(**values)
    except ALLOWED as error:
        refused = True
        frames = traceback.extract_tb(error.__traceback__)
        own = str(error).split("\ntorch: ")[0]
        if not frames or not frames[-1].filename.startswith(OURS):
            wrong = f"{type(error).__name__} is raised outside of our code: {own[:200]}"
        elif len(own) > LONGEST:
            wrong = f"a message of {len(own)} characters: {own[:100]}"
    except BaseException as error:
        refused = True
        torchs_own = isinstance(error, Exception) and "\ntorch: " in str(error)
        wrong = "" if torchs_own else f"{type(error).__name__} leaks: {str(error)[:200]}"
    seconds = time.process_time() - start
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    if not wrong and peak - size(result) > BYTES:
        wrong = f"takes {peak >> 20} MiB beyond its result"
    if not wrong and seconds > SECONDS:
        wrong = f"takes {seconds:.1f} s"
    return wrong, refused


def shown(name: str, values: dict[str, Any]) -> str:
    """Return a call as text, arrays by their shape and dtype."""

    def text(v: Any) -> str:
        return (
            f"{v.dtype}{tuple(v.shape)}"
            if hasattr(v, "dtype") and v.size not in (0, 1)
            else repr(v)[:60]
        )

    return f"{name}({', '.join(f'{n}={text(v)}' for n, v in values.items())})"


def fuzz(module: ModuleType, count: int, seed: int) -> Found:
    """Make so many calls of a module's functions."""
    found = Found()
    if module is functional:  # torch loads what tells it shapes when it is first asked without data
        with contextlib.suppress(RuntimeError):
            functional.adaptive_avg_pool1d(torch.ones(1, 2, 5), 2**61)
    for name, values in cases(module, count, seed):
        wrong, refused = try_call(getattr(module, name), values)
        found.calls += 1
        found.refused += refused
        if wrong:
            found.wrong.append(f"{shown(name, values)}: {wrong}")
    return found
