"""The layers: torch's in all but the forward."""

import copy
import inspect
import io
import itertools
import math
import re

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.modules import conv, fold, pooling

import torch_ext
from torch_ext import functional

NAMES = [*conv.__all__, *fold.__all__, *pooling.__all__]
LAZY = [name for name in NAMES if name.startswith("Lazy")]
MODES = ["zeros", "reflect", "replicate", "circular"]
SIZES = {1: (9,), 2: (8, 7), 3: (5, 6, 4)}
BLOCKS = {"kernel_size": (3, 2), "dilation": (2, 1), "padding": (1, 2), "stride": (2, 3)}
SEEDED = torch.Generator().manual_seed(3)

# (arguments, options) of layers. Each option has a row that would show it missing or exchanged with
# another: see the planted bugs. The channels in are 4, and all sums and quotients are exact.
ROWS = {
    "Conv1d": [
        ((4, 6, 3), {"stride": 3, "padding": 1, "dilation": 2, "groups": 2}),
        ((4, 2, 2), {"padding": "same", "bias": False}),
    ],
    "Conv2d": [
        ((4, 6, (3, 2)), {"stride": (2, 3), "padding": (1, 0), "dilation": (1, 2), "groups": 2}),
        ((4, 2, (3, 2)), {"dilation": 2, "padding": "same", "bias": False}),
    ],
    "Conv3d": [
        (
            (4, 6, 2),
            {"stride": (3, 1, 2), "padding": (1, 0, 2), "dilation": (2, 3, 1), "groups": 2},
        ),
        ((4, 2, 2), {"stride": (2, 1, 1), "padding": "valid", "bias": False}),
    ],
    "ConvTranspose1d": [
        ((4, 6, 3), {"stride": 4, "padding": 2, "output_padding": 3, "groups": 2, "dilation": 3}),
        ((4, 2, 2), {"bias": False}),
    ],
    "ConvTranspose2d": [
        (
            (4, 6, (3, 2), (2, 3), (1, 0)),
            {"output_padding": (0, 1), "groups": 2, "dilation": (1, 2)},
        ),
        ((4, 2, 2), {"stride": 2, "bias": False}),
    ],
    "ConvTranspose3d": [
        (
            (4, 6, 2, (1, 3, 2), (1, 0, 1)),
            {"output_padding": (1, 2, 0), "groups": 2, "dilation": (2, 1, 1)},
        ),
        ((4, 2, 1), {"bias": False}),
    ],
    "Unfold": [((), BLOCKS), ((2,), {})],
    "Fold": [(((8, 7),), BLOCKS), (((4, 6), 2), {"stride": 2})],
    "MaxPool1d": [
        ((3, 4, 1, 2), {"ceil_mode": True}),
        ((2,), {"return_indices": True}),
    ],
    "MaxPool2d": [
        (((3, 2), (2, 3), (1, 0), (2, 3)), {"ceil_mode": True}),
        ((2, 3), {"return_indices": True}),
    ],
    "MaxPool3d": [
        ((2, (2, 1, 3), (0, 1, 1), (1, 3, 2)), {"ceil_mode": True}),
        ((2,), {"return_indices": True}),
    ],
    "MaxUnpool1d": [((2, 3, 1), {}), ((2,), {})],
    "MaxUnpool2d": [(((2, 3), (3, 4), (0, 1)), {}), ((2,), {})],
    "MaxUnpool3d": [((2, (3, 2, 4), (0, 1, 1)), {}), ((2,), {})],
    "AvgPool1d": [
        ((4, 3, 1), {"ceil_mode": True}),
        ((4, 3, 1), {"ceil_mode": True, "count_include_pad": False}),
    ],
    "AvgPool2d": [
        (((3, 2), (2, 3)), {"padding": (1, 0), "ceil_mode": True}),
        ((2,), {"padding": 1, "count_include_pad": False}),
        ((2,), {"divisor_override": 3}),
    ],
    "AvgPool3d": [
        ((2, (2, 1, 3)), {"padding": (0, 1, 1), "ceil_mode": True}),
        ((2,), {"padding": 1, "count_include_pad": False}),
        ((2,), {"divisor_override": -3}),
    ],
    "LPPool1d": [((2, 4, 3), {"ceil_mode": True}), ((math.inf, 2), {})],
    "LPPool2d": [((2, 2, (1, 3)), {"ceil_mode": True}), ((1, (2, 3)), {})],
    "LPPool3d": [((2, (1, 2, 2), (2, 1, 3)), {"ceil_mode": True}), ((1.0, 2), {})],
    "AdaptiveAvgPool1d": [((4,), {})],
    "AdaptiveAvgPool2d": [(((3, None),), {}), ((2,), {})],
    "AdaptiveAvgPool3d": [(((2, None, 3),), {}), ((2,), {})],
    "AdaptiveMaxPool1d": [((4,), {}), ((2,), {"return_indices": True})],
    "AdaptiveMaxPool2d": [(((3, None),), {}), ((2,), {"return_indices": True})],
    "AdaptiveMaxPool3d": [(((2, None, 3),), {}), ((2,), {"return_indices": True})],
    "FractionalMaxPool2d": [
        ((2, (3, 4)), {"_random_samples": torch.rand(2, 4, 2, generator=SEEDED)}),
        (((2, 3),), {"output_ratio": (0.5, 0.6), "return_indices": True}),
    ],
    "FractionalMaxPool3d": [
        ((2, (3, 2, 2)), {"_random_samples": torch.rand(2, 4, 3, generator=SEEDED)}),
        (((2, 1, 2),), {"output_ratio": (0.5, 0.6, 0.4), "return_indices": True}),
    ],
}
for rank in SIZES:
    padded = [{"padding": p, "padding_mode": mode} for p in (1, "same") for mode in MODES]
    ROWS[f"Conv{rank}d"] += [((4, 2, 3), options) for options in padded]
