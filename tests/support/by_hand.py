"""Choices and copies again, in Python's own integers or by numpy.pad: no code of refconv.

What an operator that only chooses must find, for integer-valued arrays, as object arrays.
"""

import itertools
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Axes = tuple[int, ...]
Inside = list[list[list[int]]]  # by axis, by output: the inputs of its window


def pool_windows(i: Axes, k: Axes, s: Axes, p: Axes, d: Axes, ceil_mode: bool) -> Inside:
    """Return the windows that lie in x and its padding; in ceil mode one more that starts in x."""
    found = []
    for i_, k_, s_, p_, d_ in zip(i, k, s, p, d, strict=True):
        windows = [[start + m * d_ for m in range(k_)] for start in range(-p_, i_, s_)]
        whole = [w for w in windows if w[-1] < i_ + p_]
        if ceil_mode and whole[-1][-1] < i_ + p_ - 1:
            whole = windows[: len(whole) + 1]
        found.append([[m for m in w if 0 <= m < i_] for w in whole])
    return found


def adaptive_windows(i: Axes, o: Axes) -> Inside:
    """Return the inputs between the fractions j i / o and (j + 1) i / o, those cut included."""
    return [
        [
            list(range(math.floor(Fraction(j * i_, o_)), math.ceil(Fraction((j + 1) * i_, o_))))
            for j in range(o_)
        ]
        for i_, o_ in zip(i, o, strict=True)
    ]


def fractional_windows(i: Axes, k: Axes, o: Axes, u: Fraction) -> Inside:
    """Return windows that start at floor((j + u) a) - floor(u a), a = (i - k) / (o - 1)."""
    found = []
    for i_, k_, o_ in zip(i, k, o, strict=True):
        starts = [i_ - k_]
        if o_ > 1:
            a = Fraction(i_ - k_, o_ - 1)
            steps = [math.floor((j + u) * a) - math.floor(u * a) for j in range(o_ - 1)]
            starts = [*steps, i_ - k_]
        found.append([list(range(t, t + k_)) for t in starts])
    return found


def maxima(x: Array, inside: Inside) -> tuple[Array, Array]:
    """Return the largest of every window and where it is, the first of equals."""
    rank = len(inside)
    o = tuple(map(len, inside))
    y, at = np.empty((*x.shape[:-rank], *o), object), np.empty((*x.shape[:-rank], *o), np.int64)
    for lead in np.ndindex(x.shape[:-rank]):
        for out in np.ndindex(o):
            places = itertools.product(*(axis[j] for axis, j in zip(inside, out, strict=True)))
            value, _, flat = max(
                (int(x[(*lead, *m)]), -number, int(np.ravel_multi_index(m, x.shape[-rank:])))
                for number, m in enumerate(places)
            )
            y[(*lead, *out)], at[(*lead, *out)] = value, flat
    return y, at


def by_map(shape: Axes, rank: int, found: Callable[[Axes], list[Any]]) -> Array:
    """Return an array of Python numbers, made map by map."""
    y = np.empty(shape, object)
    for lead in np.ndindex(shape[:-rank]):
        y[lead] = np.array(found(lead), object).reshape(shape[-rank:])
    return y


def scatter(shape: Axes, at: Array, values: Array, rank: int) -> Array:
    """Return every value added at its place."""

    def found(lead: Axes) -> list[Any]:
        sums = [0] * math.prod(shape[-rank:])
        for place, value in zip(
            at[lead].ravel().tolist(), values[lead].ravel().tolist(), strict=True
        ):
            sums[place] += value
        return sums

    return by_map(shape, rank, found)


def select(x: Array, at: Array, rank: int) -> Array:
    """Return what is at every place."""

    def found(lead: Axes) -> list[Any]:
        flat = x[lead].ravel().tolist()
        return [flat[place] for place in at[lead].ravel().tolist()]

    return by_map(at.shape, rank, found)


def unpool(x: Array, at: Array, size: Axes) -> Array:
    """Return every value at its place, the last of several."""

    def found(lead: Axes) -> list[Any]:
        kept = dict(zip(at[lead].ravel().tolist(), x[lead].ravel().tolist(), strict=True))
        return [kept.get(place, 0) for place in range(math.prod(size))]

    return by_map((*x.shape[:2], *size), len(size), found)


def unpool_grad(at: Array, gy: Array, strict: bool) -> Array:
    """Return what is at every place, `strict`: for the last that was put there."""
    rank = gy.ndim - 2
    everywhere = select(gy, at, rank)
    if not strict:
        return everywhere

    def found(lead: Axes) -> list[Any]:
        places = at[lead].ravel().tolist()
        last = {place: number for number, place in enumerate(places)}
        values = everywhere[lead].ravel().tolist()
        return [
            v if last[place] == n else 0
            for n, (place, v) in enumerate(zip(places, values, strict=True))
        ]

    return by_map(at.shape, rank, found)


def pad(x: Array, padding: Axes, mode: str, value: Any = 0) -> Array:
    """Return x padded by numpy.pad; the circular mode crops first, the others afterwards."""
    sides = [(0, 0)] * (x.ndim - len(padding) // 2)
    sides += list(zip(padding[-2::-2], padding[::-2], strict=True))
    crop = tuple(slice(max(0, -a), min(0, b) or None) for a, b in sides)
    names = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}
    more = {"constant_values": value} if mode == "constant" else {}
    wide = [(max(0, a), max(0, b)) for a, b in sides]
    if mode == "circular":
        return np.pad(x[crop], wide, "wrap")
    return np.pad(x, wide, names[mode], **more)[crop]  # type: ignore[call-overload,no-any-return]


def pad_grad(shape: Axes, gy: Array, padding: Axes, mode: str) -> Array:
    """Return the sums of gy over the places that copy each element."""
    source = pad(np.arange(math.prod(shape)).reshape(shape), padding, mode, -1)
    gx = [0] * math.prod(shape)
    for place, value in zip(source.ravel().tolist(), gy.ravel().tolist(), strict=True):
        if place >= 0:
            gx[place] += value
    return np.array(gx, object).reshape(shape)
