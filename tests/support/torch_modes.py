"""What torch does with a function, each a cell of a table: a comparison with torch's own function.

Bit for bit on the exact data of `cases`: values, indices and gradients. A cell returns in how many
tensors, and in some cells what else it has found; it raises where anything differs.
"""

import contextlib
import copy
import itertools
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.testing import CompileCounterWithBackend
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd import forward_ad
from torch.func import grad, hessian, jacfwd, jacrev, jvp, vmap
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.checkpoint import checkpoint

import refconv
from support.asymmetric_calls import Case, Draw, Tensors, values
from torch_ext import derivatives

Function = Callable[..., Any]
LAYOUT = {4: torch.channels_last, 5: torch.channels_last_3d}
MAPPED = 3  # the size of a mapped dimension, and of no other


class Compared:
    """Count the tensors that were compared, of which no pair may differ."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, found: Any, expected: Any) -> None:
        """Assert that two results are equal in every bit, and not just zeros."""
        pairs = list(zip(values(found), values(expected), strict=True))
        assert any(other.any() for _, other in pairs)
        for one, other in pairs:
            assert one.dtype == other.dtype
            assert one.shape == other.shape
            assert torch.equal(one, other)
        self.count += len(pairs)

    def __str__(self) -> str:
        return f"= {self.count}" if self.count else ""


class Row:
    """A function, its tensors, and torch's results for them."""

    def __init__(self, case: Case, ours: Function | None = None) -> None:
        self.case, self.ours, self.torchs = case, ours or case.ours, case.torchs
        self.tensors = case.draw(Draw())
        self.some = range(case.differentiable)

    def leaves(self, tensors: Tensors) -> list[Tensor]:
        """Return copies, of which those that have derivatives ask for them."""
        return [
            tensor.detach().clone().requires_grad_(at in self.some)
            for at, tensor in enumerate(tensors)
        ]

    def differentiated(self, function: Function, tensors: Tensors) -> Tensors:
        """Return the results of a function and its gradients."""
        leaves = self.leaves(tensors)
        results = values(function(*leaves))
        wrt = [leaves[at] for at in self.some]
        gradients = torch.autograd.grad(results[0], wrt, ramp(results[0]))
        return *(each.detach() for each in results), *gradients

    @cached_property
    def expected(self) -> Tensors:
        """Return torch's results and gradients."""
        return self.differentiated(self.torchs, self.tensors)

    @cached_property
    def jacobians(self) -> Tensors:
        """Return torch's Jacobians, row by row in reverse mode."""
        return self.of_some(torch.autograd.functional.jacobian)

    @cached_property
    def hessians(self) -> Tensors:
        """Return torch's second derivatives of the sum of squares, row by row in reverse mode."""
        if "fractional" not in self.case.name:  # those have none
            return self.of_some(torch.autograd.functional.hessian, loss)
        indices = with_indices(self)(*self.tensors)[1].flatten(2)

        def select(x: Tensor) -> Tensor:
            return x.flatten(2).gather(2, indices)

        x = self.tensors[0]
        return (torch.autograd.functional.hessian(lambda x: loss(select)(x), x),)

    def of_some(self, transform: Function, of: Function = lambda f: primary(f)) -> Tensors:
        """Transform torch's function of one tensor at a time."""
        return tuple(
            transform(self.of_one(of(self.torchs), at), self.tensors[at]) for at in self.some
        )

    def of_one(self, function: Function, at: int) -> Function:
        """Return a function of one of its tensors."""
        before, after = self.tensors[:at], self.tensors[at + 1 :]
        return lambda tensor: function(*before, tensor, *after)

    @cached_property
    def batched(self) -> tuple[bool, ...]:
        """Tell which tensors have a batch axis: all but weights and biases."""
        return tuple(at == 0 or not self.case.name.startswith("conv") for at in self.all)

    @property
    def all(self) -> range:
        """Return the positions of the tensors."""
        return range(len(self.tensors))

    @cached_property
    def larger(self) -> Tensors:
        """Return tensors of other sizes."""
        return self.case.draw(Draw(more=True))


class Module(nn.Module):
    """A layer that calls a function with its options, and its parameters for tensors if any."""

    def __init__(self, function: Function, parameters: list[Tensor] | None = None) -> None:
        super().__init__()
        self.function = function
        self.parameters_ = nn.ParameterList(parameters or [])

    def forward(self, *tensors: Tensor) -> Any:
        return self.function(*self.parameters_, *tensors)


