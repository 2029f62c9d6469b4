"""Every function by everything torch does with one: a table without an empty cell.

The cells are in `support.torch_modes`. For each of them a bug is planted that it must show.
"""

import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from rich.table import Table
from torch._subclasses.fake_tensor import is_fake

import refconv
from support.asymmetric_calls import CASES
from support.tables import show
from support.torch_graphs import compile_
from support.torch_modes import CELLS
from support.torch_rows import Compared, Row
from torch_ext import functional
from torch_ext.derivatives import average_pooling, convolution
from torch_ext.functional import _autocast
from torch_ext.operators import batches, strides

CELL_FILES = ("torch_modes.py", "torch_rows.py", "torch_graphs.py")

# torch scripts a few of its own functions when forward mode or Inductor is first used
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script:DeprecationWarning")


@pytest.fixture(scope="module")
def group() -> Iterator[None]:
    """A group of one process, this one."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def matrix(request: pytest.FixtureRequest) -> Iterator[Table]:
    table = Table(
        *("function", *CELLS), title="= n: n tensors have the bits of torch's own function"
    )
    yield table
    show(table, request.config, width=220)


@pytest.mark.usefixtures("group")
@pytest.mark.parametrize("name", functional.__all__)
def test_row(name: str, matrix: Table) -> None:
    """All cells are filled, whatever happens in the others."""
    row = Row(CASES[name])
    cells: dict[str, str] = {}
    failures = []
    for column, cell in CELLS.items():
        try:
            cells[column] = cell(row)
        except Exception as failure:
            failure.add_note(f"in the cell {name} x {column}")
            cells[column] = "FAILS"
            failures.append(failure)
    matrix.add_row(name, *cells.values())
    assert all(cells.values()), "an empty cell"
    if failures:
        raise ExceptionGroup(name, failures)


def test_every_function_has_a_row() -> None:
    assert set(functional.__all__) == set(CASES)


@pytest.mark.parametrize("name", ["conv2d", "max_pool2d", "lp_pool2d"])
def test_inductor(name: str) -> None:
    """What the cell `compile` shows, by the compiler that is torch's default: it is slow."""
    assert compile_(Row(CASES[name]), "inductor")


@pytest.mark.parametrize("name", ["conv2d", "conv_transpose1d", "max_pool2d", "lp_pool2d"])
def test_options_may_be_symbolic(name: str) -> None:
    """Options from outside the graph are symbols too where all shapes are to be dynamic."""
    row = Row(CASES[name])
    torch._dynamo.reset()
    compiled = torch.compile(row.ours, backend="eager", fullgraph=True, dynamic=True)
    Compared()(compiled(*row.tensors), row.torchs(*row.tensors))


# --------------------------------------------------------------------------- planted bugs

Plant = Callable[[pytest.MonkeyPatch, Row], None]


def gradient_doubled(patch: pytest.MonkeyPatch, row: Row) -> None:
    gradient = refconv.avg_pool_grad
    patch.setattr(refconv, "avg_pool_grad", lambda *args: 2 * gradient(*args))


def tangent_of_the_gradient_lost(patch: pytest.MonkeyPatch, row: Row) -> None:
    right = average_pooling.AvgPoolGrad.jvp
    patch.setattr(
        average_pooling.AvgPoolGrad,
        "jvp",
        staticmethod(lambda ctx, x, tgy, *_: right(ctx, x, 0 * tgy)),
    )


def tangent_of_one_operand_only(patch: pytest.MonkeyPatch, row: Row) -> None:
    first = staticmethod(lambda *terms: next(term for term in terms if term is not None))
    patch.setattr(convolution, "total", first)


def in_dims_ignored(patch: pytest.MonkeyPatch, row: Row) -> None:
    patch.setattr(
        batches, "front", lambda t, dim, size: t if dim is not None else t.expand(size, *t.shape)
    )


