"""override(): every spelling of these functions reaches refconv, and only inside."""

import inspect
import re
import threading
from contextlib import nullcontext

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.overrides import get_overridable_functions

import torch_ext
from torch_ext.override import functions

X = {1: torch.ones(1, 2, 6), 2: torch.ones(1, 2, 6, 5), 3: torch.ones(1, 2, 6, 5, 4)}
W = {rank: torch.ones(2, 2, *[2] * rank) for rank in X}
COLS = torch.ones(1, 8, 20)  # of X[2], by a kernel of 2
AT = {rank: torch.zeros(1, 2, *[2] * rank, dtype=torch.int64) for rank in X}  # one winner for all
U = {rank: torch.full((1, 2, rank), 0.5) for rank in X}
nn_ = torch._C._nn
OPTIONS = {rank: ([1] * rank, [0] * rank, [1] * rank, False, [0] * rank, 1) for rank in X}

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
        "torch.convolution": lambda: torch.convolution(X[2], W[2], None, *OPTIONS[2]),
        "torch._convolution": lambda: torch._convolution(
            X[1], W[1], None, *OPTIONS[1], False, False, False, False
        ),
        "torch._convolution_mode": lambda: torch._convolution_mode(
            X[2], W[2], None, [1, 1], "same", [1, 1], 1
        ),
        "F.conv_tbc": lambda: F.conv_tbc(torch.ones(6, 1, 2), W[1], torch.ones(2)),
        "thnn_conv2d": lambda: nn_.thnn_conv2d(X[2], W[2], 2),
        "slow_conv3d": lambda: nn_.slow_conv3d(X[3], W[3], 2),
        "slow_conv_dilated2d": lambda: nn_.slow_conv_dilated2d(X[2], W[2], 2),
        "slow_conv_dilated3d": lambda: nn_.slow_conv_dilated3d(X[3], W[3], 2),
        "torch.ops.aten.conv2d": lambda: torch.ops.aten.conv2d(X[2], W[2]),
        "torch.ops.aten.conv1d.padding": lambda: torch.ops.aten.conv1d.padding(
            X[1], W[1], padding="same"
        ),
        "torch.ops.aten.convolution": lambda: torch.ops.aten.convolution(
            X[3], W[3], None, *OPTIONS[3]
        ),
    },
    "conv_transpose": {
        "F.conv_transpose1d": lambda: F.conv_transpose1d(X[1], W[1]),
        "F.conv_transpose2d": lambda: F.conv_transpose2d(X[2], W[2], stride=2),
        "F.conv_transpose3d": lambda: F.conv_transpose3d(X[3], weight=W[3]),
        "nn.ConvTranspose2d": lambda: nn.ConvTranspose2d(2, 2, 2)(X[2]),
        "slow_conv_transpose2d": lambda: nn_.slow_conv_transpose2d(X[2], W[2], 2),
        "slow_conv_transpose3d": lambda: nn_.slow_conv_transpose3d(X[3], W[3], 2),
    },
    "conv_grad_input": {
        "torch.nn.grad.conv2d_input": lambda: nn.grad.conv2d_input(
            X[2].shape, W[2], torch.ones(1, 2, 5, 4)
        ),
    },
    "conv_grad_weight": {
        "torch.nn.grad.conv1d_weight": lambda: nn.grad.conv1d_weight(
            X[1], W[1].shape, torch.ones(1, 2, 5)
        ),
    },
    "unfold": {
        "F.unfold": lambda: F.unfold(X[2], 2),
        "im2col": lambda: nn_.im2col(X[2], [2, 2], [1, 1], [0, 0], [1, 1]),
        "nn.Unfold": lambda: nn.Unfold(2)(X[2]),
    },
    "fold": {
        "F.fold": lambda: F.fold(COLS, (6, 5), 2),
        "col2im": lambda: nn_.col2im(COLS, [6, 5], [2, 2], [1, 1], [0, 0], [1, 1]),
    },
    "lp_pool": {
        "F.lp_pool1d": lambda: F.lp_pool1d(X[1], 2, 2),
        "F.lp_pool2d": lambda: F.lp_pool2d(X[2], 2, 2),
        "nn.LPPool3d": lambda: nn.LPPool3d(2, 2)(X[3]),
    },
    "adaptive_avg_pool": {
        "F.adaptive_avg_pool1d": lambda: F.adaptive_avg_pool1d(X[1], 3),
        "F.adaptive_avg_pool2d": lambda: F.adaptive_avg_pool2d(X[2], (None, 1)),
        "F.adaptive_avg_pool3d": lambda: F.adaptive_avg_pool3d(X[3], 1),
        "torch._adaptive_avg_pool2d": lambda: torch._adaptive_avg_pool2d(X[2], [3, 3]),
        "torch._adaptive_avg_pool3d": lambda: torch._adaptive_avg_pool3d(X[3], [3, 3, 1]),
        "torch._C._nn, 2d": lambda: nn_.adaptive_avg_pool2d(X[2], 3),
        "torch._C._nn, 3d": lambda: nn_.adaptive_avg_pool3d(X[3], 3),
        "F.interpolate": lambda: F.interpolate(X[2], scale_factor=0.5, mode="area"),
    },
    "adaptive_max_pool": {
        "F.adaptive_max_pool1d": lambda: F.adaptive_max_pool1d(X[1], 3),
        "F.adaptive_max_pool2d": lambda: F.adaptive_max_pool2d(X[2], 3, return_indices=True),
        "F._adaptive_max_pool3d": lambda: F._adaptive_max_pool3d(X[3], 2),
        "F.adaptive_max_pool1d_with_indices": lambda: F.adaptive_max_pool1d_with_indices(X[1], 2),
        "torch.adaptive_max_pool1d": lambda: torch.adaptive_max_pool1d(X[1], 3),
        "torch._C._nn, 2d": lambda: nn_.adaptive_max_pool2d(X[2], [3, 3]),
        "torch._C._nn, 3d": lambda: nn_.adaptive_max_pool3d(X[3], [3, 3, 1]),
        "torch.ops.aten": lambda: torch.ops.aten.adaptive_max_pool2d(X[2], [3, 3]),
    },
    "fractional_max_pool": {
        "F.fractional_max_pool2d": lambda: F.fractional_max_pool2d(X[2], 2, 3),
        "F.fractional_max_pool3d": lambda: F.fractional_max_pool3d(X[3], 2, 2, None, True),
        "F._fractional_max_pool2d": lambda: F._fractional_max_pool2d(X[2], 2, 3),
        "torch._C._nn, 2d": lambda: nn_.fractional_max_pool2d(X[2], 2, 3, U[2]),
        "torch._C._nn, 3d": lambda: nn_.fractional_max_pool3d(X[3], 2, 2, U[3]),
        "nn.FractionalMaxPool2d": lambda: nn.FractionalMaxPool2d(2, 3)(X[2]),
    },
    "max_unpool": {
        "F.max_unpool1d": lambda: F.max_unpool1d(X[1][..., :2], AT[1], 2),
        "F.max_unpool2d": lambda: F.max_unpool2d(X[2][..., :2, :2], AT[2], 2),
        "F.max_unpool3d": lambda: F.max_unpool3d(X[3][..., :2, :2, :2], AT[3], 2),
        "torch._C._nn, 2d": lambda: nn_.max_unpool2d(X[2][..., :2, :2], AT[2], [1, 9]),
        "torch._C._nn, 3d": lambda: nn_.max_unpool3d(
            X[3][..., :2, :2, :2], AT[3], [1, 3, 9], [2, 2, 2], [0, 0, 0]
        ),
    },
    "max_pool_scatter": {
        "torch.ops.aten": lambda: torch.ops.aten.adaptive_max_pool2d_backward(
            X[2][..., :2, :2], X[2], AT[2]
        ),
    },
    "max_pool": {
        "F.max_pool1d": lambda: F.max_pool1d(X[1], 2),
        "F.max_pool2d": lambda: F.max_pool2d(X[2], 2),
        "F.max_pool3d": lambda: F.max_pool3d(X[3], kernel_size=2),
        "F._max_pool2d": lambda: F._max_pool2d(X[2], 2),
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
        "F.local_response_norm": lambda: F.local_response_norm(X[2], 2),
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
    """Two threads are inside at once, one with a context and one without."""
    together, grown = threading.Barrier(2), []

    def run(context):
        with context:
            together.wait()
            grown.append(F.conv2d(X[2].clone().requires_grad_(), W[2]).grad_fn.name())
            together.wait()

    threads = [
        threading.Thread(target=run, args=(each,)) for each in (torch_ext.override(), nullcontext())
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(grown) == ["ConvolutionBackward", "ConvolutionBackward0"]
    assert calls == ["conv"]


def test_out_is_refused():
    with torch_ext.override(), pytest.raises(TypeError, match="out"):
        torch._C._nn.avg_pool2d(X[2], 2, out=torch.empty(0))


# --------------------------------------------------------------------------- every name

FAMILY = re.compile(r"conv(?!ert)|pool|im2col|col2im|^fold$|^unfold$")
FACES = {  # of F: they hand over the public name, as the spellings above show
    "_adaptive_max_pool1d", "_adaptive_max_pool2d", "_adaptive_max_pool3d",
    "_fractional_max_pool2d", "_fractional_max_pool3d", "_max_pool1d", "_max_pool2d", "_max_pool3d",
}  # fmt: skip
SIZES = {"_unpool_output_size", "_check_unpool_output_size"}  # of F: they compute no tensor


@pytest.mark.parametrize("module", [torch, F, torch._C._nn, torch._C._VariableFunctions])
def test_no_name_is_forgotten(module):
    """All that torch calls a convolution, a pool or a fold is replaced or refused."""
    names = [name for name in dir(module) if FAMILY.search(name)]
    assert len(names) > 20
    known = functions.REFERENCE.keys() | functions.REFUSED
    assert {n for n in names if getattr(module, n) not in known} <= FACES | SIZES


def test_no_function_in_python_pools_in_passing():
    """A mode is off inside of what it is handed: what calls the family there is opened."""
    calling = re.compile(r"(?<!def )\b\w*(conv(?!ert)\w*|pool\w*|im2col|col2im|[^.]unfold|fold)\(")
    comments = re.compile(r'r?"""(.|\n)*?"""|#.*')
    inside = {
        each
        for each in set().union(*get_overridable_functions().values())
        if inspect.isfunction(inspect.unwrap(each))
        if calling.search(comments.sub("", inspect.getsource(inspect.unwrap(each))))
    }
    assert F.interpolate in inside
    assert inside - functions.REFERENCE.keys() <= functions.OPENED.keys()


@pytest.mark.parametrize(
    "call",
    [
        lambda: torch.quantized_max_pool2d(X[2], [2, 2]),
        lambda: torch.cudnn_convolution(X[2], W[2], [0], [1], [1], 1, False, False, False),
        lambda: torch.ops.aten.mkldnn_max_pool2d(X[2], [2, 2]),
        lambda: torch.ops.aten.max_pool2d_backward.default(X[2], X[2], [1, 1]),
    ],
)
def test_what_has_no_reference_is_refused(call):
    with torch_ext.override(), pytest.raises(NotImplementedError, match="has no reference"):
        call()
