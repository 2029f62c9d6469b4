"""Unfold and Fold."""

from torch import Tensor, nn

from torch_ext import functional
from torch_ext.nn.scripting import Unscriptable


class Unfold(nn.Unfold, Unscriptable):
    """`torch.nn.Unfold` by `torch_ext.functional.unfold`."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the blocks, as columns."""
        return functional.unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)


class Fold(nn.Fold, Unscriptable):
    """`torch.nn.Fold` by `torch_ext.functional.fold`."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the sums of the blocks, each at its place."""
        return functional.fold(
            input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride
        )
