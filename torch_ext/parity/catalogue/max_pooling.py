"""max_pool1d to max_pool3d, and the windows that all pools share."""

import math
from collections.abc import Iterator
from dataclasses import replace
from types import ModuleType
from typing import Any, ClassVar

import numpy as np

from torch_ext.parity.catalogue.case import (
    Case,
    Options,
    Shape,
    axes,
    drawn_layouts,
    per_axis,
)
from torch_ext.parity.catalogue.ladder import RUNGS, SMALL, Sizes, along, climbed
from torch_ext.parity.catalogue.operator import SIZE, Arrays, Choice, Operator, maps, on_maps, taps

WINDOW: dict[int, Shape] = {1: (3,), 2: (3, 2), 3: (2, 3, 2)}
STEP: dict[int, Shape] = {1: (2,), 2: (2, 1), 3: (1, 2, 2)}
MARGIN: dict[int, Shape] = {1: (1,), 2: (1, 0), 3: (0, 1, 1)}
DILATED: dict[int, Shape] = {1: (2,), 2: (2, 3), 3: (2, 1, 3)}
VALUES = ("plain", "ties", "several NaN", "infinities and NaN")

WORLD: dict[str, Sizes] = {  # the pools that networks are made of
    "2, stride 2": {"k": 2, "s": 2, "c": 16},
    "3, stride 2, padding 1": {"k": 3, "s": 2, "p": 1, "c": 16},
    "3, stride 2, ceil mode": {"k": 3, "s": 2, "c": 16, "ceil_mode": True, "more": 1},
    "3, stride 1, padding 1": {"k": 3, "s": 1, "p": 1, "c": 16},
    "13, stride 1, padding 6": {"k": 13, "s": 1, "p": 6, "c": 3},
    "7, global": {"k": 7, "s": 7, "o": 1, "c": 65},
}
LEVELS: dict[str, tuple[Any, ...]] = {
    "n": (1, 2, 5, 17),
    "c": (1, 3, 9, 33),
    "o": (2, 7, 17),
    "k": (2, 3, 5),
    "s": (1, 2, 3, 5),
    "p": (0, 1),
    "more": (0, 1, 2),
    "ceil_mode": (False, True),
}


