"""torch.jit.script of a layer of the reference is refused, and the refusal says what to do."""

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

import torch_ext
from support.layers import NAMES, ROWS

pytestmark = [
    pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Lazy modules are a new feature:UserWarning"),
]


def every_kind_of(name: str) -> list[nn.Module]:
    """Return a layer built as the reference's, one swapped, and one inside of a swapped model."""
    args, options = ROWS[name][0]
    swapped, inner = (getattr(nn, name)(*args, **options) for _ in range(2))
    model = nn.Sequential(nn.ReLU(), nn.ModuleDict({"a": inner}))
    torch_ext.swap(swapped), torch_ext.swap(model)
    return [getattr(torch_ext.nn, name)(*args, **options), swapped, model]


@pytest.mark.parametrize("name", NAMES)
def test_scripting_is_refused_and_says_what_to_do(name: str) -> None:
    for layer in every_kind_of(name):
        state = [dict(vars(module)) for module in layer.modules()]
        with pytest.raises(RuntimeError, match=f"cannot compile torch_ext.nn.{name}") as refusal:
            torch.jit.script(layer)
        text = str(refusal.value)
        assert len(text) <= 300
        assert state == [vars(module) for module in layer.modules()]
        assert all(word in text for word in ("torch.jit.trace", "restore", 'level="aten"'))


def test_a_parametrized_layer_is_refused_too() -> None:
    layer = parametrizations.weight_norm(nn.Conv2d(1, 1, 2))
    torch_ext.swap(layer)
    with pytest.raises(RuntimeError, match="restore"):
        torch.jit.script(layer)


def test_the_remedy_works(calls) -> None:
    net = nn.Sequential(nn.Conv2d(2, 4, 3), nn.MaxPool2d(2), nn.AdaptiveAvgPool2d((2, 3)))
    x = torch.arange(128.0).view(1, 2, 8, 8)
    for each in net.parameters():
        each.data.fill_(1)
    expected = net(x)
    torch_ext.swap(net)
    torch_ext.restore(net)
    scripted = torch.jit.script(net)
    with torch_ext.override(level="aten"):
        found = scripted(x)
    assert calls == ["conv", "max_pool", "adaptive_avg_pool"]
    assert torch.equal(found, expected)
