"""The layers of average pooling."""

from torch import Tensor, nn

from torch_ext import functional
from torch_ext.nn.scripting import Unscriptable


class AvgPool1d(nn.AvgPool1d, Unscriptable):
    """As `AvgPool2d`, over one spatial axis.

    `torch.nn.AvgPool1d` by `torch_ext.functional.avg_pool1d`.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Return the averages."""
        return functional.avg_pool1d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
        )


class AvgPool2d(nn.AvgPool2d, Unscriptable):
    """`torch.nn.AvgPool2d` by `torch_ext.functional.avg_pool2d`.

    A subclass of torch's, as `Conv2d` is.

    (N, C, H, W) -> (N, C, H', W'), or both without N.

    In forward, raises as `torch_ext.functional.avg_pool2d`. `torch.jit.script` is refused.

    >>> import torch
    >>> AvgPool2d(2)(torch.arange(16.0).view(1, 4, 4))
    tensor([[[ 2.5000,  4.5000],
             [10.5000, 12.5000]]])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Return the averages."""
        return functional.avg_pool2d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )


class AvgPool3d(nn.AvgPool3d, Unscriptable):
    """As `AvgPool2d`, over three spatial axes.

    `torch.nn.AvgPool3d` by `torch_ext.functional.avg_pool3d`.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Return the averages."""
        return functional.avg_pool3d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )
