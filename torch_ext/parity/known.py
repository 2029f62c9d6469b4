"""Bugs and limits of torch's own functions that this harness found: shown, no reason to fail.

Each stands in docs/known-differences.md with a program of torch alone that shows it.
"""

import math
from collections.abc import Callable

import torch

from torch_ext.parity.catalogue import Case, operator
from torch_ext.parity.failure import Failure

Condition = Callable[[Failure], bool]
PLACES = ("indices", "gx", "gy(gx)")  # what follows the indices


def _channels_last(failure: Failure) -> bool:
    return failure.case.layouts.get("x") == "channels_last"


def _lost_axis(failure: Failure) -> bool:
    case = failure.case
    of_inf = case.op == "max_pool3d" and "inf" in case.values and _channels_last(failure)
    return of_inf and failure.quantity in PLACES


def _grouped_image(failure: Failure) -> bool:
    case = failure.case
    image = case.op == "conv2d" and len(case.shape) == 3 and case.options.get("groups", 1) > 1
    return image and _channels_last(failure) and failure.quantity in ("gw", "gw(gx)")


def _wide_window(failure: Failure) -> bool:
    case = failure.case
    window = case.options.get("stride") == 2 and case.options.get("padding") == 3
    wide = case.op in ("conv3d", "conv_transpose3d") and window and max(case.shape[-3:]) <= 7
    return wide and case.shapes["weight"][-1] == 7 and failure.quantity == "gw"


def _one_output(failure: Failure) -> bool:
    case = failure.case
    of_half = case.op == "conv_transpose3d" and failure.dtype == torch.bfloat16
    return of_half and failure.quantity == "gw" and _outputs(case) == 1


def _outputs(case: Case) -> int:
    """Return the number of elements of one map of y."""
    op = operator(case.op)
    return math.prod(op.y_shape(case)[-op.rank :])


def _view(failure: Failure) -> bool:
    viewed = failure.case.op == "conv_tbc" or failure.case.op.startswith("max_unpool")
    return viewed and "view size is not compatible" in failure.message


KNOWN: dict[str, Condition] = {
    "indices of windows of -inf forget the first axis in channels_last": _lost_axis,
    "the weight gradient of an unbatched channels_last image is wrong with groups": _grouped_image,
    "oneDNN's AVX-512 weight gradient of a 7x7x7 kernel, stride 2, padding 3 on maps of 7 or fewer "
    "is wrong": _wide_window,
    "oneDNN's AVX-512 weight gradient of bfloat16 is wrong where the output is one element": (
        _one_output
    ),
    "tensors that are not contiguous raise, here a `view` of them": _view,
}


def known(failure: Failure) -> str:
    """Return which known bug of torch a failure of torch's own function is, or nothing."""
    own = failure.party == "candidate" and (failure.name or "").startswith("torch.")
    if not own or failure.device != "cpu":
        return ""
    return next((reason for reason, holds in KNOWN.items() if holds(failure)), "")
