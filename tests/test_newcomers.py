"""Mistakes that newcomers make: each is refused by a message that says what to do instead.

And sizes as people have them: every kind of integer, alone or in a row, in every argument.
"""

import inspect
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import refconv
from refconv import direct, textbook
from torch_ext import functional

ROOT = Path(__file__).parent.parent
LONGEST = 300

image, batch = np.zeros((3, 8, 8)), np.zeros((2, 3, 8, 8))
w, gy = np.zeros((4, 3, 3, 3)), np.zeros((2, 4, 6, 6))
t, tw = torch.zeros(2, 3, 8, 8), torch.zeros(4, 3, 3, 3)
r, f = refconv, functional

Mistake = tuple[Callable[[], Any], type[Exception], str]

# what is called, what it raises, and words of the message: the argument, and the remedy
MISTAKES: list[Mistake] = [
    (lambda: r.max_pool(image, 2), RuntimeError, "kernel_size=(2,) for a batch (N, C, L)"),
    (lambda: r.avg_pool(image, 2), RuntimeError, "kernel_size=(2,) for a batch (N, C, L)"),
    (lambda: r.lp_pool(image, 2, 2), RuntimeError, "kernel_size=(2, 2) for one image"),
    (lambda: r.unfold(image, 2), RuntimeError, "kernel_size=(2, 2) for one image"),
    (lambda: r.max_unpool(image, np.zeros((3, 8, 8), int), 2), RuntimeError, "kernel_size=(2, 2)"),
    (lambda: r.fractional_max_pool(image, 2, 3), RuntimeError, "kernel_size=(2,) for"),
    (lambda: r.adaptive_avg_pool(image, 2), RuntimeError, "output_size=(2,) for"),
    (lambda: r.adaptive_max_pool(image, 2), RuntimeError, "output_size=(2,) for"),
    (lambda: r.conv(np.zeros((3, 3)), np.zeros((2, 2))), RuntimeError, "x[None], w[None, None]"),
    (lambda: r.conv(batch, np.zeros((3, 3))), RuntimeError, "weight has shape (3, 3)"),
    (lambda: r.conv(batch.tolist(), w), TypeError, "np.asarray(x)"),
    (lambda: r.conv(batch, w.tolist()), TypeError, "np.asarray(weight)"),
    (lambda: r.conv(t, w), TypeError, "torch_ext.functional takes tensors"),
    (lambda: r.max_pool(t, 2), TypeError, "torch_ext.functional takes tensors"),
    (lambda: r.conv(batch, w.astype(np.float32)), RuntimeError, "weight has dtype float32 and x"),
    (lambda: r.conv(batch, w[:, :2]), RuntimeError, "x has 3 channels"),
    (lambda: r.conv(batch, w, np.zeros(3)), RuntimeError, "bias has shape (3,), expected (4,)"),
    (lambda: r.conv(batch, w, 0), TypeError, "bias must be a numpy.ndarray, got int"),
    (lambda: r.conv(batch, w, None, 1.0), TypeError, "stride must be integers, got 1.0"),
    (lambda: r.conv(batch, w, None, 0), RuntimeError, "stride must be at least 1"),
    (lambda: r.conv(batch, w, None, 1, "SAME"), RuntimeError, "'same' or 'valid', got 'SAME'"),
    (lambda: r.conv(batch, w, None, 2, "same"), RuntimeError, "padding='same' needs stride 1"),
    (lambda: r.conv(batch, w, None, 1, -1), RuntimeError, "padding must be at least 0"),
    (lambda: r.conv(batch, w, None, (1, 1, 1)), RuntimeError, "stride must be an integer or"),
    (lambda: r.conv(batch, w, groups=2), RuntimeError, "groups=2"),
    (lambda: r.conv(batch[:, :, :2], w), RuntimeError, "more than the padded input (2, 8)"),
    (lambda: r.conv(batch > 0, w > 0), NotImplementedError, "x has dtype bool"),
    (lambda: r.conv_grad_input(batch, w, gy), TypeError, "input_shape must be integers, got an"),
    (lambda: r.conv_grad_weight(batch, w, gy), TypeError, "3, 3): pass its .shape"),
    (lambda: r.conv_grad_input(batch.shape, w, gy[..., 1:]), RuntimeError, "grad_output has shape"),
    (lambda: r.max_pool(batch, b"1"), TypeError, "kernel_size must be integers, got b'1'"),
    (lambda: r.max_pool(batch, "2"), TypeError, "kernel_size must be integers, got '2'"),
    (lambda: r.max_pool(batch, {2}), TypeError, "kernel_size must be integers, got {2}"),
    (lambda: r.max_pool(batch, {"k": 2}), TypeError, "kernel_size must be integers"),
    (lambda: r.max_pool(batch, 2.0), TypeError, "kernel_size must be integers, got 2.0"),
    (lambda: r.max_pool(batch, True), TypeError, "kernel_size must be an integer, got True"),
    (lambda: r.max_pool(batch, 2, 2, 2), RuntimeError, "padding must be at most half"),
    (lambda: r.max_pool(batch, 9), RuntimeError, "kernel_size=9 spans (9, 9)"),
    (lambda: r.max_pool(batch, 2**63), RuntimeError, "kernel_size must fit in 64 bits"),
    (lambda: r.max_pool(np.ma.masked_less(batch, 1), 2), TypeError, "x.filled(...)"),
    (lambda: r.pad(batch, (1,)), RuntimeError, "padding must be pairs, before and after"),
    (lambda: r.pad(batch, (1, 1), "mirror"), NotImplementedError, "mode must be one of"),
    (lambda: r.max_unpool(batch, np.zeros(batch.shape), 2), NotImplementedError, "indices has"),
    (lambda: r.avg_pool(batch, 2, divisor_override=0), RuntimeError, "divisor_override must"),
    (lambda: r.lp_pool(batch, 0, 2), ZeroDivisionError, "norm_type must not be zero"),
    (lambda: r.lp_pool(batch, "2", 2), TypeError, "norm_type must be a number, got '2'"),
    (lambda: f.conv2d(batch, tw), TypeError, "got ndarray: pass torch.as_tensor(input)"),
    (lambda: f.conv2d(t, tw.tolist()), TypeError, "got list: pass torch.as_tensor(weight)"),
    (lambda: r.max_pool(batch, 2, 2, 0, 1, 2), TypeError, "ceil_mode must be a bool, got 2"),
    (lambda: r.conv(batch[0, 0], w), RuntimeError, "for one channel use x[None]"),
    (lambda: r.max_pool(image[0], (2, 2)), RuntimeError, "for one channel use x[None]"),
    (lambda: f.conv2d(t, tw.double()), RuntimeError, "weight has dtype torch.float64"),
    (lambda: f.conv2d(t, tw, stride=b"1"), TypeError, "stride must be integers, got b'1'"),
    (lambda: f.max_pool2d(t, 2.0), TypeError, "kernel_size must be integers, got 2.0"),
    (lambda: textbook.pool_max(image[0], 2.0), TypeError, "2.0"),
]  # fmt: skip


