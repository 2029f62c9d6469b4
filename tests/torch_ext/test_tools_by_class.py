"""Tools of torch that ask what class a layer has: some know a swapped one, all a restored one."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.ao import quantization
from torch.ao.quantization._equalize import equalize
from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx
from torch.nn.utils import parametrizations, prune

import torch_ext

pytestmark = [
    pytest.mark.filterwarnings("ignore:torch.ao.quantization is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings(
        "ignore:torch.quantize_per_tensor, torch.quantize_per_ch:UserWarning"
    ),
    pytest.mark.filterwarnings("ignore:Please use quant_min and quant_max:UserWarning"),
    pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning"),
]
X = torch.rand(2, 3, 9, 8, generator=torch.Generator().manual_seed(1))
Tool = Callable[[nn.Sequential], nn.Module]


def model() -> nn.Sequential:
    """Return the same layers at every call."""
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 2, 1)
    return nn.Sequential(*layers).eval()


def fused(net: nn.Sequential) -> nn.Module:
    return quantization.fuse_modules(net, [["0", "1", "2"]])


def equalized(net: nn.Sequential) -> nn.Module:
    return equalize(net, [["0", "4"]], inplace=True)


def fused_as_a_graph(net: nn.Sequential) -> nn.Module:
    from torch.fx.experimental.optimization import fuse  # scripts when imported, and warns of it

    return fuse(net)


def quantized(net: nn.Sequential) -> nn.Module:
    net = nn.Sequential(quantization.QuantStub(), net, quantization.DeQuantStub())
    net.qconfig = quantization.get_default_qconfig("x86")
    net = quantization.prepare(net.eval())
    net(X)
    return quantization.convert(net)


def quantization_aware(net: nn.Sequential) -> nn.Module:
    net.train().qconfig = quantization.get_default_qat_qconfig("x86")
    return quantization.prepare_qat(net)


def quantized_as_a_graph(net: nn.Sequential) -> nn.Module:
    mapping = quantization.get_default_qconfig_mapping("x86")
    net = prepare_fx(net, mapping, (X,))
    net(X)
    return convert_fx(net)


class Dense(nn.Module):
    """A net in oneDNN's layout, for tensors in no such layout."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x.to_mkldnn()).to_dense()


def converted(net: nn.Sequential) -> nn.Module:
    from torch.utils.mkldnn import to_mkldnn  # scripts when imported, and warns of it

    return Dense(to_mkldnn(net))


def folded(net: nn.Sequential) -> nn.Module:
    return nn.Sequential(nn.utils.fuse_conv_bn_eval(net[0], net[1]), *net[2:])


def channels_last(net: nn.Sequential) -> nn.Module:
    return nn.utils.convert_conv2d_weight_memory_format(net, torch.channels_last)


def normalized(net: nn.Sequential) -> nn.Module:
    parametrizations.spectral_norm(net[0])
    parametrizations.weight_norm(net[4])
    return net


def pruned(net: nn.Sequential) -> nn.Module:
    weights = [(net[0], "weight"), (net[4], "weight")]
    prune.global_unstructured(weights, prune.L1Unstructured, amount=0.5)
    return net


REFUSING: dict[Tool, tuple[type[Exception], str]] = {
    fused: (AssertionError, "did not find fuser method"),
    equalized: (ValueError, "module type not supported"),
}
PASSING_OVER: tuple[Tool, ...] = (quantized, quantization_aware)
OF_TORCH_ALONE: tuple[Tool, ...] = (  # whose graphs have torch's layers as nodes, or whose layout
    fused_as_a_graph,
    quantized_as_a_graph,
    converted,
)
KNOWING: tuple[Tool, ...] = (folded, channels_last, normalized, pruned)


def output(net: nn.Module) -> Tensor:
    """Return what a net computes."""
    with torch.no_grad():
        return net(X)


def convolutions(net: nn.Module) -> list[type]:
    """Return the classes of what is a reference layer in a net."""
    return [type(m) for m in net.modules() if type(m) is torch_ext.nn.Conv2d]


@pytest.mark.parametrize("tool", [*REFUSING, *PASSING_OVER, *OF_TORCH_ALONE, *KNOWING])
def test_after_restore_every_tool_does_as_with_the_original(tool: Tool) -> None:
    net = model()
    torch_ext.swap(net)
    torch_ext.restore(net)
    assert torch.equal(output(tool(net)), output(tool(model())))


@pytest.mark.parametrize("tool", REFUSING)
def test_what_refuses_a_swapped_layer(tool: Tool) -> None:
    net = model()
    torch_ext.swap(net)
    error, text = REFUSING[tool]
    with pytest.raises(error, match=text):
        tool(net)


@pytest.mark.parametrize("tool", PASSING_OVER)
def test_what_passes_over_a_swapped_layer(tool: Tool) -> None:
    net = model()
    torch_ext.swap(net)
    assert len(convolutions(tool(net))) == 2


@pytest.mark.parametrize("tool", KNOWING)
def test_what_knows_a_swapped_layer(tool: Tool) -> None:
    net = model()
    torch_ext.swap(net)
    found, expected = output(tool(net)), output(tool(model()))
    assert (found - expected).abs().max() < 1e-5
    assert expected.any()


def test_isinstance_holds_and_identity_does_not() -> None:
    net = model()
    report = torch_ext.swap(net)
    assert len(report.changed) == 3
    assert all(isinstance(net[at], nn.Conv2d) for at in (0, 4))
    assert [at for at in range(5) if type(net[at]) is nn.Conv2d] == []
    torch_ext.restore(net)
    assert [at for at in range(5) if type(net[at]) is nn.Conv2d] == [0, 4]
