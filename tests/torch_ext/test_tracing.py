"""torch.jit.trace: what was traced at one size is right at every other, or was refused."""

import copy
import inspect
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

import torch_ext
from support.asymmetric_calls import CASES, Draw, values
from support.layers import LAZY, NAMES, ROWS, LayerPair
from torch_ext import functional

pytestmark = [
    pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning"),
    pytest.mark.filterwarnings("ignore:Lazy modules are a new feature:UserWarning"),
]
LAYERS = [(name, row) for name in NAMES if name not in LAZY for row in range(len(ROWS[name]))]
SIZE = {1: (12,), 2: (11, 13), 3: (7, 8, 9)}


def trace(function: Callable[..., Any], *inputs: Tensor) -> Callable[..., Any]:
    """Trace without torch's own check, which runs all again."""
    return torch.jit.trace(function, inputs, check_trace=False)


def assert_same_values(found: Any, expected: Any) -> None:
    """Assert that results have the same bits."""
    for one, other in zip(values(found), values(expected), strict=True):
        assert one.dtype == other.dtype
        assert torch.equal(one, other)


# --------------------------------------------------------------------------- other sizes


@pytest.mark.parametrize("name", CASES)
def test_every_function_at_another_size(name: str) -> None:
    case = CASES[name]
    traced = trace(case.ours, *case.draw(Draw()))
    tensors = case.draw(Draw(more=True))
    found = []
    for function in (traced, case.torchs):
        leaves = [t.clone().requires_grad_() for t in tensors[: case.differentiable]]
        y, *indices = values(function(*leaves, *tensors[case.differentiable :]))
        gy = 64 * torch.ones_like(y)
        found.append((y, *indices, *torch.autograd.grad(y, leaves, gy, create_graph=True)))
    assert_same_values(*found)


@pytest.mark.filterwarnings("ignore:Converting a tensor to a Python float")  # norm_type=tensor(2.)
@pytest.mark.parametrize("how", ["built", "swapped", "overridden"])
@pytest.mark.parametrize(("name", "row"), LAYERS)
def test_every_layer_at_another_size(integers, name: str, row: int, how: str) -> None:
    case = LayerPair(integers, name, row)
    layer = case.ours if how == "built" else case.original
    if how == "swapped":
        torch_ext.swap(layer)
    with torch_ext.override() if how == "overridden" else nullcontext():
        traced = trace(layer, *case.inputs)
    inputs = larger(case, name)
    found = []
    for each in (traced, case.ours):
        x = inputs[0].clone().requires_grad_()
        torch.manual_seed(0)  # fractional pools draw samples
        y, *indices = values(each(x, *inputs[1:]))
        owner = layer if each is traced else case.ours
        found.append((y, *indices, *torch.autograd.grad(y.sum(), (x, *owner.parameters()))))
    assert_same_values(*found)


def larger(case: LayerPair, name: str) -> tuple[Tensor, ...]:
    """Return inputs of another batch, and of other axes where these are not set."""
    x, layer = case.inputs[0], case.original
    batch = 2 if getattr(layer, "_random_samples", None) is not None else 3
    if name == "Fold":
        return (case.integers((batch, *x.shape[1:]), x.dtype),)
    if not name.startswith("MaxUnpool"):
        return (case.integers((batch, 4, *SIZE[x.dim() - 2]), x.dtype),)
    window = layer.kernel_size, layer.stride, layer.padding
    o = [n * s + k - 2 * p for n, (k, s, p) in enumerate(zip(*window, strict=True), 3)]
    pool = getattr(F, f"max_pool{len(o)}d")
    y, indices = pool(torch.rand(batch, 4, *o), *window, return_indices=True)
    return case.integers(y.shape, x.dtype), indices


