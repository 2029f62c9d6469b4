"""What `torch.jit.script` is told by a layer: that it cannot compile it, and what to do instead."""

from typing import NoReturn


class Unscriptable:
    """A part of every layer; without slots, so that a class of torch can be exchanged for it."""

    __slots__ = ()

    def __prepare_scriptable__(self) -> NoReturn:
        """Refuse, before torch looks into the forward, which checks and computes in Python."""
        raise RuntimeError(
            f"torch.jit.script cannot compile torch_ext.nn.{type(self).__name__}, which is Python: "
            "use torch.jit.trace, or script torch's own layers (restore(model) first, if they were "
            'swapped) and run them under override(level="aten"), which reaches scripted code'
        )
