"""An operator as an object: its operands, what can be asked of it, and its exact results.

The quantities of one call are named by the path that leads to them; <a, b> is the sum of all
products of two tensors:

    y, indices       the output; where each maximum was
    gx, gw, gb       gradients of <gy, y> by the input, weight and bias
    gx(gw), gw(gx)   gradients of <vx, gx> + <vw, gw> + <vb, gb> by the input and by the weight
    gy(gx), gy(gw)   gradients of <vx, gx> and of <vw, gw> by gy
    gy(all)          gradient of <vx, gx> + <vw, gw> + <vb, gb> by gy
    gx(gx)           for what has no weight, gradient of <vx, gx> by the input

Each is again a sum of products of the same kind, so each has an exact value and a bound.
"""

import inspect
import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

import refconv
from refconv import direct, exact
from torch_ext.parity.catalogue.case import Case, Options, Shape

Arrays = dict[str, Any]
Quantities = dict[str, Any]
"""Sums as `Exact` or `Roots` or arrays of float64; choices, whose very bits are due, as tensors."""


@dataclass(frozen=True)
class Arithmetic:
    """In what the quantities are computed: `exact` for small cases, float64 where sums fit."""

    sums: ModuleType
    choices: ModuleType

    def lifted(self, values: Any) -> Any:
        """Return numbers as a result of this arithmetic, sums of one term each."""
        return exact.exactly("values", np.asarray(values)) if self is EXACT else np.asarray(values)


EXACT = Arithmetic(exact, direct)
FLOAT64 = Arithmetic(refconv, refconv)
"""With integers of which every sum stays below 2^53, float64 is exact in every order as well."""


FORWARD = ("y", "y (no grad)", "gy(gx)", "gy(gw)")
"""The results of forward operators, in which sums of halves are never kept in the half."""


