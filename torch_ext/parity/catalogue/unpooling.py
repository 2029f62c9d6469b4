"""max_unpool1d to max_unpool3d: y[indices[i]] = x[i], for indices that differ."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from torch_ext.parity.catalogue.case import Case, Options, Shape, axes, drawn_layouts, per_axis
from torch_ext.parity.catalogue.ladder import RUNGS, Sizes, along, climbed
from torch_ext.parity.catalogue.operator import Arithmetic, Arrays, Linear, maps

INPUT: dict[int, Shape] = {1: (5,), 2: (3, 4), 3: (2, 3, 2)}


class Unpooling(Linear):
    """y[n, c, indices[n, c, i]] = x[n, c, i], and 0 elsewhere; gx[i] = gy[indices[i]].

    Of equal indices torch keeps the last, on one thread, and any on several: none are equal here.
    """

    operands = ("x", "indices")

    def case(
        self,
        name: str,
        options: Options,
        *,
        n: int = 2,
        c: int = 3,
        i: Shape | None = None,
        layouts: dict[str, str] | None = None,
    ) -> Case:
        """Return one call; n = 0 is unbatched."""
        shape = maps(n, c, INPUT[self.rank] if i is None else i)
        return Case(self.name, name, {"x": shape, "indices": shape}, options, layouts or {})

    def options(self, case: Case) -> Options:
        """Return the options as refconv takes them: the kernel's length is the rank."""
        return case.options | {"kernel_size": per_axis(case.options["kernel_size"], self.rank)}

    def fixed(self, case: Case, dtype: torch.dtype, rng: np.random.Generator) -> dict[str, Tensor]:
        """Draw a position for every element, no two of one map the same."""
        del dtype
        rank = self.rank
        cells, outputs = math.prod(case.shape[-rank:]), math.prod(self.y_shape(case)[-rank:])
        planes = math.prod(case.shape[:-rank])
        if planes > 4096:
            at = np.broadcast_to(rng.permutation(outputs)[:cells], (planes, cells))
            at = (at + np.arange(planes)[:, None]) % outputs
        else:
            at = np.array([rng.permutation(outputs)[:cells] for _ in range(planes)], np.int64)
        return {"indices": torch.from_numpy(at.reshape(case.shape).copy())}

    def forward(self, m: Arithmetic, case: Case, x: Any, a: Arrays) -> Any:
        """Return y."""
        return m.sums.max_unpool(x, a["indices"], **self.options(case))

    def adjoint(self, m: Arithmetic, case: Case, gy: Any, a: Arrays) -> Any:
        """Return gx."""
        return m.sums.max_unpool_grad(a["indices"], gy, **self.options(case))

    def terms(self, case: Case, y: Shape) -> tuple[int, int, int]:
        """Return 1 and 1."""
        del case, y
        return 1, 1, 0

    def named(self) -> Iterator[Case]:
        """Yield the traps of unpooling."""
        rank = self.rank
        k, s = (2, 3, 2)[:rank], (2, 2, 3)[:rank]
        size = tuple((i - 1) * s_ + k_ + 1 for i, s_, k_ in zip(INPUT[rank], s, k, strict=True))
        every: Options = {"kernel_size": k, "stride": s}
        yield self.case("plain", {"kernel_size": 2})
        yield self.case("stride", every)
        yield self.case("padding", every | {"padding": (1, 1, 0)[:rank]})
        yield self.case("output size", every | {"output_size": size})
        yield self.case("window of one element", {"kernel_size": 1, "stride": s})
        yield self.case("batch of 1", every, n=1)
        yield self.case("unbatched", every, n=0)
        yield self.case("one channel", every, c=1)
        for layout in ("channels_last", "transposed", "gaps"):
            both = {"x": layout, "gy": layout, "indices": layout.replace("gaps", "contiguous")}
            yield self.case(layout, every, layouts=both)
        yield self.case("batch expanded", every, n=3, layouts={"x": "expanded"})
        yield self.case("grad_output of a sum", every, layouts={"gy": "constant"})

    def drawn(self, name: str, rng: np.random.Generator) -> Case:
        """Draw one call."""
        rank = self.rank
        i, k, s = axes(rng, rank, 1, 5 - rank), axes(rng, rank, 1, 3), axes(rng, rank, 1, 3)
        s = tuple(max(s_, 2) if k_ == 1 else s_ for k_, s_ in zip(k, s, strict=True))
        n, c = axes(rng, 2, 0, 3)
        options: Options = {"kernel_size": k, "stride": s}
        return self.case(name, options, n=n, c=max(c, 1), i=i, layouts=drawn_layouts(rng))

    def sized(self, name: str, sizes: Sizes) -> Case:
        """Return a call of the ladder: `sizes` has n, c, i, k and s."""
        i, k = along(sizes, "i", self.rank), along(sizes, "k", self.rank)
        options: Options = {"kernel_size": k, "stride": sizes["s"] or k}
        return self.case(name, options, n=sizes["n"], c=sizes["c"], i=i)

    def ladder(self) -> Iterator[Case]:
        """Yield every axis at every rung, then the sizes in pairs."""
        base: Sizes = {"n": 2, "c": 2, "i": 3, "k": 2, "s": 0}
        rungs: dict[str, Any] = dict.fromkeys(("n", "c"), RUNGS)
        rungs |= {f"{letter}{axis}": RUNGS for letter in "ik" for axis in range(self.rank)}
        levels = {"n": (1, 2, 5, 17), "c": (1, 3, 9, 33), "i": (1, 2, 7), "k": (2, 3)}
        levels |= {"s": (0, 1, 3)}
        thin = {"n": 1, "c": 1, "i": 1}
        return climbed(self.sized, base, rungs, levels, grid="nc", thin=thin)

    def middle(self, name: str, rng: np.random.Generator) -> Case:
        """Draw a call of moderate size."""
        n, c = int(rng.integers(2, 12)), int(rng.integers(2, 40))
        i, k = axes(rng, self.rank, 2, 12 // self.rank), axes(rng, self.rank, 2, 3)
        return self.case(name, {"kernel_size": k}, n=n, c=c, i=i)

    def refused(self, case: Case) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield what torch refuses."""
        *lead, last = case.shapes["indices"]
        yield "indices of another shape", {"indices": (*lead, last + 1)}
        yield "an input of too few axes", {"x": case.shape[2:], "indices": case.shape[2:]}
        yield "an output size that is far off", {"output_size": (99,) * self.rank}
