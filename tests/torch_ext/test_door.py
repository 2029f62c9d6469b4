"""The door of every public function: the protocol first, what is refused there, and how.

That a refusal is torch's in type and words is in `test_errors`, `test_errors_family` and, of all of
torch's own error inputs, in `test_opinfo`.
"""

import inspect
import itertools

import pytest
import torch
from torch import Tensor, nn, ones
from torch.fx import symbolic_trace
from torch.nn import functional as F

import torch_ext
from support.functional_calls import Seen, W, X, call_of, rank_of
from support.layers import LAZY, NAMES, ROWS, LayerPair, assert_same_tensors
from support.torch_refusals import raised, refused, says, sentence
from torch_ext import functional

every_function = pytest.mark.parametrize("name", functional.__all__)


@every_function
def test_the_calls_of_these_tests_are_good(name):
    torch.manual_seed(0)
    expected = getattr(F, name)(**call_of(name))
    torch.manual_seed(0)
    torch.testing.assert_close(getattr(functional, name)(**call_of(name)), expected)


# --------------------------------------------------------------------------- the protocol


class Duck:
    """Answers for itself, whatever it is an argument of."""

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        return func, args, kwargs


@every_function
def test_the_protocol_is_asked_first(name):
    """In the place of every argument, by position or name, before anything is found wrong."""
    function = getattr(functional, name)
    duck = Duck()
    for parameter in inspect.signature(function).parameters:
        options = {**call_of(name), parameter: duck}
        assert function(**options) == (function, (), options)
    assert function(duck, 1, nonsense=2) == (function, (duck, 1), {"nonsense": 2})
    behind = raised(function.__wrapped__, **{**call_of(name), "input": duck})  # without a door
    assert isinstance(behind, TypeError | AttributeError)


@every_function
def test_the_protocol_is_asked_inside_of_override(name):
    duck = Duck()
    options = {**call_of(name), "input": duck}
    with torch_ext.override():
        func, *_ = getattr(F, name)(**options)
    assert func is getattr(functional, name)


@pytest.mark.parametrize(
    "call",
    [
        lambda x: torch.convolution(x, W[2], None, [1, 1], [0, 0], [1, 1], False, [0, 0], 1),
        lambda x: torch._C._nn.thnn_conv2d(X[2], x, 3),
        lambda x: torch.ops.aten.conv2d(x, W[2]),
        lambda x: F.interpolate(x, 3, mode="area"),
        lambda x: torch.quantized_max_pool2d(x, 2),
    ],
)
def test_other_names_ask_inside_of_override(call):
    """With torch's own function, as it may: what it answers is not for the reference to know."""
    expected, *_ = call(Duck())
    with torch_ext.override():
        func, *_ = call(Duck())
    assert func is expected


@every_function
def test_a_mode_sees_the_function_whole(name):
    function = getattr(functional, name)
    options = call_of(name)
    with Seen() as seen:
        function(**options)
    assert seen.functions == [function]


class Named(Tensor):
    """A tensor of another type, with what torch does for all of them."""


@every_function
def test_a_subclass_stays_one(name):
    options = {
        each: value.as_subclass(Named) if isinstance(value, Tensor) else value
        for each, value in call_of(name).items()
    }
    torch.manual_seed(0)
    found = getattr(functional, name)(**options)
    torch.manual_seed(0)
    expected = getattr(functional, name)(**call_of(name))
    pairs = zip(found, expected, strict=True) if isinstance(found, tuple) else [(found, expected)]
    for one, other in pairs:
        assert type(one) is Named
        assert torch.equal(one.as_subclass(Tensor), other)


class Around(nn.Module):
    """A model of one layer."""

    def __init__(self, layer, inputs):
        super().__init__()
        self.layer = layer
        self.two = inputs == 2

    def forward(self, x, indices):
        return self.layer(x, indices) if self.two else self.layer(x)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")
