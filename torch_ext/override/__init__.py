"""Send the conv, pool and fold calls of torch to the reference, without touching a model."""

from typing import Literal

from torch_ext.override.aten import Kernels
from torch_ext.override.functions import Functions

__all__ = ["override"]


def override(level: Literal["function", "aten"] = "function") -> Functions | Kernels:
    """Return a context in which the conv, pool and fold functions of torch are the reference's.

    `level="function"` replaces what Python calls, under every name, and brings the reference's
    derivatives; `level="aten"` replaces the kernels under torch's own autograd, also in scripted
    code and under inference mode. What each reaches, and what is refused: docs/override.md.

    Args:
        level: "function" or "aten".

    Returns:
        The context, of the thread that enters it; contexts nest, and may be entered again.

    Raises:
        ValueError: another level. Inside: NotImplementedError, TypeError or RuntimeError for what
            is refused.

    >>> import torch
    >>> with override():
    ...     y = torch.nn.functional.conv1d(torch.ones(1, 1, 3), torch.ones(1, 1, 2))
    >>> y
    tensor([[[2., 2.]]])
    """
    if level == "function":
        return Functions()
    if level == "aten":
        return Kernels()
    raise ValueError(f"level must be 'function' or 'aten', got {level!r:.80}")
