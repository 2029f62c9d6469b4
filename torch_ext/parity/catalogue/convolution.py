"""conv1d to conv3d, and conv_tbc, which is conv1d with its axes in another order."""

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from refconv.exact import Exact
from torch_ext.parity.catalogue.case import Case, Shape, axes, drawn_layouts
from torch_ext.parity.catalogue.channels import (
    DILATION,
    MOST_PRODUCTS,
    MOST_TERMS,
    PADDING,
    STRIDE,
    Channels,
)
from torch_ext.parity.catalogue.ladder import RUNGS, Sizes, climbed
from torch_ext.parity.catalogue.operator import Arithmetic, Bilinear, maps


class Convolution(Channels):
    """y[n, m, o] = b[m] + sum over c, k of x[n, c, o s + k d - p] w[m, c, k]."""

    def forward(self, m: Arithmetic, case: Case, x: Any, w: Any, b: Any) -> Any:
        """Return y."""
        return m.sums.conv(x, w, b, **case.options)

    def grad_input(self, m: Arithmetic, case: Case, w: Any, gy: Any) -> Any:
        """Return gx."""
        return m.sums.conv_grad_input(case.shape, w, gy, **case.options)

    def grad_weight(self, m: Arithmetic, case: Case, x: Any, gy: Any) -> Any:
        """Return gw."""
        return m.sums.conv_grad_weight(x, case.shapes["weight"], gy, **case.options)

    def grad_bias(self, m: Arithmetic, case: Case, gy: Any) -> Any:
        """Return gb."""
        return m.sums.conv_grad_bias(gy[None] if self.unbatched(case) else gy)

    def filters_of(self, weight: Any) -> list[Any]:
        """Return one filter for each output channel."""
        return list(weight)

    def terms(self, case: Case, y: Shape) -> tuple[int, int, int]:
        """Return C k + 1, M k and N o; twice the first where second gradients add two."""
        w, g = case.shapes["weight"], case.options.get("groups", 1)
        k = math.prod(w[2:])
        return 2 * w[1] * k + 1, w[0] // g * k, math.prod(y) // w[0]

    def named(self) -> Iterator[Case]:
        """Yield the traps of convolution."""
        rank, conv = self.rank, self.case
        s, p, d = STRIDE[rank], PADDING[rank], DILATION[rank]
        every: dict[str, Any] = {"stride": s, "padding": p, "dilation": d}
        small: Shape = (6, 4, 3)[:rank]
        even: Shape = (2, 4, 2)[:rank]
        yield conv("plain")
        yield conv("no bias", bias=False)
        yield conv("stride", stride=s)
        yield conv("stride leaves inputs unread", k=(2, 1, 2)[:rank], stride=(4, 3, 3)[:rank])
        yield conv("padding", padding=p)
        yield conv(
            "padding wider than the kernel", i=small, k=(2, 1, 1)[:rank], padding=3, stride=2
        )
        yield conv("dilation", n=1, i=(9, 8, 7)[:rank], dilation=d)
        yield conv("stride, padding and dilation", **every)
        yield conv("integers for all axes", stride=2, padding=1, dilation=2)
        yield conv("padding same", k=(3, 1, 3)[:rank], n=1, padding="same")
        yield conv("padding same, even kernel", k=even, n=1, padding="same")
        yield conv("padding same, even kernel, dilation", k=even, n=1, padding="same", dilation=d)
        yield conv("padding valid", padding="valid", stride=s)
        yield conv("groups, M < C", g=2, c=3, m=1, n=1)
        yield conv("groups, M > C, all options", g=2, c=1, m=3, **every)
        yield conv("groups of several, all options", g=3, c=2, m=2, i=small, **every)
        yield conv("depthwise", g=4, c=1, m=1, padding=1)
        yield conv("depthwise, two filters a channel", g=3, c=1, m=2, stride=s)
        yield conv("pointwise", k=(1,) * rank, c=4, m=5, i=small)
        yield conv("pointwise, stride and padding", k=(1,) * rank, stride=s, padding=p)
        yield conv("kernel of the input's size", i=small, k=small, c=1)
        yield conv("batch of 1", n=1, stride=s)
        yield conv("batch of 3", n=3, i=small, stride=s)
        yield conv("unbatched", n=0, padding=p)
        yield conv("unbatched, groups, no bias", n=0, g=2, bias=False, stride=s)
        yield from self.layouts()

    def drawn(self, name: str, rng: np.random.Generator) -> Case:
        """Draw a convolution small enough for exact arithmetic."""
        rank = self.rank
        while True:
            g, c, m = axes(rng, 3, 1, 3)
            n = int(rng.integers(0, 4))  # 0: unbatched
            i = axes(rng, rank, 2, (14, 9, 6)[rank - 1])
            k, s, d = axes(rng, rank, 1, 3), axes(rng, rank, 1, 3), axes(rng, rank, 1, 3)
            p = axes(rng, rank, 0, 2)
            padding: str | Shape = ("same", "valid", p, p, p, p)[int(rng.integers(6))]
            if padding == "same":
                s, o = (1,) * rank, i
            else:
                p = (0,) * rank if padding == "valid" else p
                o = tuple(
                    (i_ + 2 * p_ - d_ * (k_ - 1) - 1) // s_ + 1
                    for i_, k_, s_, p_, d_ in zip(i, k, s, p, d, strict=True)
                )
            terms = max(2 * c * math.prod(k) + 1, m * math.prod(k), max(n, 1) * math.prod(o))
            products = terms * g * m * c * math.prod(k)
            if min(o) > 0 and terms <= MOST_TERMS and products <= MOST_PRODUCTS:
                options = {"stride": s, "padding": padding, "dilation": d, "groups": g}
                shapes = {"x": maps(n, g * c, i), "weight": (g * m, c, *k)}
                shapes |= {"bias": (g * m,)} if rng.integers(2) else {}
                return Case(self.name, name, shapes, options, drawn_layouts(rng, "weight"))


