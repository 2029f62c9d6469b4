"""adaptive_avg_pool1d to -3d and adaptive_max_pool1d to -3d: the output size is given."""

import math
from collections.abc import Iterator
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np

from torch_ext.parity.catalogue.case import Case, Options, Shape, axes, drawn_layouts, per_axis
from torch_ext.parity.catalogue.ladder import RUNGS, Sizes, along, climbed
from torch_ext.parity.catalogue.max_pooling import VALUES
from torch_ext.parity.catalogue.operator import (
    SIZE,
    Arithmetic,
    Arrays,
    Choice,
    Linear,
    Operator,
    maps,
    on_maps,
)

OUTPUT: dict[int, Shape] = {1: (4,), 2: (3, 4), 3: (2, 3, 4)}


class AdaptivePools(Operator):
    """What averages and maxima share: window j of o starts at floor(j i / o), ends before
    ceil((j + 1) i / o).
    """

    def case(self, name: str, output_size: Any, **more: Any) -> Case:
        """Return one call; see `on_maps`."""
        return on_maps(self, name, {"output_size": output_size}, **more)

    def options(self, case: Case) -> Options:
        """Return the output size as refconv takes it: its length is the rank."""
        return {"output_size": per_axis(case.options["output_size"], self.rank)}

    def traps(self) -> Iterator[Case]:
        """Yield the traps of adaptive pooling."""
        rank, case, uneven = self.rank, self.case, OUTPUT[self.rank]
        yield case("plain", uneven)
        yield case("global", 1)
        yield case("one integer for all axes", 2)
        yield case("sizes that divide", (2, 3, 2)[:rank], i=(4, 9, 6)[:rank])
        yield case("as many as the input", SIZE[rank])
        yield case("more than the input", (6, 7, 5)[:rank], i=(4, 3, 2)[:rank], c=2)
        yield case("windows that overlap by one", (3, 3, 3)[:rank], i=(5, 7, 4)[:rank])
        if rank > 1:
            yield case("an axis as it is", (None, *uneven[1:]), n=1)
        yield case("batch of 1", uneven, n=1)
        yield case("unbatched", uneven, n=0)
        yield case("channels_last", uneven, x="channels_last", gy="channels_last")
        yield case("one channel, channels_last", uneven, c=1, x="channels_last")
        yield case("transposed memory", uneven, x="transposed", gy="transposed")
        yield case("every second element of memory", uneven, x="gaps", gy="gaps")
        yield case("batch expanded", uneven, n=3, x="expanded")
        yield case("grad_output of a sum", uneven, gy="constant")

    def named(self) -> Iterator[Case]:
        """Yield the traps."""
        yield from self.traps()

    def drawn(self, name: str, rng: np.random.Generator) -> Case:
        """Draw one call."""
        i = axes(rng, self.rank, 1, (12, 8, 5)[self.rank - 1])
        o = tuple(int(rng.integers(1, i_ + 2)) for i_ in i)
        n, c = axes(rng, 2, 0, 3)
        values = VALUES[int(rng.integers(4))] if self.gives_indices else "plain"
        shapes = {"x": maps(n, max(c, 1), i)}
        return Case(self.name, name, shapes, {"output_size": o}, drawn_layouts(rng), values)

    def sized(self, name: str, sizes: Sizes) -> Case:
        """Return a call of the ladder: `sizes` has n, c, o and i, the input an output axis gets."""
        o, i = along(sizes, "o", self.rank), along(sizes, "i", self.rank)
        size = tuple(max(1, o_ * i_ + sizes["more"]) for o_, i_ in zip(o, i, strict=True))
        return self.case(name, o, n=sizes["n"], c=sizes["c"], i=size)

    def ladder(self) -> Iterator[Case]:
        """Yield every axis at every rung, then the sizes in pairs."""
        base: Sizes = {"n": 2, "c": 2, "o": 2, "i": 2, "more": 0}
        rungs: dict[str, Any] = dict.fromkeys(("n", "c"), RUNGS)
        rungs |= {f"{letter}{axis}": RUNGS for letter in "oi" for axis in range(self.rank)}
        levels = {"n": (1, 2, 5, 17), "c": (1, 3, 9, 33), **self.pairs()}
        thin = {"n": 1, "c": 1, "o": 1}
        world = {"7x7 to 1": {"o": 1, "i": 7, "c": 64}, "8 to 4": {"o": 4, "c": 33}}
        return climbed(self.sized, base, rungs, levels, grid="nc", thin=thin, world=world)

    def middle(self, name: str, rng: np.random.Generator) -> Case:
        """Draw a call of moderate size."""
        sizes = {"n": int(rng.integers(2, 12)), "c": int(rng.integers(2, 40)), "more": 0}
        sizes |= {"o": int(rng.integers(1, 12 // self.rank)), "i": int(rng.choice([1, 2, 4]))}
        return self.sized(name, sizes)

    def pairs(self) -> dict[str, tuple[Any, ...]]:
        """Return the levels of outputs, inputs an output, and what does not divide."""
        return {"o": (1, 2, 3, 7)[: 5 - self.rank], "i": (1, 2, 4), "more": (0, 1, -1)}

    def trivial(self, case: Case) -> Case:
        """Return as many outputs as inputs."""
        options = {"output_size": case.shape[-self.rank :]}
        return replace(case, name="as many outputs as inputs", options=options)

    def refused(self, case: Case) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield what torch refuses."""
        yield "a negative output size", {"output_size": -1}
        yield "an output size of too many axes", {"output_size": (2,) * (self.rank + 2)}


class AdaptiveAverage(AdaptivePools, Linear):
    """y[n, c, o] = sum of x over window o / its size."""

    def __init__(self, *args: Any) -> None:
        """Note that a division is taken for every axis: `rank` - 1 roundings more than one."""
        super().__init__(*args)
        self.roundings = self.rank

    def forward(self, m: Arithmetic, case: Case, x: Any, a: Arrays) -> Any:
        """Return y."""
        del a
        return m.sums.adaptive_avg_pool(x, **self.options(case))

    def adjoint(self, m: Arithmetic, case: Case, gy: Any, a: Arrays) -> Any:
        """Return gx."""
        del a
        return m.sums.adaptive_avg_pool_grad(case.shape, gy, **self.options(case))

    def divisor(self, case: Case) -> int:
        """Return the common multiple of the sizes of all windows."""
        return math.prod(math.lcm(*found) for found in self.lengths(case))

    def lengths(self, case: Case) -> list[set[int]]:
        """Return the lengths of the windows in every axis."""
        sizes = case.shape[-self.rank :], self.y_shape(case)[-self.rank :]
        pairs = zip(*sizes, strict=True)
        return [{-(-(j + 1) * i // o) - j * i // o for j in range(o)} for i, o in pairs]

    def apart(self, case: Case) -> bool:
        """Return whether no element lies in two windows, and one axis alone rounds a quotient."""
        odd = sum(any(k.bit_count() > 1 for k in found) for found in self.lengths(case))
        sizes = case.shape[-self.rank :], self.y_shape(case)[-self.rank :]
        return odd <= 1 and all(i % o == 0 for i, o in zip(*sizes, strict=True))

    def narrow(self, quantity: str) -> bool:
        """Return True: torch adds in the half itself in three axes, and in second gradients."""
        return self.rank == 3 or quantity not in ("y", "y (no grad)")

    def terms(self, case: Case, y: Shape) -> tuple[int, int, int]:
        """Return the largest window, and the windows that may hold one element."""
        pairs = zip(case.shape[-self.rank :], y[-self.rank :], strict=True)
        sizes = [(-(-i // o) + (i % o > 0), -(-o // i) + 1) for i, o in pairs]
        return math.prod(k for k, _ in sizes), math.prod(w for _, w in sizes), 0

    def fits(self, case: Case, precision: int) -> bool:
        """Return whether the windows' sizes are numbers of the dtype, in which torch divides."""
        window = self.terms(case, self.y_shape(case))[0]
        multiple = 1 if self.apart(case) else self.divisor(case)
        return bool(window * multiple <= 2**precision)

    def sized(self, name: str, sizes: Sizes) -> Case:
        """Return a call of the ladder whose windows are powers of two, or do not overlap."""
        even = name[0] in "oi" and "=" in name
        return super().sized(name, sizes | {"more": 0} if even else sizes)

    def groups(self, number: int) -> Iterator[tuple[str, Case]]:
        """Yield averages of whole maps."""
        i: Shape = {1: (300,), 2: (17, 18), 3: (7, 6, 7)}[self.rank]
        yield "y", self.case("sums of a map", 1, n=1, c=number, i=i)

    def pairs(self) -> dict[str, tuple[Any, ...]]:
        """Return levels at which the common multiple of the windows stays small."""
        return {"o": (1, 2, 3, 7)[: 5 - self.rank], "i": (1, 2), "more": (0, 1)}


class AdaptiveMaximum(AdaptivePools, Choice):
    """y[n, c, o] = the largest x of window o."""

    def choose(self, m: ModuleType, case: Case, a: Arrays) -> tuple[Any, Any]:
        """Return y and indices."""
        y, indices = m.adaptive_max_pool(a["x"], **self.options(case), return_indices=True)
        return y, indices

    def terms(self, case: Case, y: Shape) -> tuple[int, int, int]:
        """Return 1, and the windows that may hold one element."""
        pairs = zip(case.shape[-self.rank :], y[-self.rank :], strict=True)
        return 1, math.prod(-(-o // i) + 1 for i, o in pairs), 0

    def named(self) -> Iterator[Case]:
        """Yield the traps: values too."""
        yield from self.traps()
        uneven = OUTPUT[self.rank]
        for values in ("ties", "zeros of both signs", "one NaN", "several NaN", "all NaN"):
            yield self.case(values, uneven, values=values)
        for values in ("windows of -inf", "all -inf", "infinities and NaN"):
            yield self.case(values, uneven, values=values)
        yield self.case("NaN, channels_last", uneven, values="several NaN", x="channels_last")
