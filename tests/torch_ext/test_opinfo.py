"""Every sample and every error input of torch's own operator database, through our functions.

Sums obey the bound around their exact results, choices are torch's bit for bit, indices included.
So are gradients: of a choice, with integers for a cotangent, they are sums that cannot round.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from rich.table import Table
from threadpoolctl import threadpool_limits
from torch import Tensor
from torch.testing._utils import wrapper_set_seed

from support import torch_database
from support.overridden_samples import (
    integers,
    normals,
    of_copies,
    of_places,
    of_winners,
    results,
    torchs,
)
from support.tables import show
from support.torch_database import SUMS, title
from support.torch_refusals import raised, sentence
from torch_ext import functional, override
from torch_ext.parity.criterion import same_bits

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning"),
]

Function = Callable[..., Any]

OPS = torch_database.entries()
DIFFERENTIABLE = ("x", "weight", "bias")
CALLS = [(op, dtype) for op in OPS for dtype in sorted(op.supported_dtypes("cpu"), key=str)]
COLUMNS = {
    "float32": (torch.float32,),
    "float64": (torch.float64,),
    "bfloat16": (torch.bfloat16,),
    "float16": (torch.float16,),
    "complex64": (torch.complex64,),
    "complex128": (torch.complex128,),
    "integer": (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.bool),
}


@dataclass
class Count:
    """How much of one entry was given, and how much compared."""

    given: Counter[torch.dtype] = field(default_factory=Counter)
    samples: Counter[torch.dtype] = field(default_factory=Counter)
    gradients: Counter[torch.dtype] = field(default_factory=Counter)
    errors: int = 0


def ours(op: Any) -> Function:
    """Return our function of an entry's name, drawing what is random as the entry does."""
    function: Function = getattr(functional, op.name.removeprefix("nn.functional."))
    if "fractional" in op.name:
        return lambda *args, **options: wrapper_set_seed(function, *args, **options)
    return function


# --------------------------------------------------------------------------- samples


def compare(op: Any, sample: Any, function: Function) -> dict[str, str]:
    """Return what is wrong with each result of a function on a sample: y, indices, gx, gw, gb."""
    taken = sample.transform(lambda value: value.detach() if isinstance(value, Tensor) else value)
    arguments = torch_database.named(op, taken)
    kind, _ = torch_database.kind_and_rank(op.name)
    dtype = taken.input.dtype
    leaves = {}
    if has_gradient(op, dtype):
        leaves = {name: arguments[name] for name in DIFFERENTIABLE if name in arguments}
        leaves = {name: leaf.requires_grad_() for name, leaf in leaves.items() if leaf is not None}

    found = results(function(taken.input, *taken.args, **taken.kwargs))
    expected = torchs(op, sample.input, *sample.args, **sample.kwargs)
    wrong = {
        name: alike(*pair) for name, *pair in zip(("y", "indices"), found, expected, strict=False)
    }
    if len(found) != len(expected):
        wrong["y"] = f"{len(found)} results, expected {len(expected)}"
    if any(wrong.values()):
        return wrong
    adds = kind in SUMS and (dtype.is_floating_point or dtype.is_complex)
    if adds:
        _, arrays = torch_database.for_refconv(op, arguments)
        wrong["y"] = torch_database.beyond(
            torch_database.array(found[0]), torch_database.value(kind, arrays), dtype
        )
    else:
        for name, y, known in zip(wrong, found, expected, strict=True):
            wrong[name] = "" if same_bits(y, known).all() else "not torch's bits"
    if not leaves:
        return wrong

    gy = normals(found[0]) if adds else integers(found[0])
    gradients = dict(zip(leaves, torch.autograd.grad(found[0], leaves.values(), gy), strict=True))
    for name, gradient in gradients.items():
        wrong[f"gradient of {name}"] = alike(gradient, leaves[name])
    if any(wrong.values()):
        return wrong
    if adds:
        exactly = torch_database.gradients(kind, arrays, torch_database.array(gy))
        for name, gradient in gradients.items():
            message = torch_database.beyond(torch_database.array(gradient), exactly[name], dtype)
            wrong[f"gradient of {name}"] = message
    else:
        known = CHOSEN[kind](op, arguments, gy.to(WIDE[dtype.is_complex])).view_as(taken.input)
        assert torch.equal(known.to(dtype), known), "rounded: the cotangent is too large"
        same = torch.equal(gradients["x"], known.to(dtype))
        wrong["gradient of x"] = "" if same else "not the exact sums"
    return wrong


def has_gradient(op: Any, dtype: torch.dtype) -> bool:
    """Return whether torch declares one."""
    return op.supports_autograd and dtype in op.supported_backward_dtypes("cpu")


def operands(sample: Any) -> int:
    """Return how many tensors of a sample have a gradient, whatever their names."""
    values = [sample.input, *sample.args, *sample.kwargs.values()]
    numbers = [v for v in values if isinstance(v, Tensor) and v.dtype != torch.int64]
    return len(numbers) - ("_random_samples" in sample.kwargs)


