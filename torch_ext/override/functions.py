"""The reference's own autograd: a mode that replaces functions where Python calls them."""

from collections.abc import Callable, Mapping
from types import BuiltinFunctionType, FunctionType
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload, OpOverloadPacket
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from torch_ext import functional
from torch_ext.override import aten, convolution, fractional_pooling, unpooling

nn: Any = torch._C._nn  # its stubs lack half of it

# As torch hands them to a mode. F.conv*, F.conv_transpose*, F.avg_pool* and F.adaptive_avg_pool1d
# are builtins of torch or torch._C._nn by another name; the others of F have a Python face and a
# builtin, which may return indices, or ask for samples or sizes, where the face does not.
REFERENCE: Mapping[Callable[..., Any], Callable[..., Any]] = {
    torch.conv1d: functional.conv1d,
    torch.conv2d: functional.conv2d,
    torch.conv3d: functional.conv3d,
    torch.conv_transpose1d: functional.conv_transpose1d,
    torch.conv_transpose2d: functional.conv_transpose2d,
    torch.conv_transpose3d: functional.conv_transpose3d,
    torch.conv_tbc: functional.conv_tbc,
    torch.convolution: convolution.convolution,
    torch._convolution: convolution.convolution_with_flags,
    torch._convolution_mode: convolution.convolution_mode,
    torch.mkldnn_convolution: convolution.mkldnn_convolution,
    torch._nnpack_spatial_convolution: convolution.nnpack_convolution,
    nn.thnn_conv2d: convolution.slow_conv,
    nn.slow_conv3d: convolution.slow_conv,
    nn.slow_conv_dilated2d: convolution.slow_conv,
    nn.slow_conv_dilated3d: convolution.slow_conv,
    nn.slow_conv_transpose2d: convolution.slow_conv_transpose,
    nn.slow_conv_transpose3d: convolution.slow_conv_transpose,
    nn._conv_depthwise2d: convolution.depthwise_conv,
    nn.conv_depthwise3d: convolution.depthwise_conv,
    F.unfold: functional.unfold,
    F.fold: functional.fold,
    nn.im2col: functional.unfold,
    nn.col2im: functional.fold,
    F.max_pool1d: functional.max_pool1d,
    F.max_pool2d: functional.max_pool2d,
    F.max_pool3d: functional.max_pool3d,
    F.max_pool1d_with_indices: functional.max_pool1d_with_indices,
    F.max_pool2d_with_indices: functional.max_pool2d_with_indices,
    F.max_pool3d_with_indices: functional.max_pool3d_with_indices,
    torch.max_pool1d: functional.max_pool1d,
    torch.max_pool2d: functional.max_pool2d,
    torch.max_pool3d: functional.max_pool3d,
    torch.max_pool1d_with_indices: functional.max_pool1d_with_indices,
    nn.max_pool2d_with_indices: functional.max_pool2d_with_indices,
    nn.max_pool3d_with_indices: functional.max_pool3d_with_indices,
    F.adaptive_max_pool1d: functional.adaptive_max_pool1d,
    F.adaptive_max_pool2d: functional.adaptive_max_pool2d,
    F.adaptive_max_pool3d: functional.adaptive_max_pool3d,
    F.adaptive_max_pool1d_with_indices: functional.adaptive_max_pool1d_with_indices,
    F.adaptive_max_pool2d_with_indices: functional.adaptive_max_pool2d_with_indices,
    F.adaptive_max_pool3d_with_indices: functional.adaptive_max_pool3d_with_indices,
    torch.adaptive_max_pool1d: functional.adaptive_max_pool1d_with_indices,
    nn.adaptive_max_pool2d: functional.adaptive_max_pool2d_with_indices,
    nn.adaptive_max_pool3d: functional.adaptive_max_pool3d_with_indices,
    F.fractional_max_pool2d: functional.fractional_max_pool2d,
    F.fractional_max_pool3d: functional.fractional_max_pool3d,
    F.fractional_max_pool2d_with_indices: functional.fractional_max_pool2d_with_indices,
    F.fractional_max_pool3d_with_indices: functional.fractional_max_pool3d_with_indices,
    nn.fractional_max_pool2d: fractional_pooling.fractional_max_pool2d,
    nn.fractional_max_pool3d: fractional_pooling.fractional_max_pool3d,
    F.max_unpool1d: functional.max_unpool1d,
    F.max_unpool2d: functional.max_unpool2d,
    F.max_unpool3d: functional.max_unpool3d,
    nn.max_unpool2d: unpooling.max_unpool2d,
    nn.max_unpool3d: unpooling.max_unpool3d,
    torch.avg_pool1d: functional.avg_pool1d,
    nn.avg_pool2d: functional.avg_pool2d,
    nn.avg_pool3d: functional.avg_pool3d,
    F.adaptive_avg_pool2d: functional.adaptive_avg_pool2d,
    F.adaptive_avg_pool3d: functional.adaptive_avg_pool3d,
    torch.adaptive_avg_pool1d: functional.adaptive_avg_pool1d,
    torch._adaptive_avg_pool2d: functional.adaptive_avg_pool2d,
    torch._adaptive_avg_pool3d: functional.adaptive_avg_pool3d,
    nn.adaptive_avg_pool2d: functional.adaptive_avg_pool2d,
    nn.adaptive_avg_pool3d: functional.adaptive_avg_pool3d,
    F.lp_pool1d: functional.lp_pool1d,
    F.lp_pool2d: functional.lp_pool2d,
    F.lp_pool3d: functional.lp_pool3d,
}

