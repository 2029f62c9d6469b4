"""A model watched call by call: by how much ours may differ from torch's, and what follows."""

import copy
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode

import torch_ext
from support.models import ARCHITECTURES

CONV, AVERAGE, MAX = "sum of products", "average", "maximum"


U = 2.0**-24  # half the distance from 1 to the next float32


LIMIT = 1e-10  # of float64


FAMILY = {
    F.conv2d: CONV,
    F.conv_transpose2d: CONV,
    F.max_pool2d: MAX,
    F.avg_pool2d: AVERAGE,
    F.adaptive_avg_pool2d: AVERAGE,
}


KINKS = {F.relu: (0.0,), F.relu6: (0.0, 6.0), F.hardtanh: (0.0, 6.0)}


GRADIENTS = {
    "conv": ("conv_grad_input", "conv_grad_weight"),
    "conv_transpose": ("conv_transpose_grad_input", "conv_transpose_grad_weight"),
    "max_pool": ("max_pool_scatter",),
    "avg_pool": ("avg_pool_grad",),
    "adaptive_avg_pool": ("adaptive_avg_pool_grad",),
}


Tensors = dict[str, Tensor]


def build(name: str, dtype: torch.dtype) -> tuple[nn.Module, Tensor]:
    """Return a model with weights of size 1 / sqrt(terms) and no bias of zero, and an input.

    All numbers are those of float32, whatever the dtype.
    """
    architecture = ARCHITECTURES[name]
    torch.manual_seed(74)  # no unit comes nearer to a kink than 90 times its error, see `choices`
    model = architecture.build().train()
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn_like(parameter)
            if parameter.ndim > 1:
                parameter.copy_(noise / parameter[0].numel() ** 0.5)
            else:
                parameter.add_(noise / 8)
    return model.to(dtype), torch.randn(architecture.shape).to(dtype)


def step(model: nn.Module, x: Tensor, differentiable: bool = False) -> Tensors:
    """Return output, loss, the gradients for the input and every parameter, and the statistics."""
    x = x.detach().requires_grad_()
    # the fused attention of torch has no second derivative
    with sdpa_kernel(SDPBackend.MATH) if differentiable else nullcontext():
        y = model(x)
    target = torch.randn(y.shape, generator=torch.Generator().manual_seed(6)).to(y.dtype)
    loss = (target - y).square().sum() / 2
    named = {"input": x, **dict(model.named_parameters())}
    gradients = torch.autograd.grad(loss, list(named.values()), create_graph=differentiable)
    statistics = {key: buffer.clone() for key, buffer in model.named_buffers()}
    return {"output": y, "loss": loss, **dict(zip(named, gradients, strict=True)), **statistics}


def scales(name: str, expected: Tensors) -> dict[str, float]:
    """Return max|g| of each tensor of a step; for idle parameters, of all gradients."""
    model, x = build(name, torch.float64)
    parameters = dict(model.named_parameters())
    y = model(x)
    sizes = {key: float(g.detach().abs().max()) for key, g in expected.items()}
    largest = max(sizes[key] for key in parameters)
    for key, parameter in parameters.items():
        if sizes[key] < LIMIT * largest:
            saved = parameter.detach().clone()
            with torch.no_grad():
                parameter += torch.randn_like(parameter)
                assert (model(x) - y).abs().max() <= LIMIT * y.abs().max(), f"{key} is not idle"
                parameter.copy_(saved)
            sizes[key] = largest
    return sizes


def furthest(found: Tensors, expected: Tensors, sizes: dict[str, float]) -> tuple[float, str]:
    """Return the largest max|g - g_torch| / max|g_torch|, and where."""
    assert found.keys() == expected.keys()
    return max(
        (float((found[key] - g).detach().abs().max()) / sizes[key], key)
        for key, g in expected.items()
    )


@dataclass
class Call:
    """One call of the family. `gy` and `gradients` are filled in by the backward pass."""

    func: Callable[..., Tensor]
    operands: list[Tensor]
    options: tuple[tuple[Any, ...], dict[str, Any]]
    y: Tensor
    gy: Tensor | None = None
    gradients: dict[int, Tensor] = field(default_factory=dict)

    def expect(self, operands: list[Tensor], gy: Tensor) -> list[Tensor]:
        """Return y and the gradients of <gy, y> by torch, in float64."""
        leaves = [operand.detach().double().requires_grad_() for operand in operands]
        args, kwargs = self.options
        y = self.func(*leaves, *args, **kwargs)
        return [y.detach(), *torch.autograd.grad(y, leaves, gy.detach().double())]

    def bounds(self, casts: int) -> list[Tensor]:
        """Return (n + 2 + casts) u S for y and each gradient."""
        gy, x, kind = self.gy, self.operands[0], FAMILY[self.func]
        if kind == MAX:  # a maximum is read, not computed; its gradient sums the windows it won
            y, gx = self.expect(self.operands, gy.abs())
            terms = [torch.zeros(()), self.expect(self.operands, torch.ones_like(gy))[1]]
            sizes = [y.abs() if casts else torch.zeros_like(y), gx]
        else:
            sizes = self.expect([operand.abs() for operand in self.operands], gy.abs())
            if kind == CONV:
                ones = [torch.ones_like(operand) for operand in self.operands]
                terms = self.expect(ones, torch.ones_like(gy))
            else:  # of an average, n is at most a plane
                terms = [torch.tensor(plane[0, 0].numel()) for plane in (x, gy)]
        assert max(int(n.max()) for n in terms) < 5000  # then e^2 is less than one u S
        return [(n + 2 + casts) * U * size for n, size in zip(terms, sizes, strict=True)]


