"""The layers of fractional max pooling."""

from torch import Tensor, nn

from torch_ext import functional
from torch_ext.nn.max_pooling import Pooled
from torch_ext.nn.scripting import Unscriptable


class FractionalMaxPool2d(nn.FractionalMaxPool2d, Unscriptable):
    """`torch.nn.FractionalMaxPool2d` by `torch_ext.functional.fractional_max_pool2d`.

    A subclass of torch's, as `Conv2d` is. Without samples of its own every call draws new windows.

    (N, C, H, W) -> (N, C, *output_size), or both without N; two of them with `return_indices`.

    In forward, raises as `torch_ext.functional.fractional_max_pool2d`. `torch.jit.script` is
    refused.

    >>> import torch
    >>> FractionalMaxPool2d(2, output_size=(3, 3))(torch.ones(1, 2, 7, 7)).shape
    torch.Size([1, 2, 3, 3])
    """

    output_ratio: tuple[float, float]
    _random_samples: Tensor | None

    def forward(self, input: Tensor) -> Pooled:
        """Return the maxima, and where they were if `return_indices`."""
        return functional.fractional_max_pool2d(
            input,
            self.kernel_size,
            self.output_size,
            self.output_ratio,
            self.return_indices,
            self._random_samples,
        )


class FractionalMaxPool3d(nn.FractionalMaxPool3d, Unscriptable):
    """As `FractionalMaxPool2d`, over three spatial axes.

    `torch.nn.FractionalMaxPool3d` by `torch_ext.functional.fractional_max_pool3d`.
    """

    _random_samples: Tensor | None

    def forward(self, input: Tensor) -> Pooled:
        """Return the maxima, and where they were if `return_indices`."""
        return functional.fractional_max_pool3d(
            input,
            self.kernel_size,
            self.output_size,
            self.output_ratio,
            self.return_indices,
            self._random_samples,
        )
