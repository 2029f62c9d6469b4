"""ConvTranspose1d-3d, each with its lazy form (see `torch_ext.nn.convolution`)."""

from torch import Tensor, nn

from torch_ext import functional
from torch_ext.nn.scripting import Unscriptable


class ConvTranspose1d(nn.ConvTranspose1d, Unscriptable):
    """As `ConvTranspose2d`, over one spatial axis.

    `torch.nn.ConvTranspose1d` by `torch_ext.functional.conv_transpose1d`.
    """

    padding: tuple[int, ...]

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Return the output, of `output_size` if given: one of the sizes that the stride allows."""
        p, a = self.padding, _output_padding(self, input, output_size)
        return functional.conv_transpose1d(
            input, self.weight, self.bias, self.stride, p, a, self.groups, self.dilation
        )


class ConvTranspose2d(nn.ConvTranspose2d, Unscriptable):
    """`torch.nn.ConvTranspose2d` by `torch_ext.functional.conv_transpose2d`.

    A subclass of torch's, as `Conv2d` is; `output_size` picks one of the sizes that the stride
    allows.

    (N, C, H, W) -> (N, M, H', W'), or both without N; H' = (H - 1) s - 2 p + d (k - 1) + a + 1.

    In forward, raises as `torch_ext.functional.conv_transpose2d`. `torch.jit.script` is refused.

    >>> import torch
    >>> layer = ConvTranspose2d(3, 8, 3, stride=2)
    >>> layer(torch.ones(1, 3, 4, 4)).shape, layer(torch.ones(1, 3, 4, 4), [10, 10]).shape
    (torch.Size([1, 8, 9, 9]), torch.Size([1, 8, 10, 10]))
    """

    padding: tuple[int, ...]

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Return the output, of `output_size` if given: one of the sizes that the stride allows."""
        p, a = self.padding, _output_padding(self, input, output_size)
        return functional.conv_transpose2d(
            input, self.weight, self.bias, self.stride, p, a, self.groups, self.dilation
        )


class ConvTranspose3d(nn.ConvTranspose3d, Unscriptable):
    """As `ConvTranspose2d`, over three spatial axes.

    `torch.nn.ConvTranspose3d` by `torch_ext.functional.conv_transpose3d`.
    """

    padding: tuple[int, ...]

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Return the output, of `output_size` if given: one of the sizes that the stride allows."""
        p, a = self.padding, _output_padding(self, input, output_size)
        return functional.conv_transpose3d(
            input, self.weight, self.bias, self.stride, p, a, self.groups, self.dilation
        )


def _output_padding(
    layer: ConvTranspose1d | ConvTranspose2d | ConvTranspose3d,
    input: Tensor,
    output_size: list[int] | None,
) -> list[int]:
    """Return the layer's own output padding, or the one that gives this output size."""
    if layer.padding_mode != "zeros":  # set on the layer: its constructor takes no other
        raise ValueError(f"padding_mode must be 'zeros', got {layer.padding_mode!r}")
    s, p, k, d = map(list, (layer.stride, layer.padding, layer.kernel_size, layer.dilation))
    return layer._output_padding(input, output_size, s, p, k, len(k), d)


class LazyConvTranspose1d(nn.LazyConvTranspose1d, ConvTranspose1d):  # type: ignore[misc]
    """`torch.nn.LazyConvTranspose1d`, which becomes a `torch_ext.nn.ConvTranspose1d`."""

    cls_to_become = ConvTranspose1d


class LazyConvTranspose2d(nn.LazyConvTranspose2d, ConvTranspose2d):  # type: ignore[misc]
    """`torch.nn.LazyConvTranspose2d`, which becomes a `torch_ext.nn.ConvTranspose2d`."""

    cls_to_become = ConvTranspose2d


class LazyConvTranspose3d(nn.LazyConvTranspose3d, ConvTranspose3d):  # type: ignore[misc]
    """`torch.nn.LazyConvTranspose3d`, which becomes a `torch_ext.nn.ConvTranspose3d`."""

    cls_to_become = ConvTranspose3d
