"""What a Function keeps for its derivatives."""

from typing import Any

from torch import Tensor


def keep(ctx: Any, *tensors: Tensor) -> None:
    """Keep the tensors for both modes; gradients and tangents that do not exist stay None."""
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*tensors)
    ctx.save_for_forward(*tensors)
