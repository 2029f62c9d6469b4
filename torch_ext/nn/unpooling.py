"""The layers of unpooling."""

from torch import Tensor, nn

from torch_ext import functional
from torch_ext.nn.scripting import Unscriptable


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
