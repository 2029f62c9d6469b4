"""Bad calls: the exception torch raises, and a message that names the argument and its value."""

import numpy as np
import pytest
import torch
from torch import ones
from torch.nn import functional as F

from support.torch_refusals import raised, refused
from torch_ext import functional

X = {1: ones(1, 4, 8), 2: ones(1, 4, 8, 7), 3: ones(1, 4, 8, 7, 6)}
W = {1: ones(4, 2, 3), 2: ones(4, 2, 3, 3), 3: ones(4, 2, 3, 3, 3)}  # for two groups
CONV = {1: "conv1d", 2: "conv2d", 3: "conv3d"}
MAX = {1: "max_pool1d", 2: "max_pool2d", 3: "max_pool3d"}
INDICES = {rank: f"{name}_with_indices" for rank, name in MAX.items()}
AVG = {1: "avg_pool1d", 2: "avg_pool2d", 3: "avg_pool3d"}

ranks = pytest.mark.parametrize("rank", [1, 2, 3])


# --------------------------------------------------------------------------- options

NOT_INTEGERS = [1.0, True, None, "a", (1.0,), [True]]


def sizes(rank, minimum):
    """Return what every per-axis option must refuse: too small, or not one for each axis."""
    small = [minimum - 1, (minimum,) * (rank - 1) + (minimum - 1,), [-3]]
    return [*small, (minimum + 1,) * (rank + 1)]


@ranks
@pytest.mark.parametrize("argument", ["stride", "padding", "dilation"])
def test_options_of_convolution(rank, argument):
    wrong = NOT_INTEGERS if argument != "padding" else [v for v in NOT_INTEGERS if v != "a"]
    for value in [*wrong, (), *sizes(rank, minimum=0 if argument == "padding" else 1)]:
        refused(
            CONV[rank], X[rank], W[rank], groups=2, **{argument: value}, words=(argument, value)
        )


@ranks
@pytest.mark.parametrize("value", [0, -1, 1.0, True, None, (2,), "2"], ids=repr)
def test_groups(rank, value):
    refused(CONV[rank], X[rank], W[rank], groups=value, words=("groups", value))


@ranks
@pytest.mark.parametrize("names", [MAX, INDICES], ids=["max_pool", "with_indices"])
@pytest.mark.parametrize("argument", ["kernel_size", "stride", "padding", "dilation"])
def test_options_of_max_pool(rank, names, argument):
    wrong = [v for v in NOT_INTEGERS if v is not None or argument != "stride"]
    wrong += [()] if argument != "stride" else []
    for value in [*wrong, *sizes(rank, minimum=0 if argument == "padding" else 1)]:
        options = {"kernel_size": 2, argument: value}
        refused(names[rank], X[rank], **options, words=(argument, value))


@ranks
@pytest.mark.parametrize("argument", ["kernel_size", "stride", "padding"])
def test_options_of_avg_pool(rank, argument):
    wrong = [v for v in NOT_INTEGERS if v is not None or argument != "stride"]
    wrong += [()] if argument != "stride" else []
    for value in [*wrong, *sizes(rank, minimum=0 if argument == "padding" else 1)]:
        options = {"kernel_size": 2, argument: value}
        refused(AVG[rank], X[rank], **options, words=(argument, value))


@pytest.mark.parametrize("rank", [2, 3])
@pytest.mark.parametrize("value", [0, 2.0, True, "2", (2,)], ids=repr)
def test_divisor_override(rank, value):
    words = ("divisor_override", value if value != 0 else "zero")
    refused(AVG[rank], X[rank], 2, divisor_override=value, words=words)


@ranks
@pytest.mark.parametrize("value", [1, 0.0, None, "yes"], ids=repr)
def test_flags(rank, value):
    for names in (MAX, INDICES, AVG):
        refused(names[rank], X[rank], 2, ceil_mode=value, words=("ceil_mode", value))
    refused(AVG[rank], X[rank], 2, count_include_pad=value, words=("count_include_pad", value))


