"""Bad calls of the adaptive pools: torch's exception, and a message of ours."""

from typing import Any

import numpy as np
import pytest
from torch.nn import functional

import refconv
from refconv import direct
from support.refusals import Bad, fails_alike, zeros

X = zeros(2, 4, 8, 7)


GOOD: dict[str, Any] = {"x": X, "output_size": 3}


BAD = {
    "rank too high": Bad({"x": zeros(1, 2, 4, 8, 7), "output_size": (3, 2)}, "x has 5 dimensions"),
    "rank too low": Bad({"x": zeros(8)}, "x has 1 dimensions"),
    "length": Bad({"x": zeros(1, 2, 4, 8, 7), "output_size": (3, 2)}, "x has 5 dimensions"),
    "no length": Bad({"output_size": ()}, r"output_size must have one entry .* got \(\)"),
    "negative": Bad({"output_size": -1}, "output_size must be at least 0 .* got -1"),
    "one negative": Bad({"output_size": (3, -1)}, r"output_size must be at least 0 .* \(3, -1\)"),
    "float": Bad({"output_size": 2.0}, "output_size must be integers, got 2.0"),
    "floats": Bad({"output_size": (2.5, 1)}, r"output_size must be integers, got \(2.5, 1\)"),
    "bool": Bad({"output_size": True}, "output_size must be an integer, got True"),
    "bools": Bad({"output_size": (True, 2)}, r"output_size must be integers, got \(True, 2\)"),
    "string": Bad({"output_size": "a"}, "output_size must be integers, got 'a'"),
    "none": Bad({"output_size": None}, "output_size must be integers, got None"),
    "no height": Bad({"x": zeros(2, 4, 0, 7)}, r"x has shape \(2, 4, 0, 7\): only the batch"),
    "bool data": Bad({"x": X.astype(bool)}, "x has dtype bool"),
}


@pytest.mark.parametrize("name", BAD)
def test_average_errors(name: str) -> None:
    bad = BAD[name]
    ours = [refconv.adaptive_avg_pool, direct.adaptive_avg_pool]
    fails_alike(ours, functional.adaptive_avg_pool2d, GOOD | bad.arguments, bad.says)


@pytest.mark.parametrize("name", BAD)
def test_maximum_errors(name: str) -> None:
    bad = BAD[name]
    ours = [refconv.adaptive_max_pool, direct.adaptive_max_pool]
    fails_alike(ours, functional.adaptive_max_pool2d, GOOD | bad.arguments, bad.says)


def test_a_maximum_needs_an_order() -> None:
    ours = [refconv.adaptive_max_pool, direct.adaptive_max_pool]
    theirs = functional.adaptive_max_pool2d
    fails_alike(ours, theirs, {"x": X.astype(np.complex64), "output_size": 3}, "complex64")


@pytest.mark.parametrize("module", [refconv, direct])
def test_gradient_errors(module: Any) -> None:
    gy, at = zeros(2, 4, 3, 3), np.zeros((2, 4, 3, 3), np.int64)
    for grad in (
        lambda shape, gy: module.adaptive_avg_pool_grad(shape, gy, (3, 3)),
        lambda shape, gy: module.adaptive_max_pool_grad(shape, at, gy, (3, 3)),
    ):
        with pytest.raises(RuntimeError, match=r"grad_output has shape \(2, 4, 3, 2\), expected"):
            grad(X.shape, gy[..., :2])
        with pytest.raises(TypeError, match=r"grad_output must be a .*, got list"):
            grad(X.shape, [1.0])
        with pytest.raises(RuntimeError, match=r"grad_output .* expected \(2, 3, 3\)"):
            grad((2, 4, 8), gy)
        with pytest.raises(RuntimeError, match="input_shape has 1 dimensions"):
            grad((8,), gy)
        with pytest.raises(RuntimeError, match=r"input_shape has shape \(2, 4, 0, 7\)"):
            grad((2, 4, 0, 7), gy)
    with pytest.raises(RuntimeError, match="indices holds 56 to 56"):
        module.adaptive_max_pool_grad(X.shape, at + 56, gy, 3)
    with pytest.raises(RuntimeError, match="indices has dtype int32"):
        module.adaptive_max_pool_grad(X.shape, at.astype(np.int32), gy, 3)
    with pytest.raises(RuntimeError, match="indices holds -1 to -1"):
        module.adaptive_max_pool_grad(X.shape, at - 1, gy, 3)
    with pytest.raises(RuntimeError, match="indices holds -2 to -2"):
        module.max_pool_scatter(X.shape, at - 2, gy, 2)
    with pytest.raises(RuntimeError, match="grad_output has shape"):
        module.max_pool_scatter(X.shape, at, gy[:1], 2)
    with pytest.raises(RuntimeError, match="rank must be from 1 to 3"):
        module.max_pool_scatter(X.shape, at, gy, 4)
