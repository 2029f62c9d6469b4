"""Every error path: the type torch raises, and a message that names the argument and its value.

Each row is one bad call, made to the fast form, to the definition and to torch.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

import refconv
from refconv import direct
from support.refusals import Bad, fails_alike, zeros

X, W = zeros(2, 4, 8, 7), zeros(6, 4, 3, 2)
CONV: dict[str, Any] = {"x": X, "weight": W}

BAD_CONVS = {
    "rank too high": Bad(
        {"x": zeros(1, 2, 4, 8, 7)}, r"x has 5 dimensions, shape \(1, 2, 4, 8, 7\)"
    ),
    "rank too low": Bad({"x": zeros(8, 7)}, r"x has 2 dimensions, shape \(8, 7\)"),
    "weight of no rank": Bad({"weight": zeros(6, 4)}, r"weight has shape \(6, 4\)"),
    "channel mismatch": Bad({"weight": zeros(6, 3, 3, 2)}, r"x has 4 channels.*expects 3"),
    "groups do not divide": Bad(
        {"weight": zeros(6, 1, 3, 2), "groups": 4}, "weight has shape .* multiple of groups=4"
    ),
    "groups and channels": Bad(
        {"weight": zeros(6, 2, 3, 2), "groups": 3}, "x has 4 channels.*groups=3 expects 6"
    ),
    "no groups": Bad({"groups": 0}, "groups must be at least 1, got 0"),
    "negative groups": Bad({"groups": -1}, "groups must be at least 1, got -1"),
    "groups float": Bad({"groups": 1.0}, "groups must be an integer, got 1.0"),
    "stride zero": Bad({"stride": 0}, "stride must be at least 1 .* got 0"),
    "stride negative": Bad({"stride": (1, -1)}, r"stride must be at least 1 .* got \(1, -1\)"),
    "stride float": Bad({"stride": 1.5}, "stride must be integers, got 1.5"),
    "stride floats": Bad({"stride": (1.5, 1)}, r"stride must be integers, got \(1.5, 1\)"),
    "stride bool": Bad({"stride": True}, "stride must be an integer, got True"),
    "stride string": Bad({"stride": "a"}, "stride must be integers, got 'a'"),
    "stride length": Bad({"stride": (1, 2, 3)}, r"stride must be .* axis \(2\), got \(1, 2, 3\)"),
    "padding negative": Bad({"padding": -1}, "padding must be at least 0 .* got -1"),
    "padding float": Bad({"padding": 0.5}, "padding must be integers, got 0.5"),
    "padding word": Bad({"padding": "full"}, "padding must be .* got 'full'"),
    "same and stride": Bad({"padding": "same", "stride": 2}, "padding='same' .* stride="),
    "dilation zero": Bad({"dilation": 0}, "dilation must be at least 1 .* got 0"),
    "window too large": Bad(
        {"weight": zeros(6, 4, 9, 2)}, r"weight has shape \(6, 4, 9, 2\).* padded input \(8, 7\)"
    ),
    "dilated window too large": Bad(
        {"dilation": 4}, r"kernel spans \(9, 5\), more than the padded input \(8, 7\)"
    ),
    "no height": Bad({"x": zeros(2, 4, 0, 7), "padding": 2}, r"x has shape \(2, 4, 0, 7\)"),
    "no filters": Bad({"weight": zeros(0, 4, 3, 2)}, r"weight has shape \(0, 4, 3, 2\)"),
    "empty kernel": Bad({"weight": zeros(6, 4, 0, 2)}, r"weight has shape \(6, 4, 0, 2\)"),
    "mixed dtypes": Bad(
        {"weight": W.astype(np.float64)}, "weight has dtype float64 and x has dtype float32"
    ),
    "mixed bias": Bad(
        {"bias": zeros(6, dtype=np.float64)}, "bias has dtype float64 and x has dtype float32"
    ),
    "bias length": Bad({"bias": zeros(5)}, r"bias has shape \(5,\), expected \(6,\)"),
    "bias rank": Bad({"bias": zeros(6, 1)}, r"bias has shape \(6, 1\)"),
    "bool": Bad({"x": X.astype(bool), "weight": W.astype(bool)}, "x has dtype bool"),
    "x is a list": Bad({"x": [1.0]}, "x must be a numpy.ndarray, got list"),
    "weight is a string": Bad({"weight": "w"}, "weight must be a numpy.ndarray, got str"),
    "bias is a number": Bad({"bias": 1.0}, "bias must be a numpy.ndarray, got float"),
}

MAX: dict[str, Any] = {"x": X, "kernel_size": 2}
BAD_POOLS = {
    "rank too high": Bad(
        {"x": zeros(1, 2, 2, 4, 8, 7), "kernel_size": (2, 2)}, "x has 6 dimensions"
    ),
    "kernel zero": Bad({"kernel_size": (2, 0)}, r"kernel_size must be at least 1 .* got \(2, 0\)"),
    "kernel negative": Bad({"kernel_size": -1}, "kernel_size must be at least 1 .* got -1"),
    "kernel float": Bad({"kernel_size": 2.0}, "kernel_size must be integers, got 2.0"),
    "kernel length": Bad({"kernel_size": (2, 2, 2, 2)}, "x has 4 dimensions"),
    "stride zero": Bad({"stride": 0}, "stride must be at least 1 .* got 0"),
    "stride negative": Bad({"stride": -1}, "stride must be at least 1 .* got -1"),
    "stride length": Bad({"stride": (1, 2, 3)}, r"stride must be .* \(2\), got \(1, 2, 3\)"),
    "padding negative": Bad({"padding": -1}, "padding must be at least 0 .* got -1"),
    "padding over half": Bad(
        {"padding": 2}, "padding must be at most half of kernel_size=2, got 2"
    ),
    "window too large": Bad(
        {"kernel_size": 9}, r"kernel_size=9 spans \(9, 9\), more than the padded input \(8, 7\)"
    ),
    "no channels": Bad({"x": zeros(2, 0, 8, 7)}, r"x has shape \(2, 0, 8, 7\)"),
    "no height": Bad({"x": zeros(2, 3, 0, 7)}, r"x has shape \(2, 3, 0, 7\)"),
    "x is a list": Bad({"x": [1.0]}, "x must be a numpy.ndarray, got list"),
    "bool": Bad({"x": X.astype(bool)}, "x has dtype bool"),
}
BAD_MAX_POOLS = {
    "dilation zero": Bad({"dilation": 0}, "dilation must be at least 1 .* got 0"),
    "dilated window too large": Bad({"kernel_size": 3, "dilation": 4}, r"spans \(9, 9\)"),
    "complex": Bad({"x": X.astype(np.complex64)}, "x has dtype complex64"),
}
BAD_AVG_POOLS = {
    "divisor zero": Bad({"divisor_override": 0}, "divisor_override must not be zero"),
    "divisor float": Bad({"divisor_override": 1.5}, "divisor_override must be an integer, got 1.5"),
}


@pytest.mark.parametrize("name", BAD_CONVS)
def test_conv(name: str) -> None:
    bad = BAD_CONVS[name]
    fails_alike([refconv.conv, direct.conv], torch.conv2d, CONV | bad.arguments, bad.says)


@pytest.mark.parametrize("name", BAD_POOLS | BAD_MAX_POOLS)
def test_max_pool(name: str) -> None:
    bad = (BAD_POOLS | BAD_MAX_POOLS)[name]
    ours = [refconv.max_pool, direct.max_pool]
    fails_alike(ours, functional.max_pool2d, MAX | bad.arguments, bad.says)


@pytest.mark.parametrize("name", BAD_POOLS | BAD_AVG_POOLS)
def test_avg_pool(name: str) -> None:
    bad = (BAD_POOLS | BAD_AVG_POOLS)[name]
    ours = [refconv.avg_pool, direct.avg_pool]
    fails_alike(ours, functional.avg_pool2d, MAX | bad.arguments, bad.says)


@pytest.mark.parametrize("module", [refconv, direct])
def test_messages_show_the_shape_that_was_given(module: Any) -> None:
    with pytest.raises(RuntimeError, match=r"x has 3 channels, shape \(3, 8, 7\)"):
        module.conv(zeros(3, 8, 7), W)
    with pytest.raises(RuntimeError, match=r"x has shape \(4, 0, 7\)"):
        module.conv(zeros(4, 0, 7), W)
    with pytest.raises(RuntimeError, match=r"x has shape \(0, 8, 7\)"):
        module.max_pool(zeros(0, 8, 7), (2, 2))


GY = zeros(2, 6, 6, 6)
INDICES = np.zeros((2, 4, 4, 3), np.int64)


@pytest.mark.parametrize("module", [refconv, direct])
@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda m: m.conv_grad_input((2, 4, 8), W, GY), RuntimeError, "input_shape has"),
        (lambda m: m.conv_grad_input((2, 4, 8.5, 7), W, GY), TypeError, "input_shape must be"),
        (lambda m: m.conv_grad_input((2, 4, 8, 8), W, GY), RuntimeError, "grad_output has shape"),
        (lambda m: m.conv_grad_input(X.shape, W, GY.astype(int)), RuntimeError, "grad_output has"),
        (lambda m: m.conv_grad_input(X.shape, [], GY), TypeError, "weight must be"),
        (lambda m: m.conv_grad_weight(X, (6, 4), GY), RuntimeError, "weight_shape has shape"),
        (lambda m: m.conv_grad_weight(X, (6, 3, 3, 2), GY), RuntimeError, "weight_shape of shape"),
        (lambda m: m.conv_grad_weight(X, W.shape, GY[:1]), RuntimeError, "grad_output has shape"),
        (lambda m: m.conv_grad_weight(X, W.shape, None), TypeError, "grad_output must be"),
        (lambda m: m.conv_grad_bias(GY[0, 0]), RuntimeError, r"grad_output has shape \(6, 6\)"),
        (lambda m: m.conv_grad_bias(GY > 0), NotImplementedError, "grad_output has dtype bool"),
        (lambda m: m.max_pool_grad(X.shape, INDICES, GY, 2), RuntimeError, "grad_output has shape"),
        (
            lambda m: m.max_pool_grad(X.shape, INDICES[:1], zeros(2, 4, 4, 3), 2),
            RuntimeError,
            "indices has shape",
        ),
        (
            lambda m: m.max_pool_grad(X.shape, INDICES.astype(np.int32), zeros(2, 4, 4, 3), 2),
            RuntimeError,
            "indices has dtype int32, expected int64",
        ),
        (
            lambda m: m.max_pool_grad(X.shape, INDICES + 56, zeros(2, 4, 4, 3), 2),
            RuntimeError,
            "indices holds 56 to 56",
        ),
        (lambda m: m.max_pool_select(X, INDICES - 2, 2), RuntimeError, "indices holds -2 to -2"),
        (lambda m: m.max_pool_select(X, INDICES, 4), RuntimeError, "rank must be from 1 to 3"),
        (lambda m: m.avg_pool_grad(X.shape, GY, 2), RuntimeError, "grad_output has shape"),
        (
            lambda m: m.avg_pool(X.astype(np.uint8), 2, divisor_override=-3),
            RuntimeError,
            "divisor_override must be positive for dtype uint8, got -3",
        ),
        (
            lambda m: m.max_pool(zeros(1, 1, 1), (2,), 1, 1, 2, return_indices=True),
            RuntimeError,
            "leaves a window .* without any element",  # torch: -inf, and an index outside x
        ),
    ],
)
def test_gradients_and_ours_alone(
    module: Any, call: Callable[[Any], Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says) as caught:
        call(module)
    assert caught.type is error
