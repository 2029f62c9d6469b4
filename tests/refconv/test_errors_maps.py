"""Every error path of transposed convolution; see test_errors.py."""

from typing import Any

import numpy as np
import pytest
import torch

import refconv
from refconv import direct
from support.refusals import Bad, fails_alike, zeros

X, W = zeros(2, 4, 8, 7), zeros(4, 6, 3, 2)
TRANSPOSED: dict[str, Any] = {"x": X, "weight": W}

BAD_TRANSPOSED = {
    "rank too high": Bad(
        {"x": zeros(1, 2, 4, 8, 7)}, r"x has 5 dimensions, shape \(1, 2, 4, 8, 7\)"
    ),
    "rank too low": Bad({"x": zeros(8, 7)}, r"x has 2 dimensions, shape \(8, 7\)"),
    "weight of no rank": Bad({"weight": zeros(4, 6)}, r"weight has shape \(4, 6\)"),
    "channel mismatch": Bad({"weight": zeros(3, 6, 3, 2)}, r"x has 4 channels.*expects 3"),
    "unbatched mismatch": Bad({"x": zeros(3, 8, 7)}, r"x has 3 channels, shape \(3, 8, 7\)"),
    "groups do not divide": Bad({"groups": 3}, "weight has shape .* multiple of groups=3"),
    "no groups": Bad({"groups": 0}, "groups must be at least 1, got 0"),
    "negative groups": Bad({"groups": -1}, "groups must be at least 1, got -1"),
    "groups float": Bad({"groups": 1.0}, "groups must be an integer, got 1.0"),
    "stride zero": Bad({"stride": 0}, "stride must be at least 1 .* got 0"),
    "stride floats": Bad({"stride": (1.5, 1)}, r"stride must be integers, got \(1.5, 1\)"),
    "stride length": Bad({"stride": (1, 2, 3)}, r"stride must be .* axis \(2\), got \(1, 2, 3\)"),
    "padding negative": Bad({"padding": -1}, "padding must be at least 0 .* got -1"),
    "padding float": Bad({"padding": 0.5}, "padding must be integers, got 0.5"),
    "padding same": Bad({"padding": "same"}, "padding must be integers, got 'same'"),
    "padding takes all": Bad(
        {"padding": (6, 0)}, r"padding=\(6, 0\) leaves nothing of x .* output size \(-2, 8\)"
    ),
    "output padding negative": Bad(
        {"output_padding": -1}, "output_padding must be at least 0 .* got -1"
    ),
    "output padding float": Bad(
        {"output_padding": 0.5}, "output_padding must be integers, got 0.5"
    ),
    "output padding bool": Bad(
        {"output_padding": True, "stride": 2}, "output_padding must be an integer, got True"
    ),
    "output padding length": Bad(
        {"output_padding": (0, 0, 0)}, r"output_padding must be .* axis \(2\), got \(0, 0, 0\)"
    ),
    "output padding as large as stride and dilation": Bad(
        {"output_padding": 1}, r"output_padding=\(1, 1\) with stride=\(1, 1\), dilation=\(1, 1\)"
    ),
    "output padding of one axis": Bad(
        {"output_padding": (1, 2), "stride": (2, 1), "dilation": (1, 2)},
        r"output_padding=\(1, 2\) with stride=\(2, 1\), dilation=\(1, 2\)",
    ),
    "dilation zero": Bad({"dilation": 0}, "dilation must be at least 1 .* got 0"),
    "no height": Bad({"x": zeros(2, 4, 0, 7), "stride": 2}, r"x has shape \(2, 4, 0, 7\)"),
    "no inputs": Bad(
        {"x": zeros(2, 0, 8, 7), "weight": zeros(0, 6, 3, 2)},
        r"weight has shape \(0, 6, 3, 2\)",
    ),
    "no outputs": Bad({"weight": zeros(4, 0, 3, 2)}, r"weight has shape \(4, 0, 3, 2\)"),
    "empty kernel": Bad({"weight": zeros(4, 6, 0, 2)}, r"weight has shape \(4, 6, 0, 2\)"),
    "mixed dtypes": Bad(
        {"weight": W.astype(np.float64)}, "weight has dtype float64 and x has dtype float32"
    ),
    "mixed bias": Bad(
        {"bias": zeros(6, dtype=np.float64)}, "bias has dtype float64 and x has dtype float32"
    ),
    "bias length": Bad({"bias": zeros(4)}, r"bias has shape \(4,\), expected \(6,\)"),
    "bias rank": Bad({"bias": zeros(6, 1)}, r"bias has shape \(6, 1\)"),
    "bool": Bad({"x": X.astype(bool), "weight": W.astype(bool)}, "x has dtype bool"),
    "x is a list": Bad({"x": [1.0]}, "x must be a numpy.ndarray, got list"),
    "weight is a string": Bad({"weight": "w"}, "weight must be a numpy.ndarray, got str"),
    "bias is a number": Bad({"bias": 1.0}, "bias must be a numpy.ndarray, got float"),
}


@pytest.mark.parametrize("name", BAD_TRANSPOSED)
def test_conv_transpose(name: str) -> None:
    bad = BAD_TRANSPOSED[name]
    ours = [refconv.conv_transpose, direct.conv_transpose]
    fails_alike(ours, torch.conv_transpose2d, TRANSPOSED | bad.arguments, bad.says)


@pytest.mark.parametrize("module", [refconv, direct])
def test_an_empty_output(module: Any) -> None:
    """Refused by torch's native kernels; its accelerated ones return it for large inputs."""
    with pytest.raises(RuntimeError, match=r"leaves nothing of x .* output size \(0, 8\)"):
        module.conv_transpose(X, W, padding=(5, 0))
    with pytest.raises(RuntimeError, match="Output size is too small"):
        torch.conv_transpose2d(torch.zeros(1, 4, 1, 1), torch.zeros(4, 6, 2, 2), padding=1)


GY = zeros(2, 6, 10, 8)


@pytest.mark.parametrize("module", [refconv, direct])
@pytest.mark.parametrize(
    ("name", "arguments", "error", "says"),
    [
        ("grad_input", ((2, 4, 8), W, GY), RuntimeError, "input_shape has"),
        ("grad_input", ((2, 4, 8.5, 7), W, GY), TypeError, "input_shape must be"),
        ("grad_input", ((2, 4, 8, 8), W, GY), RuntimeError, "grad_output has shape"),
        ("grad_input", (X.shape, W, GY.astype(int)), RuntimeError, "grad_output has dtype int64"),
        ("grad_input", (X.shape, [], GY), TypeError, "weight must be"),
        ("grad_input", (X.shape, W, GY, 2), RuntimeError, "grad_output has shape .* 17, 14"),
        ("grad_weight", (X, (4, 6), GY), RuntimeError, "weight_shape has shape"),
        ("grad_weight", (X, (3, 6, 3, 2), GY), RuntimeError, "weight_shape of shape"),
        ("grad_weight", (X, W.shape, GY[:1]), RuntimeError, "grad_output has shape"),
        ("grad_weight", (X, W.shape, None), TypeError, "grad_output must be"),
        ("grad_bias", (GY[0, 0],), RuntimeError, r"grad_output has shape \(10, 8\)"),
        ("grad_bias", (GY > 0,), NotImplementedError, "grad_output has dtype bool"),
    ],
)
def test_gradients_of_conv_transpose(
    module: Any, name: str, arguments: tuple[Any, ...], error: type[Exception], says: str
) -> None:
    function = getattr(module, f"conv_transpose_{name}")
    with pytest.raises(error, match=says) as caught:
        function(*arguments)
    assert caught.type is error
