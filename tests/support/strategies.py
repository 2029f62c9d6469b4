"""Random operator calls, asymmetric in everything: every axis has its own size and options."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

Array = NDArray[Any]
FLOATS = (np.float16, np.float32, np.float64)
LINEAR = (np.float64, np.complex128, np.int64)  # inner products of small integers are exact
INTEGERS = (np.int8, np.uint8, np.int32, np.int64)
COMPLEX = (np.complex64, np.complex128)


def integers_in(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any, most: int) -> Array:
    """Draw integers from -most to most (0 to most if unsigned), complex ones in both parts."""
    kind = np.dtype(dtype).kind
    low = 0 if kind == "u" else -most
    values = rng.integers(low, most + 1, shape)
    if kind == "c":
        return (values + 1j * rng.integers(low, most + 1, shape)).astype(dtype)
    return values.astype(dtype)


@dataclass(frozen=True)
class Drawn:
    """Integer-valued data, and the generator it was drawn from."""

    x: Array
    rng: np.random.Generator

    def like(self, shape: tuple[int, ...]) -> Array:
        """Draw more data of the same kind."""
        return integers_in(self.rng, shape, self.x.dtype, 3)


@dataclass(frozen=True)
class ConvCase(Drawn):
    """The arguments of one convolution, transposed or not, batched, with integer-valued data."""

    weight: Array
    bias: Array
    options: dict[str, Any]


@st.composite
def conv_cases(
    draw: st.DrawFn, ranks: tuple[int, ...] = (1, 2, 3, 4), dtypes: Any = FLOATS
) -> ConvCase:
    """Draw a convolution that is small enough for nested loops."""
    rank = draw(st.sampled_from(ranks))
    axis = st.tuples(
        st.integers(1, 3 if rank < 3 else 2),  # k
        st.integers(1, 3),  # s
        st.integers(1, 2 if rank > 2 else 3),  # d
        st.integers(0, 2),  # p
        st.integers(0, 4 if rank < 3 else 1),  # more input than one window needs
    )
    axes = draw(st.lists(axis, min_size=rank, max_size=rank))
    k, s, d, p, _ = zip(*axes, strict=True)
    word = draw(st.sampled_from(["", "", "", "same", "valid"]))
    s = (1,) * rank if word == "same" else s
    i = tuple(
        max(1, d_ * (k_ - 1) + 1 - 2 * p_ * (not word)) + more for k_, _, d_, p_, more in axes
    )
    options: dict[str, Any] = {"stride": s, "padding": word or p, "dilation": d}
    return channels(draw, i, k, dtypes, options)


def channels(
    draw: st.DrawFn,
    i: tuple[int, ...],
    k: tuple[int, ...],
    dtypes: Any,
    options: dict[str, Any],
    transposed: bool = False,
) -> ConvCase:
    """Draw images, groups and channels for a geometry of space, and the data."""
    n, groups = draw(st.integers(0, 2)), draw(st.integers(1, 3))
    c, m = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    dtype = draw(st.sampled_from(dtypes))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    filters = (groups * c, m) if transposed else (groups * m, c)
    return ConvCase(
        x=integers_in(rng, (n, groups * c, *i), dtype, 3),
        weight=integers_in(rng, (*filters, *k), dtype, 3),
        bias=integers_in(rng, (groups * m,), dtype, 3),
        options={**options, "groups": groups},
        rng=rng,
    )


@st.composite
def conv_transpose_cases(
    draw: st.DrawFn, ranks: tuple[int, ...] = (1, 2, 3, 4), dtypes: Any = FLOATS
) -> ConvCase:
    """Draw a transposed convolution that is small enough for nested loops."""
    rank = draw(st.sampled_from(ranks))
    axis = st.tuples(
        st.integers(1, 3 if rank < 3 else 2),  # k
        st.integers(1, 3),  # s
        st.integers(1, 2 if rank > 2 else 3),  # d
        st.integers(0, 2),  # p
        st.integers(0, 2),  # output padding, at most
        st.integers(1, 4 if rank < 3 else 2),  # i, at least
    )
    axes = draw(st.lists(axis, min_size=rank, max_size=rank))
    k, s, d, p, _, _ = zip(*axes, strict=True)
    a = tuple(min(a_, max(s_, d_) - 1) for _, s_, d_, _, a_, _ in axes)
    i = tuple(  # such that (i - 1) s - 2 p + d (k - 1) + a is not negative
        max(i_, 1 - (d_ * (k_ - 1) + a_ - 2 * p_) // s_)
        for (k_, s_, d_, p_, _, i_), a_ in zip(axes, a, strict=True)
    )
    options: dict[str, Any] = {"stride": s, "padding": p, "output_padding": a, "dilation": d}
    return channels(draw, i, k, dtypes, options, transposed=True)


@dataclass(frozen=True)
class PoolCase:
    """The arguments of one pooling, batched, with integer-valued data."""

    x: Array
    window: tuple[Any, ...]  # kernel_size, stride, padding
    dilation: tuple[int, ...]
    ceil_mode: bool
    rng: np.random.Generator

    def like(self, shape: tuple[int, ...], times: int = 1) -> Array:
        """Draw more data of the same kind, multiples of `times`."""
        return integers_in(self.rng, shape, self.x.dtype, 3) * self.x.dtype.type(times)


@st.composite
def pool_cases(
    draw: st.DrawFn,
    ranks: tuple[int, ...] = (1, 2, 3, 4),
    dtypes: Any = FLOATS,
    dilated: bool = True,
) -> PoolCase:
    """Draw a pooling whose every window holds an element of x."""
    rank = draw(st.sampled_from(ranks))
    axis = st.tuples(
        st.integers(1, 4 if rank < 3 else 3),  # k
        st.integers(1, 4),  # s
        st.integers(1, 3) if dilated else st.just(1),  # d
        st.integers(0, 2),  # p
        st.integers(0, 5 if rank < 3 else 1),  # more input than one window needs
    )
    axes = draw(st.lists(axis, min_size=rank, max_size=rank))
    k, s, d, p, _ = zip(*axes, strict=True)
    p = tuple(min(p_, k_ // 2) for p_, k_ in zip(p, k, strict=True))
    i = tuple(
        max(d_, d_ * (k_ - 1) + 1 - 2 * p_) + more
        for (k_, _, d_, _, more), p_ in zip(axes, p, strict=True)
    )
    n, c = draw(st.integers(0, 2)), draw(st.integers(1, 3))
    dtype = draw(st.sampled_from(dtypes))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    stride = draw(st.sampled_from([s, None]))
    return PoolCase(
        integers_in(rng, (n, c, *i), dtype, 3), (k, stride, p), d, draw(st.booleans()), rng
    )


@dataclass(frozen=True)
class PadCase(Drawn):
    """The arguments of one padding, with integer-valued data."""

    padding: tuple[int, ...]
    mode: str
    value: int


@st.composite
def pad_cases(
    draw: st.DrawFn,
    ranks: tuple[int, ...] = (1, 2, 3, 4),
    leads: tuple[int, ...] = (0, 1, 2),
    dtypes: Any = FLOATS,
) -> PadCase:
    """Draw a padding, or a cropping, that its mode allows; `leads` axes in front stay alone."""
    rank = draw(st.sampled_from(ranks))
    mode = draw(st.sampled_from(["constant", "reflect", "replicate", "circular"]))
    axes = []
    for _ in range(rank):
        i = draw(st.integers(1, 5 if rank < 3 else 3))
        crop = draw(st.integers(0, i - 1))  # from one side, so that something is left
        most = {"reflect": i - 1, "circular": i - crop}.get(mode, 3)
        sides = (draw(st.integers(0, most)), draw(st.sampled_from([-crop, min(crop, most)])))
        axes.append((i, sides if draw(st.booleans()) else sides[::-1]))
    lead = tuple(draw(st.integers(1, 3)) for _ in range(draw(st.sampled_from(leads))))
    lead = (draw(st.integers(0, 2)), *lead[1:]) if len(lead) == 2 else lead
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return PadCase(
        x=integers_in(rng, (*lead, *(i for i, _ in axes)), draw(st.sampled_from(dtypes)), 3),
        padding=tuple(side for _, sides in reversed(axes) for side in sides),
        mode=mode,
        value=draw(st.integers(0, 3)) if mode == "constant" else 0,
        rng=rng,
    )


@dataclass(frozen=True)
class FoldCase(Drawn):
    """The arguments of one unfolding, and of the folding back, with integer-valued data."""

    window: tuple[Any, ...]  # kernel_size, dilation, padding, stride


@st.composite
def fold_cases(
    draw: st.DrawFn, ranks: tuple[int, ...] = (1, 2, 3, 4), dtypes: Any = FLOATS
) -> FoldCase:
    """Draw an unfolding, with a batch or without."""
    rank = draw(st.sampled_from(ranks))
    axis = st.tuples(
        st.integers(1, 3 if rank < 3 else 2),  # k
        st.integers(1, 2 if rank > 2 else 3),  # d
        st.integers(0, 2),  # p
        st.integers(1, 3),  # s
        st.integers(0, 4 if rank < 3 else 1),  # more input than one window needs
    )
    axes = draw(st.lists(axis, min_size=rank, max_size=rank))
    i = tuple(max(1, d * (k - 1) + 1 - 2 * p) + more for k, d, p, _, more in axes)
    batch = draw(st.sampled_from([(), (0,), (1,), (2,)]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = (*batch, draw(st.integers(1, 3)), *i)
    x = integers_in(rng, shape, draw(st.sampled_from(dtypes)), 3)
    return FoldCase(x, rng, tuple(zip(*axes, strict=True))[:4])
