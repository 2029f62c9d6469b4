"""override(): every spelling of these functions reaches refconv, and only inside."""

import threading
from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import refconv
import torch_ext

X = {1: torch.ones(1, 2, 6), 2: torch.ones(1, 2, 6, 5), 3: torch.ones(1, 2, 6, 5, 4)}
W = {rank: torch.ones(2, 2, *[2] * rank) for rank in X}

SPELLINGS = {
    "conv": {
        "F.conv1d": lambda: F.conv1d(X[1], W[1]),
        "F.conv2d": lambda: F.conv2d(X[2], W[2], padding="same", dilation=2),
        "F.conv3d": lambda: F.conv3d(input=X[3], weight=W[3]),
        "torch.conv1d": lambda: torch.conv1d(X[1], W[1], None, 2),
        "torch.conv2d": lambda: torch.conv2d(X[2], W[2], groups=1),
        "torch.conv3d": lambda: torch.conv3d(X[3], W[3]),
        "nn.Conv1d": lambda: nn.Conv1d(2, 2, 2)(X[1]),
        "nn.Conv2d": lambda: nn.Conv2d(2, 2, 2, padding=1, padding_mode="circular")(X[2]),
        "nn.Conv3d": lambda: nn.Conv3d(2, 2, 2)(X[3]),
        "subclass": lambda: Subclass(2, 2, 2)(X[2]),
        "bound before": lambda: BOUND(X[2], W[2]),
    },
    "max_pool": {
        "F.max_pool1d": lambda: F.max_pool1d(X[1], 2),
        "F.max_pool2d": lambda: F.max_pool2d(X[2], 2),
        "F.max_pool3d": lambda: F.max_pool3d(X[3], kernel_size=2),
        "F.max_pool1d, indices": lambda: F.max_pool1d(X[1], 2, return_indices=True),
        "F.max_pool2d, indices": lambda: F.max_pool2d(X[2], 2, None, 0, 1, False, True),
        "F.max_pool3d, indices": lambda: F.max_pool3d(X[3], 2, return_indices=True),
        "F.max_pool1d_with_indices": lambda: F.max_pool1d_with_indices(X[1], 2),
        "F.max_pool2d_with_indices": lambda: F.max_pool2d_with_indices(X[2], 2),
        "F.max_pool3d_with_indices": lambda: F.max_pool3d_with_indices(X[3], 2),
        "torch.max_pool1d": lambda: torch.max_pool1d(X[1], 2),
        "torch.max_pool2d": lambda: torch.max_pool2d(X[2], kernel_size=2),
        "torch.max_pool3d": lambda: torch.max_pool3d(X[3], 2, 1),
        "torch.max_pool1d_with_indices": lambda: torch.max_pool1d_with_indices(X[1], 2),
        "torch._C._nn, 2d": lambda: torch._C._nn.max_pool2d_with_indices(X[2], 2, 1),
        "torch._C._nn, 3d": lambda: torch._C._nn.max_pool3d_with_indices(X[3], 2),
        "nn.MaxPool1d": lambda: nn.MaxPool1d(2)(X[1]),
        "nn.MaxPool2d": lambda: nn.MaxPool2d(2, return_indices=True)(X[2]),
        "nn.MaxPool3d": lambda: nn.MaxPool3d(2)(X[3]),
    },
    "avg_pool": {
        "F.avg_pool1d": lambda: F.avg_pool1d(X[1], 2),
        "F.avg_pool2d": lambda: F.avg_pool2d(X[2], 2, divisor_override=3),
        "F.avg_pool3d": lambda: F.avg_pool3d(input=X[3], kernel_size=2),
        "torch.avg_pool1d": lambda: torch.avg_pool1d(X[1], 2),
        "torch._C._nn.avg_pool2d": lambda: torch._C._nn.avg_pool2d(X[2], 2),
        "torch._C._nn.avg_pool3d": lambda: torch._C._nn.avg_pool3d(X[3], 2),
        "nn.AvgPool1d": lambda: nn.AvgPool1d(2)(X[1]),
        "nn.AvgPool2d": lambda: nn.AvgPool2d(2)(X[2]),
        "nn.AvgPool3d": lambda: nn.AvgPool3d(2)(X[3]),
    },
}
BOUND = F.conv2d


class Subclass(nn.Conv2d):
    """A layer whose forward is its own, and so is not swapped."""

    def forward(self, input):
        return F.conv2d(input, self.weight - self.weight.mean(), self.bias)


@pytest.fixture
def calls(monkeypatch):
    """List the operators of refconv as they are called."""
    made = []

    def spy(name, operator, *args, **options):
        made.append(name)
        return operator(*args, **options)

    for name in ("conv", "max_pool", "avg_pool", "conv_grad_input"):
        monkeypatch.setattr(refconv, name, partial(spy, name, getattr(refconv, name)))
    return made


@pytest.mark.parametrize(
    ("operator", "spelling"),
    [(operator, spelling) for operator in SPELLINGS for spelling in SPELLINGS[operator]],
)
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")  # torch's
def test_every_spelling(calls, operator, spelling):
    call = SPELLINGS[operator][spelling]
    torch.manual_seed(0)
    expected = call()
    assert calls == []
    torch.manual_seed(0)
    with torch_ext.override():
        found = call()
    assert calls == [operator]
    torch.testing.assert_close(found, expected)


def test_other_functions_are_torchs(calls):
    with torch_ext.override():
        y = F.relu(X[2]) + F.pad(X[2], (0, 0)) @ torch.ones(5, 5)
    assert y.shape == X[2].shape
    assert calls == []


def test_contexts_nest(calls):
    with torch_ext.override():
        with torch_ext.override():
            F.conv2d(X[2], W[2])
        F.conv2d(X[2], W[2])
    F.conv2d(X[2], W[2])
    assert calls == ["conv", "conv"]


def test_a_context_can_be_entered_again(calls):
    context = torch_ext.override()
    for _ in range(2):
        with context:
            F.conv2d(X[2], W[2])
    F.conv2d(X[2], W[2])
    assert calls == ["conv", "conv"]


def test_an_exception_ends_it(calls):
    with pytest.raises(RuntimeError, match="weight has 3 dimensions"), torch_ext.override():
        F.conv2d(X[2], W[1])
    F.conv2d(X[2], W[2])
    assert calls == []


def test_a_backward_outside_is_the_references_too(calls):
    x = X[2].clone().requires_grad_()
    with torch_ext.override():
        y = F.conv2d(x, W[2])
    y.sum().backward()
    assert calls == ["conv", "conv_grad_input"]


def test_it_covers_its_own_thread(calls):
    with torch_ext.override():
        other = threading.Thread(target=lambda: F.conv2d(X[2], W[2]))
        other.start()
        other.join()
    assert calls == []


def test_out_is_refused():
    with torch_ext.override(), pytest.raises(TypeError, match="out"):
        torch._C._nn.avg_pool2d(X[2], 2, out=torch.empty(0))
