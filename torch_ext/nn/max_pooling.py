"""The layers of max pooling.

They take `return_indices` before `ceil_mode`, the functions after it; their forwards name both. The
annotations of all pooling layers are narrower than torch's where its layers refuse the rest.
"""

from torch import Tensor, nn

from torch_ext import functional
from torch_ext.nn.scripting import Unscriptable

Pooled = Tensor | tuple[Tensor, Tensor]  # with the indices, if the layer's `return_indices` is set


class MaxPool1d(nn.MaxPool1d, Unscriptable):
    """As `MaxPool2d`, over one spatial axis.

    `torch.nn.MaxPool1d` by `torch_ext.functional.max_pool1d`.
    """

    def forward(self, input: Tensor) -> Pooled:
        """Return the maxima, and where they were if `return_indices`."""
        return functional.max_pool1d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            ceil_mode=self.ceil_mode,
            return_indices=self.return_indices,
        )


class MaxPool2d(nn.MaxPool2d, Unscriptable):
    """`torch.nn.MaxPool2d` by `torch_ext.functional.max_pool2d`.

    A subclass of torch's, as `Conv2d` is: its constructor takes `return_indices` before
    `ceil_mode`.

    (N, C, H, W) -> (N, C, H', W'), or both without N; two of them with `return_indices`.

    In forward, raises as `torch_ext.functional.max_pool2d`. `torch.jit.script` is refused.

    >>> import torch
    >>> MaxPool2d(2)(torch.arange(16.0).view(1, 4, 4))
    tensor([[[ 5.,  7.],
             [13., 15.]]])
    """

    def forward(self, input: Tensor) -> Pooled:
        """Return the maxima, and where they were if `return_indices`."""
        return functional.max_pool2d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            ceil_mode=self.ceil_mode,
            return_indices=self.return_indices,
        )


class MaxPool3d(nn.MaxPool3d, Unscriptable):
    """As `MaxPool2d`, over three spatial axes.

    `torch.nn.MaxPool3d` by `torch_ext.functional.max_pool3d`.
    """

    def forward(self, input: Tensor) -> Pooled:
        """Return the maxima, and where they were if `return_indices`."""
        return functional.max_pool3d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            ceil_mode=self.ceil_mode,
            return_indices=self.return_indices,
        )
