"""A call to compare: shapes, options, memory layouts and special values, but no numbers.

The numbers are drawn from a seed for every dtype and tier (`torch_ext.parity.inputs`). Geometries
are asymmetric in everything, so that an exchanged axis shows, and small where exact arithmetic has
to afford them.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

import numpy as np

Shape = tuple[int, ...]
Options = dict[str, Any]

LAYOUTS = ("contiguous", "channels_last", "transposed", "gaps", "expanded")


@dataclass(frozen=True)
class Case:
    """One call of an operator: candidate(x, [weight, bias, ...] **options).

    `shapes` names the tensors that go in (a convolution without "bias" has none); `layouts` the
    memory layout of those that are not contiguous, "gy" included, the gradient that comes in;
    `values` the special values of x, for a maximum to choose from.
    """

    op: str
    name: str
    shapes: Mapping[str, Shape]
    options: Options
    layouts: Mapping[str, str] = field(default_factory=dict)
    values: str = "plain"
    identity: int = field(init=False)

    def __post_init__(self) -> None:
        """Number the case by its name, for the seed of its values."""
        object.__setattr__(self, "identity", crc32(f"{self.op} {self.name}".encode()))

    @property
    def shape(self) -> Shape:
        """The input's."""
        return self.shapes["x"]

    @property
    def elements(self) -> int:
        """How many numbers go in."""
        return sum(math.prod(shape) for shape in self.shapes.values())

    def laid_out(self, name: str, **layouts: str) -> "Case":
        """Return the same call under another name, in other memory layouts."""
        return Case(self.op, name, self.shapes, self.options, layouts, self.values)


def per_axis(value: Any, rank: int) -> tuple[Any, ...]:
    """Return one entry for every spatial axis."""
    return tuple(value) if isinstance(value, Sequence) else (value,) * rank


def axes(rng: np.random.Generator, rank: int, low: int, high: int) -> Shape:
    """Draw one integer for every axis, low <= v <= high."""
    return tuple(int(v) for v in rng.integers(low, high + 1, rank))


def layout(rng: np.random.Generator) -> str:
    """Draw a memory layout; half of the time, contiguous."""
    return LAYOUTS[1 + int(rng.integers(4))] if rng.integers(2) else "contiguous"


def drawn_layouts(rng: np.random.Generator, *names: str) -> dict[str, str]:
    """Draw a memory layout for x, together with it for other operands, and one for gy."""
    x = layout(rng)
    others = dict.fromkeys(names, x) if x == "channels_last" else {}
    return {"x": x, "gy": layout(rng)} | others