@ranks
def test_padding_by_name(rank):
    refused(CONV[rank], X[rank], W[rank], padding="full", groups=2, words=("padding", "'full'"))
    words = ("padding", "'same'", "stride", (2,) * rank)
    refused(CONV[rank], X[rank], W[rank], padding="same", stride=2, groups=2, words=words)


@ranks
@pytest.mark.parametrize(("kernel", "padding"), [(2, 2), (3, 2), (1, 1)])
def test_padding_of_pools_beyond_half_the_kernel(rank, kernel, padding):
    for names in (MAX, INDICES, AVG):
        words = ("padding", padding, "kernel_size")
        refused(names[rank], X[rank], kernel, padding=padding, words=words)
    # half the kernel, not half of what the dilated kernel spans
    for names in (MAX, INDICES):
        refused(names[rank], X[rank], kernel, 1, padding, 2, words=("padding", padding))


# --------------------------------------------------------------------------- shapes


@ranks
def test_rank_of_the_input(rank):
    for x in (X[rank][None], X[rank][0, 0], torch.tensor(1.0)):
        refused(CONV[rank], x, W[rank], groups=2, words=("input", tuple(x.shape)))
        for names in (MAX, INDICES):
            refused(names[rank], x, 2, words=("input", tuple(x.shape)))
    for x in (X[rank][None], *[X[rank][0, 0]] * (rank != 2)):
        refused(AVG[rank], x, 2, words=("input", tuple(x.shape)))


def test_rank_of_the_input_where_torch_trips():
    """avg_pool2d indexes an axis that is not there: an IndexError, with words of ours."""
    with pytest.raises(IndexError, match=r"input has 2 dimensions, shape \(4, 8\)"):
        functional.avg_pool2d(ones(4, 8), 2)
    refused("avg_pool2d", ones(4, 8), 2, words=("input", (4, 8)))


@ranks
def test_rank_of_the_weight(rank):
    for weight in (W[rank][None], W[rank][0], torch.tensor(1.0)):
        words = ("weight", tuple(weight.shape), f"conv{rank}d")
        refused(CONV[rank], X[rank], weight, words=words)


@ranks
def test_channels_and_groups(rank):
    x, w = X[rank], W[rank]
    for channels, groups in ((3, 2), (2, 2), (0, 2), (4, 1)):
        shape = tuple(x[:, :channels].shape)
        words = ("input", channels, shape, "weight", tuple(w.shape), f"groups={groups}")
        refused(CONV[rank], x[:, :channels], w, groups=groups, words=words)
    words = ("weight", tuple(w.shape), "groups=3")
    refused(CONV[rank], ones(1, 6, *x.shape[2:]), w, groups=3, words=words)
    refused(CONV[rank], x, w[:0], groups=2, words=("weight", (0, *w.shape[1:])))


@ranks
def test_bias_shape(rank):
    for bias in (ones(3), ones(4, 1), ones(()), ones(0)):
        words = ("bias", tuple(bias.shape), (4,))
        refused(CONV[rank], X[rank], W[rank], bias, groups=2, words=words)


@ranks
def test_windows_larger_than_the_padded_input(rank):
    short = X[rank][..., :2]
    words = ("weight", tuple(W[rank].shape), "input", (*short.shape[2:],))
    refused(CONV[rank], short, W[rank], groups=2, words=words)
    refused(CONV[rank], X[rank], W[rank], dilation=9, groups=2, words=("weight", "input"))
    for names in (MAX, INDICES, AVG):
        refused(names[rank], X[rank], 9, words=("kernel_size", 9, "input"))
    for names in (MAX, INDICES):
        refused(names[rank], X[rank], 3, dilation=8, words=("kernel_size", 3, "input"))