def ramp(like: Tensor) -> Tensor:
    """Return -1, 0, 1, 2, 3, -1, ... in that shape and layout, to be a gradient or a tangent."""
    count = torch.arange(like.numel(), device=like.device)
    return torch.empty_like(like).copy_((count % 5 - 1).view(like.shape))


def primary(function: Function) -> Function:
    """Return the function without the indices."""
    return lambda *tensors: values(function(*tensors))[0]


def loss(function: Function) -> Function:
    """Return half the sum of the squares of the results, each with a weight of its own."""

    def total(*tensors: Tensor) -> Tensor:
        y = primary(function)(*tensors)
        return (ramp(y) * y * y).sum()

    return total


def with_indices(row: Row) -> Function:
    """Return torch's function in the form that returns indices too."""
    name = row.case.name.removesuffix("_with_indices") + "_with_indices"
    return row.case.bind(getattr(nn.functional, name))


def subsets(positions: range) -> Iterator[tuple[int, ...]]:
    """Return every subset but the empty one."""
    for size in range(1, len(positions) + 1):
        yield from itertools.combinations(positions, size)


# --------------------------------------------------------------------------- cells


def eager(row: Row) -> str:
    """Values, gradients and their gradients; without a graph where none is asked for."""
    same = Compared()
    same(row.differentiated(row.ours, row.tensors), row.expected)
    for mode in (torch.no_grad(), torch.inference_mode()):
        with mode:
            leaves = row.leaves(row.tensors)
            found = values(row.ours(*leaves))
            assert not any(each.requires_grad for each in found)
            assert torch.is_inference_mode_enabled() == found[0].is_inference()
            same(found, row.expected[: len(found)])
    for at in row.some:
        y = values(row.ours(*row.leaves(row.tensors)[:at], row.tensors[at], *row.tensors[at + 1 :]))
        assert y[0].requires_grad == (at > 0)
        assert not any(each.requires_grad for each in y[1:])
    return str(same)


def func(row: Row) -> str:
    """grad, jacrev, jacfwd and hessian of torch.func."""
    same = Compared()
    for at in row.some:
        one = row.of_one(primary(row.ours), at)
        total = row.of_one(loss(row.ours), at)
        t = row.tensors[at]
        leaf = t.clone().requires_grad_()
        same(grad(total)(t), torch.autograd.grad(row.of_one(loss(row.torchs), at)(leaf), leaf))
        same(jacrev(one)(t), row.jacobians[at])
        same(jacfwd(one)(t), row.jacobians[at])
        same(hessian(total)(t), row.hessians[at])
    return str(same)


@contextlib.contextmanager
def counted() -> Iterator[Counter[str]]:
    """Count the calls of refconv's functions."""
    calls: Counter[str] = Counter()

    def count(name: str, function: Function) -> Function:
        def counting(*args: Any, **options: Any) -> Any:
            calls[name] += 1
            return function(*args, **options)

        return counting

    with pytest.MonkeyPatch.context() as patch:
        for name in refconv.__all__:
            function = getattr(refconv, name)
            if callable(function):
                patch.setattr(refconv, name, count(name, function))
        yield calls


def vmap_(row: Row) -> str:
    """Any of the tensors mapped, in any dimension, twice, and with gradients: at once, unlooped."""
    same = Compared()

    def both(function: Function) -> Function:
        def results(*tensors: Tensor) -> Tensors:
            rest = tensors[row.case.differentiable :]
            y, pull = torch.func.vjp(
                lambda *some: primary(function)(*some, *rest), *tensors[: row.case.differentiable]
            )
            return (*values(function(*tensors)), *pull(ramp(y)))

        return results

    with counted() as alone:
        both(row.ours)(*row.tensors)
    assert alone.total() > 1
    for mapped in subsets(row.all):
        stacks = [row.case.draw(Draw(seed=seed)) for seed in range(MAPPED)]
        several = [
            tuple(stack[at] if at in mapped else row.tensors[at] for at in row.all)
            for stack in stacks
        ]
        results = [row.differentiated(row.torchs, each) for each in several]
        expected = tuple(map(torch.stack, zip(*results, strict=True)))
        for dim in (0, 1, -1):
            dims = tuple(dim if at in mapped else None for at in row.all)
            tensors = [
                torch.stack([each[at] for each in several], dim)
                if at in mapped
                else row.tensors[at]
                for at in row.all
            ]
            with counted() as calls:
                found = vmap(both(row.ours), dims)(*tensors)
            assert calls == alone, "a loop over the mapped dimension"
            same(found, expected)
        twice = vmap(vmap(both(row.ours), dims, 1), dims, 0)
        tensors = [
            torch.stack([t, t.flip(dims[at])], -1) if at in mapped else t
            for at, t in enumerate(tensors)
        ]
        with counted() as calls:
            found = twice(*tensors)
        assert calls == alone, "a loop over the mapped dimension"
        both_ways = (torch.stack([e, e.flip(0)]).movedim(1, 2) for e in expected)
        same(found, tuple(both_ways))
    same(per_sample(row), per_sample_by_loop(row))
    return f"{same}, {alone.total()} calls"


