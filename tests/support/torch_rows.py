"""A function, ours and torch's, on the same data: what each cell of the table of modes compares."""

import itertools
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from support.asymmetric_calls import Draw, FunctionCase, Tensors, values

Function = Callable[..., Any]


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

    def __init__(self, case: FunctionCase, ours: Function | None = None) -> None:
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


def channels_last(row: Row) -> Tensors:
    """Return the tensors with their channels last in memory, whatever their rank."""
    if row.case.images:  # (T, B, C): they are
        return row.tensors
    return tuple(
        t.movedim(1, -1).contiguous().movedim(-1, 1) if t.dim() > 2 else t for t in row.tensors
    )
