"""What autocast does to a function's tensors before anything else looks at them.

As in torch, of the floating tensors all but float64 are cast, on the devices that autocast is on
for: to its dtype, or to float32 where the function is listed for that. The lists are torch's own,
one for each type of device (aten/src/ATen/autocast_mode.h), and irregular as they are.
"""

from typing import Any

import torch
from torch import Tensor

LOWER = frozenset(
    (
        "conv1d",
        "conv2d",
        "conv3d",
        "conv_tbc",
        "conv_transpose1d",
        "conv_transpose2d",
        "conv_transpose3d",
    )
)
POWERS = frozenset(("lp_pool1d", "lp_pool2d", "lp_pool3d"))  # where torch keeps x^p in float32

FLOAT32 = {
    "cpu": frozenset(
        (
            "max_pool3d",  # but not max_pool3d_with_indices
            "avg_pool3d",
            "lp_pool3d",  # torch's is an avg_pool3d
            "adaptive_avg_pool3d",
            "adaptive_max_pool3d",
            "fractional_max_pool2d",
            "fractional_max_pool3d",
            "max_unpool1d",
            "max_unpool2d",
            "max_unpool3d",
        )
    ),
    "cuda": POWERS,
    "xpu": POWERS,
    "mtia": POWERS,
    "mps": POWERS | {"conv_transpose3d"},
}


def cast(function: str, *values: Any) -> tuple[Any, ...]:
    """Return the arguments of a function as autocast has them; derivatives go through the casts.

    >>> x, w, b = torch.ones(2), torch.ones(2, dtype=torch.float64), None
    >>> with torch.autocast("cpu"):
    ...     [None if v is None else v.dtype for v in cast("conv1d", x, w, b)]
    [torch.bfloat16, torch.float64, None]
    """
    return tuple(_cast(function, value) for value in values)


def _cast(function: str, value: Any) -> Any:
    """Return a value as it is, or a tensor that is cast."""
    if not isinstance(value, Tensor) or not value.is_floating_point():
        return value
    device = value.device.type
    if device not in FLOAT32 or not torch.is_autocast_enabled(device):
        return value
    if value.dtype is torch.float64:
        return value
    if function in FLOAT32[device]:
        return value.to(torch.float32)
    return value.to(torch.get_autocast_dtype(device)) if function in LOWER else value
