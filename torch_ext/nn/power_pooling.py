"""The layers of power-average pooling."""

from torch import Tensor, nn

from torch_ext import functional
from torch_ext.nn.scripting import Unscriptable


class LPPool1d(nn.LPPool1d, Unscriptable):
    """As `LPPool2d`, over one spatial axis.

    `torch.nn.LPPool1d` by `torch_ext.functional.lp_pool1d`.
    """

    kernel_size: int

    def forward(self, input: Tensor) -> Tensor:
        """Return the power averages."""
        return functional.lp_pool1d(
            input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode
        )


class LPPool2d(nn.LPPool2d, Unscriptable):
    """`torch.nn.LPPool2d` by `torch_ext.functional.lp_pool2d`.

    A subclass of torch's, as `Conv2d` is.

    (N, C, H, W) -> (N, C, H', W'), or both without N.

    In forward, raises as `torch_ext.functional.lp_pool2d`. `torch.jit.script` is refused.

    >>> import torch
    >>> LPPool2d(2, 2)(torch.tensor([[[3.0, 0.0], [0.0, 4.0]]]))
    tensor([[[5.]]])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Return the power averages."""
        return functional.lp_pool2d(
            input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode
        )


class LPPool3d(nn.LPPool3d, Unscriptable):
    """As `LPPool2d`, over three spatial axes.

    `torch.nn.LPPool3d` by `torch_ext.functional.lp_pool3d`.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Return the power averages."""
        return functional.lp_pool3d(
            input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode
        )
