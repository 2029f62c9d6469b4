"""The layers of unpooling."""

from torch import Tensor, nn

from torch_ext import functional
from torch_ext.nn.scripting import Unscriptable


class MaxUnpool1d(nn.MaxUnpool1d, Unscriptable):
    """As `MaxUnpool2d`, over one spatial axis.

    `torch.nn.MaxUnpool1d` by `torch_ext.functional.max_unpool1d`.
    """

    def forward(
        self, input: Tensor, indices: Tensor, output_size: list[int] | None = None
    ) -> Tensor:
        """Return zeros with the maxima where they were."""
        return functional.max_unpool1d(
            input, indices, self.kernel_size, self.stride, self.padding, output_size
        )


class MaxUnpool2d(nn.MaxUnpool2d, Unscriptable):
    """`torch.nn.MaxUnpool2d` by `torch_ext.functional.max_unpool2d`.

    A subclass of torch's, as `Conv2d` is; `output_size` picks one of the sizes that the stride
    allows.

    (N, C, H, W) and indices of that shape -> (N, C, H', W'), or all without N.

    In forward, raises as `torch_ext.functional.max_unpool2d`. `torch.jit.script` is refused.

    >>> import torch
    >>> MaxUnpool2d(2)(torch.tensor([[[7.0]]]), torch.tensor([[[3]]]))
    tensor([[[0., 0.],
             [0., 7.]]])
    """

    def forward(
        self, input: Tensor, indices: Tensor, output_size: list[int] | None = None
    ) -> Tensor:
        """Return zeros with the maxima where they were."""
        return functional.max_unpool2d(
            input, indices, self.kernel_size, self.stride, self.padding, output_size
        )


class MaxUnpool3d(nn.MaxUnpool3d, Unscriptable):
    """As `MaxUnpool2d`, over three spatial axes.

    `torch.nn.MaxUnpool3d` by `torch_ext.functional.max_unpool3d`.
    """

    def forward(
        self, input: Tensor, indices: Tensor, output_size: list[int] | None = None
    ) -> Tensor:
        """Return zeros with the maxima where they were."""
        return functional.max_unpool3d(
            input, indices, self.kernel_size, self.stride, self.padding, output_size
        )
