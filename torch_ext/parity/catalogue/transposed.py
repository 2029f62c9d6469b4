"""conv_transpose1d to conv_transpose3d."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from torch_ext.parity.catalogue.case import Case, Shape, axes, drawn_layouts
from torch_ext.parity.catalogue.channels import (
    DILATION,
    MOST_PRODUCTS,
    MOST_TERMS,
    PADDING,
    STRIDE,
    Channels,
)
from torch_ext.parity.catalogue.ladder import Sizes
from torch_ext.parity.catalogue.operator import Arithmetic, maps

EXTRA: dict[int, Shape] = {1: (1,), 2: (1, 2), 3: (1, 0, 2)}
IMAGE: dict[int, Shape] = {1: (6,), 2: (4, 4), 3: (3, 2, 4)}


class TransposedConvolution(Channels):
    """y[n, m, i s + k d - p] += x[n, c, i] w[c, m, k], plus b[m]."""

    may_be_nan = Channels.may_be_nan | {("weight", "y"), ("weight", "y (no grad)")}

    def filters(self, g: int, c: int, m: int) -> Shape:
        """Return C and M a group."""
        return (g * c, m)

    def forward(self, m: Arithmetic, case: Case, x: Any, w: Any, b: Any) -> Any:
        """Return y."""
        return m.sums.conv_transpose(x, w, b, **case.options)

    def grad_input(self, m: Arithmetic, case: Case, w: Any, gy: Any) -> Any:
        """Return gx."""
        return m.sums.conv_transpose_grad_input(case.shape, w, gy, **case.options)

    def grad_weight(self, m: Arithmetic, case: Case, x: Any, gy: Any) -> Any:
        """Return gw."""
        shape = case.shapes["weight"]
        return m.sums.conv_transpose_grad_weight(x, shape, gy, **case.options)

    def grad_bias(self, m: Arithmetic, case: Case, gy: Any) -> Any:
        """Return gb."""
        return m.sums.conv_transpose_grad_bias(gy[None] if self.unbatched(case) else gy)

    def filters_of(self, weight: Any) -> list[Any]:
        """Return one filter for each output channel."""
        return [weight[:, m] for m in range(weight.shape[1])]

    def outward(self, k: Shape) -> dict[str, Any]:
        """Return a padding that leaves of the output its middle, which every tap reaches."""
        return {"padding": tuple(k_ - 1 for k_ in k)}

    def narrow(self, quantity: str) -> bool:
        """Return True: torch adds the products that fall on one output in the half itself."""
        del quantity
        return True

    def terms(self, case: Case, y: Shape) -> tuple[int, int, int]:
        """Return C k + 1, M k and N i (N o for gb)."""
        w, g = case.shapes["weight"], case.options.get("groups", 1)
        k = math.prod(w[2:])
        outputs = math.prod(y) // (w[1] * g)
        return 2 * w[0] // g * k + 1, w[1] * k, max(math.prod(case.shape) // w[0], outputs)

    def named(self) -> Iterator[Case]:
        """Yield the traps of transposed convolution."""
        rank = self.rank
        s, p, d, a = STRIDE[rank], PADDING[rank], DILATION[rank], EXTRA[rank]
        i = IMAGE[rank]

        def conv(name: str, **options: Any) -> Case:
            return self.case(name, **{"i": i, **options})

        every: dict[str, Any] = {"stride": s, "padding": p, "dilation": d, "output_padding": a}
        two: dict[str, Any] = {"stride": 3, "padding": 1, "output_padding": 2}
        yield conv("plain")
        yield conv("no bias", bias=False)
        yield conv("stride", stride=s)
        yield conv("stride wider than the kernel", k=(2, 1, 2)[:rank], stride=(4, 3, 3)[:rank])
        yield conv("padding", padding=p)
        yield conv("padding beyond the kernel", k=(1, 2, 1)[:rank], stride=3, padding=2)
        yield conv("output padding", stride=s, output_padding=a if rank != 3 else (1, 0, 1))
        yield conv("output padding by dilation", dilation=3, output_padding=2, n=1)
        yield conv("dilation", dilation=d, n=1)
        yield conv("all options", **every)
        yield conv("integers for all axes", **two)
        yield conv("groups, M < C", g=2, c=3, m=1, n=1)
        yield conv("groups, M > C, all options", g=2, c=1, m=3, **every)
        yield conv("groups of several", g=3, c=2, m=2, stride=2)
        yield conv("depthwise", g=4, c=1, m=1, stride=s, padding=1)
        yield conv("pointwise", k=(1,) * rank, c=4, m=5)
        yield conv("doubling the size", k=(4,) * rank, stride=2, padding=1, n=1)
        yield conv("batch of 1", n=1, stride=s)
        yield conv("unbatched", n=0, stride=s, padding=p)
        yield conv("unbatched, groups, no bias", n=0, g=2, bias=False, stride=s)
        yield from self.layouts()

    def drawn(self, name: str, rng: np.random.Generator) -> Case:
        """Draw a transposed convolution small enough for exact arithmetic."""
        rank = self.rank
        while True:
            g, c, m = axes(rng, 3, 1, 3)
            n = int(rng.integers(0, 4))
            i = axes(rng, rank, 1, (8, 5, 3)[rank - 1])
            k, s, d = axes(rng, rank, 1, 3), axes(rng, rank, 1, 3), axes(rng, rank, 1, 3)
            p = axes(rng, rank, 0, 2)
            a = tuple(
                int(rng.integers(0, max(s_, d_))) for s_, d_ in zip(s, d, strict=True)
            )  # smaller than stride or dilation
            o = tuple(
                (i_ - 1) * s_ - 2 * p_ + d_ * (k_ - 1) + a_ + 1
                for i_, k_, s_, p_, d_, a_ in zip(i, k, s, p, d, a, strict=True)
            )
            taps = math.prod(k)
            terms = max(2 * c * taps + 1, m * taps, max(n, 1) * math.prod(o))
            products = terms * g * m * c * taps
            if min(o) > 0 and terms <= MOST_TERMS and products <= MOST_PRODUCTS:
                options = {"stride": s, "padding": p, "dilation": d, "groups": g}
                options["output_padding"] = a
                shapes = {"x": maps(n, g * c, i), "weight": (g * c, m, *k)}
                shapes |= {"bias": (g * m,)} if rng.integers(2) else {}
                return Case(self.name, name, shapes, options, drawn_layouts(rng, "weight"))

    def input_size(self, o: Shape, k: Shape, sizes: Sizes) -> Shape:
        """Return o: the axes that are climbed are the input's, at least what padding takes away."""
        s, p, d = sizes["s"], sizes["p"], sizes["d"]
        return tuple(
            max(o_, -(-(2 * p - d * (k_ - 1)) // s) + 1) for o_, k_ in zip(o, k, strict=True)
        )
