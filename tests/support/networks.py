"""Small models with layers of every kind of trouble to a swap, and what is compared of them."""

import torch
from torch import nn
from torch.nn.modules import pooling


class Standardised(nn.Conv2d):
    """A layer with a forward of its own."""

    def forward(self, input):
        weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        return self._conv_forward(input, weight, self.bias)


class OfNoKind(pooling._MaxPoolNd):
    """A pooling layer that is none of torch's."""


class Block(nn.Module):
    """Something to select by class."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(4, 4, 3, padding=1)
        self.conv2 = nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x):
        return self.conv2(self.conv1(x).relu()) + x


def network():
    return integers_of(
        nn.Sequential(
            nn.Conv2d(1, 4, 3),
            nn.ReLU(),
            nn.MaxPool2d(2),
            Block(),
            nn.AvgPool2d(2),
            nn.Flatten(),
            nn.Linear(36, 2),
        )
    )


def integers_of(model):
    """Return a model of integers, so exact that its training has the same bits on any path."""
    model.double()
    torch.manual_seed(1)
    for parameter in model.parameters():
        parameter.data = torch.randint(-1, 2, parameter.shape).double()
    return model


def image():
    torch.manual_seed(2)
    return torch.randint(-2, 3, (3, 1, 14, 14)).double()


def snapshot(model):
    """Return what swap must leave as it is: the class and the whole dict of every module."""
    return [(id(module), type(module), dict(vars(module))) for module in model.modules()]


def kinds(model):
    return [type(module) for module in model.modules()]
