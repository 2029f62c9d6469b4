"""Bugs of torch itself that this harness found: shown in every table, no reason to fail.

Each entry was reproduced without this project, on torch 2.13.0 for the CPU:

    x = torch.full((1, 1, 4, 4, 4), -inf).contiguous(memory_format=torch.channels_last_3d)
    F.max_pool3d(x, 2, return_indices=True)   # the last four indices lie in the wrong plane

    x, w = image_hwc.permute(2, 0, 1), weight.contiguous(memory_format=torch.channels_last)
    F.conv2d(x, w, groups=2)                  # float64, float16, bfloat16: wrong gradient of w
"""

from torch_ext.parity.failure import Failure


def known(failure: Failure) -> str:
    """Return which known bug of torch a failure of torch's own function is, or nothing."""
    case = failure.case
    own = failure.party == "candidate" and (failure.name or "").startswith("torch.")
    if not own or failure.device != "cpu" or case.memory != "channels_last":
        return ""
    if case.op == "max_pool3d" and "inf" in case.values and failure.quantity in PLACES:
        return "indices of windows of -inf forget the first axis in channels_last"
    grouped = case.unbatched and case.options.get("groups", 1) > 1
    if case.op == "conv2d" and grouped and failure.quantity in ("gw", "gw(gx)"):
        return "the weight gradient of an unbatched channels_last image is wrong with groups"
    return ""


PLACES = ("indices", "gx", "gy(gx)")  # what follows the indices
