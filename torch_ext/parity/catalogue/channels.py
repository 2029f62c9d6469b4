"""What a convolution and its transpose share: groups of channels, sizes, a ladder, refusals."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from torch_ext.parity.catalogue.case import Case, Shape
from torch_ext.parity.catalogue.ladder import RUNGS, SMALL, Sizes, along, climbed
from torch_ext.parity.catalogue.operator import SIZE, Bilinear, maps

MOST_TERMS = 200  # of one sum: with operands of at most 1, every sum is exact in bfloat16
MOST_PRODUCTS = 8000  # of one convolution: what exact arithmetic multiplies out in milliseconds

KERNEL: dict[int, Shape] = {1: (3,), 2: (3, 2), 3: (2, 3, 2)}
STRIDE: dict[int, Shape] = {1: (2,), 2: (2, 3), 3: (2, 1, 3)}
PADDING: dict[int, Shape] = {1: (2,), 2: (1, 2), 3: (1, 0, 2)}
DILATION: dict[int, Shape] = {1: (3,), 2: (2, 3), 3: (3, 1, 2)}

WORLD: dict[str, Sizes] = {  # the kernels that networks are made of
    "1x1": {"k": 1, "c": 24, "m": 20},
    "3x3, padding 1": {"k": 3, "p": 1, "c": 16, "m": 24},
    "3x3, stride 2, padding 1": {"k": 3, "s": 2, "p": 1, "c": 16, "m": 24},
    "5x5, padding 2": {"k": 5, "p": 2, "c": 8, "m": 12},
    "7x7, stride 2, padding 3": {"k": 7, "s": 2, "p": 3, "c": 3, "m": 16},
    "depthwise 3x3, padding 1": {"k": 3, "p": 1, "g": 40, "c": 1, "m": 1},
    "depthwise 7x7, padding 3": {"k": 7, "p": 3, "g": 24, "c": 1, "m": 1},
    "dilation 2": {"k": 3, "p": 2, "d": 2, "c": 8, "m": 9},
    "dilation 4": {"k": 3, "p": 4, "d": 4, "c": 8, "m": 9},
    "dilation 8": {"k": 3, "p": 8, "d": 8, "c": 8, "m": 9},
    "patches": {"k": 4, "s": 4, "c": 3, "m": 33},
}
LEVELS: dict[str, tuple[Any, ...]] = {
    "n": (1, 2, 5, 17),
    "c": (1, 3, 8, 33),
    "m": (1, 4, 9, 34),
    "g": (1, 2, 9),
    "o": (2, 7, 17, 33),
    "k": (1, 2, 3, 5),
    "s": (1, 2, 3),
    "p": (0, 1, 2),
    "d": (1, 2, 4),
    "more": (0, 1),
    "bias": (True, False),
}


class Channels(Bilinear):
    """What a convolution and its transpose share: N, groups, C and M a group, and the bias."""

    def over_outputs(self, case: Case, b: Any) -> Any:
        """Return the bias, (M, 1, ...)."""
        del case
        return b.reshape(-1, *(1,) * self.rank)

    def filters(self, g: int, c: int, m: int) -> Shape:
        """Return the two leading axes of the weight."""
        return (g * m, c)

    def case(
        self,
        name: str,
        *,
        n: int = 2,
        g: int = 1,
        c: int = 2,
        m: int = 3,
        i: Shape | None = None,
        k: Shape | None = None,
        bias: bool = True,
        layouts: dict[str, str] | None = None,
        **options: Any,
    ) -> Case:
        """Return one call; n = 0 is unbatched, c and m count for each of g groups."""
        i = SIZE[self.rank] if i is None else i
        k = KERNEL[self.rank] if k is None else k
        options |= {"groups": g} if g > 1 else {}
        shapes = {"x": maps(n, g * c, i), "weight": (*self.filters(g, c, m), *k)}
        shapes |= {"bias": (g * m,)} if bias else {}
        return Case(self.name, name, shapes, options, layouts or {})

    def layouts(self) -> Iterator[Case]:
        """Yield a call with all options in every layout of x, gy and the weight."""
        rank = self.rank
        every: dict[str, Any] = {"stride": STRIDE[rank], "padding": PADDING[rank]}
        every["dilation"] = DILATION[rank]
        last = dict.fromkeys(("x", "weight", "gy"), "channels_last")
        small: Shape = (6, 4, 3)[:rank]
        image = dict.fromkeys(("x", "weight"), "channels_last")
        yield self.case("one channel, channels_last", c=1, layouts=image, padding=1)
        yield self.case("one filter", c=3, m=1, layouts={"gy": "channels_last"})
        yield self.case("unbatched, channels_last, groups", n=0, g=2, m=2, layouts=image)
        yield self.case("channels_last", layouts=last, **every)
        yield self.case("channels_last, groups", g=2, layouts=image, n=1)
        for layout in ("transposed", "gaps"):
            name = {"transposed": "transposed memory", "gaps": "every second element of memory"}
            yield self.case(name[layout], layouts={"x": layout, "gy": layout}, **every)
        expanded = {"x": "expanded"}
        yield self.case("batch expanded", n=3, i=small, layouts=expanded, stride=STRIDE[rank])
        yield self.case("grad_output of a sum", layouts={"gy": "constant"}, **every)

    def input_size(self, o: Shape, k: Shape, sizes: Sizes) -> Shape:
        """Return the input of a ladder's case whose output has o elements."""
        s, p, d = sizes["s"], sizes["p"], sizes["d"]
        return tuple(
            max(1, (o_ - 1) * s + d * (k_ - 1) + 1 - 2 * p + min(sizes["more"], s - 1))
            for o_, k_ in zip(o, k, strict=True)
        )

    def sized(self, name: str, sizes: Sizes) -> Case:
        """Return a call of the ladder: `sizes` has n, g, c, m, o, k, s, p, d, more and bias."""
        o, k = along(sizes, "o", self.rank), along(sizes, "k", self.rank)
        options = {"stride": sizes["s"], "padding": sizes["p"], "dilation": sizes["d"]}
        return self.case(
            name,
            n=sizes["n"],
            g=sizes["g"],
            c=sizes["c"],
            m=sizes["m"],
            i=self.input_size(o, k, sizes),
            k=k,
            bias=sizes["bias"],
            **options,
        )

    def ladder(self) -> Iterator[Case]:
        """Return every axis at every rung, the kernels of the world, then the sizes in pairs."""
        base: Sizes = {"n": 2, "g": 1, "c": 2, "m": 3, "o": 3, "k": 2, "s": 1, "p": 0, "d": 1}
        base |= {"more": 0, "bias": True}
        rungs: dict[str, Any] = dict.fromkeys(("n", "c", "m", "g"), RUNGS)
        rungs |= {f"{letter}{axis}": RUNGS for letter in "ok" for axis in range(self.rank)}
        rungs |= {"s": SMALL[:5], "d": (2, 3, 4, 7, 8, 9, 16)}
        levels = LEVELS if self.rank < 3 else LEVELS | {"o": (2, 5, 9), "c": (1, 3, 9)}
        thin = {"c": 1, "m": 1, "o": 1}
        world = {name: {"o": 8 if self.rank < 3 else 4, **sizes} for name, sizes in WORLD.items()}
        return climbed(self.sized, base, rungs, levels, grid="n", thin=thin, world=world)

    def middle(self, name: str, rng: np.random.Generator) -> Case:
        """Draw a convolution of moderate size."""
        sizes = {letter: int(rng.integers(2, 20)) for letter in "cm"}
        sizes |= {"n": int(rng.integers(2, 12)), "g": int(rng.choice([1, 1, 2, 3, 6]))}
        sizes |= {f"o{axis}": int(rng.integers(3, 20 // self.rank)) for axis in range(self.rank)}
        sizes |= {f"k{axis}": int(rng.integers(1, 6 - self.rank)) for axis in range(self.rank)}
        sizes |= {"s": int(rng.integers(1, 4)), "d": int(rng.integers(1, 4))}
        return self.sized(name, {"o": 1, "k": 1, "p": 0, "more": 0, "bias": True} | sizes)

    def probe(self) -> Case:
        """Return a 3x3 of several channels."""
        return self.case("few-hot", n=4, c=5, m=24, i=(9, 8, 5)[: self.rank], k=(3,) * self.rank)

    def groups(self, number: int) -> Iterator[tuple[str, Case]]:
        """Yield sums of 300 or so over channels and taps, over filters, and over outputs."""
        one, k = (1,) * self.rank, (3,) * self.rank
        many: dict[str, Any] = {"g": number, "n": 1, "m": 1, "c": 1, "k": one, "bias": False}
        taps = 3**self.rank
        yield (
            "y",
            self.case(
                "sums of channels", **{**many, "c": 297 // taps, "k": k, "i": k} | self.outward(k)
            ),
        )
        yield "gx", self.case("sums of filters", **{**many, "m": 300, "i": one})
        yield "gw", self.case("sums of outputs", **{**many, "n": 3, "i": (100, *one[1:])})

    def outward(self, k: Shape) -> dict[str, Any]:
        """Return what makes one output of each group of a kernel of this size."""
        del k
        return {}

    def refused(self, case: Case) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield what torch refuses."""
        x, w = case.shapes["x"], case.shapes["weight"]
        yield "an input of other channels", {"x": (x[0], x[1] + 1, *x[2:])}
        yield "a bias that is too long", {"bias": (case.shapes["bias"][0] + 1,)}
        yield "a weight without its last axis", {"weight": w[:-1]}
        yield "an input of too few axes", {"x": x[2:]}
        yield "a stride of 0", {"stride": 0}
        yield "groups that do not divide the channels", {"groups": 7}
