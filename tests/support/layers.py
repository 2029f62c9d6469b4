"""Layers of torch.nn, each with such options that a forward cannot get one wrong unseen.

A `Case` holds a layer beside its original, on data for which every sum, quotient and root is exact.
"""

import inspect
import io
import math
import re

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.modules import conv, fold, pooling

import torch_ext

NAMES = [*conv.__all__, *fold.__all__, *pooling.__all__]
LAZY = [name for name in NAMES if name.startswith("Lazy")]
MODES = ["zeros", "reflect", "replicate", "circular"]
SIZES = {1: (9,), 2: (8, 7), 3: (5, 6, 4)}
BLOCKS = {"kernel_size": (3, 2), "dilation": (2, 1), "padding": (1, 2), "stride": (2, 3)}
SEEDED = torch.Generator().manual_seed(3)

# (arguments, options) of layers. Each option has a row that would show it missing or exchanged with
# another: see the planted bugs. The channels in are 4, and all sums and quotients are exact.
ROWS = {
    "Conv1d": [
        ((4, 6, 3), {"stride": 3, "padding": 1, "dilation": 2, "groups": 2}),
        ((4, 2, 2), {"padding": "same", "bias": False}),
    ],
    "Conv2d": [
        ((4, 6, (3, 2)), {"stride": (2, 3), "padding": (1, 0), "dilation": (1, 2), "groups": 2}),
        ((4, 2, (3, 2)), {"dilation": 2, "padding": "same", "bias": False}),
    ],
    "Conv3d": [
        (
            (4, 6, 2),
            {"stride": (3, 1, 2), "padding": (1, 0, 2), "dilation": (2, 3, 1), "groups": 2},
        ),
        ((4, 2, 2), {"stride": (2, 1, 1), "padding": "valid", "bias": False}),
    ],
    "ConvTranspose1d": [
        ((4, 6, 3), {"stride": 4, "padding": 2, "output_padding": 3, "groups": 2, "dilation": 3}),
        ((4, 2, 2), {"bias": False}),
    ],
    "ConvTranspose2d": [
        (
            (4, 6, (3, 2), (2, 3), (1, 0)),
            {"output_padding": (0, 1), "groups": 2, "dilation": (1, 2)},
        ),
        ((4, 2, 2), {"stride": 2, "bias": False}),
    ],
    "ConvTranspose3d": [
        (
            (4, 6, 2, (1, 3, 2), (1, 0, 1)),
            {"output_padding": (1, 2, 0), "groups": 2, "dilation": (2, 1, 1)},
        ),
        ((4, 2, 1), {"bias": False}),
    ],
    "Unfold": [((), BLOCKS), ((2,), {})],
    "Fold": [(((8, 7),), BLOCKS), (((4, 6), 2), {"stride": 2})],
    "MaxPool1d": [
        ((3, 4, 1, 2), {"ceil_mode": True}),
        ((2,), {"return_indices": True}),
    ],
    "MaxPool2d": [
        (((3, 2), (2, 3), (1, 0), (2, 3)), {"ceil_mode": True}),
        ((2, 3), {"return_indices": True}),
    ],
    "MaxPool3d": [
        ((2, (2, 1, 3), (0, 1, 1), (1, 3, 2)), {"ceil_mode": True}),
        ((2,), {"return_indices": True}),
    ],
    "MaxUnpool1d": [((2, 3, 1), {}), ((2,), {})],
    "MaxUnpool2d": [(((2, 3), (3, 4), (0, 1)), {}), ((2,), {})],
    "MaxUnpool3d": [((2, (3, 2, 4), (0, 1, 1)), {}), ((2,), {})],
    "AvgPool1d": [
        ((4, 3, 1), {"ceil_mode": True}),
        ((4, 3, 1), {"ceil_mode": True, "count_include_pad": False}),
    ],
    "AvgPool2d": [
        (((3, 2), (2, 3)), {"padding": (1, 0), "ceil_mode": True}),
        ((2,), {"padding": 1, "count_include_pad": False}),
        ((2,), {"divisor_override": 3}),
    ],
    "AvgPool3d": [
        ((2, (2, 1, 3)), {"padding": (0, 1, 1), "ceil_mode": True}),
        ((2,), {"padding": 1, "count_include_pad": False}),
        ((2,), {"divisor_override": -3}),
    ],
    "LPPool1d": [
        ((2, 4, 3), {"ceil_mode": True}),
        ((math.inf, 2), {}),
        ((torch.tensor(2.0), 4), {}),
    ],
    "LPPool2d": [((2, 2, (1, 3)), {"ceil_mode": True}), ((1, (2, 3)), {})],
    "LPPool3d": [((2, (1, 2, 2), (2, 1, 3)), {"ceil_mode": True}), ((1.0, 2), {})],
    "AdaptiveAvgPool1d": [((4,), {})],
    "AdaptiveAvgPool2d": [(((3, None),), {}), ((2,), {})],
    "AdaptiveAvgPool3d": [(((2, None, 3),), {}), ((2,), {})],
    "AdaptiveMaxPool1d": [((4,), {}), ((2,), {"return_indices": True})],
    "AdaptiveMaxPool2d": [(((3, None),), {}), ((2,), {"return_indices": True})],
    "AdaptiveMaxPool3d": [(((2, None, 3),), {}), ((2,), {"return_indices": True})],
    "FractionalMaxPool2d": [
        ((2, (3, 4)), {"_random_samples": torch.rand(2, 4, 2, generator=SEEDED)}),
        (((2, 3),), {"output_ratio": (0.5, 0.6), "return_indices": True}),
    ],
    "FractionalMaxPool3d": [
        ((2, (3, 2, 2)), {"_random_samples": torch.rand(2, 4, 3, generator=SEEDED)}),
        (((2, 1, 2),), {"output_ratio": (0.5, 0.6, 0.4), "return_indices": True}),
    ],
}
for rank in SIZES:
    padded = [{"padding": p, "padding_mode": mode} for p in (1, "same") for mode in MODES]
    ROWS[f"Conv{rank}d"] += [((4, 2, 3), options) for options in padded]