class Pools(Operator):
    """What pools with a fixed window share; a family adds `extra` options to the ladder's base."""

    extra: ClassVar[Sizes] = {"p": 0}
    world: ClassVar[dict[str, Sizes]] = WORLD
    levels: ClassVar[dict[str, tuple[Any, ...]]] = LEVELS

    def case(self, name: str, options: Options, **more: Any) -> Case:
        """Return one call; see `on_maps`."""
        return on_maps(self, name, options, **more)

    def options(self, case: Case) -> Options:
        """Return the options as refconv takes them: the kernel's length is the rank."""
        return case.options | {"kernel_size": per_axis(case.options["kernel_size"], self.rank)}

    def traps(self, p: bool = True) -> Iterator[Case]:
        """Yield the traps of every pool; p says whether it has a padding."""
        rank, case = self.rank, self.case
        k, s = WINDOW[rank], STEP[rank]
        margin = {"padding": MARGIN[rank]} if p else {}
        every: Options = {"kernel_size": k, "stride": s, "ceil_mode": True} | margin
        yield case("plain", {"kernel_size": k})
        one = {"padding": 1} if p else {}
        yield case("integers for all axes", {"kernel_size": 3, "stride": 2} | one)
        yield case("overlapping", {"kernel_size": k, "stride": 1})
        yield case("stride beyond the kernel", {"kernel_size": k, "stride": (4, 3, 3)[:rank]})
        ceil: Options = {"kernel_size": 2, "stride": 2, "ceil_mode": True}
        yield case("ceil mode, last window partial", ceil, i=(5, 4, 3)[:rank])
        if p:
            yield case("padding", {"kernel_size": k, "stride": s} | margin)
            dropped = ceil | {"padding": 1}
            yield case("ceil mode, last window dropped", dropped, i=(3, 4, 5)[:rank])
            wide: Options = {"kernel_size": 3, "stride": 3, "padding": 1, "ceil_mode": True}
            yield case("ceil mode, last window in the padding", wide, i=(6, 3, 4)[:rank])
        yield case("all options", every)
        yield case("window of one element", {"kernel_size": 1, "stride": s})
        yield case("window of the input's size", {"kernel_size": SIZE[rank]}, n=1)
        yield from self.layouts(every)

    def layouts(self, every: Options) -> Iterator[Case]:
        """Yield one call in every layout of x and gy, in batches of every kind."""
        case = self.case
        last = "channels_last"
        yield case("one channel, channels_last", every, c=1, x=last)
        yield case("batch of 1", every, n=1)
        yield case("unbatched", every, n=0)
        yield case("channels_last", every, x=last, gy=last)
        yield case("transposed memory", every, x="transposed", gy="transposed")
        yield case("every second element of memory", every, x="gaps", gy="gaps")
        yield case("batch expanded", every, n=3, x="expanded")
        yield case("grad_output of a sum", every, gy="constant")

    def sized(self, name: str, sizes: Sizes) -> Case:
        """Return a call of the ladder: `sizes` has n, c, o, k, s, more and the extra options."""
        o, k = along(sizes, "o", self.rank), along(sizes, "k", self.rank)
        s, p, d = sizes["s"] or max(k), sizes.get("p", 0), sizes.get("d", 1)
        p = min(p, min(k) // 2)
        i = tuple(
            max(1, (o_ - 1) * s + d * (k_ - 1) + 1 - 2 * p + min(sizes["more"], s - 1))
            for o_, k_ in zip(o, k, strict=True)
        )
        options: Options = {"kernel_size": k, "stride": s} | {
            key: value for key, value in sizes.items() if len(key) > 4
        }
        options |= {"padding": p} if "p" in sizes else {}
        options |= {"dilation": d} if "d" in sizes else {}
        return self.case(name, options, n=sizes["n"], c=sizes["c"], i=i)

    def middle(self, name: str, rng: np.random.Generator) -> Case:
        """Draw a call of moderate size."""
        sizes = {"n": int(rng.integers(2, 12)), "c": int(rng.integers(2, 40)), "o": 1, "k": 1}
        sizes |= {f"o{axis}": int(rng.integers(3, 20 // self.rank)) for axis in range(self.rank)}
        sizes |= {f"k{axis}": int(rng.integers(2, 5)) for axis in range(self.rank)}
        return self.sized(name, {**self.extra, "s": int(rng.integers(2, 5)), "more": 0} | sizes)

    def rungs(self) -> dict[str, Any]:
        """Return what is climbed, axis by axis."""
        found: dict[str, Any] = dict.fromkeys(("n", "c"), RUNGS)
        found |= {f"{letter}{axis}": RUNGS for letter in "ok" for axis in range(self.rank)}
        return found | {"s": SMALL[:8]}

    def ladder(self) -> Iterator[Case]:
        """Yield every axis at every rung, the pools of the world, then the sizes in pairs."""
        base: Sizes = {"n": 2, "c": 2, "o": 3, "k": 2, "s": 1, "more": 0} | self.extra
        levels = self.levels if self.rank < 3 else self.levels | {"o": (2, 5), "c": (1, 3, 9)}
        o = 8 if self.rank < 3 else 3
        world = {name: {"o": o, **sizes} for name, sizes in self.world.items()}
        thin = {"n": 1, "c": 1, "o": 1}
        return climbed(self.sized, base, self.rungs(), levels, grid="nc", thin=thin, world=world)

    def terms(self, case: Case, y: Shape) -> tuple[int, int, int]:
        """Return k, and the windows that may hold one element."""
        return taps(case, self.rank), min(taps(case, self.rank), math.prod(y[-self.rank :])), 0

    def trivial(self, case: Case) -> Case:
        """Return windows of one element each."""
        options = {**case.options, "kernel_size": 1, "stride": 1}
        return replace(case, name="windows of one element", options=options)

    def refused(self, case: Case) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield what torch refuses."""
        yield "a kernel wider than the input", {"kernel_size": 99}


class MaxPooling(Pools, Choice):
    """y[n, c, o] = the largest x[n, c, o s + k d - p]."""

    extra: ClassVar[Sizes] = {"p": 0, "d": 1}
    levels: ClassVar[dict[str, tuple[Any, ...]]] = LEVELS | {"d": (1, 2, 4)}

    def choose(self, m: ModuleType, case: Case, a: Arrays) -> tuple[Any, Any]:
        """Return y and indices."""
        y, indices = m.max_pool(a["x"], **self.options(case), return_indices=True)
        return y, indices

    def named(self) -> Iterator[Case]:
        """Yield the traps of max pooling."""
        rank, case = self.rank, self.case
        every: Options = {"kernel_size": WINDOW[rank], "stride": STEP[rank]}
        every |= {"padding": MARGIN[rank], "ceil_mode": True}
        dilated = {"dilation": DILATED[rank]}
        last = "channels_last"
        yield from self.traps()
        yield case("dilation", {"kernel_size": WINDOW[rank], "stride": 1} | dilated)
        yield case("all options and dilation", every | dilated)
        for values in ("ties", "zeros of both signs", "one NaN", "several NaN", "all NaN"):
            yield case(values, every, values=values)
        yield case("windows of -inf", every, values="windows of -inf")
        yield case("all -inf", every, values="all -inf")
        yield case("infinities and NaN", every | dilated, values="infinities and NaN")
        yield case("-inf, channels_last", every, values="windows of -inf", x=last)
        yield case("NaN, channels_last", every, values="several NaN", x=last)

    def drawn(self, name: str, rng: np.random.Generator) -> Case:
        """Draw a pooling whose windows all hold something of the input."""
        options, n, c, i = drawn_window(rng, self.rank, dilated=True)
        values = VALUES[int(rng.integers(4))]
        layouts = drawn_layouts(rng)
        return Case(self.name, name, {"x": maps(n, c, i)}, options, layouts, values)

    def rungs(self) -> dict[str, Any]:
        """Return what is climbed: the dilation too."""
        return super().rungs() | {"d": (2, 3, 4, 5, 8, 9)}


def drawn_window(
    rng: np.random.Generator, rank: int, dilated: bool = False
) -> tuple[Options, int, int, Shape]:
    """Draw options, N (0: unbatched), C and the size of a map."""
    while True:
        i = axes(rng, rank, 3, (14, 9, 6)[rank - 1])
        k, s = axes(rng, rank, 1, 3), axes(rng, rank, 1, 3)
        d = axes(rng, rank, 1, 2) if dilated else (1,) * rank
        p = tuple(int(rng.integers(k_ // 2 + 1)) for k_ in k)
        if all(d_ * (k_ - 1) < i_ for i_, k_, d_ in zip(i, k, d, strict=True)):
            break
    options: Options = {"kernel_size": k, "stride": s, "padding": p}
    options["ceil_mode"] = bool(rng.integers(2))
    options |= {"dilation": d} if dilated else {}
    n, c = axes(rng, 2, 0, 3)
    return options, n, max(c, 1), i
