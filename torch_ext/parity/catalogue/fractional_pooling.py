"""fractional_max_pool2d and -3d: where the windows start is given by samples from [0, 1)."""

import math
from collections.abc import Iterator
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from torch_ext.parity.catalogue.case import Case, Options, Shape, axes, drawn_layouts, per_axis
from torch_ext.parity.catalogue.ladder import RUNGS, Sizes, along, climbed
from torch_ext.parity.catalogue.max_pooling import VALUES
from torch_ext.parity.catalogue.operator import Arrays, Choice, maps

EIGHTHS = 8  # samples are multiples of 1 / 8, so that no start depends on how a product is rounded


class Fractional(Choice):
    """y[n, c, o] = the largest x of window o, which starts at floor((o + u) a) - floor(u a).

    With a = (i - k) / (o - 1), which is a multiple of 1/2 here: in every float, (o + u) a is exact.
    """

    keywords: ClassVar[dict[str, str]] = {"samples": "_random_samples"}

    def case(
        self,
        name: str,
        *,
        k: Shape,
        o: Shape,
        a: Shape,
        n: int = 2,
        c: int = 3,
        values: str = "plain",
        ratio: bool = False,
        layouts: dict[str, str] | None = None,
    ) -> Case:
        """Return one call whose windows are a / 2 apart, on the average; n = 0 is unbatched."""
        i = tuple(k_ + a_ * (o_ - 1) // 2 for k_, o_, a_ in zip(k, o, a, strict=True))
        if self.rank == 3:  # which wants more than k + o - 1
            i = tuple(
                max(i_, k_ + max(1, 2 * (o_ - 1))) if i_ < k_ + o_ else i_
                for i_, k_, o_ in zip(i, k, o, strict=True)
            )
        options: Options = {"kernel_size": k}
        if ratio:
            options["output_ratio"] = tuple(
                (o_ + 0.5) / i_ for o_, i_ in zip(o, i, strict=True)
            )  # floor(i r) = o, far from the next integer
        else:
            options["output_size"] = o
        shapes = {"x": maps(n, c, i), "samples": (max(n, 1), c, self.rank)}
        return Case(self.name, name, shapes, options, layouts or {}, values)

    def choose(self, m: ModuleType, case: Case, a: Arrays) -> tuple[Any, Any]:
        """Return y and indices."""
        options = {
            name: per_axis(value, self.rank)
            for name, value in case.options.items()
            if name != "_random_samples"
        }
        samples = np.asarray(a["samples"], np.float64)
        y, indices = m.fractional_max_pool(
            np.asarray(a["x"], np.float64),
            **options,
            return_indices=True,
            random_samples=samples,
        )
        return y, indices

    def fits(self, case: Case, precision: int) -> bool:
        """Return whether (o + u) a is exact, in which torch computes where windows start."""
        longest = max(case.shape[-self.rank :])
        return bool(2 * EIGHTHS * longest <= 2**precision)

    def fixed(self, case: Case, dtype: torch.dtype, rng: np.random.Generator) -> dict[str, Tensor]:
        """Draw the samples."""
        draws = rng.integers(0, EIGHTHS, case.shapes["samples"]) / EIGHTHS
        return {"samples": torch.from_numpy(draws).to(dtype)}

    def terms(self, case: Case, y: Shape) -> tuple[int, int, int]:
        """Return 1, and the windows that may hold one element."""
        k = per_axis(case.options["kernel_size"], self.rank)
        return 1, min(math.prod(k), math.prod(y[-self.rank :])), 0

    def named(self) -> Iterator[Case]:
        """Yield the traps of fractional pooling."""
        rank = self.rank
        k, o, a = (3, 2, 2)[:rank], (3, 4, 2)[:rank], (2, 4, 6)[:rank]
        base: dict[str, Any] = {"k": k, "o": o, "a": a}
        yield self.case("plain", **base)
        yield self.case("by ratio", ratio=True, **base)
        yield self.case("one window", k=k, o=(1,) * rank, a=a)
        yield self.case("windows with gaps", k=(1, 2, 1)[:rank], o=o, a=(6, 8, 4)[:rank])
        yield self.case("steps of a half", k=k, o=(5, 3, 3)[:rank], a=(3, 5, 3)[:rank])
        yield self.case("batch of 1", n=1, **base)
        yield self.case("unbatched", n=0, **base)
        yield self.case("one channel", c=1, **base)
        for layout in ("channels_last", "transposed", "gaps", "expanded"):
            gy = "contiguous" if layout == "expanded" else layout
            yield self.case(layout, n=3, layouts={"x": layout, "gy": gy}, **base)
        yield self.case("grad_output of a sum", layouts={"gy": "constant"}, **base)
        for values in ("ties", "zeros of both signs", "one NaN", "several NaN", "all NaN"):
            yield self.case(values, values=values, **base)
        for values in ("windows of -inf", "all -inf", "infinities and NaN"):
            yield self.case(values, values=values, **base)

    def drawn(self, name: str, rng: np.random.Generator) -> Case:
        """Draw one call."""
        rank = self.rank
        k, o = axes(rng, rank, 1, 3), axes(rng, rank, 1, (6, 3)[rank - 2])
        a = tuple(
            int(v) * (1 + (o_ % 2 == 0)) for v, o_ in zip(axes(rng, rank, 2, 5), o, strict=True)
        )
        n, c = axes(rng, 2, 0, 3)
        values = VALUES[int(rng.integers(4))]
        return self.case(
            name, k=k, o=o, a=a, n=n, c=max(c, 1), values=values, layouts=drawn_layouts(rng)
        )

    def sized(self, name: str, sizes: Sizes) -> Case:
        """Return a call of the ladder: `sizes` has n, c, o, k and a."""
        o, k = along(sizes, "o", self.rank), along(sizes, "k", self.rank)
        a = (sizes["a"],) * self.rank
        return self.case(name, k=k, o=o, a=a, n=sizes["n"], c=sizes["c"])

    def ladder(self) -> Iterator[Case]:
        """Yield every axis at every rung, then the sizes in pairs."""
        base: Sizes = {"n": 2, "c": 2, "o": 3, "k": 2, "a": 4}
        rungs: dict[str, Any] = dict.fromkeys(("n", "c"), RUNGS)
        rungs |= {f"{letter}{axis}": RUNGS for letter in "ok" for axis in range(self.rank)}
        levels = {
            "n": (1, 2, 5, 17),
            "c": (1, 3, 9),
            "o": (1, 3, 7),
            "k": (1, 2, 3),
            "a": (2, 4),
        }
        return climbed(self.sized, base, rungs, levels, grid="n", thin={"c": 1, "o": 1})

    def middle(self, name: str, rng: np.random.Generator) -> Case:
        """Draw a call of moderate size."""
        n, c = int(rng.integers(2, 12)), int(rng.integers(2, 40))
        k, o = axes(rng, self.rank, 1, 3), axes(rng, self.rank, 2, 12 // self.rank)
        a = tuple(int(v) * 2 for v in axes(rng, self.rank, 1, 3))
        return self.case(name, k=k, o=o, a=a, n=n, c=c)

    def refused(self, case: Case) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield what torch refuses."""
        yield "a kernel wider than the input", {"kernel_size": 999}
        yield "an output larger than the input", {"output_size": 999}
        yield (
            "samples for another number of axes",
            {"samples": (*case.shapes["samples"][:-1], self.rank + 1)},
        )