def per_sample(row: Row) -> Tensors:
    """Return the gradients of every image's own loss."""
    axis = row.case.images

    def one(*tensors: Tensor) -> Tensor:
        pairs = zip(tensors, row.batched, strict=True)
        return loss(row.ours)(*(t.unsqueeze(axis) if batched else t for t, batched in pairs))

    dims = tuple(axis if batched else None for batched in row.batched)
    return vmap(grad(one, tuple(row.some)), dims)(*row.tensors)


def per_sample_by_loop(row: Row) -> Tensors:
    """Return torch's, one image after the other."""
    axis, gradients = row.case.images, []
    for n in range(row.tensors[0].shape[axis]):
        pairs = zip(row.tensors, row.batched, strict=True)
        leaves = row.leaves(tuple(t.narrow(axis, n, 1) if batched else t for t, batched in pairs))
        found = torch.autograd.grad(loss(row.torchs)(*leaves), [leaves[at] for at in row.some])
        pairs = zip(found, row.batched, strict=False)
        gradients.append([each.squeeze(axis) if batched else each for each, batched in pairs])
    return tuple(map(torch.stack, zip(*gradients, strict=True)))


def jvp_(row: Row) -> str:
    """Tangents of any of the tensors, by torch.func and by dual tensors."""
    same = Compared()
    tangents = [ramp(row.tensors[at]) for at in row.some]
    products = [
        (jacobian * tangent).flatten(-tangent.dim()).sum(-1)
        for jacobian, tangent in zip(row.jacobians, tangents, strict=True)
    ]
    for chosen in subsets(row.some):
        expected = torch.stack([products[at] for at in chosen]).sum(0)

        def of_chosen(*some: Tensor, chosen: tuple[int, ...] = chosen) -> Tensor:
            tensors = dict(enumerate(row.tensors)) | dict(zip(chosen, some, strict=True))
            return primary(row.ours)(*tensors.values())

        primals = tuple(row.tensors[at] for at in chosen)
        directions = tuple(tangents[at] for at in chosen)
        same(jvp(of_chosen, primals, directions), (row.expected[0], expected))
        with forward_ad.dual_level():
            duals = itertools.starmap(forward_ad.make_dual, zip(primals, directions, strict=True))
            same(tuple(forward_ad.unpack_dual(of_chosen(*duals))), (row.expected[0], expected))
    return str(same)


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


def autocast(row: Row) -> str:
    """The dtypes and bits of torch's function, from single and half precision."""
    same = Compared()
    for dtype in (torch.bfloat16, torch.float16):
        for drawn in (torch.float32, dtype):
            tensors = row.case.draw(Draw(drawn))
            with torch.autocast("cpu", dtype=dtype):
                found, expected = (
                    row.differentiated(function, tensors) for function in (row.ours, row.torchs)
                )
            same(found, expected)
    return str(same)


def channels_last(row: Row) -> Tensors:
    """Return the tensors with their channels last in memory, whatever their rank."""
    if row.case.images:  # (T, B, C): they are
        return row.tensors
    return tuple(
        t.movedim(1, -1).contiguous().movedim(-1, 1) if t.dim() > 2 else t for t in row.tensors
    )


def last(t: Tensor) -> bool:
    """Return whether a tensor's channels lie last, as torch has it."""
    return t.dim() in LAYOUT and t.is_contiguous(memory_format=LAYOUT[t.dim()])


