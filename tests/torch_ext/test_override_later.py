"""override() covers what runs later, and what torch.compile and torch.export make of a function."""

import re
from contextlib import nullcontext

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

import torch_ext

X = {1: torch.ones(1, 2, 6), 2: torch.ones(1, 2, 6, 5)}
W = torch.ones(2, 2, 2, 2)
FAMILY = re.compile(r"conv(?!ert)|pool|im2col|col2im|^fold$|^unfold$")


class Own(torch.autograd.Function):
    """A third party's, with a pool in its backward."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, g):
        return F.avg_pool1d(g, 1)


@pytest.mark.parametrize(
    "differentiate",
    [
        lambda y, x: y.sum().backward(),
        lambda y, x: torch.autograd.backward(y.sum()),
        lambda y, x: torch.autograd.grad(y.sum(), x),
    ],
)
def test_calls_in_a_backward(calls, differentiate):
    x = X[1].clone().requires_grad_()
    with torch_ext.override():
        differentiate(Own.apply(x), x)
    assert calls == ["avg_pool"]


@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpoints(calls, reentrant):
    """What is computed again in a backward inside is the reference's."""
    x = X[2].clone().requires_grad_()
    with torch_ext.override():
        checkpoint(lambda x: F.max_pool2d(x, 2), x, use_reentrant=reentrant).sum().backward()
    assert calls == ["max_pool", "max_pool", "max_pool_scatter"]


def test_a_checkpoint_opens_its_own_for_a_backward_outside(calls):
    x = X[2].clone().requires_grad_()
    with torch_ext.override():
        y = checkpoint(
            lambda x: F.max_pool2d(x, 2),
            x,
            use_reentrant=False,
            context_fn=lambda: (nullcontext(), torch_ext.override()),
        )
    y.sum().backward()
    assert calls == ["max_pool", "max_pool", "max_pool_scatter"]


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_scripted_code_takes_the_other_level(calls):
    """As documented: no mode of Python's functions sees it, and one of ATen's operators does."""

    def pool(x: torch.Tensor) -> torch.Tensor:
        return torch.max_pool2d(x, [2, 2])

    scripted = torch.jit.script(pool)
    with torch_ext.override():
        scripted(X[2])
    assert calls == []
    with torch_ext.override(level="aten"):
        scripted(X[2])
    assert calls == ["max_pool"]


# --------------------------------------------------------------------------- torch.compile


@pytest.fixture
def graph():
    """List what the graphs that torch.compile makes call, none of it before them."""
    torch.compiler.reset()
    targets = []

    def backend(module, inputs):
        targets.extend(
            str(node.target).split(".")[0] for node in module.graph.nodes if node.op != "output"
        )
        return module.forward

    yield lambda function: torch.compile(function, backend=backend, fullgraph=True), targets
    torch.compiler.reset()


def pooled(x):
    return F.avg_pool2d(x, 2)


def test_a_compiled_function_is_compiled_for_either_side(graph, calls):
    compile_, targets = graph
    function = compile_(pooled)
    for _ in range(2):
        function(X[2])
        with torch_ext.override():
            function(X[2])
    assert calls == ["avg_pool", "avg_pool"]
    assert targets.count("refconv") == 1


def test_a_context_in_a_compiled_function(graph, calls):
    def function(x):
        with torch_ext.override():
            y = pooled(x)
        return pooled(y)

    graph[0](function)(X[2])
    assert calls == ["avg_pool"]
    assert graph[1].count("refconv") == 1


@pytest.mark.parametrize(
    "call",
    [
        lambda x: F.interpolate(x, scale_factor=0.5, mode="area"),
        lambda x: F.local_response_norm(x, 2),
        lambda x: F.conv_transpose2d(x, W),
        lambda x: F.fold(F.unfold(x, 2), (6, 5), 2),
        lambda x: F.lp_pool2d(x, 2, 2),
        lambda x: F.max_unpool2d(*F.max_pool2d(x, 2, return_indices=True), 2),
        lambda x: F.adaptive_max_pool2d(x, 2),
        lambda x: F.fractional_max_pool2d(x, 2, 2, _random_samples=torch.full((1, 2, 2), 0.5)),
        lambda x: torch.ops.aten.conv2d(x, W),
        lambda x: torch.vmap(pooled)(x[None]),
        lambda x: checkpoint(pooled, x, use_reentrant=False),
    ],
)
def test_other_names_in_compiled_functions(graph, call):
    compile_, targets = graph
    expected = call(X[2])
    with torch_ext.override():
        found = compile_(call)(X[2])
    torch.testing.assert_close(found, expected)
    assert not any(FAMILY.search(each) for each in targets if each != "refconv")


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.parametrize("compile_", [lambda f: f, lambda f: torch.compile(f, backend="eager")])
def test_branches_are_refused(compile_):
    def branch(x):
        return torch.cond(x.sum() > 0, pooled, lambda x: pooled(x) * 2, (x,))

    torch.compiler.reset()
    with torch_ext.override(), pytest.raises(Exception, match="does not reach the branches"):
        compile_(branch)(X[2])
    torch.compiler.reset()


def test_export(graph):
    with torch_ext.override():
        program = torch.export.export(nn.Conv2d(2, 2, 2), (X[2],))
    assert torch.ops.refconv.convolution.default in {each.target for each in program.graph.nodes}