class TimeBatchChannels(Bilinear):
    """conv_tbc: y[t, b, m] = bias[m] + sum over k, c of x[t + k - p, b, c] w[k, c, m]."""

    batch_axis, channel_axis = 1, 2
    complex = False  # torch does not differentiate it

    def narrow(self, quantity: str) -> bool:
        """Return True: torch adds the taps in the half itself."""
        del quantity
        return True

    def middle(self, name: str, rng: np.random.Generator) -> Case:
        """Draw a convolution of moderate size."""
        t, b, c, m, k = (int(v) for v in rng.integers((8, 2, 2, 2, 1), (30, 12, 20, 20, 6)))
        return self.case(name, t=t, b=b, c=c, m=m, k=k)

    def probe(self) -> Case:
        """Return a kernel of three and several channels."""
        return self.case("few-hot", t=12, b=4, c=7, m=24)

    def filters_of(self, weight: Any) -> list[Any]:
        """Return one filter for each output channel."""
        return [weight[..., m] for m in range(weight.shape[-1])]

    def unbatched(self, case: Case) -> bool:
        """Return False: the batch stands in the middle."""
        del case
        return False

    def forward(self, m: Arithmetic, case: Case, x: Any, w: Any, b: Any) -> Any:
        """Return y, (T, B, M)."""
        x, w = x.transpose(1, 2, 0), w.transpose(2, 1, 0)
        return permuted(m.sums.conv(x, w, b, padding=case.options.get("pad", 0)), 2, 0, 1)

    def grad_input(self, m: Arithmetic, case: Case, w: Any, gy: Any) -> Any:
        """Return gx, (T, B, C)."""
        t, b, c = case.shape
        gy, w, p = gy.transpose(1, 2, 0), w.transpose(2, 1, 0), case.options.get("pad", 0)
        return permuted(m.sums.conv_grad_input((b, c, t), w, gy, padding=p), 2, 0, 1)

    def grad_weight(self, m: Arithmetic, case: Case, x: Any, gy: Any) -> Any:
        """Return gw, (K, C, M)."""
        x, gy, p = x.transpose(1, 2, 0), gy.transpose(1, 2, 0), case.options.get("pad", 0)
        shape = case.shapes["weight"][::-1]
        return permuted(m.sums.conv_grad_weight(x, shape, gy, padding=p), 2, 1, 0)

    def grad_bias(self, m: Arithmetic, case: Case, gy: Any) -> Any:
        """Return gb."""
        del case
        return m.sums.conv_grad_bias(gy.transpose(1, 2, 0))

    def over_outputs(self, case: Case, b: Any) -> Any:
        """Return the bias as it is: M is the last axis."""
        del case
        return b

    def terms(self, case: Case, y: Shape) -> tuple[int, int, int]:
        """Return C k + 1, M k and T B."""
        k, c, m = case.shapes["weight"]
        return 2 * k * c + 1, k * m, y[0] * y[1]

    def case(
        self,
        name: str,
        *,
        t: int = 9,
        b: int = 2,
        c: int = 3,
        m: int = 4,
        k: int = 3,
        layouts: dict[str, str] | None = None,
        **options: Any,
    ) -> Case:
        """Return one call."""
        shapes = {"x": (t, b, c), "weight": (k, c, m), "bias": (m,)}
        return Case(self.name, name, shapes, options, layouts or {})

    def named(self) -> Iterator[Case]:
        """Yield the traps of a convolution along time."""
        yield self.case("plain")
        yield self.case("padding", pad=1)
        yield self.case("padding wider than the kernel", pad=3, k=2)
        yield self.case("even kernel", pad=2, k=4)
        yield self.case("pointwise", k=1, c=5)
        yield self.case("kernel of the input's size", t=4, k=4)
        yield self.case("one channel", c=1, pad=1)
        yield self.case("one filter", m=1, pad=1)
        yield self.case("batch of 1", b=1, pad=2)
        for layout in ("transposed", "gaps", "expanded"):
            x = {"x": layout, "gy": "contiguous" if layout == "expanded" else layout}
            yield self.case(f"{layout} memory", pad=1, layouts=x)
        yield self.case("grad_output of a sum", pad=1, layouts={"gy": "constant"})

    def drawn(self, name: str, rng: np.random.Generator) -> Case:
        """Draw a convolution along time."""
        t, b, c, m = (int(v) for v in rng.integers((4, 1, 1, 1), (12, 4, 4, 4)))
        k, pad = (int(v) for v in rng.integers((1, 0), (5, 4)))
        return self.case(name, t=t, b=b, c=c, m=m, k=k, pad=pad, layouts=drawn_layouts(rng))

    def ladder(self) -> Iterator[Case]:
        """Yield every axis at every rung, then the sizes in pairs."""
        base: Sizes = {"t": 5, "b": 2, "c": 2, "m": 3, "k": 2, "pad": 0}
        levels = {"t": (8, 17, 33), "b": (1, 3, 9), "c": (1, 8, 33), "m": (1, 9, 34)}
        levels |= {"k": (1, 3, 5), "pad": (0, 1, 2)}
        return climbed(self.sized, base, dict.fromkeys("tbcmk", RUNGS), levels, grid="t")

    def sized(self, name: str, sizes: Sizes) -> Case:
        """Return a call of the ladder, long enough for its kernel."""
        return self.case(name, **{**sizes, "t": max(sizes["t"], sizes["k"] + 1)})

    def refused(self, case: Case) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield what torch refuses."""
        k, c, m = case.shapes["weight"]
        yield "a weight for other channels", {"weight": (k, c + 1, m)}
        yield "a bias that is too long", {"bias": (m + 1,)}
        yield "an input of two axes", {"x": case.shape[1:]}


def permuted(result: Any, *order: int) -> Any:
    """Return an exact result, or an array, with its axes in another order."""
    if not isinstance(result, Exact):
        return result.transpose(order)
    names = ("numerators", "magnitudes", "terms", "denominators")
    arrays = {name: getattr(result, name).transpose(order) for name in names}
    return dataclasses.replace(result, **arrays)
