"""The layers of average pooling."""

from torch import Tensor, nn

from torch_ext import functional
from torch_ext.nn.scripting import Unscriptable


class AvgPool1d(nn.AvgPool1d, Unscriptable):
    """`torch.nn.AvgPool1d` by `torch_ext.functional.avg_pool1d`."""

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
    """`torch.nn.AvgPool2d` by `torch_ext.functional.avg_pool2d`."""

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
    """`torch.nn.AvgPool3d` by `torch_ext.functional.avg_pool3d`."""

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
