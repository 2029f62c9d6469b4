"""Every operator of the family with its first and second gradients, in any rank and dtype.

Data are small integers, averages multiples of every divisor: no sum rounds, in any order. All axes
differ in size, and in every option.

A case is a number of calls of refconv by what they find: y (and indices), gx, gw, gb, and of second
order gy(gx), gw(gx), ...: what the gradient of <ggx, gx> is for gy, for w, ... All are operators of
the family again; a second gradient that has no call is zero.
"""

import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

Array = NDArray[Any]
Call = tuple[str, tuple[Any, ...], dict[str, Any]]  # operator, arguments, options
Axes = tuple[int, ...]

RANKS = (1, 2, 3, 4)
# by rank, and every axis another
SIZE: dict[int, Axes] = {1: (7,), 2: (5, 4), 3: (4, 3, 5), 4: (3, 2, 4, 3)}
KERNEL: dict[int, Axes] = {1: (3,), 2: (3, 2), 3: (2, 1, 3), 4: (2, 1, 2, 2)}
STRIDE: dict[int, Axes] = {1: (2,), 2: (2, 1), 3: (1, 2, 2), 4: (1, 2, 1, 2)}
PADDING: dict[int, Axes] = {1: (1,), 2: (1, 0), 3: (1, 0, 1), 4: (1, 0, 0, 1)}
DILATION: dict[int, Axes] = {1: (2,), 2: (1, 2), 3: (2, 1, 1), 4: (1, 1, 2, 1)}
MORE: dict[int, Axes] = {1: (1,), 2: (1, 1), 3: (1, 0, 1), 4: (0, 1, 1, 0)}
WINDOWS: dict[int, Axes] = {1: (3,), 2: (3, 2), 3: (2, 2, 3), 4: (2, 2, 4, 3)}


@dataclass
class OperatorCase:
    """An operator, its calls by what they find, and torch's function of the same operands."""

    name: str
    calls: dict[str, Call]
    operands: dict[str, Array] = field(default_factory=dict)  # x, w, b
    gy: Array | None = None
    second: dict[str, Array] = field(default_factory=dict)  # ggx, ggw, ggb by x, w, b
    torch: Callable[..., Any] | None = None


class Draw:
    """Integers of a dtype, at most `most` in size; complex ones in both parts."""

    def __init__(self, dtype: Any, seed: int) -> None:
        self.dtype, self.rng = np.dtype(dtype), np.random.default_rng(seed)

    def __call__(self, *shape: int, most: int = 2, unit: int = 1) -> Array:
        low = 0 if self.dtype.kind in "ub" else -most
        a = unit * self.rng.integers(low, most + 1, shape)
        if self.dtype.kind == "c":
            a = a + 1j * unit * self.rng.integers(low, most + 1, shape)
        return a.astype(self.dtype)


def by_rank(*functions: Any) -> dict[int, Any]:
    """Return torch's functions by their rank."""
    return dict(enumerate(functions, 1))


# --------------------------------------------------------------------------- the cases


