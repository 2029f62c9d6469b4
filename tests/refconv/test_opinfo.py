"""Every sample of torch's own operator database: sums within the bound, choices bit for bit."""

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from rich.table import Table

import refconv
from support import torch_database
from support.agreement import one_nan, same, same_sum
from support.tables import show
from support.torch_database import (
    EXCLUDED,
    SIGNATURES,
    SUMS,
    for_refconv,
    kind_and_rank,
    named,
    samples,
    title,
)

pytestmark = pytest.mark.slow

Array = NDArray[Any]

DTYPES = (torch.float16, torch.float32, torch.float64, torch.complex64, torch.complex128)
NO_HALF = [("nn.functional.avg_pool3d", torch.float16)]
OPS = torch_database.entries((*torch_database.FAMILY, "pad_nd", "functional.pad"))


def array(theirs: torch.Tensor) -> Array:
    """Return torch's numbers, all NaN being one."""
    return one_nan(theirs.detach().resolve_conj().numpy())


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
            expected = torch_database.value(kind, ours_arguments)
            assert torch_database.beyond(ours, expected, dtype) == "", ours_arguments
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # torch's own, on its own samples
                theirs = op(sample.input, *sample.args, **sample.kwargs)
            theirs = theirs if isinstance(theirs, tuple) else (theirs,)
            ours = ours if isinstance(ours, tuple) else (ours,)
            pairs = zip(ours, theirs, strict=True)
            assert all(same(one_nan(y), array(known)) for y, known in pairs), ours_arguments
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
        ours_gx = refconv.max_pool_grad(tuple(x.shape), indices, gy, **ours_arguments)
        assert same_sum(ours_gx, array(gx))


def test_the_whole_family_is_here() -> None:
    found = {kind_and_rank(op.name)[0] for op in OPS}
    assert found == set(SIGNATURES)


def test_torchs_number_of_examples_is_not_taken_over(request: pytest.FixtureRequest) -> None:
    """torch.testing, imported above, has Hypothesis draw 10 examples in the modules behind."""
    tests = [item.obj for item in request.session.items if isinstance(item, pytest.Function)]
    drawn = [getattr(test, "_hypothesis_internal_use_settings", None) for test in tests]
    assert 10 not in {found.max_examples for found in drawn if found is not None}
