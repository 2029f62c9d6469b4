"""override(level="aten") reaches whoever calls, and no further than it says."""

import threading
from contextlib import nullcontext

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import torch_ext
from support.watch import Below, Counting, compare

X, W = torch.ones(1, 2, 4, 5), torch.ones(2, 2, 2, 2)


class Net(nn.Module):
    """Layers of torch's and a call of its functions."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(
            nn.Conv2d(2, 4, 2), nn.ReLU(), nn.MaxPool2d(2, 1), nn.ConvTranspose2d(4, 2, 2)
        )
        with torch.no_grad():
            for each in self.parameters():
                each.copy_(torch.randint(-2, 3, each.shape))

    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool2d(self.layers(x), 2)


def backward(net):
    """Return the values and gradients of a net."""
    x = torch.arange(40.0).view(1, 2, 4, 5).requires_grad_()
    net.zero_grad()
    y = net(x)
    y.sum().backward()
    return y, x.grad, *(each.grad.clone() for each in net.parameters())


HOW = {
    "modules": lambda net: net,
    "scripted": torch.jit.script,
    "traced": lambda net: torch.jit.trace(net, X),
    "compiled": lambda net: torch.compile(net, backend="eager"),
    "compiled, and called before": lambda net: called(torch.compile(net, backend="eager")),
}


def called(net):
    """Return a compiled net that has been called."""
    net(X)
    return net


@pytest.fixture
def fresh():
    """What was compiled before, or refused to be, is forgotten."""
    torch.compiler.reset()
    yield
    torch.compiler.reset()


@pytest.mark.parametrize("how", HOW)
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # of torch.compile's guards
def test_whoever_calls(how, fresh):
    net = HOW[how](Net())
    expected = backward(Net())
    with Below() as left, Counting() as replaced:
        found = backward(net)
    assert left.seen == []
    assert len(replaced.seen) == 8
    compare(found, expected)


def test_exported_code():
    program = torch.export.export(Net(), (X,)).module()
    expected = Net()(X)
    with Below() as left, torch_ext.override(level="aten"):
        found = program(X)
    assert left.seen == []
    compare([found], [expected])


@pytest.mark.filterwarnings("ignore:Dynamo does not know how to trace:UserWarning")
def test_a_whole_graph_with_a_context_in_it_is_torchs_error(fresh):
    def pool(x):
        with torch_ext.override(level="aten"):
            return F.avg_pool2d(x, 2)

    with pytest.raises(torch._dynamo.exc.Unsupported):
        torch.compile(pool, backend="eager", fullgraph=True)(X)


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # called by torch.func
def test_transforms():
    """vmap, jvp and per-sample gradients, as torch takes them apart."""
    x, w = (each.double() for each in (torch.arange(40).view(2, 1, 2, 2, 5), W))

    def pooled(w, x):
        return F.max_pool2d(F.conv2d(x, w), (1, 2)).sum()

    def transforms():
        values = torch.vmap(pooled, (None, 0))(w, x)
        each = torch.vmap(torch.func.grad(pooled), (None, 0))(w, x)
        return values, each, *torch.func.jvp(lambda w: pooled(w, x[0]), (w,), (w,))

    expected = transforms()
    with Below() as left, torch_ext.override(level="aten"):
        found = transforms()
    assert left.seen == []
    compare(found, expected)


def test_autocast_is_above():
    x, w = X, W
    with torch.autocast("cpu"), Below() as left, torch_ext.override(level="aten"):
        y = F.conv2d(x, w)
    assert y.dtype is torch.bfloat16
    assert left.seen == []
    assert torch.equal(y, torch.full((1, 2, 3, 4), 8.0).bfloat16())


def test_an_average_to_size_1_is_a_mean_if_it_needs_a_gradient():
    x = X.clone().requires_grad_()
    with Counting() as replaced:
        F.adaptive_avg_pool2d(x, 1)
        assert replaced.seen == []
        with torch.inference_mode():
            F.adaptive_avg_pool2d(x, 1)
    assert [str(each) for each in replaced.seen] == ["aten.adaptive_avg_pool2d.default"]


def test_a_backward_afterwards_is_torchs():
    x = X.clone().requires_grad_()
    with torch_ext.override(level="aten"):
        y = F.avg_pool2d(x, 2)
    with Below() as natively:
        y.sum().backward()
    assert natively.seen == ["aten.avg_pool2d_backward.default"]


def test_contexts_nest_and_end():
    with Below() as seen:
        with torch_ext.override(level="aten"), torch_ext.override(level="aten"):
            F.avg_pool2d(X, 2)
        with torch_ext.override(), torch_ext.override(level="aten"), torch_ext.override():
            F.avg_pool2d(X, 2)
        with pytest.raises(RuntimeError, match="groups=3"), torch_ext.override(level="aten"):
            F.conv2d(X, W[:, :1], groups=3)
        assert seen.seen == []
        F.avg_pool2d(X, 2)
    assert seen.seen == ["aten.avg_pool2d.default"]


def test_each_thread_has_its_own():
    """Two threads are inside at once, one with a context and one without."""
    together, seen = threading.Barrier(2), {}

    def run(name, context):
        with Below() as natively, context:
            together.wait()
            F.avg_pool2d(X, 2)
            together.wait()
        seen[name] = natively.seen

    contexts = {"with": torch_ext.override(level="aten"), "without": nullcontext()}
    threads = [threading.Thread(target=run, args=each) for each in contexts.items()]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert seen == {"with": [], "without": ["aten.avg_pool2d.default"]}


def test_there_are_two_levels():
    with pytest.raises(ValueError, match="level must be 'function' or 'aten', got 'kernel'"):
        torch_ext.override(level="kernel")
