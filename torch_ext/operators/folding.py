"""unfold and fold as torch operators: an adjoint pair."""

from collections.abc import Sequence

from torch import Tensor

import refconv
from refconv.geometry.sizes import conv_output_size
from torch_ext._bridge import to_array, to_tensor
from torch_ext.operators.registration import operator

WINDOW = "SymInt[] kernel_size, SymInt[] dilation, SymInt[] padding, SymInt[] stride"
Sizes = Sequence[int]

# --------------------------------------------------------------------------- shapes


def fake_unfold(x: Tensor, k: Sizes, d: Sizes, p: Sizes, s: Sizes) -> Tensor:
    """Return (N, C K, L)."""
    taps = windows = 1
    for i_, k_, s_, p_, d_ in zip(x.shape[2:], k, s, p, d, strict=True):
        taps *= k_
        windows *= conv_output_size(i_, k_, s_, (p_, p_), d_)
    return x.new_empty((x.shape[0], x.shape[1] * taps, windows))


def fake_fold(cols: Tensor, output_size: Sizes, k: Sizes, d: Sizes, p: Sizes, s: Sizes) -> Tensor:
    """Return (N, C, *i)."""
    channels = cols.shape[1]
    for k_ in k:
        channels //= k_
    return cols.new_empty((cols.shape[0], channels, *output_size))


# --------------------------------------------------------------------------- operators


@operator(f"unfold(Tensor x, {WINDOW}) -> Tensor", fake_unfold)
def unfold(x: Tensor, k: Sizes, d: Sizes, p: Sizes, s: Sizes) -> Tensor:
    """cols[n, c K + k, o] = x[n, c, o s + k d - p]."""
    return to_tensor(refconv.unfold(to_array(x), k, d, p, s), like=x)


@operator(f"fold(Tensor cols, SymInt[] output_size, {WINDOW}) -> Tensor", fake_fold)
def fold(cols: Tensor, output_size: Sizes, k: Sizes, d: Sizes, p: Sizes, s: Sizes) -> Tensor:
    """x[n, c, i] = sum over k, o with o s + k d - p = i of cols[n, c K + k, o]."""
    return to_tensor(refconv.fold(to_array(cols), output_size, k, d, p, s), like=cols)
