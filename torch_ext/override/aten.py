# mypy: allow-untyped-calls
"""Reference kernels under torch's own autograd: a mode that replaces operators of ATen."""

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeGuard

import torch
from torch import Tensor
from torch._ops import OpOverload, OpOverloadPacket
from torch.jit import is_tracing  # type: ignore[attr-defined]
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from torch_ext import functional
from torch_ext.override import (
    adaptive_pooling,
    average_pooling,
    convolution,
    fractional_pooling,
    max_pooling,
    unpooling,
)
from torch_ext.override.layouts import channels_first

aten = torch.ops.aten

KERNELS: Mapping[OpOverload, Callable[..., Any]] = {
    aten.convolution.default: convolution.convolution,
    aten.convolution_overrideable.default: convolution.convolution,
    aten.convolution_backward.default: convolution.convolution_backward,
    aten.convolution_backward_overrideable.default: convolution.convolution_backward_overrideable,
    aten._convolution.default: convolution.convolution_with_flags,
    aten._slow_conv2d_forward.default: convolution.slow_conv,
    aten._slow_conv2d_backward.output_mask: convolution.slow_conv_backward,
    aten.slow_conv3d_forward.default: channels_first(convolution.slow_conv),
    aten.slow_conv_dilated2d.default: convolution.slow_conv,
    aten.slow_conv_dilated3d.default: channels_first(convolution.slow_conv),
    aten.slow_conv_transpose2d.default: convolution.slow_conv_transpose,
    aten.slow_conv_transpose3d.default: channels_first(convolution.slow_conv_transpose),
    aten._conv_depthwise2d.default: convolution.depthwise_conv,
    aten.conv_depthwise3d.default: convolution.depthwise_conv,
    aten._nnpack_spatial_convolution.default: convolution.nnpack_convolution,
    aten.mkldnn_convolution.default: convolution.mkldnn_convolution,
    aten.conv_tbc.default: functional.conv_tbc,
    aten.conv_tbc_backward.default: convolution.conv_tbc_backward,
    aten.im2col.default: functional.unfold,
    aten.col2im.default: functional.fold,
    aten.avg_pool2d.default: functional.avg_pool2d,
    aten.avg_pool2d_backward.default: average_pooling.avg_pool2d_backward,
    aten.avg_pool3d.default: channels_first(functional.avg_pool3d),
    aten.avg_pool3d_backward.default: channels_first(average_pooling.avg_pool3d_backward),
    aten.adaptive_avg_pool2d.default: functional.adaptive_avg_pool2d,
    aten.adaptive_avg_pool3d.default: channels_first(functional.adaptive_avg_pool3d),
    aten._adaptive_avg_pool2d.default: functional.adaptive_avg_pool2d,
    aten._adaptive_avg_pool2d_backward.default: adaptive_pooling.adaptive_avg_pool2d_backward,
    aten._adaptive_avg_pool3d.default: channels_first(functional.adaptive_avg_pool3d),
    aten._adaptive_avg_pool3d_backward.default: channels_first(
        adaptive_pooling.adaptive_avg_pool3d_backward
    ),
    aten.max_pool2d_with_indices.default: max_pooling.max_pool2d_with_indices,
    aten.max_pool2d_with_indices_backward.default: max_pooling.max_pool2d_backward,
    aten.max_pool3d_with_indices.default: max_pooling.max_pool3d_with_indices,
    aten.max_pool3d_with_indices_backward.default: max_pooling.max_pool3d_backward,
    aten.adaptive_max_pool2d.default: functional.adaptive_max_pool2d_with_indices,
    aten.adaptive_max_pool2d_backward.default: max_pooling.max_pool2d_backward,
    aten.adaptive_max_pool3d.default: channels_first(functional.adaptive_max_pool3d_with_indices),
    aten.adaptive_max_pool3d_backward.default: channels_first(max_pooling.max_pool3d_backward),
    aten.fractional_max_pool2d.default: channels_first(fractional_pooling.fractional_max_pool2d),
    aten.fractional_max_pool2d_backward.default: channels_first(max_pooling.max_pool2d_backward),
    aten.fractional_max_pool3d.default: channels_first(fractional_pooling.fractional_max_pool3d),
    aten.fractional_max_pool3d_backward.default: channels_first(max_pooling.max_pool3d_backward),
    aten.max_unpool2d.default: unpooling.max_unpool2d,
    aten.max_unpool3d.default: channels_first(unpooling.max_unpool3d),
}

# torch's own libraries; the family by name, and what makes the layout that only oneDNN reads
LIBRARIES = ("aten", "mkldnn", "mkldnn_prepacked", "prepacked", "quantized", "_quantized", "onednn")
FAMILY = re.compile(r"conv(?!ert)|pool|im2col|col2im|to_mkldnn")


def of_the_family(operator: Any) -> TypeGuard[OpOverload | OpOverloadPacket]:
    """Return whether this is an operator of torch that convolves, pools or folds.

    >>> of_the_family(torch.ops.aten.conv2d.padding), of_the_family(torch.ops.aten.relu)
    (True, False)
    """
    if not isinstance(operator, OpOverload | OpOverloadPacket):
        return False
    library, name, *_ = str(operator).split(".")
    return library in LIBRARIES and FAMILY.search(name) is not None


def refuse(operator: Any) -> NotImplementedError:
    """Return the error for an operator of the family that the reference does not have."""
    return NotImplementedError(
        f"{operator} has no reference, and override() does not pass it on to torch: out=, and what "
        "only one library computes (quantized, oneDNN's layout, cuDNN, MIOpen, MPS), is refused"
    )


class Kernels(TorchDispatchMode):
    """The context of `override(level="aten")`."""

    def __init__(self) -> None:
        super().__init__()

    def __torch_dispatch__(
        self,
        func: OpOverload,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Call the reference in place of an operator that has one, and any other as it is."""
        kwargs = kwargs or {}
        kernel = KERNELS.get(func)
        if kernel is None and not of_the_family(func):
            return func(*args, **kwargs)
        if is_tracing():
            raise RuntimeError(
                'torch.jit.trace does not run inside of override(level="aten"): trace outside, and '
                "call what was traced inside; or trace inside of override(), to keep the reference"
            )
        if any(isinstance(leaf, Tensor) and leaf.is_mkldnn for leaf in tree_leaves((args, kwargs))):
            raise refuse(func)
        if kernel is not None:
            return kernel(*args, **kwargs)
        with self:  # a composite, which inference mode does not take apart
            parts = func.decompose(*args, **kwargs)
        if parts is NotImplemented:
            raise refuse(func)
        return parts
