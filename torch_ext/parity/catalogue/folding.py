"""unfold (im2col) and fold (col2im), each the other's adjoint."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from torch_ext.parity.catalogue.case import Case, Shape, axes, drawn_layouts, per_axis
from torch_ext.parity.catalogue.ladder import RUNGS, SMALL, Sizes, along, climbed
from torch_ext.parity.catalogue.operator import Arithmetic, Arrays, Linear, maps, taps

LEVELS: dict[str, tuple[Any, ...]] = {
    "n": (1, 2, 5, 17),
    "c": (1, 3, 9),
    "o": (2, 7, 17),
    "k": (1, 2, 3, 5),
    "s": (1, 2, 3),
    "p": (0, 1, 2),
    "d": (1, 2, 4),
    "more": (0, 1),
}


class Windows(Linear):
    """What unfold and fold share: the windows of an image (*i), (N, C, *i) <-> (N, C k, L)."""

    complex = True

    def case_of(
        self, name: str, n: int, c: int, i: Shape, options: dict[str, Any], **layouts: str
    ) -> Case:
        """Return one call, by the image on either side of it."""
        raise NotImplementedError

    def case(
        self,
        name: str,
        *,
        n: int = 2,
        c: int = 3,
        i: Shape = (7, 6),
        layouts: dict[str, str] | None = None,
        **options: Any,
    ) -> Case:
        """Return one call; n = 0 is unbatched."""
        return self.case_of(name, n, c, i, {"kernel_size": (3, 2), **options}, **(layouts or {}))

    def named(self) -> Iterator[Case]:
        """Yield the traps."""
        every: dict[str, Any] = {"stride": (2, 3), "padding": (1, 2), "dilation": (2, 1)}
        yield self.case("plain")
        yield self.case("integers for all axes", kernel_size=3, stride=2, padding=1, dilation=2)
        yield self.case("stride", stride=(2, 3))
        yield self.case("stride beyond the kernel", kernel_size=2, stride=(4, 3))
        yield self.case("padding", padding=(1, 2))
        yield self.case("padding wider than the kernel", kernel_size=(2, 1), padding=3, stride=2)
        yield self.case("dilation", dilation=(3, 2), i=(9, 8))
        yield self.case("all options", **every)
        yield self.case("window of one element", kernel_size=1, stride=(2, 1))
        yield self.case("window of the input's size", kernel_size=(4, 3), i=(4, 3))
        yield self.case("one channel", c=1, **every)
        yield self.case("batch of 1", n=1, **every)
        yield self.case("unbatched", n=0, **every)
        for layout in ("channels_last", "transposed", "gaps", "expanded"):
            gy = "contiguous" if layout == "expanded" else layout
            yield self.case(layout, n=3, layouts={"x": layout, "gy": gy}, **every)
        yield self.case("grad_output of a sum", layouts={"gy": "constant"}, **every)

    def drawn(self, name: str, rng: np.random.Generator) -> Case:
        """Draw one call."""
        while True:
            n, c = axes(rng, 2, 0, 3)
            i = axes(rng, 2, 2, 9)
            k, s, d, p = (
                axes(rng, 2, 1, 3),
                axes(rng, 2, 1, 3),
                axes(rng, 2, 1, 3),
                axes(rng, 2, 0, 2),
            )
            if all(d_ * (k_ - 1) < i_ + 2 * p_ for i_, k_, d_, p_ in zip(i, k, d, p, strict=True)):
                options = {"kernel_size": k, "stride": s, "dilation": d, "padding": p}
                return self.case_of(name, n, max(c, 1), i, options, **drawn_layouts(rng))

    def sized(self, name: str, sizes: Sizes) -> Case:
        """Return a call of the ladder: `sizes` has n, c, o, k, s, p, d and more."""
        o, k = along(sizes, "o", 2), along(sizes, "k", 2)
        s, p, d = sizes["s"], sizes["p"], sizes["d"]
        i = tuple(
            max(1, (o_ - 1) * s + d * (k_ - 1) + 1 - 2 * p + min(sizes["more"], s - 1))
            for o_, k_ in zip(o, k, strict=True)
        )
        options = {"kernel_size": k, "stride": s, "dilation": d, "padding": p}
        return self.case_of(name, sizes["n"], sizes["c"], i, options)

    def ladder(self) -> Iterator[Case]:
        """Yield every axis at every rung, common windows, then the sizes in pairs."""
        base: Sizes = {"n": 2, "c": 2, "o": 3, "k": 2, "s": 1, "p": 0, "d": 1, "more": 0}
        rungs: dict[str, Any] = dict.fromkeys(("n", "c", "o0", "o1", "k0", "k1"), RUNGS)
        rungs |= {"s": SMALL[:5], "d": (2, 3, 4, 7, 8, 9, 16)}
        world = {
            f"{k}x{k}, stride {s}, padding {p}": {"c": 8, "o": 8, "k": k, "s": s, "p": p}
            for k, s, p in ((3, 1, 1), (3, 2, 1), (5, 1, 2), (7, 2, 3), (16, 16, 0))
        }
        thin = {"n": 1, "c": 1, "o": 1}
        return climbed(self.sized, base, rungs, LEVELS, grid="nc", thin=thin, world=world)

    def middle(self, name: str, rng: np.random.Generator) -> Case:
        """Draw a call of moderate size."""
        sizes = {"n": int(rng.integers(2, 12)), "c": int(rng.integers(2, 20)), "o": 1, "k": 1}
        sizes |= {f"o{axis}": int(rng.integers(3, 12)) for axis in range(2)}
        sizes |= {f"k{axis}": int(rng.integers(1, 5)) for axis in range(2)}
        sizes |= {"s": int(rng.integers(1, 4)), "d": int(rng.integers(1, 4)), "p": 0, "more": 0}
        return self.sized(name, sizes)

    def window(self, case: Case) -> dict[str, Any]:
        """Return the options with one entry for each axis."""
        return {
            name: per_axis(value, 2)
            for name, value in case.options.items()
            if name != "output_size"
        }


class Unfolding(Windows):
    """y[n, (c, k), o] = x[n, c, o s + k d - p]."""

    def case_of(
        self, name: str, n: int, c: int, i: Shape, options: dict[str, Any], **layouts: str
    ) -> Case:
        """Return one call."""
        return Case(self.name, name, {"x": maps(n, c, i)}, options, layouts)

    def forward(self, m: Arithmetic, case: Case, x: Any, a: Arrays) -> Any:
        """Return y."""
        del a
        return m.sums.unfold(x, **self.window(case))

    def adjoint(self, m: Arithmetic, case: Case, gy: Any, a: Arrays) -> Any:
        """Return gx."""
        del a
        return m.sums.fold(gy, case.shape[-2:], **self.window(case))

    def terms(self, case: Case, y: Shape) -> tuple[int, int, int]:
        """Return 1, and the windows that hold one element."""
        return 1, min(taps(case, 2), y[-1]), 0

    def refused(self, case: Case) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield what torch refuses."""
        yield "an input of too few axes", {"x": case.shape[2:]}
        yield "a kernel wider than the input", {"kernel_size": 99}
        yield "a stride of 0", {"stride": 0}


