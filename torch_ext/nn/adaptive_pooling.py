"""The layers of adaptive pooling."""

from torch import Tensor, nn

from torch_ext import functional
from torch_ext.nn.max_pooling import Pooled
from torch_ext.nn.scripting import Unscriptable


class AdaptiveAvgPool1d(nn.AdaptiveAvgPool1d, Unscriptable):
    """As `AdaptiveAvgPool2d`, over one spatial axis.

    `torch.nn.AdaptiveAvgPool1d` by `torch_ext.functional.adaptive_avg_pool1d`.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Return the averages."""
        return functional.adaptive_avg_pool1d(input, self.output_size)


class AdaptiveAvgPool2d(nn.AdaptiveAvgPool2d, Unscriptable):
    """`torch.nn.AdaptiveAvgPool2d` by `torch_ext.functional.adaptive_avg_pool2d`.

    A subclass of torch's, as `Conv2d` is.

    (N, C, H, W) -> (N, C, *output_size), or both without N; None keeps the size of an axis.

    In forward, raises as `torch_ext.functional.adaptive_avg_pool2d`. `torch.jit.script` is refused.

    >>> import torch
    >>> AdaptiveAvgPool2d((1, None))(torch.arange(4.0).view(1, 2, 2))
    tensor([[[1., 2.]]])
    """

    output_size: int | tuple[int | None, int | None]

    def forward(self, input: Tensor) -> Tensor:
        """Return the averages."""
        return functional.adaptive_avg_pool2d(input, self.output_size)


class AdaptiveAvgPool3d(nn.AdaptiveAvgPool3d, Unscriptable):
    """As `AdaptiveAvgPool2d`, over three spatial axes.

    `torch.nn.AdaptiveAvgPool3d` by `torch_ext.functional.adaptive_avg_pool3d`.
    """

    output_size: int | tuple[int | None, int | None, int | None]

    def forward(self, input: Tensor) -> Tensor:
        """Return the averages."""
        return functional.adaptive_avg_pool3d(input, self.output_size)


class AdaptiveMaxPool1d(nn.AdaptiveMaxPool1d, Unscriptable):
    """As `AdaptiveMaxPool2d`, over one spatial axis.

    `torch.nn.AdaptiveMaxPool1d` by `torch_ext.functional.adaptive_max_pool1d`.
    """

    def forward(self, input: Tensor) -> Pooled:
        """Return the maxima, and where they were if `return_indices`."""
        return functional.adaptive_max_pool1d(input, self.output_size, self.return_indices)


class AdaptiveMaxPool2d(nn.AdaptiveMaxPool2d, Unscriptable):
    """`torch.nn.AdaptiveMaxPool2d` by `torch_ext.functional.adaptive_max_pool2d`.

    A subclass of torch's, as `Conv2d` is.

    (N, C, H, W) -> (N, C, *output_size), or both without N; two of them with `return_indices`.

    In forward, raises as `torch_ext.functional.adaptive_max_pool2d`. `torch.jit.script` is refused.

    >>> import torch
    >>> AdaptiveMaxPool2d(1)(torch.arange(4.0).view(1, 2, 2))
    tensor([[[3.]]])
    """

    output_size: int | tuple[int | None, int | None]

    def forward(self, input: Tensor) -> Pooled:
        """Return the maxima, and where they were if `return_indices`."""
        return functional.adaptive_max_pool2d(input, self.output_size, self.return_indices)


class AdaptiveMaxPool3d(nn.AdaptiveMaxPool3d, Unscriptable):
    """As `AdaptiveMaxPool2d`, over three spatial axes.

    `torch.nn.AdaptiveMaxPool3d` by `torch_ext.functional.adaptive_max_pool3d`.
    """

    output_size: int | tuple[int | None, int | None, int | None]

    def forward(self, input: Tensor) -> Pooled:
        """Return the maxima, and where they were if `return_indices`."""
        return functional.adaptive_max_pool3d(input, self.output_size, self.return_indices)