def test_there_are_forty() -> None:
    assert len(MISTAKES) >= 40


@pytest.mark.parametrize("number", range(len(MISTAKES)))
def test_a_mistake_is_told_with_its_remedy(number: int) -> None:
    call, error, words = MISTAKES[number]
    with pytest.raises(error) as caught:
        call()
    own = str(caught.value).split("\n")[0]
    assert words in own
    assert len(own) <= LONGEST


def test_torch_missing_is_told_by_its_extra() -> None:
    code = "import sys; sys.modules['torch'] = None\nimport torch_ext"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 1
    assert "pip install 'refconv[torch]'" in run.stderr.splitlines()[-1]


# --------------------------------------------------------------------------- kinds of integers


KINDS: dict[str, Callable[[int], Any]] = {
    "np.int64": np.int64,
    "np.uint8": np.uint8,
    "array of none": np.array,
    "tensor of none": torch.tensor,
    "tuple": lambda v: (v, v),
    "list": lambda v: [v, v],
    "torch.Size": lambda v: torch.Size([v, v]),
    "tuple of np.int32": lambda v: (np.int32(v), np.int32(v)),
    "array": lambda v: np.array([v, v]),
    "tensor": lambda v: torch.tensor([v, v]),
}
REFUSED: dict[str, Callable[[int], Any]] = {
    "float": float,
    "bytes": lambda v: bytes([v, v]),
    "str": str,
    "set": lambda v: {v},
    "dict": lambda v: {v: v},
    "bool": lambda v: True,
    "array of floats": lambda v: np.array([v, v], float),
    "tensor of floats": lambda v: torch.tensor([float(v), v]),
    "table": lambda v: np.array([[v, v], [v, v]]),
    "bool array": lambda v: np.array([True, True]),
    "None": lambda v: (None, None),
}
SIZES = ("kernel_size", "stride", "padding", "dilation", "output_padding", "output_size")


def calls(module: Any) -> Iterator[tuple[str, tuple[Any, ...], dict[str, int]]]:
    """Yield every function that takes sizes, its arrays, and its sizes as integers."""
    torchs = module is functional

    def a(*shape: int, dtype: Any = None) -> Any:
        x = np.arange(float(np.prod(shape))).reshape(shape)
        x = x if dtype is None else (x * 0).astype(dtype)
        return torch.tensor(x) if torchs else x

    two = "2d" if torchs else ""
    pool = {"kernel_size": 2, "stride": 2, "padding": 1}
    yield f"conv{two}", (a(1, 2, 6, 6), a(2, 2, 3, 3)), {"stride": 2, "padding": 1, "dilation": 1}
    yield (
        f"conv_transpose{two}", (a(1, 2, 3, 3), a(2, 2, 3, 3)),
        {"stride": 2, "padding": 1, "output_padding": 1, "dilation": 1},
    )  # fmt: skip
    yield f"max_pool{two}", (a(1, 2, 6, 6),), {**pool, "dilation": 1}
    yield f"avg_pool{two}", (a(1, 2, 6, 6),), pool
    yield f"lp_pool{two}", (a(1, 2, 6, 6), 2), {"kernel_size": 2, "stride": 2}
    yield f"max_unpool{two}", (a(1, 2, 3, 3), a(1, 2, 3, 3, dtype=np.int64)), {**pool, "padding": 0}
    yield f"adaptive_avg_pool{two}", (a(1, 2, 6, 6),), {"output_size": 3}
    yield f"adaptive_max_pool{two}", (a(1, 2, 6, 6),), {"output_size": 3}
    yield (
        f"fractional_max_pool{two}", (a(1, 2, 6, 6),),
        {"kernel_size": 2, "output_size": 3},
    )  # fmt: skip
    window = {"kernel_size": 2, "stride": 2, "padding": 1, "dilation": 1}
    yield "unfold", (a(1, 2, 6, 6),), window
    yield "fold", (a(1, 8, 16),), {"output_size": 6, **window}


