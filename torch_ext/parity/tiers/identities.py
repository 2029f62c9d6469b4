"""Identities: what an operator owes itself, bit for bit, without any reference of ours.

On integers of which no sum rounds: a batch may be split, channels be permuted, the input be
doubled, added up, shifted by a stride, or have its axes exchanged; groups are a block-diagonal
weight, and dilation a kernel with zeros in it.
"""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from torch_ext.parity import criterion
from torch_ext.parity.catalogue import Case
from torch_ext.parity.catalogue.adaptive_pooling import AdaptiveAverage
from torch_ext.parity.catalogue.average_pooling import AveragePooling
from torch_ext.parity.catalogue.channels import Channels
from torch_ext.parity.catalogue.convolution import Convolution
from torch_ext.parity.catalogue.max_pooling import Pools
from torch_ext.parity.catalogue.operator import Bilinear, Linear
from torch_ext.parity.inputs import draw
from torch_ext.parity.layouts import Values
from torch_ext.parity.observation import Outcome, called
from torch_ext.parity.trial import Session

TIER = "identities"
DRAWS = 12  # cases, of moderate sizes that nothing else tries
Call = Callable[[Case, Values], Tensor]
Sides = Iterator[tuple[str, Tensor, Tensor]]


class Ended(Exception):
    """The candidate gave nothing: said in the other tiers, or not offered."""


def run(session: Session, seed: int = 0, draws: int = DRAWS) -> Iterator[str]:
    """Check every identity the operator has in cases of random sizes."""
    op = session.op
    for number in range(draws):
        rng = np.random.default_rng([session.seed + seed, number])
        case = op.middle(f"moderate {number}", rng)
        values = draw(op, case, session.dtype, "ladder", session.seed + seed)

        def call(changed: Case, numbers: Values) -> Tensor:
            shapes = {name: tuple(numbers[name].shape) for name in changed.shapes}
            changed = dataclasses.replace(changed, shapes=shapes)
            leaves = {name: numbers[name].to(session.device) for name in shapes}
            outcome: Outcome = session.run(called, changed, leaves)
            y = outcome.tensor("y")
            if y is None:
                if outcome.withheld:
                    session.row.withhold(outcome.withheld)
                raise Ended
            return y

        try:
            for name, left, right in sides(session, case, values, call, rng):
                if left.shape != right.shape or not criterion.same_sums(left, right).all():
                    named = dataclasses.replace(case, name=f"{case.name}: {name}")
                    message = f"breaks an identity: {name}"
                    session.row.failures.append(session.failure(named, TIER, "y", message))
        except Ended:
            continue
        yield case.name


def sides(
    session: Session, case: Case, values: Values, call: Call, rng: np.random.Generator
) -> Sides:
    """Yield the two sides of every identity."""
    op = session.op
    numbers = {name: values[name] for name in case.shapes}
    y = call(case, numbers)
    session.row.count_nonzero([y])
    yield from batch(op.batch_axis, case, numbers, call, y)
    doubled = {
        name: 2 * value if name in ("x", "bias") else value for name, value in numbers.items()
    }
    yield "twice the input is twice the output", call(case, doubled), 2 * y
    if isinstance(op, Channels):
        yield from of_channels(case, numbers, call, y, rng, op)
    elif isinstance(op, Pools):
        perm = torch.from_numpy(rng.permutation(numbers["x"].shape[1]))
        moved = {name: value[:, perm] for name, value in numbers.items()}
        yield "channels may be permuted", call(case, moved), y[:, perm]
    if isinstance(op, Linear):
        other = numbers["x"].flip(-1)
        total = call(case, numbers | {"x": numbers["x"] + other})
        yield "the sum of inputs gives the sum", total, y + call(case, numbers | {"x": other})
    if isinstance(op, Convolution | Pools):
        yield from shifted(op.rank, case, numbers, call, y)
    if op.rank > 1 and isinstance(op, Bilinear | AveragePooling | AdaptiveAverage):
        yield from exchanged(op.rank, case, numbers, call, y)


def batch(axis: int, case: Case, numbers: Values, call: Call, y: Tensor) -> Sides:
    """Yield a batch in two parts."""
    n = numbers["x"].shape[axis]
    if n < 2:
        return
    parts = []
    for start, end in ((0, n // 2), (n // 2, n)):
        part = {
            name: value.narrow(axis, start, end - start)
            if name in ("x", "indices", "samples")
            else value
            for name, value in numbers.items()
        }
        parts.append(call(case, part))
    yield "a batch may be split", torch.cat(parts, axis), y


def of_channels(
    case: Case, numbers: Values, call: Call, y: Tensor, rng: np.random.Generator, op: Channels
) -> Sides:
    """Yield permuted channels, a block-diagonal weight, and a kernel with zeros in it."""
    x, w = numbers["x"], numbers["weight"]
    g = case.options.get("groups", 1)
    straight = isinstance(op, Convolution)
    if g == 1:
        inputs = torch.from_numpy(rng.permutation(x.shape[1]))
        permuted = w[:, inputs] if straight else w[inputs]
        yield (
            "input channels may be permuted with the weight's",
            call(case, numbers | {"x": x[:, inputs], "weight": permuted}),
            y,
        )
    else:
        taps = [torch.block_diag(*tap.chunk(g)) for tap in w.flatten(2).unbind(2)]  # type: ignore[no-untyped-call]
        dense = torch.stack(taps, -1)
        options = {name: value for name, value in case.options.items() if name != "groups"}
        plain = dataclasses.replace(case, options=options)
        weight = dense.reshape(*dense.shape[:2], *w.shape[2:])
        yield "groups are a block-diagonal weight", call(plain, numbers | {"weight": weight}), y
    d = case.options.get("dilation", 1)
    if isinstance(d, int) and d > 1:
        spread = [d * (k - 1) + 1 for k in w.shape[2:]]
        wide = w.new_zeros((*w.shape[:2], *spread))
        at: tuple[Any, ...] = (..., *[slice(None, None, d)] * len(spread))
        wide[at] = w
        options = {**case.options, "dilation": 1}
        plain = dataclasses.replace(case, options=options)
        yield "dilation is a kernel with zeros", call(plain, numbers | {"weight": wide}), y


def shifted(rank: int, case: Case, numbers: Values, call: Call, y: Tensor) -> Sides:
    """Yield the input without what the first window of the last axis starts with."""
    options = case.options
    if options.get("padding", 0) != 0:
        return
    if options.get("ceil_mode") or y.shape[-1] < 2:
        return
    s = options.get("stride") or options.get("kernel_size", 1)
    s = s if isinstance(s, int) else s[rank - 1]
    later = call(case, numbers | {"x": numbers["x"][..., s:]})
    yield "the input shifted by the stride", later, y[..., 1:]


def exchanged(rank: int, case: Case, numbers: Values, call: Call, y: Tensor) -> Sides:
    """Yield the last two axes exchanged, in everything."""
    options = {
        name: (*value[: rank - 2], value[-1], value[-2])
        if isinstance(value, tuple) and len(value) == rank
        else value
        for name, value in case.options.items()
    }
    moved = {
        name: value.transpose(-1, -2).contiguous() if name in ("x", "weight") else value
        for name, value in numbers.items()
    }
    yield (
        "axes may be exchanged",
        call(dataclasses.replace(case, options=options), moved),
        (y.transpose(-1, -2)),
    )