def images_in_a_loop(patch: pytest.MonkeyPatch, row: Row) -> None:
    at_once = refconv.avg_pool

    def looped(x: Any, *window: Any) -> Any:
        if len(x) <= 2:
            return at_once(x, *window)
        return np.concatenate([refconv.avg_pool(part, *window) for part in (x[:2], x[2:])])

    patch.setattr(refconv, "avg_pool", looped)


def other_for_other_sizes(patch: pytest.MonkeyPatch, row: Row) -> None:
    right = row.ours
    row.ours = lambda x: right(x) if x.shape[0] == 2 else right(x) + 1


def outside_the_graph(patch: pytest.MonkeyPatch, row: Row) -> None:
    row.ours = row.torchs


def fake_strides_forgotten(patch: pytest.MonkeyPatch, row: Row) -> None:
    like = strides.like
    patch.setattr(strides, "like", lambda y, *of: y if is_fake(y) or y.is_meta else like(y, *of))


def input_overwritten(patch: pytest.MonkeyPatch, row: Row) -> None:
    pool = refconv.avg_pool

    def overwriting(x: Any, *window: Any) -> Any:
        y = pool(x, *window)
        x += 1
        return y

    patch.setattr(refconv, "avg_pool", overwriting)


def never_cast(patch: pytest.MonkeyPatch, row: Row) -> None:
    patch.setattr(_autocast, "cast", lambda name, *values: values)


def always_contiguous(patch: pytest.MonkeyPatch, row: Row) -> None:
    patch.setattr(strides, "like", lambda y, *of: y.contiguous())


def other_every_time(patch: pytest.MonkeyPatch, row: Row) -> None:
    right, factors = row.ours, iter(range(1, 100))
    row.ours = lambda x: right(x * next(factors))


def hidden_from_hooks(patch: pytest.MonkeyPatch, row: Row) -> None:
    right = row.ours
    row.ours = lambda x: right(x.detach().requires_grad_())


# a bug by the cell that must show it, the function it is planted in, and what the cell finds wrong
BUGS: list[tuple[str, str, Plant, str]] = [
    ("eager", "avg_pool2d", gradient_doubled, "torch.equal"),
    ("func", "avg_pool2d", tangent_of_the_gradient_lost, "torch.equal"),
    ("vmap", "avg_pool2d", in_dims_ignored, "function(*tensors)"),
    ("vmap", "avg_pool2d", images_in_a_loop, "calls == alone"),
    ("jvp", "conv2d", tangent_of_one_operand_only, "torch.equal"),
    ("compile", "avg_pool2d", other_for_other_sizes, "compiled(*tensors)"),
    ("export", "avg_pool2d", other_for_other_sizes, "torch.export.export"),
    ("make_fx", "avg_pool2d", outside_the_graph, "operators(graph.graph)"),
    ("fake", "max_pool2d", fake_strides_forgotten, "stride()"),
    ("opcheck", "avg_pool2d", input_overwritten, "torch.library.opcheck"),
    ("autocast", "conv2d", never_cast, "dtype"),
    ("channels_last", "max_pool2d", always_contiguous, "last(one)"),
    ("checkpoint", "avg_pool2d", other_every_time, "torch.equal"),
    ("hooks", "avg_pool2d", hidden_from_hooks, "name for name"),
    ("anomaly", "avg_pool2d", outside_the_graph, "torch.autograd.Function"),
    ("DDP", "avg_pool2d", gradient_doubled, "torch.equal"),
]


@pytest.mark.usefixtures("group")
@pytest.mark.parametrize(("column", "name", "plant", "wrong"), BUGS)
def test_a_planted_bug_is_seen(
    column: str, name: str, plant: Plant, wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = Row(CASES[name])
    plant(monkeypatch, row)
    try:
        CELLS[column](row)
    except Exception as failure:
        frames = traceback.extract_tb(failure.__traceback__)
        own = [frame for frame in frames if Path(frame.filename).name in CELL_FILES]
        statement = str(own[-1].line)
        assert wrong in statement
    else:
        pytest.fail("not seen")


def test_every_cell_has_a_bug_to_see() -> None:
    assert {column for column, *_ in BUGS} == set(CELLS)
