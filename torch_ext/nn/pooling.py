"""The pooling layers: max (and unpool), average, power average, adaptive and fractional.

The layers of max pooling take `return_indices` before `ceil_mode`, the functions after it; their
forwards name both. The annotations are narrower than torch's where its layers refuse the rest.
"""

from torch import Tensor, nn

from torch_ext import functional
from torch_ext.nn.scripting import Unscriptable

Pooled = Tensor | tuple[Tensor, Tensor]  # with the indices, if the layer's `return_indices` is set


class MaxPool1d(nn.MaxPool1d, Unscriptable):
    """`torch.nn.MaxPool1d` by `torch_ext.functional.max_pool1d`."""

    def forward(self, input: Tensor) -> Pooled:
        """Return the maxima, and where they were if `return_indices`."""
        pooled: Pooled = functional.max_pool1d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            ceil_mode=self.ceil_mode,
            return_indices=self.return_indices,
        )
        return pooled


class MaxPool2d(nn.MaxPool2d, Unscriptable):
    """`torch.nn.MaxPool2d` by `torch_ext.functional.max_pool2d`."""

    def forward(self, input: Tensor) -> Pooled:
        """Return the maxima, and where they were if `return_indices`."""
        pooled: Pooled = functional.max_pool2d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            ceil_mode=self.ceil_mode,
            return_indices=self.return_indices,
        )
        return pooled


class MaxPool3d(nn.MaxPool3d, Unscriptable):
    """`torch.nn.MaxPool3d` by `torch_ext.functional.max_pool3d`."""

    def forward(self, input: Tensor) -> Pooled:
        """Return the maxima, and where they were if `return_indices`."""
        pooled: Pooled = functional.max_pool3d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            ceil_mode=self.ceil_mode,
            return_indices=self.return_indices,
        )
        return pooled


class MaxUnpool1d(nn.MaxUnpool1d, Unscriptable):
    """`torch.nn.MaxUnpool1d` by `torch_ext.functional.max_unpool1d`."""

    def forward(
        self, input: Tensor, indices: Tensor, output_size: list[int] | None = None
    ) -> Tensor:
        """Return zeros with the maxima where they were."""
        return functional.max_unpool1d(
            input, indices, self.kernel_size, self.stride, self.padding, output_size
        )


class MaxUnpool2d(nn.MaxUnpool2d, Unscriptable):
    """`torch.nn.MaxUnpool2d` by `torch_ext.functional.max_unpool2d`."""

    def forward(
        self, input: Tensor, indices: Tensor, output_size: list[int] | None = None
    ) -> Tensor:
        """Return zeros with the maxima where they were."""
        return functional.max_unpool2d(
            input, indices, self.kernel_size, self.stride, self.padding, output_size
        )


class MaxUnpool3d(nn.MaxUnpool3d, Unscriptable):
    """`torch.nn.MaxUnpool3d` by `torch_ext.functional.max_unpool3d`."""

    def forward(
        self, input: Tensor, indices: Tensor, output_size: list[int] | None = None
    ) -> Tensor:
        """Return zeros with the maxima where they were."""
        return functional.max_unpool3d(
            input, indices, self.kernel_size, self.stride, self.padding, output_size
        )


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


class LPPool1d(nn.LPPool1d, Unscriptable):
    """`torch.nn.LPPool1d` by `torch_ext.functional.lp_pool1d`."""

    kernel_size: int

    def forward(self, input: Tensor) -> Tensor:
        """Return the power averages."""
        return functional.lp_pool1d(
            input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode
        )


class LPPool2d(nn.LPPool2d, Unscriptable):
    """`torch.nn.LPPool2d` by `torch_ext.functional.lp_pool2d`."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the power averages."""
        return functional.lp_pool2d(
            input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode
        )


class LPPool3d(nn.LPPool3d, Unscriptable):
    """`torch.nn.LPPool3d` by `torch_ext.functional.lp_pool3d`."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the power averages."""
        return functional.lp_pool3d(
            input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode
        )


