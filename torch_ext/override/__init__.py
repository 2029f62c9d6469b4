"""Send the conv, pool and fold calls of torch to the reference, without touching a model."""

from typing import Literal

from torch_ext.override.aten import Kernels
from torch_ext.override.functions import Functions

__all__ = ["override"]


def override(level: Literal["function", "aten"] = "function") -> Functions | Kernels:
    """Return a context in which the conv, pool and fold functions of torch are the reference's.

    By whatever name they are called and from wherever: modules of torch.nn, of third parties,
    subclasses with a forward of their own. Contexts nest, of both levels, and end with an exception
    too. Each covers the thread that opened it, and no other.

    `level="function"` replaces what Python calls: torch.nn.functional, torch, torch._C._nn,
    torch.nn.grad, torch.ops.aten. Values and derivatives are the reference's, the latter wherever
    and whenever they are taken. It holds for torch.compile and torch.export, around it or within,
    by every public name (private ones, torch._C._nn's, torch does not show to a mode there). What
    it cannot see is code that was scripted or traced before, which torch runs without Python: use
    the other level. A trace made inside is the reference's for good, at every size, and needs
    `import torch_ext` where it is loaded. The branches of torch.cond, while_loop and the like are
    refused. What a checkpoint computes again in a backward after the context is torch's, unless
    torch.utils.checkpoint is given a `context_fn` that opens one.

    `level="aten"` replaces the kernels under torch: ATen's operators, those of the gradients among
    them. Derivatives are by torch's own formulas, over reference kernels, for as long as the
    context is open: a backward after it is torch's. It reaches scripted, traced and exported code,
    and what runs under inference mode. Compiled functions run under it as they were written (and
    torch leaves them so until `torch.compiler.reset()`), and `fullgraph=True` around it is torch's
    error. torch.jit.trace inside is refused: what was traced outside is reached as it is. Three
    things are of other operators when they arrive, and stay torch's: an adaptive average to size 1,
    unless under inference mode, which is a mean by then; the gradients of `conv_tbc`, which are
    matrix products; and the kernel that torch.compile made of a pool for the backward of what was
    compiled and called before.

    Neither level has a reference for `out=`, nor for what only one library of torch computes
    (quantized, oneDNN's own layout, cuDNN, MIOpen, MPS): that is refused, and not passed on. An
    error in scripted code is a RuntimeError of torch's interpreter, whatever it was.

    Args:
        level: "function" or "aten".

    Returns:
        The context; it may be entered again.

    Raises:
        ValueError: another level.

    Inside of it, NotImplementedError and TypeError for what is refused, RuntimeError for a trace.

    >>> import torch
    >>> x, w = torch.ones(1, 1, 3), torch.ones(1, 1, 2, requires_grad=True)
    >>> with override():
    ...     y = torch.nn.functional.conv1d(x, w)
    >>> y.grad_fn.name()
    'ConvolutionBackward'
    >>> with override(level="aten"):
    ...     y = torch.nn.functional.conv1d(x, w)
    ...     y.sum().backward()
    >>> y.grad_fn.name(), w.grad.tolist()
    ('ConvolutionBackward0', [[[2.0, 2.0]]])
    """
    if level == "function":
        return Functions()
    if level == "aten":
        return Kernels()
    raise ValueError(f"level must be 'function' or 'aten', got {level!r:.80}")