@pytest.mark.parametrize(
    ("name", "row"), [(n, row) for n in NAMES if n not in LAZY for row in range(len(ROWS[n]))]
)
def test_symbolic_trace_of_a_swapped_model(integers, name, row):
    case = LayerPair(integers, name, row)
    model = Around(case.original, len(case.inputs))
    assert torch_ext.swap(model).changed
    traced = symbolic_trace(model)
    targets = [node.target for node in traced.graph.nodes if node.op == "call_function"]
    assert {getattr(functional, name) for name in functional.__all__} & set(targets)
    x, indices = (*case.inputs, None)[:2]
    found = []
    for each in (traced, model):
        torch.manual_seed(0)
        y = each(x, indices)
        found.append(y if isinstance(y, tuple) else (y,))
    assert_same_tensors(*found)


WRITTEN = {
    "conv": lambda x: F.conv2d(x, W[2], ones(4), stride=2),
    "conv_transpose": lambda x: F.conv_transpose2d(x, W[2], stride=2),
    "unfold": lambda x: F.unfold(x, 2),
    "max_pool": lambda x: F.max_pool2d(x, 2, return_indices=True)[0],
    "avg_pool": lambda x: F.avg_pool2d(x, 2),
    "lp_pool": lambda x: F.lp_pool2d(x, 2, 2),
    "adaptive_avg_pool": lambda x: F.adaptive_avg_pool2d(x, (2, None)),
    "adaptive_max_pool": lambda x: F.adaptive_max_pool2d(x, 3),
}


@pytest.mark.parametrize("operator", WRITTEN)
def test_symbolic_trace_inside_of_override(calls, operator):
    with torch_ext.override():
        traced = symbolic_trace(WRITTEN[operator])
    assert calls == []
    found = traced(X[2])
    assert calls == [operator]
    torch.testing.assert_close(found, WRITTEN[operator](X[2]))


def test_symbolic_trace_of_what_pools_in_passing(calls):
    """It is torch's function that is recorded, and the reference's where it runs inside."""
    with torch_ext.override():
        traced = symbolic_trace(lambda x: F.interpolate(x, 3, mode="area"))
        found = traced(X[2])
    assert calls == ["adaptive_avg_pool"]
    torch.testing.assert_close(found, traced(X[2]))


# --------------------------------------------------------------------------- layouts

LAYOUTS = {
    "torch.sparse_coo": lambda x: x.to_sparse(),
    "torch.sparse_csr": lambda x: x.flatten(0, -2).to_sparse_csr(),
    "torch.sparse_csc": lambda x: x.flatten(0, -2).to_sparse_csc(),
    "torch.sparse_bsr": lambda x: x.flatten(0, -2).to_sparse_bsr((1, 1)),
    "torch._mkldnn": lambda x: x.to_mkldnn(),
    "nested": lambda x: torch.nested.nested_tensor(list(x)),
}


@every_function
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.filterwarnings(
    "ignore:Sparse ... tensor support:UserWarning", "ignore:The PyTorch API of nested"
)
def test_layouts_that_are_not_strided(name, layout):
    """Every tensor of every function: refused at the door, with torch's type if it refuses too."""
    good = call_of(name)
    for parameter, value in good.items():
        if not isinstance(value, Tensor) or value.dim() < 2:
            continue
        if layout == "torch._mkldnn" and not value.is_floating_point():
            continue
        bad = {**good, parameter: LAYOUTS[layout](value)}
        theirs = raised(getattr(F, name), **bad)
        ours = raised(getattr(functional, name), **bad)
        says(ours, (parameter, layout))
        if theirs is None or layout == "nested":
            assert type(ours) is NotImplementedError
        else:
            assert type(ours) is type(theirs)
            assert sentence(theirs) in str(ours)


# --------------------------------------------------------------------------- large integers

NOT_INTEGERS = {
    "input",
    "weight",
    "bias",
    "indices",
    "norm_type",
    "output_ratio",
    "_random_samples",
}
FLAGS = {"ceil_mode", "return_indices", "count_include_pad"}


