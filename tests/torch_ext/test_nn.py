"""The layers: torch's in all but the forward."""

import copy
import inspect
import itertools

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.modules import conv, fold, pooling

import torch_ext
from support.layers import NAMES, ROWS, LayerPair, counterpart, pickled
from torch_ext import functional

every_layer = pytest.mark.parametrize("name", NAMES)
every_row = pytest.mark.parametrize(
    ("name", "row"), [(name, row) for name in ROWS for row in range(len(ROWS[name]))]
)
pytestmark = pytest.mark.filterwarnings(
    "ignore:Using padding='same' with even kernel lengths:UserWarning",  # both from torch
    "ignore:Lazy modules are a new feature:UserWarning",
)


def refuse_torchs(monkeypatch):
    """Let the functions that torch's own layers call fail."""

    def refuse(*_, **__):
        raise AssertionError("torch's own function was called")

    for name in NAMES:
        monkeypatch.setattr(F, counterpart(name), refuse)


def test_no_layer_is_missing():
    assert set(torch_ext.nn.__all__) == set(NAMES) == set(ROWS)
    family = {module.__name__ for module in (conv, fold, pooling)}
    public = {n for n, kind in vars(nn).items() if getattr(kind, "__module__", None) in family}
    assert public == set(NAMES)


@every_row
def test_values_and_gradients(integers, name, row):
    LayerPair(integers, name, row).check()


@every_layer
def test_a_forward_comes_from_the_reference(integers, monkeypatch, name):
    case = LayerPair(integers, name, 0)
    expected = case.original(*case.inputs)
    refuse_torchs(monkeypatch)
    assert torch.equal(case.ours(*case.inputs), expected)
    with pytest.raises(AssertionError, match="torch's own"):
        case.original(*case.inputs)


@every_layer
def test_a_forward_takes_what_the_original_takes(name):
    ours, original = (
        inspect.signature(getattr(module, name).forward).parameters.values()
        for module in (torch_ext.nn, nn)
    )
    assert [(p.name, p.kind, p.default) for p in ours] == [
        (p.name, p.kind, p.default) for p in original
    ]


@every_row
def test_a_layer_is_its_original_in_all_else(integers, name, row):
    case = LayerPair(integers, name, row)
    ours, original = case.ours, case.original
    assert isinstance(ours, type(original))
    assert type(ours) is getattr(torch_ext.nn, name.removeprefix("Lazy"))
    assert repr(ours) == repr(original)
    assert vars(ours).keys() == vars(original).keys()
    assert ours.state_dict().keys() == original.state_dict().keys()
    for parameter in ours.parameters():
        parameter.data.add_(1)
    original.load_state_dict(ours.state_dict())
    case.check()


@every_layer
def test_copies_and_modes(integers, name):
    case = LayerPair(integers, name, 0)
    for twin in (copy.deepcopy(case.ours), pickled(case.ours)):
        assert type(twin) is type(case.ours)
        assert twin.training
        assert not twin.eval().training
        case.ours = twin
        case.check()


# --------------------------------------------------------------------------- bugs


def without(function, parameter):
    """Return a function that forgets one of its arguments."""
    signature = inspect.signature(function)

    def planted(*args, **options):
        bound = signature.bind(*args, **options)
        bound.arguments.pop(parameter, None)
        return function(*bound.args, **bound.kwargs)

    return planted


def exchanging(function, first, second):
    """Return a function that takes two of its arguments for each other."""
    signature = inspect.signature(function)

    def planted(*args, **options):
        bound = signature.bind(*args, **options)
        bound.apply_defaults()
        a = bound.arguments
        a[first], a[second] = a[second], a[first]
        return function(**a)

    return planted


def shows(check):
    """Return whether a check fails, in whatever way."""
    try:
        check()
    except (AssertionError, TypeError, ValueError, RuntimeError):
        return True
    return False


@pytest.mark.parametrize("name", [n for n in NAMES if not n.startswith(("Lazy", "AdaptiveAvg"))])
def test_an_argument_forgotten_or_exchanged_is_seen(integers, monkeypatch, name):
    function = getattr(functional, counterpart(name))
    parameters = inspect.signature(function).parameters.values()
    optional = [p.name for p in parameters if p.default is not p.empty]
    bugs = {f"without {p}": without(function, p) for p in optional}
    for pair in itertools.combinations(
        [p.name for p in parameters if p.annotation != torch.Tensor], 2
    ):
        bugs[" for ".join(pair)] = exchanging(function, *pair)

    unseen = []
    for bug, planted in bugs.items():
        monkeypatch.setattr(functional, counterpart(name), planted)
        checks = (
            lambda row=row: LayerPair(integers, name, row).check() for row in range(len(ROWS[name]))
        )
        if not any(map(shows, checks)):
            unseen.append(bug)
    assert bugs
    assert unseen == []


class ForgetsPaddingMode(torch_ext.nn.Conv2d):
    def _conv_forward(self, input, weight, bias):
        options = (self.stride, self.padding, self.dilation, self.groups)
        return functional.conv2d(input, weight, bias, *options)


class PadsTwice(torch_ext.nn.Conv2d):
    def _conv_forward(self, input, weight, bias):
        if self.padding_mode != "zeros":
            input = F.pad(input, self._reversed_padding_repeated_twice, mode=self.padding_mode)
        options = (self.stride, self.padding, self.dilation, self.groups)
        return functional.conv2d(input, weight, bias, *options)


class PadsInOneMode(torch_ext.nn.Conv2d):
    def _conv_forward(self, input, weight, bias):
        options = (self.stride, self.padding, self.dilation, self.groups)
        if self.padding_mode != "zeros":
            input = F.pad(input, self._reversed_padding_repeated_twice, mode="replicate")
            options = (self.stride, 0, self.dilation, self.groups)
        return functional.conv2d(input, weight, bias, *options)


class FlagsInTheFunctionsOrder(torch_ext.nn.MaxPool2d):
    def forward(self, input):
        windows = (self.kernel_size, self.stride, self.padding, self.dilation)
        return functional.max_pool2d(input, *windows, self.return_indices, self.ceil_mode)


class ForgetsTheOutputSize(torch_ext.nn.ConvTranspose2d):
    def forward(self, input, output_size=None):
        return super().forward(input)


class ForgetsTheSizeBefore(torch_ext.nn.MaxUnpool2d):
    def forward(self, input, indices, output_size=None):
        return super().forward(input, indices)


class CubesAlways(torch_ext.nn.LPPool2d):
    def forward(self, input):
        return functional.lp_pool2d(input, 3, self.kernel_size, self.stride, self.ceil_mode)


class DrawsItsOwnSamples(torch_ext.nn.FractionalMaxPool2d):
    def forward(self, input):
        sizes = (self.kernel_size, self.output_size, self.output_ratio)
        return functional.fractional_max_pool2d(input, *sizes, self.return_indices)


PLANTED = [
    ForgetsPaddingMode,
    PadsTwice,
    PadsInOneMode,
    FlagsInTheFunctionsOrder,
    ForgetsTheOutputSize,
    ForgetsTheSizeBefore,
    CubesAlways,
    DrawsItsOwnSamples,
]


@pytest.mark.parametrize("planted", PLANTED)
def test_a_forward_that_is_wrong_is_seen(integers, planted):
    name = planted.__base__.__name__
    cases = [LayerPair(integers, name, row, planted) for row in range(len(ROWS[name]))]
    assert any(shows(case.check) for case in cases)
