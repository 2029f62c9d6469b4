"""lp_pool1d to lp_pool3d: where powers and roots are exact, and with a bound elsewhere."""

import math
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from torch_ext.parity.catalogue.case import Case, Options, Shape, axes, drawn_layouts
from torch_ext.parity.catalogue.ladder import Sizes
from torch_ext.parity.catalogue.max_pooling import LEVELS, Pools
from torch_ext.parity.catalogue.operator import EXACT, Arithmetic, Arrays, Quantities, maps

ALIKE = "one magnitude"
KERNEL: dict[int, Shape] = {1: (4,), 2: (2, 2), 3: (4, 2, 2)}
STEP: dict[int, Shape] = {1: (3,), 2: (2, 1), 3: (1, 2, 2)}
SIZE: dict[int, Shape] = {1: (13,), 2: (7, 6), 3: (6, 5, 6)}


class PowerPooling(Pools):
    """y[o] = v^(1/p), v = K times the average of x^p over window o.

    If all elements have one magnitude 2^a, p is 1 or 2 and windows hold 4^j of them, then every
    power, sum, quotient and root is exact, and so are all derivatives:

        gx = x^(p-1) A' r            r = gy v^(1/p - 1),  A the sum over a window
        gy(gx) = v^(1/p - 1) A (x^(p-1) vx)
        gx(gx) = (p-1) x^(p-2) vx A' r + (1 - p) x^(p-1) A' (gy v^(1/p - 2) A (x^(p-1) vx))
    """

    multiplies = True
    world: ClassVar[dict[str, Sizes]] = {}
    levels: ClassVar[dict[str, tuple[Any, ...]]] = {
        **{name: LEVELS[name] for name in ("n", "c", "o", "s", "more")},
        "k": (1, 2, 4),
    }
    extra: ClassVar[Sizes] = {"norm_type": 2.0}

    def case(self, name: str, options: Options, **more: Any) -> Case:
        """Return one call, of one magnitude unless said otherwise."""
        more = {"values": ALIKE, "i": SIZE[self.rank]} | more
        return super().case(name, options, **more)

    def named(self) -> Iterator[Case]:
        """Yield the traps: exact ones, then such as round."""
        rank, k = self.rank, KERNEL[self.rank]
        kernel: Any = k[0] if rank == 1 else k  # lp_pool1d takes an integer
        step: Any = STEP[rank][0] if rank == 1 else STEP[rank]
        for p in (2.0, 1.0):
            every: Options = {"norm_type": p, "kernel_size": kernel, "stride": step}
            yield self.case(f"p = {p}", {"norm_type": p, "kernel_size": kernel})
            yield self.case(f"p = {p}, stride", every)
            yield self.case(f"p = {p}, window of one element", every | {"kernel_size": 1})
            for case in self.layouts(every):
                yield Case(
                    case.op, f"p = {p}, {case.name}", case.shapes, every, case.layouts, ALIKE
                )
            positive: dict[str, Any] = {"values": "positive", "n": 1, "c": 2}
            i = tuple(size - 2 for size in SIZE[rank])
            yield self.case(f"p = {p}, any numbers", every, i=i, **positive)
            ceil = every | {"ceil_mode": True}
            yield self.case(f"p = {p}, any numbers, ceil mode", ceil, i=i, **positive)
        cubes: Options = {"norm_type": 3.0, "kernel_size": kernel}
        yield self.case("p = 3, any numbers", cubes, i=i, **positive)

    def drawn(self, name: str, rng: np.random.Generator) -> Case:
        """Draw one call."""
        rank = self.rank
        k = {1: ((4,), (16,)), 2: ((2, 2), (4, 1), (1, 4)), 3: ((1, 2, 2), (2, 1, 2), (4, 1, 1))}
        window = k[rank][int(rng.integers(len(k[rank])))]
        step = axes(rng, rank, 1, 3)
        i = tuple(int(k_ + rng.integers(0, 6)) for k_ in window)
        options: Options = {"norm_type": float(rng.integers(1, 3))}
        options |= {"kernel_size": window if rank > 1 else window[0]}
        options |= {"stride": step if rank > 1 else step[0]}
        n, c = axes(rng, 2, 0, 3)
        shapes = {"x": maps(n, max(c, 1), i)}
        return Case(self.name, name, shapes, options, drawn_layouts(rng), ALIKE)

    def middle(self, name: str, rng: np.random.Generator) -> Case:
        """Draw a call of moderate size."""
        case = super().middle(name, rng)
        k = (4, *(1,) * (self.rank - 1))
        i = tuple(max(a, b) for a, b in zip(case.shape[2:], k, strict=True))
        options: Options = {"norm_type": float(rng.integers(1, 3))}
        options |= {"kernel_size": k if self.rank > 1 else k[0]}
        return self.case(name, options, n=case.shape[0], c=case.shape[1], i=i)

    def rungs(self) -> dict[str, Any]:
        """Return what is climbed: of the kernel, powers of 4 only."""
        found = super().rungs()
        return found | {f"k{axis}": (4, 16, 64, 256) for axis in range(self.rank)}

    def ladder(self) -> Iterator[Case]:
        """Yield every axis at every rung."""
        for case in super().ladder():
            k = case.options["kernel_size"]
            four = math.prod(k)
            if four.bit_count() > 1:  # sizes in pairs: a kernel of 3 or 5
                continue
            if four.bit_length() % 2 == 0:  # 2 or 8: twice as many, for the root
                k = (2 * k[0], *k[1:])
            i = tuple(max(a, b) for a, b in zip(case.shape[2:], k, strict=True))
            options = {name: value for name, value in case.options.items() if name != "ceil_mode"}
            options |= {"kernel_size": k if self.rank > 1 else k[0]}
            yield Case(case.op, case.name, {"x": (*case.shape[:2], *i)}, options, {}, ALIKE)

    def terms(self, case: Case, y: Shape) -> tuple[int, int, int]:
        """Return 2 K^2 at most, for the second gradient: windows that hold an element, times K."""
        k = math.prod(self.options(case)["kernel_size"])
        many = 2 * k * min(k, math.prod(y[-self.rank :]))
        return many, many, 0

    def refused(self, case: Case) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield what torch refuses."""
        yield "a kernel wider than the input", {"kernel_size": 99}

    def quantities(self, m: Arithmetic, case: Case, a: Arrays, order: int) -> Quantities:
        """Return y and gx with their bounds, or in float64, where it is exact, the rest too."""
        options = self.options(case)
        p = options.pop("norm_type")
        if m is EXACT and case.values != ALIKE:
            y = m.sums.lp_pool(a["x"], p, **options)
            found = {"y (no grad)": y, "y": y}
            if order > 0:
                found["gx"] = m.sums.lp_pool_grad(a["x"], a["gy"], p, **options)
            return found
        x, gy = (np.asarray(a[name], np.float64) for name in ("x", "gy"))
        size = math.prod(options["kernel_size"])

        def over(values: Any) -> Any:
            return m.choices.avg_pool(values, **options) * size

        def back(values: Any) -> Any:
            return m.choices.avg_pool_grad(case.shape, values, **options) * size

        v, slope = over(x**p), x ** (p - 1)
        y = v ** (1 / p)
        found = {"y (no grad)": y, "y": y}
        if order > 0:
            r = back(gy * v ** (1 / p - 1))
            found["gx"] = slope * r
        if order > 1:
            vx = np.asarray(a["vx"], np.float64)
            spread = over(slope * vx)
            second = back(gy * v ** (1 / p - 2) * spread)
            found["gx(gx)"] = (p - 1) * x ** (p - 2) * vx * r + (1 - p) * slope * second
            found["gy(gx)"] = v ** (1 / p - 1) * spread
        return found

    def fixed(self, case: Case, dtype: torch.dtype, rng: np.random.Generator) -> dict[str, Tensor]:
        """Draw x: it is no operand of a product."""
        if case.values != ALIKE:
            drawn = rng.uniform(0.5, 2.0, case.shape)
        else:  # a root of a negative sum is none: with p = 1 all are positive
            signs = rng.integers(0, 2, case.shape) * 2 - 1 if case.options["norm_type"] == 2 else 1
            drawn = np.broadcast_to(2.0 ** int(rng.integers(-2, 3)) * signs, case.shape)
        return {"x": torch.from_numpy(drawn.copy()).to(dtype)}
