"""Bad calls of transposed convolutions, foldings and the other pools: torch's exceptions, in words.

Each call is made to torch too: where it trips over a mistake (an IndexError or AttributeError from
within), ours has that type. `ours_alone` is what torch takes.
"""

from functools import partial

import numpy as np
import pytest
import torch
from torch import ones, zeros
from torch.nn import functional as F

from support.torch_refusals import ours_alone, raised, refused
from torch_ext import functional

INF = float("inf")
X = {1: ones(1, 4, 8), 2: ones(1, 4, 8, 7), 3: ones(1, 4, 8, 7, 6)}
W = {1: ones(4, 2, 3), 2: ones(4, 2, 3, 3), 3: ones(4, 2, 3, 3, 3)}  # to four filters in two groups
AT = {rank: zeros(x.shape, dtype=torch.int64) for rank, x in X.items()}
COLS = ones(1, 16, 42)  # of windows of 2 x 2 in 8 x 7
TRANSPOSED = {1: "conv_transpose1d", 2: "conv_transpose2d", 3: "conv_transpose3d"}
LP = {1: "lp_pool1d", 2: "lp_pool2d", 3: "lp_pool3d"}
ADAPTIVE_AVG = {1: "adaptive_avg_pool1d", 2: "adaptive_avg_pool2d", 3: "adaptive_avg_pool3d"}
ADAPTIVE_MAX = {1: "adaptive_max_pool1d", 2: "adaptive_max_pool2d", 3: "adaptive_max_pool3d"}
FRACTIONAL = {2: "fractional_max_pool2d", 3: "fractional_max_pool3d"}
UNPOOL = {1: "max_unpool1d", 2: "max_unpool2d", 3: "max_unpool3d"}

ranks = pytest.mark.parametrize("rank", [1, 2, 3])
adaptive = pytest.mark.parametrize("names", [ADAPTIVE_AVG, ADAPTIVE_MAX], ids=["avg", "max"])


def small_or_many(rank, minimum):
    """Return sizes that are too small, or not one for each axis."""
    small = [minimum - 1, (minimum,) * (rank - 1) + (minimum - 1,), [-3]]
    return [*small, (minimum + 1,) * (rank + 1)]


NOT_INTEGERS = [1.0, True, "a", (1.0,), [True]]


# --------------------------------------------------------------------------- transposed


@ranks
@pytest.mark.parametrize("argument", ["stride", "padding", "output_padding", "dilation"])
def test_options_of_transposed_convolution(rank, argument):
    minimum = 0 if "padding" in argument else 1
    for value in [*NOT_INTEGERS, None, (), "same", *small_or_many(rank, minimum)]:
        options = {"groups": 2, argument: value}
        refused(TRANSPOSED[rank], X[rank], W[rank], **options, words=(argument, value))


@ranks
def test_sizes_of_transposed_convolution(rank):
    name, x, w = TRANSPOSED[rank], X[rank], W[rank]
    for value in (0, -1, 1.0, True, None, (2,), "2"):
        refused(name, x, w, groups=value, words=("groups", value))
    words = ("output_padding", (2,) * rank, "stride", "dilation")
    refused(name, x, w, None, 2, 0, 2, words=words)
    refused(name, x, w, padding=9, words=("padding", 9, "input", tuple(x.shape)))
    refused(name, x, w, groups=3, words=("weight", tuple(w.shape), "groups=3"))
    refused(name, x[:, :3], w, words=("input", 3, tuple(x[:, :3].shape), "weight", tuple(w.shape)))
    for bias in (ones(2), ones(4, 1), ones(())):
        words = ("bias", tuple(bias.shape), (4,))
        refused(name, x, w, bias, groups=2, words=words)
    for shape in ((4, 0), (0, 2)):
        empty = ones(*shape, *w.shape[2:])
        refused(name, x[:, : shape[0]], empty, words=("weight", tuple(empty.shape)))
    refused(name, x[..., :0], w, words=("input", (*x.shape[:-1], 0)))
    refused(name, x, w[..., :0], words=("weight", (*w.shape[:-1], 0)))
    for bad in (x[None], x[0, 0], torch.tensor(1.0)):
        refused(name, bad, w, words=("input", tuple(bad.shape)))
    for bad in (w[None], w[0], torch.tensor(1.0)):
        refused(name, x, bad, words=("weight", tuple(bad.shape), name))


