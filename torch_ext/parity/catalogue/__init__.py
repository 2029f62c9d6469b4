"""The catalogue: every operator of the family in torch.nn.functional, as an object.

>>> from torch_ext.parity.catalogue import OPERATORS
>>> [case.name for case in OPERATORS["conv2d"].named()][:3]
['plain', 'no bias', 'stride']
"""

from collections.abc import Iterator
from zlib import crc32

import numpy as np

from torch_ext import functional
from torch_ext.parity.catalogue.adaptive_pooling import AdaptiveAverage, AdaptiveMaximum
from torch_ext.parity.catalogue.average_pooling import AveragePooling
from torch_ext.parity.catalogue.case import Case
from torch_ext.parity.catalogue.convolution import Convolution, TimeBatchChannels
from torch_ext.parity.catalogue.folding import Folding, Unfolding
from torch_ext.parity.catalogue.fractional_pooling import Fractional
from torch_ext.parity.catalogue.max_pooling import MaxPooling
from torch_ext.parity.catalogue.operator import Operator
from torch_ext.parity.catalogue.power_pooling import PowerPooling
from torch_ext.parity.catalogue.transposed import TransposedConvolution
from torch_ext.parity.catalogue.unpooling import Unpooling

__all__ = ["OPERATORS", "Case", "Operator", "cases", "operator"]

OPERATORS: dict[str, Operator] = {
    each.name: each
    for each in (
        Convolution("conv1d", 1, functional.conv1d),
        Convolution("conv2d", 2, functional.conv2d),
        Convolution("conv3d", 3, functional.conv3d),
        TransposedConvolution("conv_transpose1d", 1, functional.conv_transpose1d),
        TransposedConvolution("conv_transpose2d", 2, functional.conv_transpose2d),
        TransposedConvolution("conv_transpose3d", 3, functional.conv_transpose3d),
        TimeBatchChannels("conv_tbc", 1, functional.conv_tbc),
        Unfolding("unfold", 2, functional.unfold),
        Folding("fold", 2, functional.fold),
        MaxPooling("max_pool1d", 1, functional.max_pool1d),
        MaxPooling("max_pool2d", 2, functional.max_pool2d),
        MaxPooling("max_pool3d", 3, functional.max_pool3d),
        Unpooling("max_unpool1d", 1, functional.max_unpool1d),
        Unpooling("max_unpool2d", 2, functional.max_unpool2d),
        Unpooling("max_unpool3d", 3, functional.max_unpool3d),
        AveragePooling("avg_pool1d", 1, functional.avg_pool1d),
        AveragePooling("avg_pool2d", 2, functional.avg_pool2d),
        AveragePooling("avg_pool3d", 3, functional.avg_pool3d),
        PowerPooling("lp_pool1d", 1, functional.lp_pool1d),
        PowerPooling("lp_pool2d", 2, functional.lp_pool2d),
        PowerPooling("lp_pool3d", 3, functional.lp_pool3d),
        AdaptiveAverage("adaptive_avg_pool1d", 1, functional.adaptive_avg_pool1d),
        AdaptiveAverage("adaptive_avg_pool2d", 2, functional.adaptive_avg_pool2d),
        AdaptiveAverage("adaptive_avg_pool3d", 3, functional.adaptive_avg_pool3d),
        AdaptiveMaximum("adaptive_max_pool1d", 1, functional.adaptive_max_pool1d),
        AdaptiveMaximum("adaptive_max_pool2d", 2, functional.adaptive_max_pool2d),
        AdaptiveMaximum("adaptive_max_pool3d", 3, functional.adaptive_max_pool3d),
        Fractional("fractional_max_pool2d", 2, functional.fractional_max_pool2d),
        Fractional("fractional_max_pool3d", 3, functional.fractional_max_pool3d),
    )
}


def operator(name: str) -> Operator:
    """Return an operator by its name in torch.nn.functional."""
    if name not in OPERATORS:
        raise ValueError(f"op must be one of {', '.join(OPERATORS)}, got {name!r}")
    return OPERATORS[name]


def cases(op: str, seed: int = 0, number: int = 8) -> list[Case]:
    """Return the named cases of an operator and `number` random ones."""
    chosen = operator(op)
    rng = np.random.default_rng([seed, crc32(op.encode())])
    return [*chosen.named(), *(chosen.drawn(f"random {j}", rng) for j in range(number))]


def ladder(op: str) -> Iterator[Case]:
    """Yield the cases of every size."""
    return operator(op).ladder()
