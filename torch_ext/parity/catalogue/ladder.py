"""Sizes to try a kernel at: around every power of two, one axis at a time, then in pairs.

Tiles, vectors, remainders and split sums depend on one size, seldom on two. An axis at 2^j - 1, 2^j
and 2^j + 1 meets every tile from one side, exactly and from the other; a covering array then sets
every pair of (moderate) sizes together in some case.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from torch_ext.parity.catalogue.case import Case

RUNGS = tuple(sorted({2**j + e for j in range(2, 10) for e in (-1, 0, 1)}))  # 3, 4, 5, 7, ... 513
GRID = 2**16 + 1  # more than a grid of CUDA holds in its second and third axis
SMALL = tuple(rung for rung in RUNGS if rung < 40)

Sizes = dict[str, Any]


def one_at_a_time(
    base: Mapping[str, Any], rungs: Mapping[str, Iterable[Any]]
) -> Iterator[tuple[str, Sizes]]:
    """Yield (name, sizes) with one size of `base` changed at a time.

    >>> list(one_at_a_time({"n": 1, "c": 2}, {"c": (3, 4)}))
    [('c = 3', {'n': 1, 'c': 3}), ('c = 4', {'n': 1, 'c': 4})]
    """
    for name, values in rungs.items():
        for value in values:
            yield f"{name} = {value}", {**base, name: value}


def pairwise(levels: Mapping[str, Sequence[Any]]) -> list[Sizes]:
    """Return few choices of one level for every name in which every pair of levels stands together.

    Greedily: each choice starts from an uncovered pair and takes, name by name, the level that
    covers the most pairs with those already chosen.

    >>> rows = pairwise({"a": (1, 2), "b": (3, 4), "c": (5, 6)})
    >>> len(rows), {(row["a"], row["c"]) for row in rows} == {(1, 5), (1, 6), (2, 5), (2, 6)}
    (4, True)
    """
    names = list(levels)
    todo = {
        frozenset(((a, i), (b, j)))
        for a, b in itertools.combinations(names, 2)
        for i in range(len(levels[a]))
        for j in range(len(levels[b]))
    }
    rows = []
    while todo:
        chosen = dict(min(todo, key=sorted))
        for name in (name for name in names if name not in chosen):
            chosen[name] = max(
                range(len(levels[name])),
                key=lambda i: sum(
                    frozenset(((name, i), other)) in todo for other in chosen.items()
                ),
            )
        todo -= {frozenset(pair) for pair in itertools.combinations(chosen.items(), 2)}
        rows.append({name: levels[name][chosen[name]] for name in names})
    return rows


def climbed(
    sized: Callable[[str, Sizes], Case],
    base: Sizes,
    rungs: Mapping[str, Iterable[Any]],
    levels: Mapping[str, Sequence[Any]],
    *,
    grid: Iterable[str] = (),
    thin: Sizes | None = None,
    world: Mapping[str, Sizes] | None = None,
) -> Iterator[Case]:
    """Yield `base`, one size of it changed at a time, the sizes of the world, and pairs of sizes.

    The axes in `grid` are also tried past 2^16, with the sizes of `thin` for the others.
    """
    yield sized("plain", base)
    for name, sizes in one_at_a_time(base, rungs):
        yield sized(name, sizes)
    for axis in grid:
        yield sized(f"{axis} = {GRID}", {**base, **(thin or {}), axis: GRID})
    for name, sizes in (world or {}).items():
        yield sized(name, {**base, **sizes})
    for sizes in pairwise(levels):
        yield sized(spelled(sizes), {**base, **sizes})


def along(sizes: Sizes, letter: str, rank: int) -> tuple[int, ...]:
    """Return one size for every axis: "o" for all of them, or what "o0", "o1", "o2" say.

    >>> along({"o": 3, "o1": 64}, "o", 2)
    (3, 64)
    """
    names = (f"{letter}{axis}" for axis in range(rank))
    return tuple(sizes[name if name in sizes else letter] for name in names)


def spelled(sizes: Mapping[str, Any]) -> str:
    """Return sizes as the name of a case."""
    return ", ".join(f"{name} {value}" for name, value in sizes.items())
