"""The conv and pool layers of `torch.nn`, computed by refconv.

Each is a subclass of its namesake: constructor, parameters, state_dict, repr and pickling are
torch's, the forward alone is replaced. Padding modes other than zeros pad with torch first.
"""

from typing import Any

from torch import Tensor, nn
from torch.nn.functional import pad

from torch_ext import functional

__all__ = [
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
]

Padding = str | tuple[int, ...]


class Conv1d(nn.Conv1d):
    """`torch.nn.Conv1d` by `torch_ext.functional.conv1d`."""

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        x, p = _padded(self, input)
        return functional.conv1d(x, weight, bias, self.stride, p, self.dilation, self.groups)


class Conv2d(nn.Conv2d):
    """`torch.nn.Conv2d` by `torch_ext.functional.conv2d`."""

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        x, p = _padded(self, input)
        return functional.conv2d(x, weight, bias, self.stride, p, self.dilation, self.groups)


class Conv3d(nn.Conv3d):
    """`torch.nn.Conv3d` by `torch_ext.functional.conv3d`."""

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        x, p = _padded(self, input)
        return functional.conv3d(x, weight, bias, self.stride, p, self.dilation, self.groups)


def _padded(layer: nn.Conv1d | nn.Conv2d | nn.Conv3d, input: Tensor) -> tuple[Tensor, Padding]:
    """Return the input and what padding is left for the convolution itself."""
    if layer.padding_mode == "zeros":
        return input, layer.padding
    widths = layer._reversed_padding_repeated_twice
    return pad(input, widths, mode=layer.padding_mode), (0,) * len(layer.kernel_size)


class MaxPool1d(nn.MaxPool1d):
    """`torch.nn.MaxPool1d` by `torch_ext.functional.max_pool1d`."""

    def forward(self, input: Tensor) -> Any:
        """Return the maxima, and where they were if `return_indices`."""
        return functional.max_pool1d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            self.ceil_mode,
            self.return_indices,
        )


class MaxPool2d(nn.MaxPool2d):
    """`torch.nn.MaxPool2d` by `torch_ext.functional.max_pool2d`."""

    def forward(self, input: Tensor) -> Any:
        """Return the maxima, and where they were if `return_indices`."""
        return functional.max_pool2d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            self.ceil_mode,
            self.return_indices,
        )


class MaxPool3d(nn.MaxPool3d):
    """`torch.nn.MaxPool3d` by `torch_ext.functional.max_pool3d`."""

    def forward(self, input: Tensor) -> Any:
        """Return the maxima, and where they were if `return_indices`."""
        return functional.max_pool3d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            self.ceil_mode,
            self.return_indices,
        )


class AvgPool1d(nn.AvgPool1d):
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


class AvgPool2d(nn.AvgPool2d):
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


class AvgPool3d(nn.AvgPool3d):
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