class Calls(TorchFunctionMode):
    """Has the calls of the family answered by `answer`; notes them, and how ReLUs and pools choose.

    Operands are the tensors among the first arguments; options are what follows.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Call] = []
        self.choices: list[Tensor] = []

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in KINKS:
            self.choices += [args[0] > kink for kink in KINKS[func]]
        if func not in FAMILY:
            return func(*args, **kwargs)
        count = 1 if FAMILY[func] != CONV else 2 if args[2] is None else 3
        call = self.answer(func, list(args[:count]), (args[count:], kwargs))
        if FAMILY[func] == MAX:
            x = call.operands[0].detach()
            self.choices.append(func(x, *args[1:], **kwargs | {"return_indices": True})[1])
        self.calls.append(call)
        return call.y

    def answer(self, func: Any, operands: list[Tensor], options: Any) -> Call:
        """Return the call, answered."""
        raise NotImplementedError


class Watched(Calls):
    """Our results."""

    def answer(self, func: Any, operands: list[Tensor], options: Any) -> Call:
        aliases = [operand.view_as(operand) for operand in operands]
        with torch_ext.override():
            y = func(*aliases, *options[0], **options[1])
        call = Call(func, [operand.detach().clone() for operand in operands], options, y)
        for i, alias in enumerate(aliases):
            alias.register_hook(lambda gradient, i=i: call.gradients.update({i: gradient}))
        y.register_hook(lambda gy: setattr(call, "gy", gy))
        return call


class Single(Calls):
    """Our results in float32, in a model of float64."""

    def answer(self, func: Any, operands: list[Tensor], options: Any) -> Call:
        singles = [operand.float() for operand in operands]
        with torch_ext.override():
            y = func(*singles, *options[0], **options[1])
        return Call(func, singles, options, y.double())


class Nudge(Function):
    """x; its gradient is e more than it would be."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, e: Tensor) -> Tensor:
        ctx.save_for_backward(e)
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gx: Tensor) -> tuple[Tensor, None]:
        return gx + ctx.saved_tensors[0], None


class Nudged(Calls):
    """Torch's results, each with an error e of zero added, by which to differentiate."""

    def __init__(self) -> None:
        super().__init__()
        self.errors: list[Tensor] = []

    def answer(self, func: Any, operands: list[Tensor], options: Any) -> Call:
        errors = [torch.zeros_like(operand).requires_grad_() for operand in operands]
        y = func(*map(Nudge.apply, operands, errors), *options[0], **options[1])
        call = Call(func, operands, options, y + (e := torch.zeros_like(y).requires_grad_()))
        call.y.register_hook(lambda gy: setattr(call, "gy", gy.detach()))
        self.errors += [e, *errors]
        return call


def call_by_call(name: str) -> tuple[int, float, list[str]]:
    """Return the calls in a float32 step, the largest error / bound, and what is beyond bounds."""
    model, x = build(name, torch.float32)
    with Watched() as watched:
        step(model, x)
    worst, beyond = 0.0, []
    for i, call in enumerate(watched.calls):
        results = [call.y.detach(), *(call.gradients[j] for j in range(len(call.operands)))]
        exact, bounds = call.expect(call.operands, call.gy), call.bounds(casts=0)
        for label, (r, true, bound) in enumerate(zip(results, exact, bounds, strict=True)):
            assert r.dtype == torch.float32
            assert r.any()
            error = (r.double() - true).abs()
            if (error > bound).any():
                beyond.append(f"{('y', 'gx', 'gw', 'gb')[label]} of call {i}, {call.func}")
            worst = max(worst, float((error / bound).nan_to_num(0.0).max()))
    return len(watched.calls), worst, beyond


def carried_through(name: str) -> tuple[bool, float, float, list[str]]:
    """Return whether all units chose alike, the distance from torch, and tensors beyond bounds.

    The distance as max|D| / max|g|, and as |D| / bound.
    """
    model, x = build(name, torch.float64)
    ours = copy.deepcopy(model)
    with Single() as single:
        found = step(ours, x)
    with Nudged() as nudged:
        expected = step(model, x, differentiable=True)
    assert len(single.calls) == len(nudged.calls) == sum(ARCHITECTURES[name].calls.values())
    alike = all(map(torch.equal, single.choices, nudged.choices))

    bounds = [bound for call in nudged.calls for bound in call.bounds(casts=2)]
    sizes = scales(name, expected)
    distance, worst, beyond = 0.0, 0.0, []
    for key, g in expected.items():
        error = (found[key] - g).detach()
        if not g.requires_grad or not error.any():  # the statistics of a batch norm have no graph
            continue
        size = error.norm()
        effects = torch.autograd.grad(
            g, nudged.errors, error / size, retain_graph=True, materialize_grads=True
        )
        pairs = zip(effects, bounds, strict=True)
        bound = sum(float((effect.abs() * b).sum()) for effect, b in pairs)
        bound += LIMIT * sizes[key] * g.numel() ** 0.5  # float64's own
        if size > bound:
            beyond.append(key)
        worst = max(worst, float(size) / bound)
        distance = max(distance, float(error.abs().max()) / sizes[key])
    return alike, distance, worst, beyond
