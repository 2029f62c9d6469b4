"""Whole models, small: four of transformers, a U-Net and the generator of a DCGAN.

Random weights, few channels, images so small that a training step takes milliseconds; but every
kind of layer the model has, at the stride, kernel and groups it has it with. No dropout, so that a
step is a function.

Sources: transformers' own classes, built from a configuration; Ronneberger, Fischer and Brox,
U-Net (2015), arXiv:1505.04597; Radford, Metz and Chintala, DCGAN (2015), arXiv:1511.06434; the
gate in the U-Net: Hu, Shen and Sun, Squeeze-and-Excitation Networks (2017), arXiv:1709.01507.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Architecture(NamedTuple):
    """How to build a model, what it takes, and how often a step computes what, by refconv's names.

    `functions` are the calls among them that its forward makes by itself, without a module.
    """

    build: Callable[[], nn.Module]
    shape: tuple[int, ...]
    calls: dict[str, int]
    functions: dict[str, int]


class Logits(nn.Module):
    """A model of transformers, that returns a tensor."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x).logits


def resnet() -> nn.Module:
    """7 x 7 at stride 2, max pool, bottlenecks of 1 x 1 and 3 x 3, projections, global average."""
    from transformers import ResNetConfig, ResNetForImageClassification

    config = ResNetConfig(
        embedding_size=4,
        hidden_sizes=[8, 16],
        depths=[1, 2],
        layer_type="bottleneck",
        num_labels=3,
    )
    return Logits(ResNetForImageClassification(config))


def convnext() -> nn.Module:
    """Patches by stride 4, depthwise 7 x 7, layer norms, patches by stride 2.

    `layer_scale_init_value` is 1e-6 by default, at which the depthwise filters have no say.
    """
    from transformers import ConvNextConfig, ConvNextForImageClassification

    config = ConvNextConfig(
        hidden_sizes=[4, 8], depths=[1, 1], num_stages=2, layer_scale_init_value=1.0, num_labels=3
    )
    return Logits(ConvNextForImageClassification(config))


def mobilenet() -> nn.Module:
    """Inverted residuals: 1 x 1 up, depthwise 3 x 3 padded in TensorFlow's way, 1 x 1 down.

    With `output_stride` 16, the depthwise filters behind that stride are dilated.
    """
    from transformers import MobileNetV2Config, MobileNetV2ForImageClassification

    config = MobileNetV2Config(
        depth_multiplier=0.1,
        depth_divisible_by=2,
        min_depth=2,
        expand_ratio=2,
        output_stride=16,
        classifier_dropout_prob=0.0,
        num_labels=3,
    )
    return Logits(MobileNetV2ForImageClassification(config))


def segformer() -> nn.Module:
    """Overlapping patches, attention with keys shrunk by a strided convolution, interpolation.

    `sdpa`: attention written out (`eager`) computes its softmax in float32 whatever the dtype.
    """
    from transformers import SegformerConfig, SegformerForSemanticSegmentation

    config = SegformerConfig(
        num_encoder_blocks=2,
        depths=[1, 1],
        sr_ratios=[4, 1],
        hidden_sizes=[4, 8],
        patch_sizes=[7, 3],
        strides=[4, 2],
        num_attention_heads=[1, 2],
        mlp_ratios=[2, 2],
        decoder_hidden_size=8,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        classifier_dropout_prob=0.0,
        drop_path_rate=0.0,
        num_labels=3,
        attn_implementation="sdpa",
    )
    return Logits(SegformerForSemanticSegmentation(config))


def twice(inside: int, outside: int) -> nn.Sequential:
    """Return the block of a U-Net: twice a 3 x 3 convolution, batch norm and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inside, outside, 3, padding=1, bias=False),
        nn.BatchNorm2d(outside),
        nn.ReLU(),
        nn.Conv2d(outside, outside, 3, padding=1, bias=False),
        nn.BatchNorm2d(outside),
        nn.ReLU(),
    )


class UNet(nn.Module):
    """Down by a max and by an average pool, up by a transposed convolution and by interpolation.

    The deepest features are weighed by a gate that sees their means over 2 x 2 parts and the whole.
    """

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.deepest = twice(2, 4), twice(4, 6), twice(6, 8)
        self.shrink = nn.MaxPool2d(2)
        self.parts = nn.AdaptiveAvgPool2d(2)
        self.gate = nn.Conv2d(8, 8, 2)
        self.grow = nn.ConvTranspose2d(8, 6, 2, stride=2)
        self.narrow = nn.Conv2d(6, 4, 3, padding=1, padding_mode="reflect")
        self.third, self.fourth = twice(12, 6), twice(8, 4)
        self.head = nn.Conv2d(4, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        first = self.first(x)
        second = self.second(self.shrink(first))
        deepest = self.deepest(F.avg_pool2d(second, 3, stride=2, padding=1))
        means = self.gate(self.parts(deepest)) + F.adaptive_avg_pool2d(deepest, 1)
        deepest = deepest * means.sigmoid()
        third = self.third(torch.cat([second, self.grow(deepest)], 1))
        large = F.interpolate(third, scale_factor=2, mode="bilinear")
        return self.head(self.fourth(torch.cat([first, self.narrow(large)], 1)))


def generator() -> nn.Sequential:
    """Return a DCGAN's generator: noise (N, 6, 1, 1) to images (N, 3, 16, 16)."""
    return nn.Sequential(
        nn.ConvTranspose2d(6, 8, 4, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.ConvTranspose2d(8, 6, 4, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.ConvTranspose2d(6, 3, 4, stride=2, padding=1, bias=False),
        nn.Tanh(),
    )


ARCHITECTURES = {
    "ResNet": Architecture(
        resnet, (4, 3, 32, 32), {"conv": 12, "max_pool": 1, "adaptive_avg_pool": 1}, {}
    ),
    "ConvNeXt": Architecture(convnext, (2, 3, 32, 32), {"conv": 4}, {}),
    "MobileNetV2": Architecture(
        mobilenet, (2, 3, 32, 32), {"conv": 52, "adaptive_avg_pool": 1}, {}
    ),
    "SegFormer": Architecture(segformer, (2, 3, 32, 32), {"conv": 7}, {}),
    "U-Net": Architecture(
        UNet,
        (2, 2, 16, 16),
        {"conv": 13, "conv_transpose": 1, "max_pool": 1, "avg_pool": 1, "adaptive_avg_pool": 2},
        {"avg_pool": 1, "adaptive_avg_pool": 1},
    ),
    "DCGAN": Architecture(generator, (4, 6, 1, 1), {"conv_transpose": 3}, {}),
}