@every_function
@pytest.mark.parametrize("value", [2**63, 2**64, -(2**63) - 1, 10**30])
def test_integers_of_more_than_64_bits(name, value):
    good = call_of(name)
    for parameter in inspect.signature(getattr(functional, name)).parameters:
        if parameter in NOT_INTEGERS | FLAGS:
            continue
        single = parameter in ("groups", "pad", "divisor_override")
        single = single or (parameter, name) == ("kernel_size", "lp_pool1d")
        for each in [value] if single else [value, (value,) * rank_of(name)]:
            bad = {**good, parameter: each}
            assert "refconv::" not in str(raised(getattr(functional, name), **bad))
            refused(name, **bad, words=(parameter, value))


class Index:
    """An integer by `__index__` alone."""

    def __init__(self, value):
        self.value = value

    def __index__(self):
        return self.value


@every_function
def test_integers_by_index_alone(name):
    """They are taken wherever an integer is; torch takes some, and trips over others."""
    good = call_of(name)
    for parameter in inspect.signature(getattr(functional, name)).parameters:
        sequence = parameter == "output_size" and ("unpool" in name or name == "fold")
        if parameter in NOT_INTEGERS | FLAGS or sequence:
            continue
        value = good.get(parameter, 0 if "pad" in parameter else 2 if "unpool" in name else 1)
        found = []
        for each in (value, Index(value)):
            torch.manual_seed(0)
            found.append(getattr(functional, name)(**{**good, parameter: each}))
        torch.testing.assert_close(*found)


# --------------------------------------------------------------------------- empty axes


@every_function
def test_axes_of_no_size(name):
    """Any one or two axes of the tensors: torch's type and sentence, an IndexError among them."""
    good = call_of(name)
    axes = [(n, axis) for n, v in good.items() if isinstance(v, Tensor) for axis in range(v.dim())]
    for empty in [*itertools.combinations(axes, 1), *itertools.combinations(axes, 2)]:
        call = dict(good)
        for parameter, axis in empty:
            call[parameter] = call[parameter].narrow(axis, 0, 0)
        theirs, ours = (raised(getattr(f, name), **call) for f in (F, functional))
        if theirs is not None:
            assert type(ours) is type(theirs)
            assert sentence(theirs) in str(ours)
        elif name != "conv_tbc":  # which refuses what it says
            assert ours is None


# --------------------------------------------------------------------------- sentences

EXPECTED = {
    "Expected 3D (unbatched) or 4D (batched) input to conv2d": lambda: nn.Conv2d(4, 2, 3)(X[1][0]),
    "to have 4 channels, but got 2 channels": lambda: nn.Conv2d(4, 2, 3)(X[2][:, :2]),
    "Kernel size can't be greater than actual input size": lambda: nn.Conv1d(4, 2, 9)(X[1]),
    "non-positive stride is not supported": lambda: nn.Conv3d(4, 2, 3, stride=0)(X[3]),
    "its components must be at least one": lambda: nn.Unfold(9)(X[2]),
    "pad should be at most half of effective kernel size": lambda: nn.MaxPool2d(2, 2, 2)(X[2]),
    "Output size is too small": lambda: nn.AvgPool2d(9)(X[2]),
    "Dimension out of range": lambda: nn.AvgPool2d(2)(X[2][0, 0]),
}


@pytest.mark.parametrize("words", EXPECTED)
@pytest.mark.parametrize("level", ["function", "aten"])
def test_sentences_that_people_match(words, level):
    """Torch's sentences, of torch's type, under both levels."""
    theirs = raised(EXPECTED[words])
    with torch_ext.override(level):
        ours = raised(EXPECTED[words])
    assert words in str(theirs)
    assert words in str(ours)
    assert type(ours) is type(theirs)


def test_sentences_that_depend_on_values():
    """Torch sees the values themselves; at the level of ATen an unpooling has made-up sizes."""
    refused("max_unpool2d", X[2], 10**4 * X[2].long(), 2, words=("indices", 10**4))
    with torch_ext.override(), pytest.raises(RuntimeError, match="Found an invalid max index"):
        nn.MaxUnpool2d(2)(X[2], 10**4 * X[2].long())