def alike(got: Any, expected: Tensor) -> str:
    """Return what is wrong with the kind of a result, if anything."""
    if not isinstance(got, Tensor):
        return f"{type(got).__name__}, expected a tensor"
    if (got.shape, got.dtype) != (expected.shape, expected.dtype):
        return f"{got.dtype} {got.shape}, expected {expected.dtype} {expected.shape}"
    return ""


# --------------------------------------------------------------------------- gradients of choices

WIDE = (torch.float64, torch.complex128)  # which holds every sum of the integers above


CHOSEN = {
    "max_pool": of_winners,
    "adaptive_max_pool": of_winners,
    "fractional_max_pool": of_winners,
    "max_unpool": of_places,
    "unfold": of_copies,
}


# --------------------------------------------------------------------------- errors


def error_inputs(op: Any) -> list[Any]:
    """Return what an entry says that torch refuses (as its `samples`, without stack traces)."""
    return list(op.error_inputs_func(op, "cpu")) if op.error_inputs_func else []


def refusal(op: Any, error: Any, function: Function, whole: bool = True) -> str:
    """Return how a function refuses an error input otherwise than torch, if it does.

    It has torch's type, the words that the entry expects, and, if `whole`, all of torch's message.
    """
    sample = error.sample_input
    theirs, got = (
        raised(each, sample.input, *sample.args, **sample.kwargs) for each in (op, function)
    )
    assert isinstance(theirs, error.error_type)
    if type(got) is not type(theirs):
        return f"raised {got!r}, expected {theirs!r}"
    said = re.search(error.error_regex, str(got))
    alike = said and (not whole or sentence(theirs) in str(got))
    return "" if alike else f"said {got}, expected {theirs}"


def overridden(op: Any, level: Any) -> Function:
    """Return torch's function of an entry as it is under override."""

    def function(*args: Any, **options: Any) -> Any:
        with override(level):
            return op(*args, **options)

    return function


