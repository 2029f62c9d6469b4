"""Second gradients of power averages: torch's double backward against sums of roots.

Those of all other operators are operators of the family again, and compared bit for bit in
test_exact_tier. Here the gradient gx of y = v^(1/p), v[o] = sum of x[i]^p over window o, is

    gx[i] = sum over o of gy[o] x[i]^(p-1) v[o]^(1/p-1),

and the gradient of <ggx, gx> is, with t = ggx and h[o] = sum over i of t[i] x[i]^(p-1),

    for gy  h v^(1/p-1)
    for x   (p - 1) sum over o of gy (t[i] x[i]^(p-2) v^(1/p-1) - h x[i]^(p-1) v^(1/p-2)).

They are composed as `lp_pool_grad` says, of powers, `avg_pool` and `avg_pool_grad`.
"""

import itertools
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

import refconv
from refconv.exact import Root, Roots
from support.agreement import same_sum

Array = NDArray[Any]
Axes = tuple[int, ...]

FORMS = pytest.mark.parametrize("form", [refconv, refconv.direct], ids=["fast", "direct"])
POOLS: tuple[Any, ...] = (F.lp_pool1d, F.lp_pool2d, F.lp_pool3d)
ROUNDINGS = 40  # more than any one product of the chain sees, beside those of its sum


def by_torch(x: Array, gy: Array, t: Array, p: int, k: Axes, s: Axes) -> tuple[Array, Array]:
    """Return the gradients of <t, gx> for gy and for x."""
    leaf, g = (torch.tensor(a, requires_grad=True) for a in (x, gy))
    window = (k[0], s[0]) if len(k) == 1 else (k, s)
    y = POOLS[len(k) - 1](leaf, p, *window)
    (gx,) = torch.autograd.grad(y, leaf, g, create_graph=True)
    again = torch.autograd.grad(gx, (g, leaf), torch.tensor(t), materialize_grads=True)
    return again[0].numpy(), again[1].numpy()


def by_parts(
    form: Any, x: Array, gy: Array, t: Array, p: int, k: Axes, s: Axes
) -> tuple[Array, Array]:
    """Return the same by the parts of refconv: v = sum of x^p, its root, and their slopes."""

    def total(u: Array) -> Array:
        return np.asarray(form.avg_pool(u, k, s, divisor_override=1))

    def spread(g: Array) -> Array:
        return np.asarray(form.avg_pool_grad(x.shape, g, k, s, divisor_override=1))

    if p == 1:
        return total(t), np.zeros_like(x)
    v, h = total(x**p), total(t * x ** (p - 1))
    slope, bend = v ** (1 / p - 1), v ** (1 / p - 2)
    for_x = t * spread(gy * slope) * x ** (p - 2) - spread(gy * h * bend) * x ** (p - 1)
    return h * slope, (p - 1) * for_x


@FORMS
@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("p", [1, 2])
def test_bit_for_bit_where_nothing_rounds(form: Any, rank: int, p: int) -> None:
    """Where p = 1, and p = 2 with windows 2 0 0 0, 1 1 1 1 and 4 0 0 0: y is a power of two."""
    rng = np.random.default_rng(rank)
    k = ((4,), (2, 2), (1, 4, 1))[rank - 1]
    o = ((6,), (2, 3), (2, 1, 3))[rank - 1]
    rows = np.array([(2, 0, 0, 0), (1, -1, 1, 1), (-4, 0, 0, 0), (1, 1, -1, -1)])
    chosen = rng.permuted(rng.choice(rows[: 3 if p == 1 else 4], 2 * 3 * math.prod(o)), axis=1)
    order = [0, 1, *itertools.chain(*((2 + axis, 2 + rank + axis) for axis in range(rank)))]
    shape = (2, 3, *(a * b for a, b in zip(o, k, strict=True)))
    x = chosen.reshape(2, 3, *o, *k).transpose(order).reshape(shape).astype(np.float64)
    gy, t = rng.integers(-4, 5, (2, 3, *o)) * 1.0, rng.integers(-4, 5, shape) * 1.0
    ours, theirs = by_parts(form, x, gy, t, p, k, k), by_torch(x, gy, t, p, k, k)
    assert ours[0].any()
    assert ours[1].any() or p == 1
    for a, b in zip(ours, theirs, strict=True):
        assert same_sum(a, b)


def roots(x: Array, gy: Array, t: Array, p: int, k: Axes, s: Axes) -> tuple[Roots, Roots]:
    """Return both gradients exactly, every product a term of its own: x is positive."""
    for_gy, for_x = np.empty(gy.shape, object), np.empty(x.shape, object)
    for at in np.ndindex(x.shape):
        for_x[at] = []
    taps = list(itertools.product(*map(range, k)))
    fraction = np.frompyfunc(Fraction, 1, 1)
    xs, gys, ts = (np.asarray(fraction(a), object) for a in (x, gy, t))
    before = math.prod(k) + p + 2
    for o in np.ndindex(gy.shape):
        inside = [
            (*o[:2], *(o_ * s_ + tap_ for o_, s_, tap_ in zip(o[2:], s, tap, strict=True)))
            for tap in taps
        ]
        v = sum(xs[i] ** p for i in inside)
        h = [ts[j] * xs[j] ** (p - 1) for j in inside]

        def term(c: Fraction, power: int, v: Fraction = v) -> Root:
            return Root(c, v**power, Fraction(1), before)

        for_gy[o] = [term(c, 1 - p) for c in h]
        for i in inside:
            for_x[i].append(term((p - 1) * gys[o] * ts[i] * xs[i] ** (p - 2), 1 - p))
            for_x[i] += [term((1 - p) * gys[o] * xs[i] ** (p - 1) * c, 1 - 2 * p) for c in h]
    common: Any = {"degree": p, "slope": 2, "after": ROUNDINGS, "inexact": p.bit_count() > 1}
    return Roots(for_gy, **common), Roots(for_x, **common)


@pytest.mark.parametrize("p", [2, 3, 4])
@pytest.mark.parametrize(
    ("size", "k", "s"),
    [((7,), (3,), (2,)), ((4, 3), (2, 3), (1, 2)), ((2, 3, 3), (2, 2, 1), (1,) * 3)],
)
def test_within_the_bound_on_any_data(p: int, size: Axes, k: Axes, s: Axes) -> None:
    """Every term by its size, so that none hides in what cancels."""
    rng = np.random.default_rng(p)
    x, t = rng.uniform(0.5, 2, (1, 2, *size)), rng.uniform(-2, 2, (1, 2, *size))
    o = tuple((i - k_) // s_ + 1 for i, k_, s_ in zip(size, k, s, strict=True))
    gy = rng.uniform(-2, 2, (1, 2, *o))
    exactly = roots(x, gy, t, p, k, s)
    answers = [by_torch(x, gy, t, p, k, s)]
    answers += [by_parts(form, x, gy, t, p, k, s) for form in (refconv, refconv.direct)]
    for found in answers:
        for right, got in zip(exactly, found, strict=True):
            assert right.within(got, np.float64, np.float64).all()
            assert not right.within(got + 1e-9, np.float64, np.float64).any()
