"""Bugs planted into the derivations: what a function says is replaced, and a check must fail.

A row holds the function, what is written there once, what might have been, and the check.
"""

import inspect
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from refconv import textbook as t
from support.textbook_checks import (
    check_bank,
    check_convolution,
    check_correlation,
    check_delta,
    check_delta_by_its_definition,
    check_error,
    check_filter_gradient,
    check_filter_gradient_by_parts,
    check_layer_sum,
    check_layers,
    check_local_gradients,
    check_notebook,
    check_pool_average,
    check_pool_l2,
    check_pool_max,
    check_strided,
    check_through_pool_max,
    integers,
)

Check = Callable[[], None]

SIZES = (5, 7, 2, 3)


def correlation() -> None:
    check_correlation(*SIZES)


def convolution() -> None:
    check_convolution(*SIZES)


def notebook() -> None:
    check_notebook(5, 7, 3)


def bank() -> None:
    check_bank(5, 7, 2, 2, 3, 4)


def layer_sum() -> None:
    check_layer_sum(*SIZES)


def filter_gradient() -> None:
    check_filter_gradient(*SIZES)


def by_parts() -> None:
    check_filter_gradient_by_parts(*SIZES)


def delta() -> None:
    check_delta(*SIZES)


def local() -> None:
    check_local_gradients(*SIZES)


def pool_max() -> None:
    check_pool_max(2, 3, 2)


def pool_average() -> None:
    check_pool_average(2, 3, 2)


def strided() -> None:
    check_strided(7, 5, 2, 2, 2)


def printed(name: str, right: str, *arguments: Any) -> Check:
    """A check that an erratum still differs from the right form on these arguments."""

    def check() -> None:
        assert not np.array_equal(getattr(t, name)(*arguments), getattr(t, right)(*arguments))

    return check


o, w, x = integers(5, 7), integers(2, 3), np.ones((5, 7))
gy = integers(4, 5)

