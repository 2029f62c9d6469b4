"""The model of the demonstration: two convolutions with a ReLU and a max pool each, and a layer."""

from torch import nn

CHANNELS = 16, 32  # filters of the two convolutions


def lenet() -> nn.Sequential:
    """Return the model, for digits of 8 x 8 pixels."""
    return nn.Sequential(
        nn.Conv2d(1, CHANNELS[0], 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(*CHANNELS, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(CHANNELS[1] * 2 * 2, 10),
    )
