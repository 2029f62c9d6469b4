"""Unfold and Fold."""

from torch import Tensor, nn

from torch_ext import functional
from torch_ext.nn.scripting import Unscriptable


class Unfold(nn.Unfold, Unscriptable):
    """`torch.nn.Unfold` by `torch_ext.functional.unfold`.

    A subclass of torch's, as `Conv2d` is.

    (N, C, H, W) -> (N, C K, L), or both without N, with K taps in each of L windows.

    In forward, raises as `torch_ext.functional.unfold`. `torch.jit.script` is refused.

    >>> import torch
    >>> Unfold(2)(torch.arange(6.0).view(1, 2, 3))
    tensor([[0., 1.],
            [1., 2.],
            [3., 4.],
            [4., 5.]])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Return the blocks, as columns."""
        return functional.unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)


class Fold(nn.Fold, Unscriptable):
    """`torch.nn.Fold` by `torch_ext.functional.fold`.

    A subclass of torch's, as `Conv2d` is.

    (N, C K, L) -> (N, C, H, W), or both without N, with K taps in each of L windows.

    In forward, raises as `torch_ext.functional.fold`. `torch.jit.script` is refused.

    >>> import torch
    >>> Fold((2, 3), 2)(torch.ones(4, 2))
    tensor([[[1., 2., 1.],
             [1., 2., 1.]]])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Return the sums of the blocks, each at its place."""
        return functional.fold(
            input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride
        )
