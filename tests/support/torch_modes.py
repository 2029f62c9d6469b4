"""What torch does with a function, each a cell of a table: a comparison with torch's own function.

Bit for bit on the exact data of `asymmetric_calls`: values, indices and gradients. A cell returns
in how many tensors, and in some cells what else it has found; it raises where anything differs.
"""

import contextlib
import itertools
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.func import grad, hessian, jacfwd, jacrev, jvp, vmap
from torch.utils.checkpoint import checkpoint

import refconv
from support.asymmetric_calls import Draw, Tensors, values
from support.torch_graphs import compile_, export, fake, opcheck, traced
from support.torch_rows import (
    Compared,
    Function,
    Module,
    Row,
    channels_last,
    loss,
    primary,
    ramp,
    subsets,
)
from torch_ext import derivatives

LAYOUT = {4: torch.channels_last, 5: torch.channels_last_3d}
MAPPED = 3  # the size of a mapped dimension, and of no other


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