def fixed(name: str, module: Any) -> dict[str, Any]:
    """Return what makes a random function the same in every call."""
    if "fractional" not in name:
        return {}
    half = np.full((1, 2, 2), 0.5)
    return (
        {"_random_samples": torch.tensor(half)}
        if module is functional
        else {"random_samples": half}
    )


def equal(a: Any, b: Any) -> bool:
    return torch.equal(a, b) if isinstance(a, torch.Tensor) else bool((a == b).all())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("module", [refconv, direct, functional])
def test_every_size_takes_every_kind_of_integer(module: Any, kind: str) -> None:
    compared = 0
    for name, arrays, sizes in calls(module):
        function, more = getattr(module, name), fixed(name, module)
        expected = function(*arrays, **sizes, **more)
        for argument in sizes:
            given = {**sizes, argument: KINDS[kind](sizes[argument])}
            assert equal(function(*arrays, **given, **more), expected), (name, argument)
            compared += 1
    assert compared >= 30


@pytest.mark.parametrize("kind", REFUSED)
@pytest.mark.parametrize("module", [refconv, direct, functional])
def test_every_size_refuses_what_is_none(module: Any, kind: str) -> None:
    refused = 0
    for name, arrays, sizes in calls(module):
        for argument in sizes:
            value = REFUSED[kind](max(1, sizes[argument]))
            if kind == "None" and argument == "output_size" and "adaptive" in name:
                continue  # keeps the size
            with pytest.raises((TypeError, ValueError, RuntimeError, IndexError)) as caught:
                getattr(module, name)(*arrays, **{**sizes, argument: value}, **fixed(name, module))
            own = str(caught.value).split("\n")[0]
            assert argument in own, (name, argument, own)
            assert len(own) <= LONGEST
            refused += 1
    assert refused >= 28


# --------------------------------------------------------------------------- kinds of arrays


@pytest.mark.parametrize("module", [refconv, direct])
def test_subclasses_are_taken_by_one_rule(module: Any, tmp_path: Path) -> None:
    """np.memmap is an array on disk; a mask, a matrix or one's own class has rules of its own."""

    class Own(np.ndarray):
        pass

    swept = 0
    for name, arrays, sizes in calls(module):
        more = fixed(name, module)
        for position, a in enumerate(arrays):
            if not isinstance(a, np.ndarray):
                continue
            path = tmp_path / f"{name}{position}"
            on_disk: Any = np.memmap(path, a.dtype, "w+", shape=a.shape)
            on_disk[...] = a

            def call(value: Any, at: int = position, all_: Any = arrays, o: Any = sizes) -> Any:
                given = [*all_[:at], value, *all_[at + 1 :]]
                return getattr(module, name)(*given, **o, **more)  # noqa: B023 - called at once

            assert equal(call(on_disk), call(a))
            for odd in (np.ma.masked_array(a), a.view(Own)):
                with pytest.raises(TypeError, match=r"whose own rules would be lost: pass"):
                    call(odd)
            swept += 1
    assert swept >= 13


def test_every_public_function_with_sizes_is_swept() -> None:
    for module in (refconv, functional):
        names = {name for name, _, _ in calls(module)}
        sized = {
            name
            for name in module.__all__
            if callable(getattr(module, name))
            and set(inspect.signature(getattr(module, name)).parameters) & set(SIZES)
            and "grad" not in name and not name.endswith(("1d", "3d", "_with_indices"))
        }  # fmt: skip
        assert sized - names <= {"pad", "max_pool_select"}


def test_a_sweep_that_forgets_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sweep, tested: a function that compares a size with () fails on NumPy's integers."""
    right = refconv.max_pool

    def wrong(x: Any, kernel_size: Any, stride: Any = None, *more: Any, **options: Any) -> Any:
        return right(
            x, kernel_size, None if stride == () or not stride else stride, *more, **options
        )

    monkeypatch.setattr(refconv, "max_pool", wrong)
    with pytest.raises((ValueError, RuntimeError)):
        test_every_size_takes_every_kind_of_integer(refconv, "array")
