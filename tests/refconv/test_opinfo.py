"""Every sample of torch's own operator database: sums within the bound, choices bit for bit."""

import importlib
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from rich.table import Table

import refconv
from refconv import exact
from showing import show

Array = NDArray[Any]
Arguments = dict[str, Any]

DTYPES = (torch.float16, torch.float32, torch.float64, torch.complex64, torch.complex128)

# name in the database -> the names of its arguments, beside the input
SIGNATURES = {
    "conv": ("weight", "bias", "stride", "padding", "dilation", "groups"),
    "conv_transpose": (
        *("weight", "bias", "stride", "padding", "output_padding", "groups", "dilation"),
    ),
    "avg_pool": (
        *("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad"),
        "divisor_override",
    ),
    "max_pool": ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices"),
    "max_unpool": ("indices", "kernel_size", "stride", "padding", "output_size"),
    "adaptive_avg_pool": ("output_size",),
    "adaptive_max_pool": ("output_size", "return_indices"),
    "fractional_max_pool": (
        *("kernel_size", "output_size", "output_ratio", "return_indices", "_random_samples"),
    ),
    "pad": ("padding", "mode", "value"),
    "constant_pad_nd": ("padding", "value"),
    "unfold": ("kernel_size", "dilation", "padding", "stride"),
}
SUMS = ("conv", "conv_transpose", "avg_pool", "adaptive_avg_pool")  # the rest choose
EXCLUDED = {
    "unfold": "Tensor.unfold: a view, no operator of this family",
    "unfold_copy": "Tensor.unfold: a view, no operator of this family",
    "max_pool2d_with_indices_backward": "a gradient: in test_max_pool_gradient below",
}
NO_HALF = [("nn.functional.avg_pool3d", torch.float16)]
FAMILY = ("conv", "pool", "fold", "pad_nd", "functional.pad")


def family() -> Iterator[Any]:
    """Yield the entries of the database that this family answers to."""
    database = importlib.import_module("torch.testing._internal.common_methods_invocations")
    for op in database.op_db:
        if any(part in op.name for part in FAMILY) and op.name not in EXCLUDED:
            yield op


OPS = list(family())


def kind_and_rank(name: str) -> tuple[str, int | None]:
    """Split nn.functional.avg_pool2d into avg_pool and 2."""
    short = name.removeprefix("nn.functional.")
    if short[-1] == "d" and short[-2].isdigit():
        return short[:-2], int(short[-2])
    return short, 2 if short == "unfold" else None


def named(op: Any, sample: Any) -> Arguments:
    """Return the arguments of a sample by name, the input among them as x."""
    kind, _ = kind_and_rank(op.name)
    arguments = dict(zip(SIGNATURES[kind], sample.args, strict=False))
    return {"x": sample.input, **arguments, **sample.kwargs}


def for_refconv(op: Any, arguments: Arguments) -> tuple[str, Arguments]:
    """Return the name of our operator and its arguments: arrays, a window size for every axis."""
    kind, rank = kind_and_rank(op.name)
    found = {
        name: value.detach().resolve_conj().numpy() if isinstance(value, torch.Tensor) else value
        for name, value in arguments.items()
    }
    for name in ("kernel_size", "output_size"):
        if rank is not None and isinstance(found.get(name), int):
            found[name] = (found[name],) * rank  # an integer would leave the rank to guess
        elif rank is not None and name in found and found[name] is not None:
            sizes = tuple(found[name])
            found[name] = sizes * rank if name == "kernel_size" and len(sizes) == 1 else sizes
    if "_random_samples" in found:
        found["random_samples"] = found.pop("_random_samples")
    return "pad" if kind == "constant_pad_nd" else kind, found


def same(ours: Array, theirs: torch.Tensor) -> bool:
    """Bit for bit, all NaN being one."""
    expected = theirs.detach().resolve_conj().numpy()
    if ours.dtype != expected.dtype or ours.shape != expected.shape:
        return False
    nan = np.isnan(ours) & np.isnan(expected) if ours.dtype.kind in "fc" else np.False_
    return bool(
        np.all((ours == expected) & (np.signbit(ours.real) == np.signbit(expected.real)) | nan)
    )


def real_convolutions(arguments: Arguments, transposed: bool) -> Iterator[Arguments]:
    """Yield two real convolutions that are the real and imaginary part of a complex one.

    (a + i b) (c + i d): real part a c + (-b) d, imaginary part a d + b c, that is, convolutions of
    twice the channels.
    """
    x, w, bias = (arguments.get(name) for name in ("x", "weight", "bias"))
    assert x is not None
    assert w is not None
    groups = arguments.get("groups", 1)
    x = x[None] if x.ndim == w.ndim - 1 else x

    def channels(*parts: Array) -> Array:
        by_group = [p.reshape(len(p), groups, -1, *p.shape[2:]) for p in parts]
        joined = np.concatenate(by_group, 2)
        return joined.reshape(len(joined), -1, *joined.shape[3:])

    def filters(*parts: Array) -> Array:
        if not transposed:
            return np.concatenate(parts, 1)
        by_group = [p.reshape(groups, -1, *p.shape[1:]) for p in parts]
        joined = np.concatenate(by_group, 1)
        return joined.reshape(-1, *joined.shape[2:])

    for inputs, weights, part in (
        ((x.real, -x.imag), (w.real, w.imag), "real"),
        ((x.real, x.imag), (w.imag, w.real), "imag"),
    ):
        yield arguments | {
            "x": channels(*inputs),
            "weight": filters(*weights),
            "bias": None if bias is None else getattr(bias, part),
        }