def test_avg_pool3d_alone_does_not_count_the_padding():
    for options in ({"padding": 1}, {"ceil_mode": True}):
        words = ("kernel_size", (8, 7, 7), "input", (8, 7, 6))
        refused("avg_pool3d", X[3], (8, 7, 7), **options, words=words)
        y, expected = (f.avg_pool2d(X[2], (8, 8), **options) for f in (functional, F))
        assert torch.equal(y, expected)


@ranks
def test_empty_axes(rank):
    x, w = X[rank], W[rank]
    refused(CONV[rank], x[..., :0], w, padding=2, groups=2, words=("input", (*x.shape[:-1], 0)))
    refused(CONV[rank], x, w[..., :0], groups=2, words=("weight", (*w.shape[:-1], 0)))
    for names in (MAX, INDICES, AVG):
        for empty in (x[..., :0], x[:, :0], x[0, :0]):
            words = ("input", ", ".join(map(str, empty.shape)))
            refused(names[rank], empty, 2, padding=1, words=words)


# --------------------------------------------------------------------------- types


@ranks
@pytest.mark.parametrize("value", [np.ones(3), [1.0], 1.0, None], ids=lambda v: type(v).__name__)
def test_no_tensor(rank, value):
    name, kind = CONV[rank], type(value).__name__
    refused(name, value, W[rank], words=("input", kind))
    refused(name, X[rank], value, words=("weight", kind))
    if value is not None:
        refused(name, X[rank], W[rank], value, words=("bias", kind))
    refused(MAX[rank], value, 2, words=("input", kind))
    refused(AVG[rank], value, 2, words=("input", kind))
    refused(INDICES[rank], value, 2, words=("input", kind))  # torch's 3-d one trips: AttributeError


@ranks
def test_mixed_dtypes(rank):
    x, w, b = X[rank], W[rank], ones(4)
    words = ("weight", torch.float64, "input", torch.float32)
    refused(CONV[rank], x, w.double(), b, groups=2, words=words)
    words = ("bias", torch.float64, "input", torch.float32)
    refused(CONV[rank], x, w, b.double(), groups=2, words=words)
    words = ("weight", torch.float32, "input", torch.int64)
    refused(CONV[rank], x.long(), w, groups=2, words=words)


@ranks
def test_mixed_devices(rank):
    """No second device to be had: the meta device, which torch itself lets pass here."""
    with pytest.raises(RuntimeError, match="weight is on meta and input is on cpu"):
        getattr(functional, CONV[rank])(X[rank], W[rank].to("meta"), groups=2)
    with pytest.raises(RuntimeError, match="bias is on meta and input is on cpu"):
        getattr(functional, CONV[rank])(X[rank], W[rank], ones(4, device="meta"), groups=2)


@ranks
def test_dtypes_without_the_operator(rank):
    words = ("input", torch.bool)
    refused(CONV[rank], X[rank].bool(), W[rank].bool(), groups=2, words=words)
    for names in (MAX, INDICES, AVG):
        refused(names[rank], X[rank].bool(), 2, words=words)
    for names in (MAX, INDICES):
        refused(names[rank], X[rank].cfloat(), 2, words=("input", torch.complex64))


@ranks
def test_wrong_or_missing_arguments(rank):
    for name, args in ((CONV[rank], (X[rank],)), (MAX[rank], (X[rank],)), (AVG[rank], (X[rank],))):
        refused(name, *args, words=())
        refused(name, *args, 2, nonsense=1, words=("nonsense",))


def test_planted_refusals(monkeypatch):
    """What says nothing of torch's, has another type, or takes the call, is found out."""
    call, function = ("conv2d", X[2][0, 0], W[2]), functional.conv2d
    refused(*call, words=("input",))

    def another(*args):
        raise ValueError(str(raised(function, *args)))

    for planted, found in (
        (function.__wrapped__, AssertionError),
        (another, ValueError),
        (lambda *_: None, pytest.fail.Exception),
    ):
        monkeypatch.setattr(functional, "conv2d", planted)
        with pytest.raises(found):
            refused(*call, words=("input",))