class Operator(ABC):
    """A function of torch.nn.functional: `operands` in the call's order, `variables` among them.

    `keywords` maps operands that are passed by name to these names; `multiplies` says whether
    operands are multiplied with one another; `may_be_nan` holds (operand, quantity) where NaN is as
    good as the definition's value, if the operand is not finite.
    """

    operands: tuple[str, ...] = ("x",)
    variables: tuple[str, ...] = ("x",)
    keywords: ClassVar[dict[str, str]] = {}
    gives_indices = False
    batch_axis = 0
    complex = False
    multiplies = False
    may_be_nan: frozenset[tuple[str, str]] = frozenset()
    roundings = 0  # of a division after the sum, besides the last one

    def __init__(self, name: str, rank: int, ours: Callable[..., Any]) -> None:
        """Set the name, the number of spatial axes and our function."""
        self.name, self.rank, self.ours = name, rank, ours
        parameters = inspect.signature(ours).parameters.values()
        self.defaults = {parameter.name: parameter.default for parameter in parameters}

    # ----------------------------------------------------------------- what it is called with

    @abstractmethod
    def named(self) -> Iterator[Case]:
        """Yield the traps of the operator, small enough for exact arithmetic."""

    @abstractmethod
    def drawn(self, name: str, rng: np.random.Generator) -> Case:
        """Draw a call small enough for exact arithmetic."""

    @abstractmethod
    def ladder(self) -> Iterator[Case]:
        """Yield calls of every size; the first of them is the plain one."""

    @abstractmethod
    def refused(self, case: Case) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield what no implementation may accept: changes to a call, other shapes or options."""

    @abstractmethod
    def middle(self, name: str, rng: np.random.Generator) -> Case:
        """Draw a call of moderate size, without padding."""

    def trivial(self, case: Case) -> Case | None:
        """Return a call whose result is its input: it must be a copy all the same."""
        del case
        return None

    def without_batch(self, case: Case) -> Case:
        """Return a call with an empty batch."""
        shapes = dict(case.shapes)
        for name in ("x", "indices", "samples"):
            if name in shapes:
                shape = list(shapes[name])
                shape[self.batch_axis] = 0
                shapes[name] = tuple(shape)
        return replace(case, name="an empty batch", shapes=shapes)

    def groups(self, number: int) -> Iterator[tuple[str, Case]]:
        """Yield quantities and calls in which they are that many independent sums."""
        del number
        yield from ()

    def unbatched(self, case: Case) -> bool:
        """Return whether a call has no batch axis."""
        return len(case.shape) == self.rank + 1

    def arguments(self, case: Case, leaves: dict[str, Tensor]) -> tuple[list[Any], dict[str, Any]]:
        """Return what a candidate is called with."""
        named = {self.keywords[name]: leaves[name] for name in self.keywords if name in leaves}
        return [leaves.get(name) for name in self.operands], {**case.options, **named}

    def y_shape(self, case: Case) -> Shape:
        """Return the shape of the output."""
        leaves = {
            name: torch.empty(
                shape,
                dtype=torch.int64 if name == "indices" else torch.float32,
                device="meta",
            )
            for name, shape in case.shapes.items()
        }
        arguments, options = self.arguments(case, leaves)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of 'same' with even kernels
            return tuple(self.ours(*arguments, **options).shape)

    # ----------------------------------------------------------------- what is due

    @abstractmethod
    def quantities(self, m: Arithmetic, case: Case, a: Arrays, order: int) -> Quantities:
        """Return every quantity from its definition, in the order in which they are observed."""

    @abstractmethod
    def terms(self, case: Case, y: Shape) -> tuple[int, int, int]:
        """Return at most how many products one sum of y, of gx and of gw has (gw: 0 without)."""

    def divisor(self, case: Case) -> int:
        """Return what x and gy must be multiples of, for no division to round."""
        del case
        return 1

    def narrow(self, quantity: str) -> bool:
        """Return whether sums of halves may be kept in the half: not in y and its like."""
        return quantity not in FORWARD

    def apart(self, case: Case) -> bool:
        """Return whether a quotient by a window's size is rounded once, multiple of it or not."""
        del case
        return False

    def fits(self, case: Case, precision: int) -> bool:
        """Return whether a call of the ladder is exact in so many bits: the divisors are, say."""
        del case, precision
        return True

    def cotangents(self, case: Case) -> tuple[str, ...]:
        """Return the variables of a call: x, weight, bias, where it has them."""
        return tuple(name for name in self.variables if name in case.shapes)

    def fixed(self, case: Case, dtype: torch.dtype, rng: np.random.Generator) -> dict[str, Tensor]:
        """Draw the operands that are no variables."""
        del case, dtype, rng
        return {}


class Linear(Operator):
    """An operator that is linear in x: its gradient is the adjoint, and the second one itself."""

    @abstractmethod
    def forward(self, m: Arithmetic, case: Case, x: Any, a: Arrays) -> Any:
        """Return y."""

    @abstractmethod
    def adjoint(self, m: Arithmetic, case: Case, gy: Any, a: Arrays) -> Any:
        """Return gx."""

    def quantities(self, m: Arithmetic, case: Case, a: Arrays, order: int) -> Quantities:
        """Return y, gx = A' gy, gx(gx) = 0 and gy(gx) = A vx."""
        y = self.forward(m, case, a["x"], a)
        found = {"y (no grad)": y, "y": y}
        if order > 0:
            found["gx"] = self.adjoint(m, case, a["gy"], a)
        if order > 1:
            found["gx(gx)"] = m.lifted(np.zeros_like(a["x"]))
            found["gy(gx)"] = self.forward(m, case, a["vx"], a)
        return found