for name in LAZY:
    rows = ROWS[name.removeprefix("Lazy")]
    ROWS[name] = [(args[1:], options) for args, options in rows]

every_layer = pytest.mark.parametrize("name", NAMES)
every_row = pytest.mark.parametrize(
    ("name", "row"), [(name, row) for name in ROWS for row in range(len(ROWS[name]))]
)
pytestmark = pytest.mark.filterwarnings(
    "ignore:Using padding='same' with even kernel lengths:UserWarning",  # both from torch
    "ignore:Lazy modules are a new feature:UserWarning",
)


class Case:
    """A layer and its original, with the same integer parameters, and inputs for them."""

    def __init__(self, integers, name, row, ours=None):
        args, options = ROWS[name][row]
        kinds = (ours or getattr(torch_ext.nn, name), getattr(nn, name))
        self.ours, self.original = (kind(*args, **options) for kind in kinds)
        self.integers, self.inputs = integers, inputs(integers, name, self.original)
        if name in LAZY:
            self.ours(*self.inputs), self.original(*self.inputs)
        for parameter in self.original.parameters():
            parameter.data = integers(parameter.shape, parameter.dtype)
        self.ours.load_state_dict(self.original.state_dict())

    def check(self):
        """Assert that values, indices and gradients have the same bits."""
        for output_size in self.output_sizes():
            found, gy = [], None
            for layer in (self.ours, self.original):
                x = self.inputs[0].clone().requires_grad_()
                torch.manual_seed(0)  # fractional pools draw samples
                y = layer(x, *self.inputs[1:], *output_size)
                y = y if isinstance(y, tuple) else (y,)
                gy = 144 * self.integers(y[0].shape, y[0].dtype) if gy is None else gy
                found.append([*y, *torch.autograd.grad(y[0], (x, *layer.parameters()), gy)])
            same(*found)

    def output_sizes(self):
        """Return the last arguments of some calls: none, the least size allowed, and the most."""
        layer = self.original
        if "output_size" not in inspect.signature(layer.forward).parameters:
            return [()]
        n, c, *natural = layer(*self.inputs).shape
        extra = getattr(layer, "output_padding", [0] * len(natural))
        least = [size - a for size, a in zip(natural, extra, strict=True)]
        most = [size + s - 1 for size, s in zip(least, layer.stride, strict=True)]
        return [(), (least,), ([n, c, *most],)]


def inputs(integers, name, layer):
    """Return what the layer is called with; the first has a gradient."""
    rank = len(SIZES) - 1 if name in fold.__all__ else int(name[-2])
    x = integers((2, 4, *SIZES[rank]), torch.float32)
    if name == "Fold":
        blocks = (layer.kernel_size, layer.dilation, layer.padding, layer.stride)
        x = integers(F.unfold(torch.ones(2, 3, *layer.output_size), *blocks).shape, torch.float32)
    if name.startswith("MaxUnpool"):  # three windows in each axis, apart from each other
        k, s, p = layer.kernel_size, layer.stride, layer.padding
        x = torch.rand(2, 4, *(2 * s + k - 2 * p for k, s, p in zip(k, s, p, strict=True)))
        y, indices = getattr(F, f"max_pool{rank}d")(x, k, s, p, return_indices=True)
        return integers(y.shape, torch.float32), indices
    if name.startswith("LPPool"):  # one power of two in each image: so are roots and quotients
        return (2 ** integers((2, 4, *[1] * rank), torch.float32) * torch.ones(SIZES[rank]),)
    return (x,)


def same(values, expected):
    """Assert that tensors have the same bits, and are not all zero."""
    for one, other in zip(values, expected, strict=True):
        assert other.any()
        assert one.dtype == other.dtype
        assert torch.equal(one, other)


def counterpart(name):
    """Return the function of a layer: LazyConvTranspose1d, conv_transpose1d."""
    return re.sub(r"(?<=\w)(?=[A-Z][a-z])", "_", name.removeprefix("Lazy")).lower()


def refuse_torchs(monkeypatch):
    """Let the functions that torch's own layers call fail."""

    def refuse(*_, **__):
        raise AssertionError("torch's own function was called")

    for name in NAMES:
        monkeypatch.setattr(F, counterpart(name), refuse)


def pickled(layer):
    """Return a layer as it comes out of a file."""
    buffer = io.BytesIO()
    torch.save(layer, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=False)


def test_no_layer_is_missing():
    assert set(torch_ext.nn.__all__) == set(NAMES) == set(ROWS)
    family = {module.__name__ for module in (conv, fold, pooling)}
    public = {n for n, kind in vars(nn).items() if getattr(kind, "__module__", None) in family}
    assert public == set(NAMES)


@every_row
def test_values_and_gradients(integers, name, row):
    Case(integers, name, row).check()


@every_layer
def test_a_forward_comes_from_the_reference(integers, monkeypatch, name):
    case = Case(integers, name, 0)
    expected = case.original(*case.inputs)
    refuse_torchs(monkeypatch)
    same(case.ours(*case.inputs), expected)
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
    case = Case(integers, name, row)
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
    case = Case(integers, name, 0)
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
            lambda row=row: Case(integers, name, row).check() for row in range(len(ROWS[name]))
        )
        if not any(map(shows, checks)):
            unseen.append(bug)
    assert bugs
    assert unseen == []