@ranks
def test_tensors_of_transposed_convolution(rank):
    name, x, w, b = TRANSPOSED[rank], X[rank], W[rank], ones(2)
    for value in (np.ones(3), [1.0], 1.0, None):
        refused(name, value, w, words=("input", type(value).__name__))
        refused(name, x, value, words=("weight", type(value).__name__))
        if value is not None:
            refused(name, x, w, value, words=("bias", type(value).__name__))
    refused(name, x, w.double(), b, words=("weight", torch.float64, "input", torch.float32))
    refuse = refused if rank == 3 else partial(ours_alone, RuntimeError)  # torch lets it pass
    refuse(name, x, w, b.double(), words=("bias", torch.float64, "input", torch.float32))
    refused(name, x.bool(), w.bool(), words=("input", torch.bool))
    with pytest.raises(RuntimeError, match="weight is on meta and input is on cpu"):
        getattr(functional, name)(x, w.to("meta"))


def test_conv_tbc():
    x, w, b = ones(7, 2, 3), ones(3, 3, 4), ones(4)
    for value in ((1,), 1.0, True, None, "1"):
        refused("conv_tbc", x, w, b, value, words=("pad", value))
    ours_alone(RuntimeError, "conv_tbc", x, w, b, -1, words=("pad", -1))  # torch crops
    for args, words in (
        ((x[0], w, b), ("input", (2, 3), "(T, B, C)")),
        ((x, w[0], b), ("weight", (3, 4), "(k, C, M)")),
        ((x, w[:, :2], b), ("input", 3, (7, 2, 3), "weight", (3, 2, 4))),
        ((x, w, b[:3]), ("bias", (3,), (4,))),
        ((x, w, b[:, None]), ("bias", (4, 1), (4,))),
        ((x, w, None), ("bias", "NoneType")),
        ((1.0, w, b), ("input", "float")),
        ((x.double(), w, b), ("weight", torch.float32, "input", torch.float64)),
        ((x.bool(), w.bool(), b.bool()), ("input", torch.bool)),
    ):
        refused("conv_tbc", *args, words=words)
    for args in ((x, w[:0], b), (x, w[..., :0], b[:0]), (x[:2], w, b)):  # torch has empty results
        ours_alone(RuntimeError, "conv_tbc", *args, words=("weight",))
    ours_alone(RuntimeError, "conv_tbc", x, w, b.double(), words=("bias", torch.float64))


# --------------------------------------------------------------------------- folding


@pytest.mark.parametrize("argument", ["kernel_size", "dilation", "padding", "stride"])
def test_options_of_folding(argument):
    for value in [
        *NOT_INTEGERS,
        None,
        (),
        (1,),
        *small_or_many(2, 0 if argument == "padding" else 1),
    ]:
        options = {"kernel_size": 2, argument: value}
        refused("unfold", X[2], **options, words=(argument, value))
        refused("fold", COLS, (8, 7), **options, words=(argument, value))


def test_sizes_of_folding():
    x = X[2]
    for value in [*NOT_INTEGERS, None, (), (8,), (8, 7, 6), 0, (8, 0), -1]:
        refused("fold", COLS, value, 2, words=("output_size", value))
    for bad in (x[:, :0], x[..., :0], x[None], x[0, 0, 0]):
        if bad.dim() > 1:
            refused("unfold", bad, 2, padding=2, words=("input", tuple(bad.shape)))
    refused("unfold", x, 9, words=("kernel_size", (9, 9)))
    refused(
        "fold", COLS, 8, 2, words=("input", tuple(COLS.shape), 42, "output_size", "kernel_size")
    )
    refused("fold", COLS[:, :15], (8, 7), 2, words=("input", (1, 15, 42), 15, 4, "kernel_size"))
    for bad in (COLS[:, :0], COLS[..., :0], COLS[0, 0], COLS[None]):
        refused("fold", bad, (8, 7), 2, words=("input", tuple(bad.shape)))
    refused("unfold", x[0, 0], 2, words=("input", (8, 7)))  # an IndexError


@pytest.mark.parametrize("value", [np.ones(3), [1.0], 1.0, None], ids=lambda v: type(v).__name__)
def test_no_tensor_to_fold(value):
    refused("unfold", value, 2, words=("input", type(value).__name__))
    refused("fold", value, 4, 2, words=("input", type(value).__name__))


# --------------------------------------------------------------------------- power averages


@ranks
def test_options_of_lp_pool(rank):
    name, x = LP[rank], X[rank]
    for value in [1.0, True, None, *[0, -3] * (rank > 1)]:
        for p in (2, INF):
            refused(name, x, p, value, words=("kernel_size", value))
    for value in (1.0, True, "a", (1.0,), 0, -3, (2,) * (rank + 1)):
        for p in (2, INF):
            refused(name, x, p, 2, value, words=("stride", value))
    for value in (1, 0.0, None, "yes"):
        refused(name, x, 2, 2, None, value, words=("ceil_mode", value))
    for value in ("a", None, (2,)):
        refused(name, x, value, 2, words=("norm_type", value))
    for value in (0, 0.0):
        refused(name, x, value, 2, words=("norm_type", value))
    ours_alone(TypeError, name, x, torch.tensor(2.0), 2, words=("norm_type",))  # takes it
    refused(name, x, 2, 9, words=("kernel_size", 9, "input"))