def exceeds(kind: str, ours: Array, arguments: Arguments) -> str:
    """Return by how much our sum breaks its bound, if it does."""
    oracle: Callable[..., exact.Exact] = getattr(exact, kind)
    dtype = ours.real.dtype
    accumulate = exact.FLOAT32 if dtype == np.float16 else exact.format_of(dtype)
    if ours.dtype.kind != "c":
        pairs = [(ours, oracle(**arguments))]
    else:
        calls = real_convolutions(arguments, kind == "conv_transpose")
        batched = ours.reshape(-1, *ours.shape[-(arguments["weight"].ndim - 1) :])
        pairs = [
            (part, oracle(**call))
            for part, call in zip((batched.real, batched.imag), calls, strict=True)
        ]
    for part, expected in pairs:
        if part.shape != expected.shape:
            return f"shape {part.shape}, expected {expected.shape}"
        inside = expected.within(part, accumulate, dtype)
        if not inside.all():
            return f"omega {expected.omega(part, dtype).max()}"
    return ""


def samples(op: Any, dtype: torch.dtype) -> list[Any]:
    """Return the samples of an entry, drawn anew from one seed."""
    torch.manual_seed(0)
    return list(op.sample_inputs("cpu", dtype))


def title(op: Any) -> str:
    """Return the name of an entry, and of its variant."""
    return f"{op.name} {op.variant_test_name}".strip().removeprefix("nn.functional.")


@pytest.fixture(scope="module")
def counted(request: pytest.FixtureRequest) -> Iterator[dict[str, dict[torch.dtype, int]]]:
    """Count the samples that were compared, and show how many, and what is left out."""
    counts: dict[str, dict[torch.dtype, int]] = {}
    yield counts
    columns = [str(dtype).removeprefix("torch.") for dtype in DTYPES]
    left_out = "; ".join(f"{name} ({why})" for name, why in EXCLUDED.items())
    table = Table(
        *("samples of", *columns),
        title="torch's operator database, compared (-: torch declares no such dtype)",
        caption=f"left out: {left_out}",
    )
    for name, found in counts.items():
        table.add_row(name, *(str(found.get(dtype) or "-") for dtype in DTYPES))
    total = sum(sum(found.values()) for found in counts.values())
    table.add_row(f"in all {total}", *("" for _ in DTYPES))
    show(table, request.config, width=110)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("op", OPS, ids=title)
def test_every_sample(
    op: Any, dtype: torch.dtype, counted: dict[str, dict[torch.dtype, int]]
) -> None:
    found = counted.setdefault(title(op), {})
    if dtype not in op.supported_dtypes("cpu"):
        assert not dtype.is_floating_point or (op.name, dtype) in NO_HALF
        return  # torch itself has no such samples
    count = 0
    for sample in samples(op, dtype):
        arguments = named(op, sample)
        if "fractional" in op.name and arguments.get("_random_samples") is None:
            rank = int(op.name[-2])
            lead = sample.input.shape[: sample.input.ndim - rank]
            lead = lead if len(lead) == 2 else (1, *lead)
            sample.kwargs["_random_samples"] = torch.rand(*lead, rank, dtype=dtype)
            arguments = named(op, sample)
        kind, ours_arguments = for_refconv(op, arguments)
        ours = getattr(refconv, kind)(**ours_arguments)
        if kind in SUMS:
            assert exceeds(kind, ours, ours_arguments) == "", ours_arguments
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # torch's own, on its own samples
                theirs = op(sample.input, *sample.args, **sample.kwargs)
            theirs = theirs if isinstance(theirs, tuple) else (theirs,)
            ours = ours if isinstance(ours, tuple) else (ours,)
            assert len(ours) == len(theirs)
            assert all(map(same, ours, theirs)), ours_arguments
        count += 1
    assert count > 0
    found[dtype] = count


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64], ids=str)
def test_max_pool_gradient(dtype: torch.dtype) -> None:
    (op,) = (op for op in OPS if op.name == "nn.functional.max_pool2d")
    for sample in samples(op, dtype):
        arguments = named(op, sample) | {"return_indices": True}
        _, ours_arguments = for_refconv(op, arguments)
        y, indices = refconv.max_pool(**ours_arguments)
        x = arguments.pop("x").detach().requires_grad_()
        theirs, _ = op(x, **arguments)
        gy = np.random.default_rng(0).integers(-3, 4, y.shape).astype(y.dtype)
        (gx,) = torch.autograd.grad(theirs, x, torch.from_numpy(gy))
        del ours_arguments["x"], ours_arguments["return_indices"]
        assert same(refconv.max_pool_grad(tuple(x.shape), indices, gy, **ours_arguments), gx)


def test_the_whole_family_is_here() -> None:
    found = {kind_and_rank(op.name)[0] for op in OPS}
    assert found == set(SIGNATURES)


def test_torchs_number_of_examples_is_not_taken_over(request: pytest.FixtureRequest) -> None:
    """torch.testing, imported above, has Hypothesis draw 10 examples in the modules behind."""
    tests = [item.obj for item in request.session.items if isinstance(item, pytest.Function)]
    drawn = [getattr(test, "_hypothesis_internal_use_settings", None) for test in tests]
    assert 10 not in {found.max_examples for found in drawn if found is not None}
