"""Unpooling and its gradient: choices, which round nothing."""

from collections.abc import Sequence

from refconv import direct
from refconv.exact.sums import Exact, exactly
from refconv.geometry import Array, Ints


def max_unpool(
    x: Array,
    indices: Array,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    output_size: Sequence[int] | None = None,
) -> Exact:
    """y[indices[i]] = x[i], the last of duplicates."""
    return exactly("x", direct.max_unpool(x, indices, kernel_size, stride, padding, output_size))


def max_unpool_grad(
    indices: Array,
    grad_output: Array,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    output_size: Sequence[int] | None = None,
    *,
    strict: bool = False,
) -> Exact:
    """gx[i] = gy[indices[i]], `strict`: if x[i] stayed there."""
    gx = direct.max_unpool_grad(
        indices, grad_output, kernel_size, stride, padding, output_size, strict=strict
    )
    return exactly("grad_output", gx)