def test_kernels_of_lp_pool():
    """In one dimension an integer alone; in more never one for all axes."""
    for value in ((2,), [2]):
        refused("lp_pool1d", X[1], 2, value, words=("kernel_size", value))
    for rank in (2, 3):
        for p in (2, INF):
            for value in ((), (2,), (2,) * (rank + 1)):
                refused(LP[rank], X[rank], p, value, words=("kernel_size", value, rank))
    words = ("kernel_size", (8, 7, 7), "input", (8, 7, 6))
    refused("lp_pool3d", X[3], 2, (8, 7, 7), ceil_mode=True, words=words)
    y, expected = (f.lp_pool2d(X[2], 1, (8, 8), ceil_mode=True) for f in (functional, F))
    assert torch.equal(y, expected)


@ranks
def test_tensors_of_lp_pool(rank):
    name, x = LP[rank], X[rank]
    for bad in (x[None], x[..., :0], x[:, :0]):
        refused(name, bad, 2, 2, words=("input", ", ".join(map(str, bad.shape))))
    refused(name, x.cfloat(), 2, 2, words=("input", torch.complex64))
    for dtype in (torch.int64, torch.bool):  # torch divides toward zero before it takes the root
        ours_alone(NotImplementedError, name, x.to(dtype), 2, 2, words=("input", dtype))
    refused(name, x.int(), 2, 2, words=("input", torch.int32))
    for value in (np.ones(3), 1.0, None):  # torch looks for an attribute that is not there
        for p in (2, INF):
            refused(name, value, p, 2, words=("input", type(value).__name__))


# --------------------------------------------------------------------------- adaptive


@ranks
@adaptive
def test_sizes_of_adaptive_pools(names, rank):
    name, x = names[rank], X[rank]
    for value in (None, True, 3.0, "a", (2,) * (rank + 1), (), -1):
        refused(name, x, value, words=("output_size", value))
    for value in (True, 3.0):
        refused(name, x, (value,) * rank, words=("output_size", value))
    refused(name, x, (2,) * (rank - 1) + (-1,), words=("output_size",))
    if rank == 1:
        refused(name, x, (None,), words=("output_size", (None,)))
    else:
        refused(name, x, (2,), words=("output_size", (2,)))


@ranks
@adaptive
def test_tensors_of_adaptive_pools(names, rank):
    name, x = names[rank], X[rank]
    for bad in (x[None], x[..., :0], x[0, 0]):
        refused(name, bad, 2, words=("input", tuple(bad.shape)))
    refused(name, x[None], (2,) * rank, words=("input", tuple(x[None].shape)))
    if rank > 1:  # a ValueError, for a sequence alone
        refused(name, x[0, 0], (2,) * rank, words=("input", tuple(x[0, 0].shape)))
    if rank == 3 or names is ADAPTIVE_MAX:
        refused(name, x[:, :0], 2, words=("input", tuple(x[:, :0].shape)))
    refused(name, x.bool(), 2, words=("input", torch.bool))
    if names is ADAPTIVE_MAX:
        refused(name, x.cfloat(), 2, words=("input", torch.complex64))
    refused(name, np.ones(3), 2, words=("input", "ndarray"))


# --------------------------------------------------------------------------- fractional


@pytest.mark.parametrize("rank", [2, 3])
def test_options_of_fractional_pools(rank):
    name, x = FRACTIONAL[rank], X[rank]
    for value in [*NOT_INTEGERS, None, (), (2,), (2,) * (rank + 1)]:
        refused(name, x, value, 3, words=("kernel_size", value))
        if value is not None:
            refused(name, x, 2, value, words=("output_size", value))
    for value in (0, -1):  # torch pools no elements at all
        ours_alone(RuntimeError, name, x, value, 3, words=("kernel_size", value))
    refused(name, x, 2, -1, words=("output_size", -1))
    refused(name, x, 2, words=("output_size", "output_ratio"))
    refused(name, x, 2, 9, words=("kernel_size", 2, "input"))
    refused(name, x, 9, 1, words=("kernel_size", 9, "input"))
    refused(name, x, 2, None, (-0.5,) * rank, words=("output_ratio",))
    refused(name, x, 2, None, (None,) * rank, words=("output_ratio",))
    for value in ((0.5,), ()):  # torch counts them only by what it finds: an IndexError
        refused(name, x, 2, None, value, words=("output_ratio", value))
    if rank == 2:
        refused(name, x, 2, None, "ab", words=("output_ratio", "'ab'"))
        refused(name, x, 2, None, 0.5, words=("output_ratio", 0.5))
        refused(name, x, 2, None, (0.5,) * 3, words=("output_ratio",))
    else:
        ours_alone(ValueError, name, x, 2, None, (0.5,) * 4, words=("output_ratio",))  # takes it


