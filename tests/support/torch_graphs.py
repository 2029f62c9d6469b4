"""Cells of the table in which torch makes a graph of a call: compiled, exported, traced, faked."""

import copy
from typing import Any

import torch
from torch import Tensor
from torch._dynamo.testing import CompileCounterWithBackend
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils._python_dispatch import TorchDispatchMode

from support.asymmetric_calls import Tensors
from support.torch_rows import (
    Compared,
    Module,
    Row,
    channels_last,
)


def compile_(row: Row, by: str = "aot_eager") -> str:
    """One graph, with the gradients, for two sizes of every axis that may vary."""
    same = Compared()
    torch._dynamo.reset()
    backend = CompileCounterWithBackend(by)
    compiled = torch.compile(Module(row.ours), backend=backend, fullgraph=True)

    def dynamic(*tensors: Tensor) -> Any:
        for tensor, small, large in zip(tensors, row.tensors, row.larger, strict=True):
            for axis in range(tensor.dim()):
                if small.shape[axis] != large.shape[axis]:
                    torch._dynamo.mark_dynamic(tensor, axis)
        return compiled(*tensors)

    for tensors in (row.tensors, row.larger):
        same(row.differentiated(dynamic, tensors), row.differentiated(row.torchs, tensors))
    assert backend.frame_count == 1
    return str(same)


def export(row: Row) -> str:
    """A program for any number of images, strict and not."""
    same = Compared()
    count = torch.export.Dim("n", min=2, max=64)
    axis, pairs = row.case.images, list(zip(row.tensors, row.batched, strict=True))
    dims = (tuple({axis: count} if batched else None for batched in row.batched),)
    more = tuple(torch.cat([t, t.flip(axis)], axis) if batched else t for t, batched in pairs)
    for strict in (True, False):
        exported = torch.export.export(
            Module(row.ours), row.tensors, dynamic_shapes=dims, strict=strict
        )
        assert operators(exported.graph)
        same(exported.module()(*more), row.torchs(*more))
    return str(same)


def operators(graph: torch.fx.Graph) -> list[str]:
    """Return the operators of refconv in a graph."""
    targets = [node.target for node in graph.nodes]
    return [str(each) for each in targets if getattr(each, "namespace", "") == "refconv"]


def traced(row: Row) -> str:
    """make_fx traces the operators of refconv, gradients and all; its graph may be copied."""
    same = Compared()

    def both(*tensors: Tensor) -> Tensors:
        return row.differentiated(row.ours, tensors)

    graph = make_fx(both)(*row.tensors)
    assert len(operators(graph.graph)) > 1
    for copied in (graph, copy.deepcopy(graph)):
        same(tuple(copied(*row.tensors)), row.expected)
    return f"{same}, {len(operators(graph.graph))} ops"


def fake(row: Row) -> str:
    """Meta and fake tensors have the shapes, dtypes and strides of real ones, in any layout."""
    count = 0
    for tensors in (row.tensors, channels_last(row)):
        real = row.differentiated(row.ours, tensors)
        found = [row.differentiated(row.ours, tuple(t.to("meta") for t in tensors))]
        with FakeTensorMode() as mode:
            fakes = tuple(mode.from_tensor(t) for t in tensors)
            found.append(row.differentiated(row.ours, fakes))
        for without_data in found:
            for one, other in zip(without_data, real, strict=True):
                assert (one.shape, one.dtype) == (other.shape, other.dtype)
                assert one.stride() == other.stride()
                count += 1
    return f"= {count}"


class Recorded(TorchDispatchMode):
    """Keep the calls of refconv's operators, by their names."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: dict[str, list[tuple[Any, tuple[Any, ...]]]] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func.namespace == "refconv":
            detached = tuple(arg.detach() if isinstance(arg, Tensor) else arg for arg in args)
            self.calls.setdefault(func.name(), []).append((func, detached))
        return func(*args, **(kwargs or {}))


def with_gradients(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return an operator's arguments, of which the tensors that can have gradients ask for them."""
    return tuple(
        arg.detach().requires_grad_(arg.is_floating_point() or arg.is_complex())
        if isinstance(arg, Tensor)
        else arg
        for arg in args
    )


def opcheck(row: Row) -> str:
    """The operators that the function and its gradients call, by torch's own checks.

    All but `test_aot_dispatch_dynamic`: that takes long, and `test_library` makes it.
    """
    with Recorded() as recorded:
        row.differentiated(row.ours, row.tensors)
    assert len(recorded.calls) > 1
    checks = ("test_schema", "test_autograd_registration", "test_faketensor")
    for ((operator, args),) in recorded.calls.values():
        torch.library.opcheck(operator, with_gradients(args), test_utils=checks)
    return f"{len(recorded.calls)} ops"
