"""Unfold and Fold."""

from torch import Tensor, nn

from torch_ext import functional


class Unfold(nn.Unfold):
    """`torch.nn.Unfold` by `torch_ext.functional.unfold`."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the blocks, as columns."""
        return functional.unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)


class Fold(nn.Fold):
    """`torch.nn.Fold` by `torch_ext.functional.fold`."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the sums of the blocks, each at its place."""
        return functional.fold(
            input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride
        )
