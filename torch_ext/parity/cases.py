"""What is compared: named cases for the known traps, random ones for the rest.

A case is a geometry: shapes, options, memory layout, special values. It holds no numbers; those are
drawn from a seed for every dtype and tier (`torch_ext.parity.inputs`). Geometries are asymmetric in
everything, so that an exchanged axis shows, and small, so that exact arithmetic can afford them.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

import numpy as np

Shape = tuple[int, ...]

FAMILIES = ("conv", "max_pool", "avg_pool")
OPS = tuple(f"{family}{rank}d" for family in FAMILIES for rank in (1, 2, 3))

MOST_TERMS = 200  # of one sum: with operands of at most 1, every sum is exact in bfloat16
MOST_PRODUCTS = 8000  # of one convolution: what the oracle multiplies out in milliseconds


@dataclass(frozen=True)
class Case:
    """One call of an operator: candidate(input, [weight, bias,] **options).

    `memory` is the layout of the input (and of the weight, for channels_last), `grad_memory` that
    of the gradient that comes in; `values` names what a max pool's input holds.
    """

    op: str
    name: str
    shape: Shape
    options: dict[str, Any]
    weight: Shape | None = None
    bias: bool = False
    memory: str = "contiguous"
    grad_memory: str = "contiguous"
    values: str = "plain"
    identity: int = field(init=False)

    def __post_init__(self) -> None:
        """Number the case by its name, for the seed of its values."""
        object.__setattr__(self, "identity", crc32(f"{self.op} {self.name}".encode()))

    @property
    def family(self) -> str:
        """Conv, max_pool or avg_pool."""
        return self.op[:-2]

    @property
    def rank(self) -> int:
        """The number of spatial axes."""
        return int(self.op[-2])

    @property
    def elements(self) -> int:
        """How many numbers go in."""
        return math.prod(self.shape) + math.prod(self.weight or (0,))

    @property
    def unbatched(self) -> bool:
        """Whether the input has no batch axis."""
        return len(self.shape) == self.rank + 1


def cases(op: str, seed: int = 0, number: int = 8) -> list[Case]:
    """Return the named cases of an operator and `number` random ones.

    >>> [case.name for case in cases("conv2d", number=0)][:3]
    ['plain', 'no bias', 'stride']
    """
    if op not in OPS:
        raise ValueError(f"op must be one of {', '.join(OPS)}, got {op!r}")
    family, rank = op[:-2], int(op[-2])
    rng = np.random.default_rng([seed, crc32(op.encode())])
    if family == "conv":
        named, draw = named_convolutions(rank), random_convolution
    else:
        named = named_maxima(rank) if family == "max_pool" else named_averages(rank)
        draw = random_pool
    return [*named, *(draw(op, f"random {j}", rng) for j in range(number))]


# --------------------------------------------------------------------------- convolution

SIZE: dict[int, Shape] = {1: (11,), 2: (7, 6), 3: (5, 4, 6)}
KERNEL: dict[int, Shape] = {1: (3,), 2: (3, 2), 3: (2, 3, 2)}
STRIDE: dict[int, Shape] = {1: (2,), 2: (2, 3), 3: (2, 1, 3)}
PADDING: dict[int, Shape] = {1: (2,), 2: (1, 2), 3: (1, 0, 2)}
DILATION: dict[int, Shape] = {1: (3,), 2: (2, 3), 3: (3, 1, 2)}


def named_convolutions(rank: int) -> Iterator[Case]:
    """Yield the traps of convolution."""
    s, p, d = STRIDE[rank], PADDING[rank], DILATION[rank]

    def conv(
        name: str,
        *,
        n: int = 2,
        g: int = 1,
        c: int = 2,
        m: int = 3,
        i: Shape = SIZE[rank],
        k: Shape = KERNEL[rank],
        bias: bool = True,
        memory: str = "contiguous",
        grad_memory: str = "contiguous",
        **options: Any,
    ) -> Case:
        shape = (n, g * c, *i) if n else (g * c, *i)
        options |= {"groups": g} if g > 1 else {}
        weight = (g * m, c, *k)
        return Case(f"conv{rank}d", name, shape, options, weight, bias, memory, grad_memory)

    every: dict[str, Any] = {"stride": s, "padding": p, "dilation": d}
    small: Shape = (6, 4, 3)[:rank]
    even: Shape = (2, 4, 2)[:rank]
    yield conv("plain")
    yield conv("no bias", bias=False)
    yield conv("stride", stride=s)
    yield conv("stride leaves inputs unread", k=(2, 1, 2)[:rank], stride=(4, 3, 3)[:rank])
    yield conv("padding", padding=p)
    yield conv("padding wider than the kernel", i=small, k=(2, 1, 1)[:rank], padding=3, stride=2)
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
    yield conv("one channel, channels_last", c=1, memory="channels_last", padding=1)
    yield conv("one filter", c=3, m=1, grad_memory="channels_last")
    yield conv("pointwise", k=(1,) * rank, c=4, m=5, i=small)
    yield conv("pointwise, stride and padding", k=(1,) * rank, stride=s, padding=p)
    yield conv("kernel of the input's size", i=small, k=small, c=1)
    yield conv("batch of 1", n=1, stride=s)
    yield conv("batch of 3", n=3, i=small, stride=s)
    yield conv("unbatched", n=0, padding=p)
    yield conv("unbatched, groups, no bias", n=0, g=2, bias=False, stride=s)
    yield conv("unbatched, channels_last, groups", n=0, g=2, m=2, memory="channels_last")
    yield conv("channels_last", memory="channels_last", grad_memory="channels_last", **every)
    yield conv("channels_last, groups", g=2, memory="channels_last", n=1)
    yield conv("transposed memory", memory="transposed", grad_memory="transposed", **every)
    yield conv("every second element of memory", memory="gaps", grad_memory="gaps", stride=s)
    yield conv("batch expanded", n=3, i=small, memory="expanded", stride=s)
    yield conv("grad_output of a sum", grad_memory="constant", **every)


def random_convolution(op: str, name: str, rng: np.random.Generator) -> Case:
    """Draw a convolution small enough for the oracle."""
    rank = int(op[-2])
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
        taps, batch = math.prod(k), max(n, 1)
        terms = max(2 * c * taps + 1, m * taps, batch * math.prod(o))
        if min(o) > 0 and terms <= MOST_TERMS and terms * g * m * c * taps <= MOST_PRODUCTS:
            options = {"stride": s, "padding": padding, "dilation": d, "groups": g}
            return Case(
                op,
                name,
                (n, g * c, *i) if n else (g * c, *i),
                options,
                (g * m, c, *k),
                bias=bool(rng.integers(2)),
                memory=memory(rng),
                grad_memory=memory(rng),
            )


def axes(rng: np.random.Generator, rank: int, low: int, high: int) -> Shape:
    """Draw one integer for every axis, low <= v <= high."""
    return tuple(int(v) for v in rng.integers(low, high + 1, rank))


def memory(rng: np.random.Generator) -> str:
    """Draw a memory layout; half of the time, contiguous."""
    layouts = ("channels_last", "transposed", "gaps", "expanded")
    return layouts[int(rng.integers(4))] if rng.integers(2) else "contiguous"


# --------------------------------------------------------------------------- pooling

WINDOW: dict[int, Shape] = {1: (3,), 2: (3, 2), 3: (2, 3, 2)}
STEP: dict[int, Shape] = {1: (2,), 2: (2, 1), 3: (1, 2, 2)}
MARGIN: dict[int, Shape] = {1: (1,), 2: (1, 0), 3: (0, 1, 1)}


def pool(
    op: str,
    name: str,
    options: dict[str, Any],
    *,
    n: int = 2,
    c: int = 3,
    i: Shape | None = None,
    memory: str = "contiguous",
    grad_memory: str = "contiguous",
    values: str = "plain",
) -> Case:
    """Return a pooling case; n = 0 is unbatched."""
    i = SIZE[int(op[-2])] if i is None else i
    shape = (n, c, *i) if n else (c, *i)
    return Case(op, name, shape, options, None, False, memory, grad_memory, values)


def named_pools(op: str) -> Iterator[Case]:
    """Yield the traps that both kinds of pooling share."""
    rank = int(op[-2])
    k, s, p = WINDOW[rank], STEP[rank], MARGIN[rank]
    every: dict[str, Any] = {"kernel_size": k, "stride": s, "padding": p, "ceil_mode": True}
    yield pool(op, "plain", {"kernel_size": k})
    yield pool(op, "integers for all axes", {"kernel_size": 3, "stride": 2, "padding": 1})
    yield pool(op, "overlapping", {"kernel_size": k, "stride": 1})
    yield pool(op, "stride beyond the kernel", {"kernel_size": k, "stride": (4, 3, 3)[:rank]})
    yield pool(op, "padding", {"kernel_size": k, "stride": s, "padding": p})
    ceil = {"kernel_size": 2, "stride": 2, "ceil_mode": True}
    yield pool(op, "ceil mode, last window partial", ceil, i=(5, 4, 3)[:rank])
    yield pool(op, "ceil mode, last window dropped", ceil | {"padding": 1}, i=(3, 4, 5)[:rank])
    wide = {"kernel_size": 3, "stride": 3, "padding": 1, "ceil_mode": True}
    yield pool(op, "ceil mode, last window in the padding", wide, i=(6, 3, 4)[:rank])
    yield pool(op, "all options", every)
    yield pool(op, "window of one element", {"kernel_size": 1, "stride": s})
    yield pool(op, "window of the input's size", {"kernel_size": SIZE[rank]}, n=1)
    yield pool(op, "one channel, channels_last", every, c=1, memory="channels_last")
    yield pool(op, "batch of 1", every, n=1)
    yield pool(op, "unbatched", every, n=0)
    yield pool(op, "channels_last", every, memory="channels_last", grad_memory="channels_last")
    yield pool(op, "transposed memory", every, memory="transposed", grad_memory="transposed")
    yield pool(op, "every second element of memory", every, memory="gaps", grad_memory="gaps")
    yield pool(op, "batch expanded", every, n=3, memory="expanded")
    yield pool(op, "grad_output of a sum", every, grad_memory="constant")


def named_maxima(rank: int) -> Iterator[Case]:
    """Yield the traps of max pooling."""
    op = f"max_pool{rank}d"
    k, s, p = WINDOW[rank], STEP[rank], MARGIN[rank]
    every: dict[str, Any] = {"kernel_size": k, "stride": s, "padding": p, "ceil_mode": True}
    dilated = {"dilation": {1: (2,), 2: (2, 3), 3: (2, 1, 3)}[rank]}
    yield from named_pools(op)
    yield pool(op, "dilation", {"kernel_size": k, "stride": 1} | dilated)
    yield pool(op, "all options and dilation", every | dilated)
    for values in ("ties", "zeros of both signs", "one NaN", "several NaN", "all NaN"):
        yield pool(op, values, every, values=values)
    yield pool(op, "windows of -inf", every, values="windows of -inf")
    yield pool(op, "all -inf", every, values="all -inf")
    yield pool(op, "infinities and NaN", every | dilated, values="infinities and NaN")
    yield pool(op, "-inf, channels_last", every, values="windows of -inf", memory="channels_last")
    yield pool(op, "NaN, channels_last", every, values="several NaN", memory="channels_last")


def named_averages(rank: int) -> Iterator[Case]:
    """Yield the traps of average pooling."""
    op = f"avg_pool{rank}d"
    k, s, p = WINDOW[rank], STEP[rank], MARGIN[rank]
    every: dict[str, Any] = {"kernel_size": k, "stride": s, "padding": p, "ceil_mode": True}
    inside = {"count_include_pad": False}
    yield from named_pools(op)
    yield pool(op, "padding not counted", {"kernel_size": k, "stride": s, "padding": p} | inside)
    yield pool(op, "all options, padding not counted", every | inside)
    wide = {"kernel_size": 3, "stride": 3, "padding": 1, "ceil_mode": True}
    yield pool(op, "ceil mode, padding not counted", wide | inside, i=(6, 3, 4)[:rank])
    if rank > 1:  # avg_pool1d has no divisor_override
        yield pool(op, "divisor 5", every | {"divisor_override": 5})
        yield pool(op, "divisor -3", every | inside | {"divisor_override": -3})
        yield pool(op, "divisor 1", {"kernel_size": k, "divisor_override": 1})


def random_pool(op: str, name: str, rng: np.random.Generator) -> Case:
    """Draw a pooling whose windows all hold something of the input."""
    rank = int(op[-2])
    while True:
        i = axes(rng, rank, 3, (14, 9, 6)[rank - 1])
        k, s = axes(rng, rank, 1, 3), axes(rng, rank, 1, 3)
        d = axes(rng, rank, 1, 2) if op.startswith("max") else (1,) * rank
        p = tuple(int(rng.integers(k_ // 2 + 1)) for k_ in k)
        if all(d_ * (k_ - 1) < i_ for i_, k_, d_ in zip(i, k, d, strict=True)):
            break
    options: dict[str, Any] = {"kernel_size": k, "stride": s, "padding": p}
    options["ceil_mode"] = bool(rng.integers(2))
    if op.startswith("max"):
        options["dilation"] = d
        values = ("plain", "ties", "several NaN", "infinities and NaN")[int(rng.integers(4))]
    else:
        values = "plain"
        options["count_include_pad"] = bool(rng.integers(2))
        if rank > 1 and rng.integers(3) == 0:
            options["divisor_override"] = int(rng.choice([-3, -1, 2, 7]))
    n, c = axes(rng, 2, 0, 3)
    layout, grad_layout = memory(rng), memory(rng)
    return pool(
        op,
        name,
        options,
        n=n,
        c=max(c, 1),
        i=i,
        memory=layout,
        grad_memory=grad_layout,
        values=values,
    )