for name in LAZY:
    rows = ROWS[name.removeprefix("Lazy")]
    ROWS[name] = [(args[1:], options) for args, options in rows]


class LayerPair:
    """A layer and its original, with the same integer parameters, and inputs for them."""

    times = 144  # factor of the output's gradient, which windows of up to 16 and of 18 taps divide

    def __init__(self, integers, name, row, ours=None):
        args, options = ROWS[name][row]
        kinds = (ours or getattr(torch_ext.nn, name), getattr(nn, name))
        self.ours, self.original = (kind(*args, **options) for kind in kinds)
        self.integers, self.inputs = integers, inputs(integers, name, self.original)
        if name in LAZY:
            self.ours(*self.inputs), self.original(*self.inputs)
        for parameter in self.original.parameters():
            parameter.data = integers(parameter.shape, parameter.dtype)
        self.ours.load_state_dict(self.original.state_dict())

    def check(self):
        """Assert that values, indices and gradients have the same bits."""
        for output_size in self.output_sizes():
            found, gy = [], None
            for layer in (self.ours, self.original):
                x = self.inputs[0].clone().requires_grad_()
                torch.manual_seed(0)  # fractional pools draw samples
                y = layer(x, *self.inputs[1:], *output_size)
                y = y if isinstance(y, tuple) else (y,)
                gy = self.times * self.integers(y[0].shape, y[0].dtype) if gy is None else gy
                found.append([*y, *torch.autograd.grad(y[0], (x, *layer.parameters()), gy)])
            assert_same_tensors(*found)

    def output_sizes(self):
        """Return the last arguments of some calls: none, the least size allowed, and the most."""
        layer = self.original
        if "output_size" not in inspect.signature(layer.forward).parameters:
            return [()]
        n, c, *natural = layer(*self.inputs).shape
        extra = getattr(layer, "output_padding", [0] * len(natural))
        least = [size - a for size, a in zip(natural, extra, strict=True)]
        most = [size + s - 1 for size, s in zip(least, layer.stride, strict=True)]
        return [(), (least,), ([n, c, *most],)]


def inputs(integers, name, layer):
    """Return what the layer is called with; the first has a gradient."""
    rank = len(SIZES) - 1 if name in fold.__all__ else int(name[-2])
    x = integers((2, 4, *SIZES[rank]), torch.float32)
    if name == "Fold":
        blocks = (layer.kernel_size, layer.dilation, layer.padding, layer.stride)
        x = integers(F.unfold(torch.ones(2, 3, *layer.output_size), *blocks).shape, torch.float32)
    if name.startswith("MaxUnpool"):  # three windows in each axis, apart from each other
        k, s, p = layer.kernel_size, layer.stride, layer.padding
        x = torch.rand(2, 4, *(2 * s + k - 2 * p for k, s, p in zip(k, s, p, strict=True)))
        y, indices = getattr(F, f"max_pool{rank}d")(x, k, s, p, return_indices=True)
        return integers(y.shape, torch.float32), indices
    if name.startswith("LPPool"):  # one power of two in each image: so are roots and quotients
        return (2 ** integers((2, 4, *[1] * rank), torch.float32) * torch.ones(SIZES[rank]),)
    return (x,)


def assert_same_tensors(values, expected):
    """Assert that tensors have the same bits, and are not all zero."""
    for one, other in zip(values, expected, strict=True):
        assert other.any()
        assert one.dtype == other.dtype
        assert torch.equal(one, other)


def counterpart(name):
    """Return the function of a layer: LazyConvTranspose1d, conv_transpose1d."""
    return re.sub(r"(?<=\w)(?=[A-Z][a-z])", "_", name.removeprefix("Lazy")).lower()


def pickled(layer):
    """Return a layer as it comes out of a file."""
    buffer = io.BytesIO()
    torch.save(layer, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=False)