SIZES_OF_SHAPES: dict[str, Callable[[Tensor, Any], Any]] = {
    "a kernel": lambda x, f: f.avg_pool2d(x, x.size()[2:]),
    "one of a kernel's sizes": lambda x, f: f.lp_pool2d(x, 2.0, (x.size(2) // 2, 1)),
    "a scalar kernel": lambda x, f: f.max_pool2d(x, x.size(2) // 2),
    "a stride": lambda x, f: f.max_pool2d(x, 2, x.shape[3] - 5),
    "a padding": lambda x, f: f.conv2d(x, x[:1, :, :3, :3], padding=x.size(2) // 4),
    "groups": lambda x, f: f.conv2d(x, x.new_ones(x.size(1), 1, 2, 2), groups=x.size(1)),
    "an output size": lambda x, f: f.adaptive_max_pool2d(x, (x.size(2) // 2, None)),
    "a scalar output size": lambda x, f: f.adaptive_avg_pool2d(x, x.size(2) // 3),
    "a size to fold to": lambda x, f: f.fold(f.unfold(x, 2), x.shape[2:], 2),
    "a size to unpool to": lambda x, f: f.max_unpool2d(
        *f.max_pool2d(x, 2, return_indices=True), 2, output_size=x.size()
    ),
    "what was pooled away": lambda x, f: f.max_unpool2d(
        *f.max_pool2d(x, 2, return_indices=True), 2
    ),
    "a ratio": lambda x, f: f.fractional_max_pool2d(x, 2, output_ratio=(0.5, 0.7)),
    "words": lambda x, f: f.conv2d(x, x[:1, :, :4, :3], padding="same"),
    "no batch": lambda x, f: f.adaptive_avg_pool2d(x[0], (2, None)),
}


@pytest.mark.parametrize("sizes", SIZES_OF_SHAPES)
def test_sizes_that_come_from_shapes(sizes: str) -> None:
    call = SIZES_OF_SHAPES[sizes]
    traced = trace(lambda x: call(x, functional), Draw().integers(2, 3, 8, 8))
    for shape in ((1, 3, 12, 10), (4, 5, 6, 14)):
        x = Draw(seed=4).distinct(*shape)
        torch.manual_seed(0)
        found = traced(x)
        torch.manual_seed(0)
        assert_same_values(found, call(x, functional))


class Up(nn.Module):
    """A transposed convolution to a size that comes from the input."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(2, 3, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.up(x, output_size=(2 * x.shape[2] + 2, 2 * x.shape[3] + 1))


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")  # from torch, which checks the size
def test_a_layer_is_told_its_output_size() -> None:
    layer = Up()
    torch_ext.swap(layer)
    traced = trace(layer, torch.ones(2, 2, 4, 4))
    x = torch.rand(1, 2, 6, 5)
    assert traced(x).shape == (1, 3, 14, 11)
    assert_same_values(traced(x), layer(x))


@pytest.mark.parametrize("rank", [2, 3])
def test_every_run_draws_samples_of_its_own(rank: int) -> None:
    layer = getattr(torch_ext.nn, f"FractionalMaxPool{rank}d")(2, output_ratio=0.5)
    traced = trace(lambda x: (layer(x), layer(x)), torch.rand(2, 3, *[8] * rank))
    x = torch.rand(1, 4, *[21] * rank)
    for _ in range(3):  # the optimized runs too
        first, second = traced(x)
        assert not torch.equal(first, second)
        assert not torch.equal(traced(x)[0], first)


def test_what_a_run_is_given_is_checked_then() -> None:
    traced = trace(lambda x: functional.conv2d(x, torch.ones(1, 3, 2, 2)), torch.ones(1, 3, 4, 4))
    with pytest.raises(RuntimeError, match="channels"):
        traced(torch.ones(1, 2, 4, 4))
    with pytest.raises(RuntimeError, match="float64"):
        traced(torch.ones(1, 3, 4, 4, dtype=torch.float64))


@pytest.mark.parametrize("stride", [object(), "1", 1.5, {"a": 1}, [[1]]])
def test_wrong_arguments_are_refused_as_elsewhere(stride: Any) -> None:
    x, w = torch.ones(1, 1, 4, 4), torch.ones(1, 1, 2, 2)
    with pytest.raises((TypeError, RuntimeError), match="stride") as elsewhere:
        functional.conv2d(x, w, stride=stride)
    with pytest.raises(elsewhere.type, match="stride"):
        trace(lambda x: functional.conv2d(x, w, stride=stride), x)


@pytest.mark.parametrize("name", ["conv2d", "max_pool2d", "adaptive_avg_pool2d"])
def test_opcheck_of_what_is_recorded(name: str) -> None:
    case = CASES[name]
    tensors = [t.requires_grad_(t.is_floating_point()) for t in case.draw(Draw())]
    (node,) = trace(case.ours, *tensors).graph.findAllNodes("refconv::traced")
    function, _, arguments = (each.toIValue() for each in node.inputs())
    operator = torch.ops.refconv.traced.default
    torch.library.opcheck(operator, (function, tensors, arguments))


# --------------------------------------------------------------------------- whole models


class Net(nn.Module):
    """Layers and functions of torch's."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.down = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
        self.pool = nn.AdaptiveAvgPool2d((2, None))

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(self.pool(self.down(x)), (2, 1)) * F.max_pool2d(x, x.shape[2:])[:, :1]


X = torch.arange(128.0).view(1, 2, 8, 8).sin()
OTHER = torch.arange(720.0).view(3, 2, 12, 10).sin()


def close(found: Tensor, expected: Tensor) -> None:
    """Assert that rounded sums of few terms agree."""
    assert found.shape == expected.shape
    assert (found - expected).abs().max() < 1e-6


def test_a_trace_made_under_the_level_of_functions_is_the_references(calls) -> None:
    net = Net()
    expected = net(OTHER)
    with torch_ext.override():
        traced = trace(net, X)
    calls.clear()
    close(traced(OTHER), expected)
    assert sorted(calls) == ["adaptive_avg_pool", "avg_pool", "conv", "max_pool", "max_pool"]


def test_the_level_of_aten_reaches_a_trace_and_makes_none(calls) -> None:
    net = Net()
    expected, traced = net(OTHER), trace(net, X)
    with torch_ext.override(level="aten"):
        close(traced(OTHER), expected)
        assert sorted(calls) == ["adaptive_avg_pool", "avg_pool", "conv", "max_pool", "max_pool"]
        with pytest.raises(RuntimeError, match="trace outside, and call"):
            trace(net, X)
    calls.clear()
    close(traced(OTHER), expected)
    assert calls == []


@pytest.mark.parametrize("kind", ["saved", "frozen", "frozen and saved", "optimized"])
def test_what_is_done_with_traces(kind: str, tmp_path) -> None:
    net = Net().eval()
    expected = net(OTHER)
    torch_ext.swap(net)
    traced = trace(net, X)
    if "frozen" in kind:
        traced = torch.jit.freeze(traced)
    if kind == "optimized":
        traced = torch.jit.optimize_for_inference(traced)
    if "saved" in kind:
        torch.jit.save(traced, tmp_path / "net.pt")
        traced = torch.jit.load(tmp_path / "net.pt")
    for _ in range(3):
        close(traced(OTHER), expected)


def test_torchs_own_check_of_a_trace_passes_in_silence() -> None:
    net = Net()
    expected = net(OTHER)
    torch_ext.swap(net)
    close(torch.jit.trace(net, X)(OTHER), expected)


def test_a_trace_is_called_from_scripted_code_and_under_inference_mode() -> None:
    net = nn.Sequential(nn.Conv2d(2, 4, 3), nn.AdaptiveMaxPool2d((3, None)))
    expected = net(OTHER)
    torch_ext.swap(net)
    scripted = torch.jit.script(nn.Sequential(trace(net, X), nn.ReLU()))
    with torch.inference_mode():
        found = scripted(OTHER)
    close(found, expected.relu())


def test_what_a_trace_runs_is_counted() -> None:
    net = Net()
    counts = []
    for model in (net, trace(torch_ext_of(net), X)):
        with FlopCounterMode(display=False) as counter:
            model(OTHER).sum().backward()
        counts.append(counter.get_total_flops())
    assert counts[0] == counts[1] > 0


def torch_ext_of(net: nn.Module) -> nn.Module:
    """Return a swapped copy."""
    twin = copy.deepcopy(net)
    torch_ext.swap(twin)
    return twin


@pytest.mark.parametrize(
    ("line", "shown"), [("import torch_ext", "(3, 4, 6, 5)"), ("", "refconv::traced")]
)
def test_a_saved_trace_needs_the_operators_and_no_more(line: str, shown: str, tmp_path) -> None:
    path = tmp_path / "conv.pt"
    torch.jit.save(trace(torch_ext.nn.Conv2d(2, 4, 3), torch.ones(1, 2, 4, 4)), path)
    program = (
        f"import torch\n{line}\nx = torch.ones(3, 2, 8, 7)\n"
        f"print(tuple(torch.jit.load({str(path)!r})(x).shape))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, check=False
    )
    assert shown in done.stdout + done.stderr
    assert (done.returncode == 0) == bool(line)


def test_gradients_of_every_kind_of_what_was_traced() -> None:
    def f(x: Tensor, w: Tensor) -> Tensor:
        return functional.avg_pool2d(functional.conv2d(x, w), (x.size(2) // 4, 2)).pow(2)

    traced = trace(f, Draw().integers(2, 3, 8, 8), Draw().integers(2, 3, 3, 3))
    x, w = Draw().integers(4, 2, 3, 12, 10), Draw().integers(2, 3, 3, 3)

    def slope(f: Callable[..., Tensor], w: Tensor, x: Tensor) -> Tensor:
        return torch.func.grad(lambda w: f(x, w).sum())(w)

    for transform in (
        lambda f: torch.vmap(f, (0, None))(x, w),
        lambda f: torch.vmap(f)(x, torch.stack([w, -w, 2 * w, w])),
        lambda f: torch.func.jvp(f, (x[0], w), (x[1], w))[1],
        lambda f: torch.vmap(lambda x: slope(f, w, x))(x),
        lambda f: torch.func.grad(lambda w: slope(f, w, x[0]).sum())(w),
    ):
        assert_same_values(transform(traced), transform(f))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("made_inside", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_autocast_is_recorded_and_obeyed(name: str, made_inside: bool, dtype: torch.dtype) -> None:
    """A trace keeps the casts it was made with, and has those of where it runs."""
    case = CASES[name]
    tensors = case.draw(Draw(dtype))
    with torch.autocast("cpu", enabled=made_inside):
        traced = trace(case.ours, *tensors)
    with torch.autocast("cpu", enabled=not made_inside):
        found = values(traced(*tensors))
    with torch.autocast("cpu"):
        expected = values(case.torchs(*tensors))
    assert [y.dtype for y in found] == [y.dtype for y in expected]


# --------------------------------------------------------------------------- refused


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")  # from torch.autograd
@pytest.mark.parametrize("name", CASES)
def test_gradients_inside_of_a_trace_are_refused(name: str) -> None:
    case = CASES[name]

    def slope(x: Tensor, *others: Tensor) -> Tensor:
        x = x.detach().requires_grad_()
        return torch.autograd.grad(values(case.ours(x, *others))[0].sum(), x)[0]

    with pytest.raises(RuntimeError, match="trace the forward alone"):
        trace(slope, *case.draw(Draw()))


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")  # from torch.func
@pytest.mark.parametrize(
    "transform",
    [
        lambda f: torch.vmap(f),
        lambda f: torch.func.grad(lambda x: f(x).sum()),
        lambda f: lambda x: torch.func.jvp(f, (x,), (x,))[1],
    ],
)
def test_transforms_inside_of_a_trace_are_refused(transform: Any) -> None:
    with pytest.raises(RuntimeError, match="trace the function first"):
        trace(transform(lambda x: functional.avg_pool2d(x, 2)), X)


def test_the_names_that_traces_are_saved_with() -> None:
    """Each function by which a trace calls again, and the arguments in their order, for good."""
    found = {
        name: " ".join(inspect.signature(function).parameters)
        for name, function in functional._tracing.FUNCTIONS.items()
    }
    convolved = "rank input weight bias stride padding"
    pooled = "rank input kernel_size stride"
    at = "rank input output_size"
    assert found == {
        "conv": f"{convolved} dilation groups",
        "conv_tbc": "input weight bias pad",
        "conv_transpose": f"{convolved} output_padding groups dilation",
        "unfold": "input kernel_size dilation padding stride",
        "fold": "input output_size kernel_size dilation padding stride",
        "max_pool": f"{pooled} padding dilation ceil_mode",
        "max_pool_with_indices": f"{pooled} padding dilation ceil_mode",
        "max_unpool": "rank input indices kernel_size stride padding output_size",
        "avg_pool": f"{pooled} padding ceil_mode count_include_pad divisor_override",
        "lp_pool": "rank input p kernel_size stride ceil_mode",
        "adaptive_avg_pool": at,
        "adaptive_max_pool": at,
        "fractional_max_pool": "rank input kernel_size output_size output_ratio samples",
    }