BUGS: list[tuple[Callable[..., Any], str, str, Check]] = [
    # (1) to (5)
    (t.cross_correlation, "i : i + k1, j : j + k2", "i : i + k1, j : j + k2][::-1, ::-1",
     correlation),
    (t.convolution, "k1 - 1 - m", "m", convolution),
    (t.convolution_by_flipping, 'rot180(as_array("K", K, "k1 k2"))', "K", convolution),
    (t.rot180, "[::-1, ::-1]", "[::-1, :]", convolution),
    (t.full_convolution, "I * K[m, n]", "I * K[m, 0]", convolution),
    (t.bank_forward, "K[:, :, :, d]", "K[:, :, :, 0]", bank),
    (t.bank_forward, "x + b", "x + b[0]", bank),
    (t.bank_backward, "delta.sum((0, 1)", "delta.sum((1, 0))[::-1] + 0 * delta.sum((0, 1)", bank),
    (t.grayscale_forward, "K[:, :, None, None]", "K[::-1, :, None, None]", layer_sum),
    (t.grayscale_forward, "full(1, b,", "full(1, 0 * b,", layer_sum),
    # (6) to (9)
    (t.layer_sum, "_plus(cross_correlation(o, w), b)", "cross_correlation(o, w)", layer_sum),
    (t.layer_sum_by_convolution, "rot180(w)", "w", layer_sum),
    (t.layers_forward, "zip(ws, bs,", "zip(ws[::-1], bs,", check_layers),
    (t.layers_forward, "relu(layer_sum(o, w, b))", "layer_sum(o, w, b)", check_layers),
    (t.relu, '"x", x), 0)', '"x", x), 1)', check_error),
    (t.relu_prime, "> 0", ">= -2", check_error),
    (t.squared_error, "/ 2", "/ t.size", check_error),
    (t.output_delta, "y - t)", "t - y)", check_error),
    # (10) to (14)
    (t.dE_dw_by_chain, "delta * dx,", "delta * dx / delta.size,", by_parts),
    (t.dx_dw_by_difference, "(m, n), h)", "(n % 2, m), h)", by_parts),
    (t.dx_dw, "m : m + rows", "-m - rows : o.shape[0] - m", by_parts),
    (t.dE_dw, "m : m + rows", "0 : rows", filter_gradient),
    (t.dE_dw_by_convolution, "rot180(delta)", "delta", filter_gradient),
    (t.dE_db, "delta.sum(", "delta[1:].sum(", filter_gradient),
    # (15) to (22)
    (t.delta_by_difference, "(i, j), h)", "(i, 0), h)", check_delta_by_its_definition),
    (t.delta_over_Q, "delta[i, j] *", "delta[j % delta.shape[0], i] *", delta),
    (t.delta_over_Q, "itertools.product(*(range(side.start, side.stop) for side in Q))",
     "[(side.start for side in Q)]", delta),
    (t.region_Q, "i - k1 + 1", "i - k1 + 2", delta),
    (t.delta_over_mn, "(i_ - m, j_ - n)", "(i_ + m, j_ + n)", delta),
    (t.delta_over_mn, "0 <= i < rows", "0 < i < rows", delta),
    (t.dx_dx_by_difference, "relu(x)", "x", local),
    (t.dx_dx_by_difference, "(i, j), h)", "(i, j - 1), h)", local),
    (t.dx_dx, "w[m, n] *", "w[-1 - m, -1 - n] *", local),
    (t.dx_dx, " * relu_prime(x[i, j])", "", local),
    (t.dx_dx, "w[m, n] *", "w[-1 - m, -1 - n] *", delta),
    (t.delta_by_taps, "full_convolution(delta, w)", "full_convolution(delta, rot180(w))", delta),
    (t.delta_by_flipped_taps, "rot180(w)", "w", delta),
    (t.delta_by_flipped_taps, "* relu_prime(x)", "* relu(x)", delta),
    (t.delta_by_rot180, "rot180(w)", "w", delta),
    (t.delta_by_rot180, " * relu_prime(x)", "", delta),
    # the notebook
    (t.chain_rule, "local[h, w]\n", "local[-1 - h, -1 - w]\n", notebook),
    (t.local_gradient_filter, "X[h : h + f", "X[0:f", notebook),
    (t.local_gradient_input, "= W\n", "= W[::-1, ::-1]\n", notebook),
    (t.conv_filter_gradient_by_chain, "chain_rule(dH,", "chain_rule(dH[::-1],", notebook),
    (t.conv_filter_gradient, "cross_correlation(X, dH)", "cross_correlation(X, rot180(dH))",
     notebook),
    (t.conv_input_gradient_by_chain, "dH.shape[1] + f - 1), W)", "dH.shape[1] + f - 1), W.T)",
     notebook),
    (t.conv_input_gradient, "rot180(W)", "W", notebook),
    (t.conv_backward, "+= W * dH", "+= W[::-1, ::-1] * dH", notebook),
    (t.conv_backward, "dW += X[h : h + f, w : w + f]", "dW += X[:f, :f]", notebook),
    # strides and pools
    (t.strided_forward, "[::s, ::s]", "[s - 1 :: s, ::s]", strided),
    (t.strided_backward, "dilated[::s, ::s] = delta",
     "dilated[: delta.shape[0], : delta.shape[1]] = delta", strided),
    (t.pool_max, "blocks.argmax(-1)", "3 - blocks[:, :, ::-1].argmin(-1)", pool_max),
    (t.pool_max_backward, "== winner", ">= winner", pool_max),
    (t.pool_average, "N * N", "N", pool_average),
    (t.pool_average_backward, "dy / (N * N)", "dy / N", pool_average),
    (t.pool_l2, "np.sqrt(", "abs(", check_pool_l2),
    (t.pool_l2_backward, "dy / np.where(y == 0, 1, y)", "dy", check_pool_l2),
    (t.delta_through_pool_max, "relu_prime(x)", "x", check_through_pool_max),
    (t.conv_forward, "cross_correlation(X, W),", "cross_correlation(X, W.T),", notebook),
    # an erratum that somebody "mended"
    (t.dE_dw_by_convolution_as_printed, "rot180(delta)", "delta",
     printed("dE_dw_by_convolution_as_printed", "dE_dw_by_convolution", gy, o)),
    (t.delta_by_flipped_taps_as_printed, "zeros_around(delta, w), w)",
     "zeros_around(rot180(delta), w), w)",
     printed("delta_by_flipped_taps_as_printed", "delta_by_flipped_taps", gy, w, x)),
    (t.delta_by_rot180_as_printed, "rot180(w)", "w",
     printed("delta_by_rot180_as_printed", "delta_by_rot180", gy, w, x)),
    (t.layers_forward_as_printed, "list(ws)[::-1]", "list(ws)",
     printed("layers_forward_as_printed", "layers_forward", o, [w, w + 1], [1.0, 1.0])),
    (t.convolution_by_flipping_as_printed, "* K[-m, -n]", "* K[-1, -1]",
     lambda: np.testing.assert_array_equal(
         t.convolution_by_flipping_as_printed(o, w), w[0, 0] * o[1:, 2:])),
    (t.bank_forward_as_printed, "I[i : i + k1", "I[0:k1",
     lambda: np.testing.assert_array_equal(
         t.bank_forward_as_printed(o[:, :, None], w[:, :, None], 1.0), t.layer_sum(o, w, 1.0))),
    (t.layer_sum_as_printed, "x + b", "x + b[0, 0]",
     lambda: np.testing.assert_array_equal(
         t.layer_sum_as_printed(o, w, gy) - t.layer_sum(o, w, 0.0), gy)),
    (t.conv_filter_gradient_as_printed, "* dH)", "* dH[::-1])",
     lambda: np.testing.assert_array_equal(
         t.conv_filter_gradient_as_printed(o[:3, :3], gy[:2, :2]),
         t.conv_filter_gradient(o[:3, :3], gy[:2, :2]))),
]  # fmt: skip


def with_bug(function: Callable[..., Any], right: str, wrong: str) -> Callable[..., Any]:
    """The same function from its own source, changed in one place of its code."""
    head, code = inspect.getsource(function).rsplit('"""', 1)
    assert code.count(right) == 1, f"{function.__name__} holds {right!r} {code.count(right)} times"
    names: dict[str, Any] = dict(vars(inspect.getmodule(function)))
    exec(f'{head}"""{code.replace(right, wrong)}', names)
    return names[function.__name__]  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("function", "right", "wrong", "check"),
    BUGS,
    ids=[f"{function.__name__}: {wrong}" for function, _, wrong, _ in BUGS],
)
def test_planted_bug_is_caught(
    monkeypatch: pytest.MonkeyPatch,
    function: Callable[..., Any],
    right: str,
    wrong: str,
    check: Check,
) -> None:
    """In every module that reads the function: those of a check, and those it stands on."""
    check()
    bug = with_bug(function, right, wrong)
    for name, module in list(sys.modules.items()):
        if name.startswith("refconv.textbook") and vars(module).get(function.__name__) is function:
            monkeypatch.setattr(module, function.__name__, bug)
    with pytest.raises(AssertionError):
        check()


def test_every_function_has_a_bug() -> None:
    """But for the erratum that cannot run."""
    planted = {function.__name__ for function, *_ in BUGS}
    names = {name for name in t.__all__ if callable(getattr(t, name))}
    assert names - planted == {"conv_backward_as_printed"}