def layout(row: Row) -> str:
    """Channels that lie last in memory stay there wherever they do in torch's, for any gy.

    Where they lie exactly, and where torch has no rule: `test_memory_formats`.
    """
    same, kept = Compared(), 0
    tensors = channels_last(row)
    for function in (lambda f: f, contiguous_gradient):
        found, expected = (row.differentiated(function(f), tensors) for f in (row.ours, row.torchs))
        same(found, expected)
        for one, other in zip(found, expected, strict=True):
            assert last(one) or not last(other)
            kept += last(other)
    return f"{same}, {kept} kept"


def contiguous_gradient(function: Function) -> Function:
    """Return the function with a gradient whose channels do not lie last."""

    def primary_first(*tensors: Tensor) -> Tensors:
        y, *rest = values(function(*tensors))
        return y.contiguous(), *rest

    return primary_first


def saved(row: Row) -> str:
    """Checkpointing in both forms, and saved tensors that wait on the host."""
    same = Compared()
    for reentrant in (False, True):

        def repeated(*tensors: Tensor, reentrant: bool = reentrant) -> Any:
            return checkpoint(row.ours, *tensors, use_reentrant=reentrant)

        if reentrant:  # torch.autograd.grad is not for it
            leaves = row.leaves(row.tensors)
            y = values(repeated(*leaves))
            y[0].backward(ramp(y[0]))
            same((*(e.detach() for e in y), *(leaves[at].grad for at in row.some)), row.expected)
        else:
            same(row.differentiated(repeated, row.tensors), row.expected)
    with torch.autograd.graph.save_on_cpu():
        same(row.differentiated(row.ours, row.tensors), row.expected)
    return str(same)


def hooks(row: Row) -> str:
    """Hooks of tensors and modules see the same, in the same order, and may change gradients."""
    same = Compared()
    seen = []
    for function in (row.ours, row.torchs):
        log: list[tuple[str, Any]] = []
        module = Module(function)
        module.register_forward_pre_hook(lambda _, args, log=log: log.append(("before", args)))
        module.register_forward_hook(lambda _, args, y, log=log: log.append(("after", values(y))))
        module.register_full_backward_pre_hook(
            lambda _, gy, log=log: log.append(("backward", gy[:1]))
        )
        module.register_full_backward_hook(
            lambda _, gx, gy, log=log: log.append(("gradients", gx[: row.case.differentiable]))
        )
        leaves = row.leaves(row.tensors)
        leaves[0].register_hook(lambda g: 2 * g)
        y = values(module(*leaves))[0]
        y.register_hook(lambda g: -g)
        y.backward(ramp(y))
        log.append(("leaves", tuple(leaves[at].grad for at in row.some)))
        seen.append(log)
    assert [name for name, _ in seen[0]] == [name for name, _ in seen[1]]
    for (_, found), (_, expected) in zip(*seen, strict=True):
        same(found, expected)
    return str(same)


def anomaly(row: Row) -> str:
    """A gradient that is no number is blamed on the Function that it came from.

    A convolution makes it itself, of inf and 0: one of its forms moves axes after it.
    """
    value = torch.inf if row.case.name.startswith("conv") else torch.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch tells that the mode is on, and where forward was
        with torch.autograd.detect_anomaly():
            y = values(row.ours(*row.leaves(row.tensors)))[0]
            with pytest.raises(RuntimeError, match="returned nan values") as blamed:
                y.backward(torch.full_like(y, value))
    name = str(blamed.value).split("'")[1].removesuffix("Backward")
    known = [vars(getattr(derivatives, family)) for family in derivatives.__all__]
    assert any(issubclass(family.get(name, object), torch.autograd.Function) for family in known)
    return name


def ddp(row: Row) -> str:
    """Gradients of parameters, through DistributedDataParallel."""
    same = Compared()
    leaves = row.leaves(row.tensors)
    wrt = [leaves[at] for at in row.some]
    rest = leaves[len(wrt) :]
    module = nn.parallel.DistributedDataParallel(Module(row.ours, wrt))
    y = values(module(*rest))
    y[0].backward(ramp(y[0]))
    same((*(e.detach() for e in y), *(p.grad for p in module.parameters())), row.expected)
    return str(same)


CELLS: dict[str, Callable[[Row], str]] = {
    "eager": eager,
    "func": func,
    "vmap": vmap_,
    "jvp": jvp_,
    "compile": compile_,
    "export": export,
    "make_fx": traced,
    "fake": fake,
    "opcheck": opcheck,
    "autocast": autocast,
    "channels_last": layout,
    "checkpoint": saved,
    "hooks": hooks,
    "anomaly": anomaly,
    "DDP": ddp,
}