class Folding(Windows):
    """y[n, c, o s + k d - p] += x[n, (c, k), o]."""

    def case_of(
        self, name: str, n: int, c: int, i: Shape, options: dict[str, Any], **layouts: str
    ) -> Case:
        """Return one call: the image is its output."""
        k, s, p, d = (
            per_axis(options.get(option, default), 2)
            for option, default in (
                ("kernel_size", 0),
                ("stride", 1),
                ("padding", 0),
                ("dilation", 1),
            )
        )
        windows = math.prod(
            (i_ + 2 * p_ - d_ * (k_ - 1) - 1) // s_ + 1
            for i_, k_, s_, p_, d_ in zip(i, k, s, p, d, strict=True)
        )
        cols = c * math.prod(k)
        shape = (n, cols, windows) if n else (cols, windows)
        return Case(self.name, name, {"x": shape}, {"output_size": i, **options}, layouts)

    def unbatched(self, case: Case) -> bool:
        """Return whether the columns have two axes."""
        return len(case.shape) == 2

    def forward(self, m: Arithmetic, case: Case, x: Any, a: Arrays) -> Any:
        """Return y."""
        del a
        return m.sums.fold(x, case.options["output_size"], **self.window(case))

    def adjoint(self, m: Arithmetic, case: Case, gy: Any, a: Arrays) -> Any:
        """Return gx."""
        del a
        return m.sums.unfold(gy, **self.window(case))

    def terms(self, case: Case, y: Shape) -> tuple[int, int, int]:
        """Return the windows that hold one element, and 1."""
        del y
        return min(taps(case, 2), case.shape[-1]), 1, 0

    def narrow(self, quantity: str) -> bool:
        """Return True: torch adds what falls on one element in the half itself."""
        del quantity
        return True

    def refused(self, case: Case) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield what torch refuses."""
        *lead, cols, windows = case.shape
        yield "columns that no kernel divides", {"x": (*lead, cols + 1, windows)}
        yield "another number of windows", {"x": (*lead, cols, windows + 1)}
        yield "a stride of 0", {"stride": 0}
