"""What a Function keeps for its derivatives."""

from typing import Any

import torch
from torch import Tensor

from torch_ext.library.strides import channels_last


def keep(ctx: Any, *tensors: Tensor) -> None:
    """Keep the tensors for both modes; gradients and tangents that do not exist stay None."""
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*tensors)
    ctx.save_for_forward(*tensors)


def laid_out(gy: Tensor, last: bool) -> Tensor:
    """Return the gradient with its channels last, or not, as those of y are.

    The gradients of what y was made of follow, as torch's do: it is they that agree with y, and
    not gy, which may come from a mean or a sum and have no layout at all.
    """
    if channels_last(gy) == last:
        return gy
    if not last:
        return gy.clone(memory_format=torch.contiguous_format)
    return gy.movedim(1, -1).clone(memory_format=torch.contiguous_format).movedim(-1, 1)