# those that ask types other than tensors themselves
PUBLIC = frozenset(vars(functional)[name] for name in functional.__all__)

# bound to one library of torch, or to data that only it reads: nothing of the reference's
REFUSED: frozenset[Callable[..., Any]] = frozenset(
    (
        torch.cudnn_convolution,
        torch.cudnn_convolution_add_relu,
        torch.cudnn_convolution_relu,
        torch.cudnn_convolution_transpose,
        torch.miopen_convolution,
        torch.miopen_convolution_add_relu,
        torch.miopen_convolution_relu,
        torch.miopen_convolution_transpose,
        torch.miopen_depthwise_convolution,
        torch._mps_convolution,
        torch._mps_convolution_transpose,
        torch.mkldnn_adaptive_avg_pool2d,
        torch.mkldnn_max_pool2d,
        torch.mkldnn_max_pool3d,
        nn.mkldnn_reorder_conv2d_weight,
        nn.mkldnn_reorder_conv3d_weight,
        torch.quantized_max_pool1d,
        torch.quantized_max_pool2d,
        torch.quantized_max_pool3d,
    )
)

# of these torch traces the branches apart, where no mode of Python's reaches
BRANCHING: frozenset[Callable[..., Any]] = frozenset(
    (
        torch.ops.higher_order.cond,
        torch.ops.higher_order.while_loop,
        torch.ops.higher_order.map_impl,
        torch.ops.higher_order.scan,
        torch.ops.higher_order.associative_scan,
    )
)

# torch.ops.aten.* by name: builtins have their names and signatures, and so do the kernels
OPERATORS: Mapping[str, Callable[..., Any]] = {
    **{f.__name__: r for f, r in REFERENCE.items() if isinstance(f, BuiltinFunctionType)},
    **{str(operator).split(".")[1]: kernel for operator, kernel in aten.KERNELS.items()},
}


def inside(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a copy of a function of torch that does not ask for a mode, so that its parts may.

    A mode is off while it answers. A function in Python that would be handed to it, and is not its
    own, therefore ran with all its parts out of reach.
    """
    assert isinstance(function, FunctionType)
    asking = (name for name in function.__globals__ if name.startswith("has_torch_function"))
    unasked = {**function.__globals__, **dict.fromkeys(asking, lambda *_: False)}
    copy = FunctionType(
        function.__code__, unasked, function.__name__, function.__defaults__, function.__closure__
    )
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy


# functions in Python that pool in passing, or run what others wrote: Functions, hooks, checkpoints
OPENED: Mapping[Callable[..., Any], Callable[..., Any]] = {
    F.interpolate: inside(F.interpolate),  # mode="area" is an adaptive average
    F.local_response_norm: inside(F.local_response_norm),  # an average over channels
    torch.autograd.grad: inside(torch.autograd.grad),
    torch.autograd.backward: inside(torch.autograd.backward),
    Tensor.backward: inside(Tensor.backward),
}


class Functions(TorchFunctionMode):
    """The context of `override(level="function")`."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Call the reference in place of a function that has one, and any other as it is."""
        kwargs = kwargs or {}
        foreign = not all(issubclass(kind, Tensor) for kind in types)
        if foreign and REFERENCE.get(func) not in PUBLIC:
            return func(*args, **kwargs)  # which asks that type
        if func in REFERENCE:
            return REFERENCE[func](*args, **kwargs)
        if func in OPENED:
            with self:
                return OPENED[func](*args, **kwargs)
        if func in REFUSED:
            raise aten.refuse(func.__name__)
        if func in BRANCHING:
            raise NotImplementedError(
                "override() does not reach the branches of torch.cond, map, ..."
            )
        if aten.of_the_family(func):
            return operator(func)(*args, **kwargs)
        return func(*args, **kwargs)


def operator(called: OpOverload | OpOverloadPacket) -> Callable[..., Any]:
    """Return the reference of an operator of ATen; `self` is its argument `input`."""
    reference = OPERATORS.get(str(called).split(".")[1])
    if reference is None:
        raise aten.refuse(called)
    return reference