@pytest.mark.parametrize("rank", [2, 3])
def test_tensors_of_fractional_pools(rank):
    name, x, u = FRACTIONAL[rank], X[rank], torch.full((1, 4, rank), 0.5)
    for bad in (x[None], x[..., :0], x[:, :0], x[0, 0]):
        options = {"output_size": 2, "_random_samples": u}
        refused(name, bad, 2, **options, words=("input", ", ".join(map(str, bad.shape))))
    for bad in (u[:0], u[:, :3], u[..., :1], u[0], u[None]):
        words = ("_random_samples", tuple(bad.shape), (1, 4, rank))
        refused(name, x, 2, 3, _random_samples=bad, words=words)
    words = ("_random_samples", torch.float64, torch.float32)
    refused(name, x, 2, 3, _random_samples=u.double(), words=words)
    refused(name, x, 2, 3, _random_samples=1.0, words=("_random_samples", "float"))
    refused(name, x.cfloat(), 2, 3, words=("input", torch.complex64))
    refused(name, x.bool(), 2, 3, words=("input", torch.bool))
    refused(name, 1.0, 2, 3, words=("input", "float"))
    with pytest.raises(RuntimeError, match="_random_samples is on meta and input is on cpu"):
        getattr(functional, name)(x, 2, 3, _random_samples=u.to("meta"))


# --------------------------------------------------------------------------- unpooling


@ranks
def test_options_of_unpooling(rank):
    name, x, at = UNPOOL[rank], X[rank], AT[rank]
    for argument in ("kernel_size", "stride", "padding"):
        options = {"kernel_size": 2, argument: 1.0}
        refused(name, x, at, **options, words=(argument, 1.0))
        wrong = {True: TypeError, -1: RuntimeError, (): RuntimeError}
        wrong |= {(2,) * (rank + 1): RuntimeError, (1,): RuntimeError}
        for value, alone in wrong.items():
            if value != (1,) or rank > 1:
                options = {"kernel_size": 2, argument: value}
                trips = raised(getattr(F, name), x, at, **options)  # over most, not over all
                refuse = refused if trips else partial(ours_alone, alone)
                refuse(name, x, at, **options, words=(argument, value))
    refused(name, x, at, None, words=("kernel_size", None))
    refused(name, x, at, 2, padding=None, words=("padding", None))
    refused(name, x, at, 2, padding=9, words=("padding", 9))
    for value in (5, True, ("a",) * rank, (16.5, 14.5, 12.5)[:rank], (None,) * rank):
        refused(name, x, at, 2, output_size=value, words=("output_size", value))
    for value in ((5,) * (rank + 1), (18, 14, 12)[:rank], (14, 14, 12)[:rank], ()):
        refused(name, x, at, 2, output_size=value, words=("output_size", value))


@ranks
def test_tensors_of_unpooling(rank):
    name, x, at = UNPOOL[rank], X[rank], AT[rank]
    for cut in (lambda t: t[None], lambda t: t[..., :0], lambda t: t[:, :0], lambda t: t[0, 0]):
        shape = tuple(cut(x).shape)
        refused(name, cut(x), cut(at), 2, words=("input", ", ".join(map(str, shape))))
    for bad in (at[..., :1], at[0]):
        words = ("indices", tuple(bad.shape), "input", tuple(x.shape))
        refused(name, x, bad, 2, words=words)
    for dtype in (torch.int32, torch.float32):
        refused(name, x, at.to(dtype), 2, words=("indices", dtype, torch.int64))
    for value in (10**6, -1):
        refused(name, x, at + value, 2, words=("indices", value))
    refused(name, x, None, 2, words=("indices", "NoneType"))
    refused(name, x, at.to("meta"), 2, words=("indices", "meta", "input", "cpu"))
    refused(name, x.bool(), at, 2, words=("input", torch.bool))
    refused(name, 1.0, at, 2, words=("input", "float"))


# --------------------------------------------------------------------------- all


@pytest.mark.parametrize("name", functional.__all__)
def test_wrong_or_missing_arguments(name):
    for args, options in (((), {}), ((X[2],), {"nonsense": 1})):
        with pytest.raises(TypeError):
            getattr(F, name)(*args, **options)
        with pytest.raises(TypeError):
            getattr(functional, name)(*args, **options)