# --------------------------------------------------------------------------- the tests


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Call BLAS on one thread: there is nothing to share out, and asking costs more than a pool."""
    with threadpool_limits(1, "blas"):
        yield


@pytest.fixture(scope="module")
def counted(request: pytest.FixtureRequest) -> Iterator[dict[str, Count]]:
    """Count what was compared, and show how much, and what is left out."""
    counts: dict[str, Count] = {title(op): Count() for op in OPS}
    yield counts
    table = Table(
        *("", *COLUMNS, "errors"),
        title="samples (gradients) and error inputs of torch's operator database, compared",
        caption="\n".join(["-: torch declares no such dtype", "left out:", *left_out()]),
        caption_justify="left",
    )
    whole = Count()
    for name, count in counts.items():
        if count.samples or count.errors:
            table.add_row(name, *cells(count), str(count.errors))
        whole.samples += count.samples
        whole.gradients += count.gradients
        whole.errors += count.errors
    table.add_section()
    in_all = f"{whole.samples.total()} ({whole.gradients.total()}) in all"
    table.add_row(in_all, *cells(whole), str(whole.errors))
    show(table, request.config, width=128)


def cells(count: Count) -> Iterator[str]:
    """Yield the cells of a row."""
    for dtypes in COLUMNS.values():
        samples = sum(count.samples[dtype] for dtype in dtypes)
        gradients = sum(count.gradients[dtype] for dtype in dtypes)
        yield (f"{samples} ({gradients})" if gradients else str(samples)) if samples else "-"


def left_out() -> Iterator[str]:
    """Yield what is not compared, and why: a line each."""
    for name, why in torch_database.EXCLUDED.items():
        yield f"{name}: {why}"
    names = {op.name.removeprefix("nn.functional.") for op in OPS}
    for name in functional.__all__:
        if name not in names:
            yield f"{name}: not in the database"


@pytest.mark.parametrize(
    ("op", "dtype"), CALLS, ids=[f"{title(op)}-{dtype}" for op, dtype in CALLS]
)
def test_every_sample(op: Any, dtype: torch.dtype, counted: dict[str, Count]) -> None:
    count, function, given = counted[title(op)], ours(op), torch_database.samples(op, dtype)
    count.given[dtype] = len(given)
    for sample in given:
        wrong = compare(op, sample, function)
        assert not any(wrong.values()), (wrong, sample)
        gradients = sum(name.startswith("gradient") for name in wrong)
        assert gradients == (operands(sample) if has_gradient(op, dtype) else 0)
        count.samples[dtype] += 1
        count.gradients[dtype] += gradients


@pytest.mark.parametrize("op", OPS, ids=title)
def test_every_error(op: Any, counted: dict[str, Count]) -> None:
    for error in error_inputs(op):
        for function in (ours(op), overridden(op, "function")):
            assert not refusal(op, error, function), error.sample_input
        assert not refusal(op, error, overridden(op, "aten"), whole=False), error.sample_input
        counted[title(op)].errors += 1


def test_nothing_is_skipped(request: pytest.FixtureRequest, counted: dict[str, Count]) -> None:
    """What was compared is all that the database has, but for the exclusions.

    Each of pytest-xdist's workers answers for the part that it ran.
    """
    assert all(count.samples == count.given for count in counted.values())
    tests = [getattr(item, "function", None) for item in request.session.items]
    chosen = (tests.count(test_every_sample), tests.count(test_every_error))
    if chosen == (len(CALLS), len(OPS)) and not hasattr(request.config, "workerinput"):
        entries = [op for op in torch_database.database() if op.name not in torch_database.EXCLUDED]
        assert {name: set(count.samples) for name, count in counted.items()} == {
            title(op): op.supported_dtypes("cpu") for op in entries
        }
        assert {name: count.errors for name, count in counted.items()} == {
            title(op): len(error_inputs(op)) for op in entries
        }
        assert all(min(count.samples.values()) > 0 for count in counted.values())


def test_exclusions() -> None:
    """Each has an entry, and a reason that fits in a line; every dtype has a column."""
    found = {op.name: op for op in torch_database.database()}
    assert torch_database.EXCLUDED.keys() <= found.keys()
    assert all(len(line) < 100 for line in left_out())
    pairs = (
        torch_database.samples(found[name], torch.float32)
        for name in ("max_pool2d_with_indices_backward", "nn.functional.max_pool2d")
    )
    for one, other in zip(*pairs, strict=True):
        assert torch.equal(one.input, other.input)
        assert one.kwargs == other.kwargs
    shown = {dtype for dtypes in COLUMNS.values() for dtype in dtypes}
    assert {dtype for _, dtype in CALLS} <= shown


# --------------------------------------------------------------------------- planted bugs


def steeper(y: Any) -> Any:
    """Multiply the gradient of a result by 1.001."""
    results(y)[0].register_hook(lambda gy: 1.001 * gy)
    return y


def one_index_off(y: Any) -> Any:
    """Move indices by one."""
    return y[0], y[1].index_add(-1, torch.tensor([0]), torch.ones_like(y[1][..., :1]))


def one_bit_off(y: Any) -> Any:
    """Move values to the next number."""
    results(y)[0].detach().nextafter_(torch.tensor(torch.inf, dtype=results(y)[0].dtype))
    return y


def coarser(y: Any) -> Any:
    """Err by a few units of the half, as sums that are kept in it do."""
    y.detach().mul_(1.004)
    return y


BUGS: dict[str, tuple[str, torch.dtype, Function, str]] = {
    "gradient of sums": ("conv2d", torch.float32, steeper, "gradient of weight"),
    "gradient of complex sums": ("conv1d", torch.complex64, steeper, "gradient of x"),
    "gradient of sums of halves": ("conv_transpose2d", torch.float16, steeper, "gradient of x"),
    "gradient of averages": ("avg_pool2d", torch.float64, steeper, "gradient of x"),
    "gradient of choices": ("max_pool2d", torch.float16, steeper, "gradient of x"),
    "gradient of copies": ("unfold", torch.complex128, steeper, "gradient of x"),
    "index": ("max_pool3d", torch.float32, one_index_off, "indices"),
    "index of integers": ("max_pool2d", torch.uint8, one_index_off, "indices"),
    "bit of a choice": ("adaptive_max_pool2d", torch.float64, one_bit_off, "y"),
    "sum": ("conv3d", torch.float16, coarser, "y"),
    "dtype": ("avg_pool1d", torch.float32, torch.Tensor.double, "y"),
    "shape": ("max_unpool2d", torch.float32, lambda y: y[:1, ..., :1], "y"),
    "too many results": ("avg_pool3d", torch.float32, lambda y: (y, y), "y"),
}


@pytest.mark.parametrize("name", BUGS)
def test_planted_bug(name: str) -> None:
    """A sample shows it, at the result that is wrong."""
    entry, dtype, spoilt, place = BUGS[name]
    (op,) = (op for op in OPS if title(op) == entry)
    function = ours(op)
    wrong = (
        compare(op, sample, lambda *args, **named: spoilt(function(*args, **named)))
        for sample in torch_database.samples(op, dtype)
        if place != "indices" or sample.kwargs["return_indices"]
    )
    assert any(found[place] for found in wrong)


def test_planted_exceptions() -> None:
    """One of another type, one without torch's sentence, and none at all."""
    (op,) = (op for op in OPS if title(op) == "max_pool2d")
    function = ours(op)

    def another(*args: Any, **options: Any) -> Any:
        try:
            return function(*args, **options)
        except RuntimeError as error:
            raise ValueError(*error.args) from error

    for error in error_inputs(op):
        assert not refusal(op, error, function)
        assert "ValueError" in refusal(op, error, another)
        assert "said" in refusal(op, error, function.__wrapped__)
        assert "None" in refusal(op, error, lambda *_, **__: None)