def convolutions(rank: int, draw: Draw, n: int) -> Iterator[OperatorCase]:
    o = {"stride": STRIDE[rank], "padding": PADDING[rank], "dilation": DILATION[rank], "groups": 2}
    x, w, b = draw(n, 4, *SIZE[rank]), draw(4, 2, *KERNEL[rank]), draw(4)
    each = zip(SIZE[rank], KERNEL[rank], STRIDE[rank], PADDING[rank], DILATION[rank], strict=True)
    size = tuple((i + 2 * p - d * (k - 1) - 1) // s + 1 for i, k, s, p, d in each)
    gy, ggx, ggw = draw(n, 4, *size), draw(*x.shape), draw(*w.shape)
    function = by_rank(F.conv1d, F.conv2d, F.conv3d).get(rank)
    yield OperatorCase(
        "conv",
        {
            "y": ("conv", (x, w, b), o),
            "gx": ("conv_grad_input", (x.shape, w, gy), o),
            "gw": ("conv_grad_weight", (x, w.shape, gy), o),
            "gb": ("conv_grad_bias", (gy,), {}),
            "gy(gx)": ("conv", (ggx, w), o),
            "gw(gx)": ("conv_grad_weight", (ggx, w.shape, gy), o),
            "gy(gw)": ("conv", (x, ggw), o),
            "gx(gw)": ("conv_grad_input", (x.shape, ggw, gy), o),
        },
        {"x": x, "w": w, "b": b},
        gy,
        {"x": ggx, "w": ggw},
        function and (lambda x, w, b: function(x, w, b, **o)),
    )
    i = size if rank < 4 else (2, 1, 3, 2)
    t = {**o, "output_padding": tuple(min(a, max(s, d) - 1) for a, s, d in zip(
        MORE[rank], STRIDE[rank], DILATION[rank], strict=True))}  # fmt: skip
    each = zip(
        i,
        KERNEL[rank],
        STRIDE[rank],
        PADDING[rank],
        DILATION[rank],
        t["output_padding"],
        strict=True,
    )
    size = tuple((i - 1) * s - 2 * p + d * (k - 1) + a + 1 for i, k, s, p, d, a in each)
    x, w, b = draw(n, 4, *i), draw(4, 2, *KERNEL[rank]), draw(4)
    gy, ggx, ggw = draw(n, 4, *size), draw(*x.shape), draw(*w.shape)
    transposed = by_rank(F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d).get(rank)
    yield OperatorCase(
        "conv_transpose",
        {
            "y": ("conv_transpose", (x, w, b), t),
            "gx": ("conv_transpose_grad_input", (x.shape, w, gy), t),
            "gw": ("conv_transpose_grad_weight", (x, w.shape, gy), t),
            "gb": ("conv_transpose_grad_bias", (gy,), {}),
            "gy(gx)": ("conv_transpose", (ggx, w), t),
            "gw(gx)": ("conv_transpose_grad_weight", (ggx, w.shape, gy), t),
            "gy(gw)": ("conv_transpose", (x, ggw), t),
            "gx(gw)": ("conv_transpose_grad_input", (x.shape, ggw, gy), t),
        },
        {"x": x, "w": w, "b": b},
        gy,
        {"x": ggx, "w": ggw},
        transposed and (lambda x, w, b: transposed(x, w, b, **t)),
    )


def linear(
    name: str, draw: Draw, x: Array, forward: Callable[[Array], Call],
    backward: Callable[[Array], Call], y: tuple[int, ...], function: Any, unit: int = 1,
) -> OperatorCase:  # fmt: skip
    """A linear operator of one operand: its second gradient is itself."""
    gy, ggx = draw(*y, unit=unit), draw(*x.shape, unit=unit)
    calls = {"y": forward(x), "gx": backward(gy), "gy(gx)": forward(ggx)}
    return OperatorCase(name, calls, {"x": x}, gy, {"x": ggx}, function)


def copies(rank: int, draw: Draw, n: int) -> Iterator[OperatorCase]:
    x = draw(n, 3, *SIZE[rank])
    sides = [(1, 2), (1, -1), (0, 1), (1, 0)][:rank]
    padding = tuple(side for axis in reversed(sides) for side in axis)
    y = (n, 3, *(i + sum(side) for i, side in zip(SIZE[rank], sides, strict=True)))
    for mode in ("constant", "reflect", "replicate", "circular"):
        value = 2 * (mode == "constant")  # the gradients pad with 0 all the same

        def padded(x: Any, mode: str = mode, value: int = value) -> Any:
            return F.pad(x, padding, mode, value) if value else F.pad(x, padding, mode)

        case = linear(
            "pad", draw, x,
            lambda x, mode=mode: ("pad", (x, padding, mode), {}),
            lambda gy, mode=mode: ("pad_grad", (x.shape, gy, padding, mode), {}),
            y, rank < 4 and padded,
        )  # fmt: skip
        case.calls["y"] = ("pad", (x, padding, mode, value), {})
        yield case
    o = {
        "kernel_size": KERNEL[rank],
        "dilation": DILATION[rank],
        "padding": PADDING[rank],
        "stride": STRIDE[rank],
    }
    each = zip(SIZE[rank], KERNEL[rank], STRIDE[rank], PADDING[rank], DILATION[rank], strict=True)
    windows = math.prod((i + 2 * p - d * (k - 1) - 1) // s + 1 for i, k, s, p, d in each)
    y = (n, 3 * math.prod(KERNEL[rank]), windows)
    function = (lambda x: F.unfold(x, **o)) if rank == 2 else None
    size = SIZE[rank]
    yield linear(
        "unfold", draw, x, lambda x: ("unfold", (x,), o), lambda gy: ("fold", (gy, size), o),
        y, function,
    )  # fmt: skip
    back = (lambda x: F.fold(x, size, **o)) if rank == 2 else None
    yield linear(
        "fold", draw, draw(*y), lambda x: ("fold", (x, size), o), lambda gy: ("unfold", (gy,), o),
        x.shape, back,
    )  # fmt: skip


def averages(rank: int, draw: Draw, n: int) -> Iterator[OperatorCase]:
    x, unit = draw(n, 2, *SIZE[rank], unit=24), 24
    window = {
        "kernel_size": KERNEL[rank],
        "stride": STRIDE[rank],
        "padding": PADDING[rank],
        "ceil_mode": True,
    }
    each = zip(SIZE[rank], KERNEL[rank], STRIDE[rank], PADDING[rank], strict=True)
    sizes = tuple(-(-(i + 2 * p - k) // s) + 1 for i, k, s, p in each)
    each = zip(sizes, SIZE[rank], STRIDE[rank], PADDING[rank], strict=True)
    y = (n, 2, *(o - ((o - 1) * s >= i + p) for o, i, s, p in each))
    function = by_rank(F.avg_pool1d, F.avg_pool2d, F.avg_pool3d).get(rank)
    for more in ({}, {"count_include_pad": False}, {"divisor_override": 4}):
        o = {**window, **more}
        torchs = function and not (rank == 1 and "divisor_override" in more)
        yield linear(
            "avg_pool", draw, x,
            lambda x, o=o: ("avg_pool", (x,), o),
            lambda gy, o=o: ("avg_pool_grad", (x.shape, gy), o),
            y, torchs and (lambda x, o=o: function(x, **o)), unit,
        )  # fmt: skip
    adaptive = by_rank(F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d)
    size = WINDOWS[rank]
    yield linear(
        "adaptive_avg_pool", draw, draw(n, 2, *SIZE[rank], unit=unit),
        lambda x: ("adaptive_avg_pool", (x, size), {}),
        lambda gy: ("adaptive_avg_pool_grad", (x.shape, gy, size), {}),
        (n, 2, *size), rank < 4 and (lambda x: adaptive[rank](x, size)), unit,
    )  # fmt: skip


def maxima(rank: int, draw: Draw, n: int, direct: Any) -> Iterator[OperatorCase]:
    """Pools that choose; the gradients take the indices that torch or the definition finds."""
    x = draw(n, 2, *SIZE[rank])
    window = {
        "kernel_size": KERNEL[rank],
        "stride": STRIDE[rank],
        "padding": PADDING[rank],
        "dilation": DILATION[rank],
        "ceil_mode": True,
    }
    u = np.full((max(n, 1), 2, rank), 0.25)  # exact, and so are the steps of the windows below
    starts = tuple(2 if i - k >= 1 else 1 for i, k in zip(SIZE[rank], KERNEL[rank], strict=True))
    fractional = {"kernel_size": KERNEL[rank], "output_size": starts}
    dtype = draw.dtype
    u = u.astype(dtype if dtype.kind == "f" else np.float64)
    torchs: dict[str, Any] = {
        "max_pool": by_rank(F.max_pool1d, F.max_pool2d, F.max_pool3d),
        "adaptive_max_pool": by_rank(
            F.adaptive_max_pool1d, F.adaptive_max_pool2d, F.adaptive_max_pool3d
        ),
        "fractional_max_pool": {2: F.fractional_max_pool2d, 3: F.fractional_max_pool3d}
        if dtype.kind == "f"
        else {},
    }
    for name, options, drawn in (
        ("max_pool", window, {}),
        ("adaptive_max_pool", {"output_size": WINDOWS[rank]}, {}),
        ("fractional_max_pool", fractional, {"random_samples": u}),
    ):
        y, at = getattr(direct, name)(x, **options, **drawn, return_indices=True)
        gy, ggx = draw(*y.shape), draw(*x.shape)
        function = torchs[name].get(rank)
        samples = {"_random_samples": torch.tensor(u)} if drawn and u.dtype != np.longdouble else {}
        yield OperatorCase(
            name,
            {
                "y": (name, (x,), {**options, **drawn, "return_indices": True}),
                "gx": (f"{name}_grad", (x.shape, at, gy), options),
                "gx (scattered)": ("max_pool_scatter", (x.shape, at, gy, rank), {}),
                "gy(gx)": ("max_pool_select", (ggx, at, rank), {}),
            },
            {"x": x},
            gy,
            {"x": ggx},
            function
            and (lambda x, f=function, o=options, s=samples: f(x, **o, **s, return_indices=True)),
        )
    k, s, p = (2,) * rank, (2,) * rank, (0,) * rank
    x = draw(n, 2, *(2 for _ in range(rank)))
    size = (n, 2, *(4 for _ in range(rank)))
    places = np.random.default_rng(rank).integers(0, 4**rank, x.shape)  # with duplicates
    gy, ggx = draw(*size), draw(*x.shape)
    unpool = by_rank(F.max_unpool1d, F.max_unpool2d, F.max_unpool3d).get(rank)
    yield OperatorCase(
        "max_unpool",
        {
            "y": ("max_unpool", (x, places, k, s, p), {}),
            "gx": ("max_unpool_grad", (places, gy, k, s, p), {}),
            "gx (strict)": ("max_unpool_grad", (places, gy, k, s, p), {"strict": True}),
            "gy(gx)": ("max_pool_scatter", (size, places, ggx, rank), {}),
        },
        {"x": x},
        gy,
        {"x": ggx},
        unpool and (lambda x: unpool(x, torch.tensor(places), k, s, p)),
    )


def powers(rank: int, draw: Draw, n: int) -> Iterator[OperatorCase]:
    """Without roots: sums of multiples of K, which averaging divides without a rest."""
    k, x = KERNEL[rank], draw(n, 2, *SIZE[rank], unit=24)
    x[x == 0] = 24  # whose sign, in the gradient, would be 0
    each = zip(SIZE[rank], k, STRIDE[rank], strict=True)
    gy = draw(n, 2, *((i - k_) // s + 1 for i, k_, s in each))
    function = by_rank(F.lp_pool1d, F.lp_pool2d, F.lp_pool3d).get(rank)
    for p in (1, math.inf, -math.inf):
        o = (p, k, STRIDE[rank])
        single = (p, k[0], STRIDE[rank][0]) if rank == 1 else o
        yield OperatorCase(
            "lp_pool",
            {
                "y": ("lp_pool", (x, *o), {}),
                "gx": ("lp_pool_grad", (x, gy, *o), {}),
                "y (mathematical)": ("lp_pool", (x, *o), {"mathematical": True}),
                "gx (mathematical)": ("lp_pool_grad", (x, gy, *o), {"mathematical": True}),
            },
            {"x": x},
            gy,
            {},
            function and (lambda x, o=single: function(x, *o)),
        )


def cases(rank: int, dtype: Any, direct: Any, n: int = 2) -> list[OperatorCase]:
    """Return every case; `direct` is refconv's definitions, which find the indices of maxima."""
    draw = Draw(dtype, rank)
    return [
        *convolutions(rank, draw, n),
        *copies(rank, draw, n),
        *averages(rank, draw, n),
        *(maxima(rank, draw, n, direct) if np.dtype(dtype).kind in "iuf" else ()),
        *(powers(rank, draw, n) if np.dtype(dtype).kind == "f" else ()),
    ]


# --------------------------------------------------------------------------- torch


def by_torch(case: OperatorCase, order: int = 2) -> dict[str, Array]:
    """Return what torch finds, by the same names; of second order also what must be zero."""
    assert case.torch
    names = list(case.operands)
    leaves = [torch.tensor(a, requires_grad=order > 0) for a in case.operands.values()]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        out = case.torch(*leaves)
    y, *indices = out if isinstance(out, tuple) else (out,)
    found = {"y": y, **({"indices": indices[0]} if indices else {})}
    if order:
        gy = torch.tensor(case.gy, requires_grad=True)
        grads = torch.autograd.grad(y, leaves, gy, create_graph=order > 1)
        found |= {f"g{name}": g for name, g in zip(names, grads, strict=True)}
    if order > 1:
        for name, g in zip(names, grads, strict=True):
            if name in case.second:
                gg = torch.tensor(case.second[name])
                again = torch.autograd.grad(
                    g, [gy, *leaves], gg, retain_graph=True, materialize_grads=True
                )
                keys = [f"g{other}(g{name})" for other in ("y", *names)]
                found |= dict(zip(keys, again, strict=True))
    return {key: t.detach().resolve_conj().numpy() for key, t in found.items()}
