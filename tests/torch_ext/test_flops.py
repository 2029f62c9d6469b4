"""torch.utils.flop_counter counts what it counts for torch's own operators, forward and backward.

It knows nothing of bias, padding or pools; of a weight's gradient it counts the channels of all
groups. These are its conventions, and the counts of a model stay the same when it is swapped.
"""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import torch_ext
from support.layers import LAZY, NAMES, ROWS, LayerPair
from torch_ext import functional

pytestmark = [
    pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning"),
    pytest.mark.filterwarnings("ignore:Converting a tensor to a Python float"),
]
CONVOLUTIONS = [
    (name, row, batched)
    for name in NAMES
    if "Conv" in name and name not in LAZY
    for row in range(len(ROWS[name]))
    for batched in (True, False)
]


def counted(layer, inputs):
    """Return the flops of the values, of all gradients, and of each where only it is there."""
    x = inputs[0].clone()
    leaves = [x, *layer.parameters()]
    counts = []
    for chosen in (leaves, *([leaf] for leaf in leaves)):
        for leaf in leaves:
            leaf.requires_grad_(any(leaf is each for each in chosen))
        with FlopCounterMode(display=False) as forward:
            y = layer(x, *inputs[1:])
        y = y[0] if isinstance(y, tuple) else y
        with FlopCounterMode(display=False) as backward:
            torch.autograd.grad(y.sum(), chosen)
        counts += [forward.get_total_flops(), backward.get_total_flops()]
    return counts


@pytest.mark.parametrize(("name", "row", "batched"), CONVOLUTIONS)
def test_a_convolution_counts_as_torchs(integers, name, row, batched):
    case = LayerPair(integers, name, row)
    inputs = case.inputs if batched else tuple(x[0] for x in case.inputs)
    expected = counted(case.original, inputs)
    assert all(expected[:6])  # values; all gradients, that of the input, of the weight
    assert counted(case.ours, inputs) == expected
    with torch_ext.override():
        assert counted(case.original, inputs) == expected
    with torch_ext.override(level="aten"):
        assert counted(case.original, inputs) == expected
    torch_ext.swap(case.original)
    assert counted(case.original, inputs) == expected


@pytest.mark.parametrize("name", [name for name in NAMES if "Conv" not in name])
def test_what_torch_does_not_count_is_not_counted(integers, name):
    case = LayerPair(integers, name, 0)
    assert counted(case.ours, case.inputs) == counted(case.original, case.inputs) == [0] * 4


def test_a_model_counts_the_same_module_by_module():
    def model():
        return nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1, groups=1),
            nn.MaxPool2d(2),
            nn.ConvTranspose2d(8, 4, 2, stride=2),
            nn.Flatten(),
            nn.Linear(4 * 64, 10),
        )

    counts = []
    for swapped in (False, True):
        net = model()
        if swapped:
            torch_ext.swap(net)
        with FlopCounterMode(display=False) as counter:
            net(torch.rand(2, 3, 8, 8)).sum().backward()
        counts.append(
            {module: sum(each.values()) for module, each in counter.get_flop_counts().items()}
        )
    assert counts[0] == counts[1]
    assert len([count for count in counts[0].values() if count]) >= 4


def test_a_count_by_hand():
    """2 images, 3 filters of 2 channels and 2 x 2 taps, 3 x 4 places: 2 (2 3 2 4 12) flops."""
    with FlopCounterMode(display=False) as counter:
        functional.conv2d(torch.ones(2, 2, 4, 5), torch.ones(3, 2, 2, 2))
    assert counter.get_total_flops() == 2 * (2 * 3 * 2 * 4 * 12)
