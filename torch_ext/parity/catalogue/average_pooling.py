"""avg_pool1d to avg_pool3d."""

import math
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np

from torch_ext.parity.catalogue.case import Case, Options, drawn_layouts, per_axis
from torch_ext.parity.catalogue.ladder import Sizes
from torch_ext.parity.catalogue.max_pooling import (
    LEVELS,
    MARGIN,
    STEP,
    WINDOW,
    WORLD,
    Pools,
    drawn_window,
)
from torch_ext.parity.catalogue.operator import Arithmetic, Arrays, Linear, maps, taps


class AveragePooling(Pools, Linear):
    """y[n, c, o] = sum of x over window o / its size, padding counted or not, or a divisor."""

    extra: ClassVar[Sizes] = {"p": 0}
    world: ClassVar[dict[str, Sizes]] = WORLD
    levels: ClassVar[dict[str, tuple[Any, ...]]] = LEVELS | {"count_include_pad": (True, False)}

    def forward(self, m: Arithmetic, case: Case, x: Any, a: Arrays) -> Any:
        """Return y."""
        del a
        return m.sums.avg_pool(x, **self.options(case))

    def adjoint(self, m: Arithmetic, case: Case, gy: Any, a: Arrays) -> Any:
        """Return gx."""
        del a
        return m.sums.avg_pool_grad(case.shape, gy, **self.options(case))

    def divisor(self, case: Case) -> int:
        """Return the common multiple of the divisors.

        Every share gy / divisor of a multiple is an integer, so that their sum does not round.
        """
        rank, options = self.rank, case.options
        k, s, p = (
            per_axis(options.get(name, default), rank)
            for name, default in (
                ("kernel_size", 1),
                ("stride", options["kernel_size"]),
                ("padding", 0),
            )
        )
        if options.get("divisor_override"):
            return abs(int(options["divisor_override"]))
        padded = options.get("count_include_pad", True)
        found = 1
        for i, o, k_, s_, p_ in zip(
            case.shape[-rank:], self.y_shape(case)[-rank:], k, s, p, strict=True
        ):
            starts = [j * s_ - p_ for j in range(o)]
            ends = [min(start + k_, i + p_) for start in starts]
            found *= math.lcm(
                *(
                    end - start if padded else min(end, i) - max(start, 0)
                    for start, end in zip(starts, ends, strict=True)
                )
            )
        return found

    def apart(self, case: Case) -> bool:
        """Return whether no element lies in two windows."""
        k = case.options["kernel_size"]
        s = case.options.get("stride", k)
        pairs = zip(per_axis(k, self.rank), per_axis(s, self.rank), strict=True)
        return all(s_ >= k_ for k_, s_ in pairs)

    def fits(self, case: Case, precision: int) -> bool:
        """Return whether the divisor is a number of the dtype, in which torch divides gy by it."""
        return bool(taps(case, self.rank) <= 2**precision)

    def named(self) -> Iterator[Case]:
        """Yield the traps of average pooling."""
        rank, case = self.rank, self.case
        k, s, p = WINDOW[rank], STEP[rank], MARGIN[rank]
        every: Options = {"kernel_size": k, "stride": s, "padding": p, "ceil_mode": True}
        inside: Options = {"count_include_pad": False}
        yield from self.traps()
        yield case("padding not counted", {"kernel_size": k, "stride": s, "padding": p} | inside)
        yield case("all options, padding not counted", every | inside)
        wide: Options = {"kernel_size": 3, "stride": 3, "padding": 1, "ceil_mode": True}
        yield case("ceil mode, padding not counted", wide | inside, i=(6, 3, 4)[:rank])
        if rank > 1:  # avg_pool1d has no divisor_override
            yield case("divisor 5", every | {"divisor_override": 5})
            yield case("divisor -3", every | inside | {"divisor_override": -3})
            yield case("divisor 1", {"kernel_size": k, "divisor_override": 1})

    def drawn(self, name: str, rng: np.random.Generator) -> Case:
        """Draw a pooling."""
        options, n, c, i = drawn_window(rng, self.rank)
        options["count_include_pad"] = bool(rng.integers(2))
        if self.rank > 1 and rng.integers(3) == 0:
            options["divisor_override"] = int(rng.choice([-3, -1, 2, 7]))
        return Case(self.name, name, {"x": maps(n, c, i)}, options, drawn_layouts(rng))

    def middle(self, name: str, rng: np.random.Generator) -> Case:
        """Draw a pooling whose divisor is a power of two."""
        case = super().middle(name, rng)
        k = tuple(2 ** int(rng.integers(1, 3)) for _ in range(self.rank))
        i = tuple(max(i_, k_) for i_, k_ in zip(case.shape[2:], k, strict=True))
        options = {**case.options, "kernel_size": k}
        return Case(self.name, name, {"x": (*case.shape[:2], *i)}, options)

    def groups(self, number: int) -> Iterator[tuple[str, Case]]:
        """Yield averages of 256 and more elements in as many channels."""
        k: tuple[int, ...] = {1: (300,), 2: (17, 18), 3: (7, 6, 7)}[self.rank]
        yield "y", self.case("sums of a window", {"kernel_size": k}, n=1, c=number, i=k)

    def ladder(self) -> Iterator[Case]:
        """Yield every size; where the kernel is climbed, windows that do not overlap.

        The shares of overlapping windows would round before they are added, if the divisor is not a
        divisor of every gy, and of so many numbers none is in the halves.
        """
        for case in super().ladder():
            k = case.options["kernel_size"]
            if self.rank == 3 and any(a < b for a, b in zip(case.shape[-3:], k, strict=True)):
                continue  # avg_pool3d alone refuses an unpadded input that is smaller
            climbed = case.name.startswith("k") or "global" in case.name
            if climbed:
                options = {**case.options, "stride": k}
                case = Case(self.name, case.name, case.shapes, options, case.layouts)
            yield case
