"""What a type checker makes of calls: it is mypy that reads this, see torch_ext/test_types.py."""

from typing import assert_type

from torch import Tensor

from torch_ext import functional as f

Pair = tuple[Tensor, Tensor]


def max_pools(x: Tensor, flag: bool) -> None:
    assert_type(f.max_pool1d(x, 2), Tensor)
    assert_type(f.max_pool1d(x, 2, None, 0, 1, False, True), Pair)
    assert_type(f.max_pool1d(x, 2, return_indices=True), Pair)
    assert_type(f.max_pool1d(x, 2, return_indices=flag), Tensor | Pair)
    assert_type(f.max_pool2d(x, (2, 3)), Tensor)
    assert_type(f.max_pool2d(x, 2, 2, 0, 1, False, False), Tensor)
    assert_type(f.max_pool2d(x, 2, 2, 0, 1, False, True), Pair)
    assert_type(f.max_pool2d(input=x, kernel_size=2, return_indices=True), Pair)
    assert_type(f.max_pool2d(x, 2, ceil_mode=True, return_indices=flag), Tensor | Pair)
    assert_type(f.max_pool3d(x, [2, 2, 2], stride=1, return_indices=False), Tensor)
    assert_type(f.max_pool3d(x, 2, 1, 0, 1, True, True), Pair)
    assert_type(f.max_pool3d(x, 2, return_indices=True), Pair)
    assert_type(f.max_pool3d(x, 2, 1, 0, 1, True, flag), Tensor | Pair)
    assert_type(f.max_pool1d_with_indices(x, 2), Pair)
    assert_type(f.max_pool2d_with_indices(x, 2), Pair)
    assert_type(f.max_pool3d_with_indices(x, 2), Pair)


def adaptive_max_pools(x: Tensor, flag: bool) -> None:
    assert_type(f.adaptive_max_pool1d(x, 2), Tensor)
    assert_type(f.adaptive_max_pool1d(x, [2], True), Pair)
    assert_type(f.adaptive_max_pool1d(x, 2, return_indices=True), Pair)
    assert_type(f.adaptive_max_pool1d(x, 2, flag), Tensor | Pair)
    assert_type(f.adaptive_max_pool2d(x, (2, None)), Tensor)
    assert_type(f.adaptive_max_pool2d(x, 2, True), Pair)
    assert_type(f.adaptive_max_pool2d(x, output_size=2, return_indices=True), Pair)
    assert_type(f.adaptive_max_pool2d(x, 2, return_indices=flag), Tensor | Pair)
    assert_type(f.adaptive_max_pool3d(x, (2, None, 2), False), Tensor)
    assert_type(f.adaptive_max_pool3d(x, 2, True), Pair)
    assert_type(f.adaptive_max_pool3d(x, 2, return_indices=True), Pair)
    assert_type(f.adaptive_max_pool3d(x, 2, flag), Tensor | Pair)
    assert_type(f.adaptive_max_pool1d_with_indices(x, 2), Pair)
    assert_type(f.adaptive_max_pool2d_with_indices(x, (2, None)), Pair)
    assert_type(f.adaptive_max_pool3d_with_indices(x, 2), Pair)


def fractional_max_pools(x: Tensor, flag: bool) -> None:
    assert_type(f.fractional_max_pool2d(x, 2, 3), Tensor)
    assert_type(f.fractional_max_pool2d(x, 2, 3, None, True), Pair)
    assert_type(f.fractional_max_pool2d(x, 2, 3, None, True, x), Pair)
    assert_type(f.fractional_max_pool2d(x, 2, 3, return_indices=True), Pair)
    assert_type(f.fractional_max_pool2d(x, 2, output_ratio=(0.5, 0.5)), Tensor)
    assert_type(f.fractional_max_pool2d(x, 2, 3, return_indices=flag), Tensor | Pair)
    assert_type(f.fractional_max_pool3d(x, 2, output_ratio=0.5), Tensor)
    assert_type(f.fractional_max_pool3d(x, 2, None, 0.5, True), Pair)
    assert_type(f.fractional_max_pool3d(x, 2, 3, return_indices=True, _random_samples=x), Pair)
    assert_type(f.fractional_max_pool3d(x, 2, 3, return_indices=flag), Tensor | Pair)
    assert_type(f.fractional_max_pool2d_with_indices(x, 2, 3), Pair)
    assert_type(f.fractional_max_pool3d_with_indices(x, 2, 3), Pair)


def others(x: Tensor) -> None:
    assert_type(f.conv2d(x, x, None, 1, "same"), Tensor)
    assert_type(f.conv_transpose3d(x, x, output_padding=(0, 1, 1)), Tensor)
    assert_type(f.adaptive_avg_pool2d(x, (None, 1)), Tensor)
    assert_type(f.lp_pool2d(x, 2.0, 2), Tensor)
    assert_type(f.max_unpool2d(x, x, 2, output_size=[4, 4]), Tensor)
    assert_type(f.fold(x, (4, 4), 2), Tensor)


def mistakes(x: Tensor) -> None:
    """An error that is not there is one of mypy's too: an ignore that is not used."""
    f.max_pool2d(x)  # type: ignore[call-overload]
    f.max_pool2d(x, 2, 2, 0, 1, False, "yes")  # type: ignore[call-overload]
    f.max_pool2d(x, 2, nonsense=True)  # type: ignore[call-overload]
    f.max_pool2d(x, "2")  # type: ignore[arg-type]
    f.adaptive_max_pool1d(x, None)  # type: ignore[call-overload]
    f.fractional_max_pool2d(x, 2, output_ratio=0.5)  # type: ignore[call-overload]
    f.conv2d(x, 2)  # type: ignore[arg-type]
    f.conv2d(x)  # type: ignore[call-arg]
