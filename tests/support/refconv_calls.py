"""A good call of every public function of refconv, by keywords, to change for the worse."""

import importlib
import inspect
from typing import Any

import numpy as np

import refconv

FUNCTIONS = sorted(name for name in refconv.__all__ if inspect.isfunction(getattr(refconv, name)))
FLOORS = [refconv, refconv.direct, importlib.import_module("refconv.exact")]
ARRAYS = ("x", "weight", "bias", "grad_output", "indices", "cols", "random_samples")
FLAGS = ("ceil_mode", "count_include_pad", "return_indices", "mathematical", "strict")


def of_image(image: tuple[int, ...] = (1, 4, 8, 6)) -> dict[str, dict[str, Any]]:
    """Return the arguments of every function by name, for (N, C, H, W) or (C, H, W)."""
    *lead, h, w = image
    x, pair = np.arange(float(np.prod(image))).reshape(image), (2, 2)
    half, pooled = (*lead, h // 2, w // 2), {"kernel_size": pair, "stride": pair, "padding": (0, 0)}
    y = np.ones(half)
    at = np.broadcast_to(np.arange(h // 2 * (w // 2)).reshape(h // 2, w // 2), half).copy()
    weight = np.ones((4, 4, 2, 2))
    window = {"stride": pair, "padding": (0, 0), "dilation": (1, 1)}
    conv = {**window, "groups": 1}
    transposed = {**conv, "output_padding": (0, 0)}
    ceil = {**pooled, "ceil_mode": False}
    divided = {"count_include_pad": True, "divisor_override": 3}
    powers = {"norm_type": 2, "kernel_size": pair, "stride": pair, "mathematical": False}
    adaptive, ratio = {"output_size": (h // 2, w // 2)}, {"kernel_size": pair}
    columns = np.ones((*lead[:-1], 4 * lead[-1], h // 2 * (w // 2)))
    calls: dict[str, dict[str, Any]] = {
        "conv": {"x": x, "weight": weight, "bias": np.ones(4), **conv},
        "conv_grad_input": {"input_shape": image, "weight": weight, "grad_output": y, **conv},
        "conv_grad_weight": {"x": x, "weight_shape": weight.shape, "grad_output": y, **conv},
        "conv_grad_bias": {"grad_output": y.reshape(-1, 4, *y.shape[-2:])},
        "conv_transpose": {"x": y, "weight": weight, "bias": np.ones(4), **transposed},
        "conv_transpose_grad_input": {
            "input_shape": half, "weight": weight, "grad_output": x, **transposed},
        "conv_transpose_grad_weight": {
            "x": y, "weight_shape": weight.shape, "grad_output": x, **transposed},
        "conv_transpose_grad_bias": {"grad_output": y.reshape(-1, 4, *y.shape[-2:])},
        "pad": {"x": x, "padding": (1, 1, 0, 2)},
        "pad_grad": {"input_shape": half, "grad_output": x,
                     "padding": (0, w - w // 2, h - h // 2, 0)},
        "unfold": {"x": x, "kernel_size": pair, **window},
        "fold": {"cols": columns, "output_size": (h, w), "kernel_size": pair, **window},
        "max_pool": {"x": x, **ceil, "dilation": (1, 1), "return_indices": False},
        "max_pool_grad": {"input_shape": image, "indices": at, "grad_output": y, **ceil,
                          "dilation": (1, 1)},
        "max_pool_select": {"x": x, "indices": at, "rank": 2},
        "max_pool_scatter": {"input_shape": image, "indices": at, "grad_output": y, "rank": 2},
        "max_unpool": {"x": y, "indices": at, **pooled, "output_size": (h, w)},
        "max_unpool_grad": {"indices": at, "grad_output": x, **pooled, "output_size": (h, w),
                            "strict": False},
        "avg_pool": {"x": x, **ceil, **divided},
        "avg_pool_grad": {"input_shape": image, "grad_output": y, **ceil, **divided},
        "lp_pool": {"x": x, **powers},
        "lp_pool_grad": {"x": x, "grad_output": y, **powers},
        "adaptive_avg_pool": {"x": x, **adaptive},
        "adaptive_avg_pool_grad": {"input_shape": image, "grad_output": y, **adaptive},
        "adaptive_max_pool": {"x": x, **adaptive, "return_indices": False},
        "adaptive_max_pool_grad": {"input_shape": image, "indices": at, "grad_output": y,
                                   **adaptive},
        "fractional_max_pool": {"x": x, **ratio, **adaptive, "return_indices": False,
                                "random_samples": np.full((8, 4, 2), 0.5)},
        "fractional_max_pool_grad": {"input_shape": image, "indices": at, "grad_output": y,
                                     **ratio, **adaptive},
    }  # fmt: skip
    assert sorted(calls) == FUNCTIONS
    return calls


def equal_results(found: Any, expected: Any) -> bool:
    """Return whether two results are, of any floor."""
    if isinstance(expected, tuple):
        return all(map(equal_results, found, expected))
    if hasattr(expected, "rounded"):
        found, expected = found.rounded(np.float64), expected.rounded(np.float64)
    return bool(np.array_equal(found, expected))
