"""What a size may be: each integer argument of each function and layer, as whatever holds integers.

That is at least what torch takes. What holds no integers is refused, by the argument's name.
"""

import inspect

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import torch_ext
from refconv.geometry import arguments
from support.functional_calls import call_of, rank_of
from support.odd_values import BAD, ONE, SEVERAL, takes
from torch_ext import functional

VALUES = {
    "kernel_size": 2,
    "stride": 2,
    "padding": 1,
    "dilation": 1,
    "output_padding": 0,
    "groups": 1,
    "divisor_override": 3,
    "pad": 1,
    "output_size": 3,
}


def good(name):
    """Return a good call of a function, with fixed samples, and all its sizes that can be given."""
    options = call_of(name)
    parameters = inspect.signature(getattr(functional, name)).parameters
    if "_random_samples" in parameters:
        x = options["input"]
        options["_random_samples"] = x.new_full((*x.shape[:2], rank_of(name)), 0.5)
    if "stride" in parameters:
        options["stride"] = VALUES["stride"]
    if name == "fold":
        options |= {"stride": 1}
    return options


def sizes(name):
    """Return the arguments of a function that are integers, each with a value that fits."""
    options, rank = good(name), rank_of(name)
    for each in inspect.signature(getattr(functional, name)).parameters:
        if each not in VALUES or (name == "fold" and each in ("padding", "dilation")):
            continue
        value = options.get(each, VALUES[each])
        if "unpool" in name and each == "output_size":
            value = tuple(2 * size for size in options["input"].shape[2:])
        if "unpool" in name and each == "padding":
            value = 0
        single = each in ("groups", "divisor_override", "pad")
        single = single or (name, each) == ("lp_pool1d", "kernel_size")
        yield each, value, 0 if single else rank


def ways(value, rank):
    """Return the ways to write a value of one integer, which is for so many axes, or of several."""
    if isinstance(value, tuple):
        return [several(value) for several in SEVERAL.values()]
    each = [several((value,) * rank) for several in SEVERAL.values()] if rank else []
    return [one(value) for one in ONE.values()] + each


SIZES = [(name, *size) for name in functional.__all__ for size in sizes(name)]
every_size = pytest.mark.parametrize(
    ("name", "argument", "value", "rank"), SIZES, ids=[f"{f}-{size}" for f, size, *_ in SIZES]
)


def agree(found, expected):
    if isinstance(expected, tuple):
        return all(map(agree, found, expected))
    return torch.equal(found, expected)


@every_size
def test_whatever_holds_integers_means_them(name, argument, value, rank):
    function, options = getattr(functional, name), good(name)
    expected = function(**options | {argument: value})
    for way in ways(value, rank):
        assert agree(function(**options | {argument: way}), expected), way


@every_size
def test_nothing_else_is_taken(name, argument, value, rank):
    function, options = getattr(functional, name), good(name)
    for bad in BAD:
        if takes(name, argument, bad):
            continue
        with pytest.raises(Exception) as ours:  # noqa: PT011 - torch's, where it refuses
            function(**options | {argument: bad})
        try:
            getattr(F, name)(**options | {argument: bad})
            expected = TypeError
        except Exception as error:
            expected = type(error)
        assert ours.type is expected or issubclass(ours.type, TypeError), (bad, ours.value)
        said = str(ours.value).partition("\ntorch: ")[0]
        assert said.startswith(f"{argument} must be "), (bad, ours.value)
        assert len(said) <= 300


def test_how_much_is_swept():
    assert len(SIZES) == 105
    assert sum(len(ways(value, rank)) for _, _, value, rank in SIZES) == 2530


def test_integers_that_are_not_taken_are_seen(monkeypatch):
    monkeypatch.setattr(arguments, "is_integer", lambda value: isinstance(value, int))
    with pytest.raises(TypeError, match="stride must be integers"):
        test_whatever_holds_integers_means_them("max_pool2d", "stride", 2, 2)


def test_what_is_taken_is_seen(monkeypatch):
    monkeypatch.setattr(arguments, "TEXT", (str,))
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        test_nothing_else_is_taken("adaptive_avg_pool1d", "output_size", 3, 1)


# --------------------------------------------------------------------------- layers


CHANNELS = {"in_channels": 2, "out_channels": 2}
X = {1: torch.rand(1, 2, 8), 2: torch.rand(1, 2, 8, 7), 3: torch.rand(1, 2, 8, 7, 6)}


def layers(kind, cls):
    """Yield layers of a class, one of the sizes of each written in another way, and inputs."""
    name, rank = cls.__name__, rank_of(cls.__name__)
    options = {**CHANNELS, "kernel_size": 2, "norm_type": 2, "output_size": 3}
    if name == "Fold":
        options["output_size"] = (8, 7)
    if name.startswith("FractionalMaxPool"):
        options["_random_samples"] = torch.full((1, 2, rank), 0.5)
    parameters = inspect.signature(cls).parameters
    options = {each: value for each, value in options.items() if each in parameters}
    inputs = (torch.rand(1, 8, 42),) if name == "Fold" else (X[rank],)
    if "Unpool" in name:
        inputs = (X[rank], torch.zeros(X[rank].shape, dtype=torch.int64))
    for each in (*VALUES, "in_channels", "out_channels"):
        if each not in parameters:
            continue
        value = options.get(each, VALUES.get(each))
        value = 0 if each == "padding" else 1 if each == "stride" and name == "Fold" else value
        value = value if isinstance(value, tuple) else kind[0](value, rank)
        try:
            layer = cls(**options | {each: kind[1](value)})
            torch.manual_seed(0)
            yield layer, inputs, layer(*inputs)
        except Exception:  # torch itself does not take it
            continue


KINDS = {
    **{name: (lambda value, _: value, one) for name, one in ONE.items()},
    **{name: (lambda value, rank: (value,) * rank, several) for name, several in SEVERAL.items()},
}


@pytest.mark.filterwarnings("ignore:__array__ implementation")
@pytest.mark.parametrize("kind", KINDS)
def test_layers_take_what_torch_takes(kind):
    taken = 0
    for name in torch_ext.nn.__all__:
        if name.startswith("Lazy"):
            continue
        for layer, inputs, expected in layers(KINDS[kind], getattr(nn, name)):
            torch_ext.swap(layer)
            assert type(layer) is getattr(torch_ext.nn, name)
            torch.testing.assert_close(layer(*inputs), expected)
            taken += 1
    assert taken > 20


def test_numpys_integers_in_layers():
    layer = nn.MaxPool2d(np.int64(2))
    expected = layer(X[2])
    torch_ext.swap(layer)
    assert torch.equal(layer(X[2]), expected)


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.parametrize("size", [np.array([2, 3]), np.int64(2), [np.int64(2), 3]], ids=repr)
def test_a_trace_records_whatever_holds_integers(size):
    """The call is recorded, not its result at the example's sizes."""

    def pool(x):
        return functional.max_pool2d(x, size)

    traced = torch.jit.trace(pool, X[2], check_trace=False)
    larger = torch.rand(1, 2, 11, 10)
    assert torch.equal(traced(larger), pool(larger))
    assert "traced" in str(traced.graph)