class AdaptiveAvgPool1d(nn.AdaptiveAvgPool1d, Unscriptable):
    """`torch.nn.AdaptiveAvgPool1d` by `torch_ext.functional.adaptive_avg_pool1d`."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the averages."""
        return functional.adaptive_avg_pool1d(input, self.output_size)


class AdaptiveAvgPool2d(nn.AdaptiveAvgPool2d, Unscriptable):
    """`torch.nn.AdaptiveAvgPool2d` by `torch_ext.functional.adaptive_avg_pool2d`."""

    output_size: int | tuple[int | None, int | None]

    def forward(self, input: Tensor) -> Tensor:
        """Return the averages."""
        return functional.adaptive_avg_pool2d(input, self.output_size)


class AdaptiveAvgPool3d(nn.AdaptiveAvgPool3d, Unscriptable):
    """`torch.nn.AdaptiveAvgPool3d` by `torch_ext.functional.adaptive_avg_pool3d`."""

    output_size: int | tuple[int | None, int | None, int | None]

    def forward(self, input: Tensor) -> Tensor:
        """Return the averages."""
        return functional.adaptive_avg_pool3d(input, self.output_size)


class AdaptiveMaxPool1d(nn.AdaptiveMaxPool1d, Unscriptable):
    """`torch.nn.AdaptiveMaxPool1d` by `torch_ext.functional.adaptive_max_pool1d`."""

    def forward(self, input: Tensor) -> Pooled:
        """Return the maxima, and where they were if `return_indices`."""
        pooled: Pooled = functional.adaptive_max_pool1d(
            input, self.output_size, self.return_indices
        )
        return pooled


class AdaptiveMaxPool2d(nn.AdaptiveMaxPool2d, Unscriptable):
    """`torch.nn.AdaptiveMaxPool2d` by `torch_ext.functional.adaptive_max_pool2d`."""

    output_size: int | tuple[int | None, int | None]

    def forward(self, input: Tensor) -> Pooled:
        """Return the maxima, and where they were if `return_indices`."""
        pooled: Pooled = functional.adaptive_max_pool2d(
            input, self.output_size, self.return_indices
        )
        return pooled


class AdaptiveMaxPool3d(nn.AdaptiveMaxPool3d, Unscriptable):
    """`torch.nn.AdaptiveMaxPool3d` by `torch_ext.functional.adaptive_max_pool3d`."""

    output_size: int | tuple[int | None, int | None, int | None]

    def forward(self, input: Tensor) -> Pooled:
        """Return the maxima, and where they were if `return_indices`."""
        pooled: Pooled = functional.adaptive_max_pool3d(
            input, self.output_size, self.return_indices
        )
        return pooled


class FractionalMaxPool2d(nn.FractionalMaxPool2d, Unscriptable):
    """`torch.nn.FractionalMaxPool2d` by `torch_ext.functional.fractional_max_pool2d`."""

    output_ratio: tuple[float, float]
    _random_samples: Tensor | None

    def forward(self, input: Tensor) -> Pooled:
        """Return the maxima, and where they were if `return_indices`."""
        pooled: Pooled = functional.fractional_max_pool2d(
            input,
            self.kernel_size,
            self.output_size,
            self.output_ratio,
            self.return_indices,
            self._random_samples,
        )
        return pooled


class FractionalMaxPool3d(nn.FractionalMaxPool3d, Unscriptable):
    """`torch.nn.FractionalMaxPool3d` by `torch_ext.functional.fractional_max_pool3d`."""

    _random_samples: Tensor | None

    def forward(self, input: Tensor) -> Pooled:
        """Return the maxima, and where they were if `return_indices`."""
        pooled: Pooled = functional.fractional_max_pool3d(
            input,
            self.kernel_size,
            self.output_size,
            self.output_ratio,
            self.return_indices,
            self._random_samples,
        )
        return pooled
