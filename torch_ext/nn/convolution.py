"""Conv1d-3d, each with its lazy form."""

from torch import Tensor, nn
from torch.nn.functional import pad

from torch_ext import functional
from torch_ext.nn.scripting import Unscriptable

Padding = str | tuple[int, ...]


class Conv1d(nn.Conv1d, Unscriptable):
    """As `Conv2d`, over one spatial axis.

    `torch.nn.Conv1d` by `torch_ext.functional.conv1d`.
    """

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        x, p = _padded(self, input)
        return functional.conv1d(x, weight, bias, self.stride, p, self.dilation, self.groups)


class Conv2d(nn.Conv2d, Unscriptable):
    """`torch.nn.Conv2d` by `torch_ext.functional.conv2d`.

    A subclass of torch's: constructor, parameters, state_dict, repr and pickling are its, the
    forward alone is the reference's. Padding modes other than zeros pad with torch first.

    (N, C, H, W) -> (N, M, H', W'), or both without N,
    H' = floor((H + 2 p - d (k - 1) - 1) / s) + 1.

    In forward, raises as `torch_ext.functional.conv2d`. `torch.jit.script` is refused.

    >>> import torch
    >>> layer = Conv2d(3, 8, 3, stride=2, padding=1)
    >>> layer(torch.ones(4, 3, 9, 9)).shape
    torch.Size([4, 8, 5, 5])
    """

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        x, p = _padded(self, input)
        return functional.conv2d(x, weight, bias, self.stride, p, self.dilation, self.groups)


class Conv3d(nn.Conv3d, Unscriptable):
    """As `Conv2d`, over three spatial axes.

    `torch.nn.Conv3d` by `torch_ext.functional.conv3d`.
    """

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        x, p = _padded(self, input)
        return functional.conv3d(x, weight, bias, self.stride, p, self.dilation, self.groups)


def _padded(layer: nn.Conv1d | nn.Conv2d | nn.Conv3d, input: Tensor) -> tuple[Tensor, Padding]:
    """Return the input and what padding is left for the convolution itself."""
    if layer.padding_mode == "zeros":
        return input, layer.padding
    widths = layer._reversed_padding_repeated_twice
    return pad(input, widths, mode=layer.padding_mode), (0,) * len(layer.kernel_size)


# The lazy layers know their channels at the first call, and turn into `cls_to_become` before its
# forward, which torch has looked up by then: it has to be the reference's already.


class LazyConv1d(nn.LazyConv1d, Conv1d):  # type: ignore[misc]
    """`torch.nn.LazyConv1d`, which becomes a `torch_ext.nn.Conv1d`."""

    cls_to_become = Conv1d


class LazyConv2d(nn.LazyConv2d, Conv2d):  # type: ignore[misc]
    """`torch.nn.LazyConv2d`, which becomes a `torch_ext.nn.Conv2d`."""

    cls_to_become = Conv2d


class LazyConv3d(nn.LazyConv3d, Conv3d):  # type: ignore[misc]
    """`torch.nn.LazyConv3d`, which becomes a `torch_ext.nn.Conv3d`."""

    cls_to_become = Conv3d