class Bilinear(Operator):
    """An operator that is linear in x and in the weight, plus a bias: a convolution."""

    operands = ("x", "weight", "bias")
    variables = ("x", "weight", "bias")
    channel_axis = 1  # of y
    complex = True
    multiplies = True
    may_be_nan = frozenset({("weight", "gx"), ("gy", "gw")})

    @abstractmethod
    def forward(self, m: Arithmetic, case: Case, x: Any, w: Any, b: Any) -> Any:
        """Return y."""

    @abstractmethod
    def grad_input(self, m: Arithmetic, case: Case, w: Any, gy: Any) -> Any:
        """Return gx."""

    @abstractmethod
    def grad_weight(self, m: Arithmetic, case: Case, x: Any, gy: Any) -> Any:
        """Return gw."""

    @abstractmethod
    def grad_bias(self, m: Arithmetic, case: Case, gy: Any) -> Any:
        """Return gb."""

    @abstractmethod
    def probe(self) -> Case:
        """Return a call with many outputs, no two of which are sums of the same terms."""

    @abstractmethod
    def filters_of(self, weight: Any) -> list[Any]:
        """Return views of the weight, all that goes into one channel of y."""

    @abstractmethod
    def over_outputs(self, case: Case, b: Any) -> Any:
        """Return the bias with as many axes as y."""

    def quantities(self, m: Arithmetic, case: Case, a: Arrays, order: int) -> Quantities:
        """Return all of them: every second gradient is the operator or a gradient of it again."""
        x, w, gy, bias = a["x"], a["weight"], a["gy"], a.get("bias")
        y = self.forward(m, case, x, w, bias)
        found = {"y (no grad)": y, "y": y}
        if order > 0:
            found["gx"] = self.grad_input(m, case, w, gy)
            found["gw"] = self.grad_weight(m, case, x, gy)
            if bias is not None:
                found["gb"] = self.grad_bias(m, case, gy)
        if order > 1:
            vx, vw = a["vx"], a["vw"]
            found["gx(gw)"] = self.grad_input(m, case, vw, gy)
            found["gw(gx)"] = self.grad_weight(m, case, vx, gy)
            by_gx, by_gw = self.forward(m, case, vx, w, None), self.forward(m, case, x, vw, None)
            every = by_gx + by_gw
            if bias is not None:
                every = every + m.lifted(
                    np.broadcast_to(self.over_outputs(case, a["vb"]), gy.shape)
                )
            found |= {"gy(all)": every, "gy(gx)": by_gx, "gy(gw)": by_gw}
        return found


class Choice(Operator):
    """A maximum: it chooses elements of x; gradients go where they came from."""

    gives_indices = True

    @abstractmethod
    def choose(self, m: ModuleType, case: Case, a: Arrays) -> tuple[Any, Any]:
        """Return y and the flat position of every maximum in its map."""

    def quantities(self, m: Arithmetic, case: Case, a: Arrays, order: int) -> Quantities:
        """Return y, the indices, gx[indices] += gy, gx(gx) = 0 and gy(gx) = vx[indices]."""
        value, indices = self.choose(m.choices, case, a)
        y, at = torch.from_numpy(value), torch.from_numpy(indices)
        found: Quantities = {"y (no grad)": y, "indices": at, "y (with indices)": y, "y": y}
        if order > 0:
            found["gx"] = m.sums.max_pool_scatter(a["x"].shape, indices, a["gy"], self.rank)
        if order > 1:
            found["gx(gx)"] = m.lifted(np.zeros(case.shape))
            chosen = m.choices.max_pool_select(a["vx"], indices, self.rank)
            found["gy(gx)"] = torch.from_numpy(chosen)
        return found


def maps(n: int, c: int, i: Shape) -> Shape:
    """Return (N, C, *i); n = 0 is unbatched."""
    return (n, c, *i) if n else (c, *i)


SIZE: dict[int, Shape] = {1: (11,), 2: (7, 6), 3: (5, 4, 6)}


def on_maps(
    op: Operator,
    name: str,
    options: Options,
    *,
    n: int = 2,
    c: int = 3,
    i: Shape | None = None,
    x: str = "contiguous",
    gy: str = "contiguous",
    values: str = "plain",
) -> Case:
    """Return one call of a pool on (N, C, *i); n = 0 is unbatched; x and gy are the layouts."""
    shapes = {"x": maps(n, c, SIZE[op.rank] if i is None else i)}
    return Case(op.name, name, shapes, options, {"x": x, "gy": gy}, values)


def taps(case: Case, rank: int) -> int:
    """Return the size of the kernel."""
    k = case.options["kernel_size"]
    return math.prod(k) if isinstance(k, tuple | list) else int(k) ** rank
