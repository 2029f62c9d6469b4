"""Fractional max pooling as a torch operator; its gradient is `max_pool_scatter`."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

import refconv
from refconv import geometry
from refconv.engine.ragged import largest
from refconv.fast.fractional_pooling import windows
from torch_ext._bridge import to_array
from torch_ext.operators.max_pooling import Pair, fake_pair, pair
from torch_ext.operators.registration import operator

Sizes = Sequence[int]

# --------------------------------------------------------------------------- shapes


def fake_fractional_max_pool(x: Tensor, samples: Tensor, k: Sizes, output_size: Sizes) -> Pair:
    """Return two of (N, C, *O)."""
    return fake_pair(x, output_size)


# --------------------------------------------------------------------------- operators


@operator(
    "fractional_max_pool(Tensor x, Tensor samples, SymInt[] kernel_size, SymInt[] output_size) "
    "-> (Tensor, Tensor)",
    fake_fractional_max_pool,
)
def fractional_max_pool(x: Tensor, samples: Tensor, k: Sizes, output_size: Sizes) -> Pair:
    """The same with windows at places that the samples choose, in arithmetic of their dtype."""
    if x.dtype is torch.bfloat16 and min(output_size):
        n, c, *i = x.shape
        maps = geometry.Maps(n, c, tuple(i), tuple(output_size))
        u = to_array(samples)
        xp = geometry.library(samples=u)
        geometry.samples(u, maps, tuple(k), np.dtype(np.float32), xp)
        firsts = [to_array(at.flatten(0, 1)) for at in places(i, samples, k, output_size)]
        planes = to_array(x).reshape(n * c, *i)
        y, indices = largest(planes, windows(firsts, tuple(k)))
        return pair(y.reshape(maps.y_shape), indices.reshape(maps.y_shape), x)
    pooled = refconv.fractional_max_pool(
        to_array(x), k, output_size, return_indices=True, random_samples=to_array(samples)
    )
    return pair(*pooled, x)


def places(i: Sizes, samples: Tensor, k: Sizes, output_size: Sizes) -> Iterator[Tensor]:
    """Yield where the windows of every axis start, (N, C, O): refconv's equation in torch's dtypes.

    start[o] = trunc((o + u) alpha) - trunc(u alpha), alpha = (i - k) / (O - 1); the last is i - k.
    """
    u = samples.flip(-1) if len(k) == 2 else samples  # as in torch
    for axis, (i_, k_, o_) in enumerate(zip(i, k, output_size, strict=True)):
        alpha = u.new_tensor(i_ - k_) / u.new_tensor(max(o_ - 1, 1))
        at = u[..., axis, None]
        first = ((u.new_tensor(range(o_)) + at) * alpha).long() - (at * alpha).long()
        first[..., -1:] = i_ - k_
        yield first.clamp(0, i_ - k_)  # rounding may lead beyond
