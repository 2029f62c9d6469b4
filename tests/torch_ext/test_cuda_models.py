"""Whole models on CUDA: trained to the same bits, on streams, in threads, in bounded memory.

Each test runs on a GPU, with CuPy and through the host, where there is one, and with the double of
CuPy anywhere. What is compared with is torch on the CPU.
"""

import copy
import gc
import threading
import warnings
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import torch_ext
from torch_ext import functional
from torch_ext._bridge import cuda

gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here: this has not run")
PLACES = ["double", pytest.param("CuPy", marks=gpu), pytest.param("the host", marks=gpu)]


@pytest.fixture(params=PLACES)
def place(request, monkeypatch):
    """Return where to compute: on a GPU by either way, or on the CPU as if it were one."""
    if request.param == "double":
        request.getfixturevalue("cupy")
    elif request.param == "CuPy":
        pytest.importorskip("cupy", reason="CuPy is not installed: this has not run")
    else:
        monkeypatch.setattr(cuda, "library", lambda: None)
    gc.collect()
    before = set(cuda._blocks)
    with exact_sums():
        yield torch.device("cpu" if request.param == "double" else "cuda")
    gc.collect()
    assert set(cuda._blocks) <= before, "memory that no array has"


@contextmanager
def exact_sums():
    """Let torch's own sums on a GPU be exact on whole numbers: no Winograd, no partial halves."""
    matmul = torch.backends.cuda.matmul
    names = [f"allow_{half}_reduced_precision_reduction" for half in ("fp16", "bf16")]
    before = [getattr(matmul, name) for name in names]
    for name in names:
        setattr(matmul, name, False)
    with torch.backends.cudnn.flags(enabled=False):
        yield
    for name, value in zip(names, before, strict=True):
        setattr(matmul, name, value)


# --------------------------------------------------------------------------- models


class Fives(torch.autograd.Function):
    """Whole numbers modulo 5, from -2 to 2; and their gradients too."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        return fives(x)

    @staticmethod
    def backward(ctx, gy: Tensor) -> Tensor:
        return fives(gy)


def fives(x: Tensor) -> Tensor:
    return torch.remainder(x, 5) - 2


class Small(nn.Module):
    """In the place of a normalization: keeps whole numbers small, so that no sum rounds."""

    def __init__(self, channels: int) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        return Fives.apply(x)


class Block(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut (He et al., arXiv:1512.03385, figure 5)."""

    def __init__(self, inside: int, outside: int, stride: int, norm: type[nn.Module]) -> None:
        super().__init__()
        self.first = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.second = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.norms = nn.ModuleList(norm(outside) for _ in "ab")
        same = stride == 1 and inside == outside
        shortcut = nn.Conv2d(inside, outside, 1, stride, bias=False)
        self.shortcut = nn.Identity() if same else nn.Sequential(shortcut, norm(outside))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norms[0](self.first(x)).relu()
        return (self.norms[1](self.second(y)) + self.shortcut(x)).relu()


def resnet18(norm: type[nn.Module], width: int) -> nn.Module:
    """Return a ResNet-18 of images of 32 x 32, the first stage of this width."""
    sizes = [width, 2 * width, 4 * width, 8 * width]
    blocks = []
    for inside, outside in zip([width, *sizes], sizes, strict=False):
        stride = 1 if outside == width else 2
        blocks += [Block(inside, outside, stride, norm), Block(outside, outside, 1, norm)]
    return nn.Sequential(
        nn.Conv2d(3, width, 7, 2, 3, bias=False), norm(width), nn.ReLU(), nn.MaxPool2d(3, 2, 1),
        *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8 * width, 10),
    )  # fmt: skip


class UNet(nn.Module):
    """Ronneberger et al., arXiv:1505.04597, of two stages: crops nothing, since it pads."""

    def __init__(self, norm: type[nn.Module], width: int) -> None:
        super().__init__()

        def twice(inside: int, outside: int) -> nn.Sequential:
            convs = [nn.Conv2d(i, outside, 3, padding=1) for i in (inside, outside)]
            return nn.Sequential(*(m for c in convs for m in (c, norm(outside), nn.ReLU())))

        self.down = nn.ModuleList([twice(3, width), twice(width, 2 * width)])
        self.deepest = twice(2 * width, 4 * width)
        self.grow = nn.ModuleList(
            nn.ConvTranspose2d(2 * c, c, 2, stride=2) for c in (2 * width, width)
        )
        self.up = nn.ModuleList([twice(4 * width, 2 * width), twice(2 * width, width)])
        self.pool, self.head = nn.MaxPool2d(2), nn.Conv2d(width, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        kept = []
        for stage in self.down:
            kept.append(stage(x))
            x = self.pool(kept[-1])
        x = self.deepest(x)
        for grow, stage, skip in zip(self.grow, self.up, reversed(kept), strict=True):
            x = stage(torch.cat([skip, grow(x)], 1))
        return self.head(x)


def make_whole(model: nn.Module) -> None:
    """Give a model weights that are small whole numbers."""
    for parameter in model.parameters():
        parameter.data = torch.randint(-2, 3, parameter.shape).float()


def swapped(model: nn.Module, place: torch.device) -> nn.Module:
    """Return the model where it is to compute, in the reference's layers."""
    torch_ext.swap(model.to(place))
    return model


MODELS = {"ResNet-18": resnet18, "U-Net": UNet}


def trained(model: nn.Module, x: Tensor, gy: Tensor, whole: bool, steps: int = 5) -> nn.Module:
    """Take steps of gradient descent; whole numbers stay whole and small."""
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0 if whole else 1e-3, momentum=0)
    for _ in range(steps):
        optimizer.zero_grad()
        y = model(x)
        goal = gy.expand_as(y)
        loss = (y * goal).sum() if whole else F.mse_loss(y, goal)
        loss.backward()
        optimizer.step()
        if whole:
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter.copy_(fives(parameter))
    return model


@pytest.mark.parametrize("name", MODELS)
def test_whole_numbers_train_to_the_same_bits(name, place):
    torch.manual_seed(0)
    model = MODELS[name](Small, 4)
    make_whole(model)
    x, gy = torch.randint(-2, 3, (4, 3, 32, 32)).float(), torch.tensor(1.0)
    theirs = trained(copy.deepcopy(model), x, gy, whole=True).state_dict()
    found = trained(swapped(model, place), x.to(place), gy.to(place), whole=True).state_dict()
    assert any((v != 0).any() for v in theirs.values())
    assert [k for k, v in theirs.items() if not torch.equal(found[k].cpu(), v)] == []


@pytest.mark.parametrize("name", MODELS)
def test_real_numbers_train_within_rounding(name, place):
    """Five steps in float64: what two orders of summation differ by stays far below 1e-9."""
    torch.manual_seed(0)
    model = MODELS[name](nn.BatchNorm2d, 4).double()
    x, gy = torch.randn(4, 3, 32, 32).double(), torch.tensor(0.5).double()
    theirs = trained(copy.deepcopy(model), x, gy, whole=False).state_dict()
    found = trained(swapped(model, place), x.to(place), gy.to(place), whole=False)
    for key, value in found.state_dict().items():
        torch.testing.assert_close(value.cpu(), theirs[key], rtol=1e-9, atol=1e-9)


def test_channels_last_is_kept(place):
    torch.manual_seed(0)
    model = resnet18(Small, 4)
    make_whole(model)
    x = torch.randint(-2, 3, (4, 3, 32, 32)).float().to(memory_format=torch.channels_last)
    y = model(x)
    ours = swapped(model, place).to(memory_format=torch.channels_last)
    assert torch.equal(ours(x.to(place)).cpu(), y)
    first = ours[0](x.to(place))
    assert first.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_a_model_under_autocast(dtype, place):
    """Gives the dtypes that torch gives, and whole numbers to the same bits."""
    torch.manual_seed(0)
    model = resnet18(Small, 4)
    make_whole(model)
    x = torch.randint(-2, 3, (2, 3, 32, 32)).float()
    x = x.to(place)
    with torch.autocast(place.type, dtype):
        theirs = model.to(place)(x)
        ours = swapped(model, place)(x)
    assert ours.dtype == theirs.dtype
    assert torch.equal(ours, theirs)


# --------------------------------------------------------------------------- streams and memory


def test_two_threads_compute_at_once(place):
    torch.manual_seed(0)
    operands = [
        (torch.randint(-2, 3, (2, 4, 9, 9)).float(), torch.randint(-2, 3, (4, 4, 3, 3)).float())
        for _ in range(2)
    ]
    expected = [F.conv2d(x, w) for x, w in operands]
    wrong: list[str] = []

    def work(number: int) -> None:
        x, w = (each.to(place) for each in operands[number])
        stream = torch.cuda.Stream() if place.type == "cuda" else None
        if stream is not None:
            stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(25):
                y = functional.conv2d(x, w)
                if not torch.equal(y.cpu(), expected[number]):
                    wrong.append(f"thread {number}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_memory_stays_as_it_is_over_two_hundred_steps(place):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 4, 3), nn.MaxPool2d(2), nn.Conv2d(4, 2, 3), nn.AvgPool2d(2))
    ours = swapped(model, place)
    x, gy = torch.randn(2, 2, 14, 14, device=place), torch.tensor(0.0, device=place)
    seen = []
    for count in (20, 180):
        trained(ours, x, gy, whole=False, steps=count)
        gc.collect()
        held = torch.cuda.memory_allocated() if place.type == "cuda" else 0
        seen.append((held, set(cuda._blocks)))
    assert seen[0] == seen[1]


@gpu
@pytest.mark.parametrize("way", ["CuPy", "the host"])
def test_a_cuda_graph_is_refused_by_name(way, monkeypatch):
    if way == "the host":
        monkeypatch.setattr(cuda, "library", lambda: None)
    x = torch.randint(-2, 3, (2, 3, 8, 8), device="cuda").float()
    w = torch.randint(-2, 3, (4, 3, 3, 3), device="cuda").float()
    expected = F.conv2d(x.cpu(), w.cpu())
    graph = torch.cuda.CUDAGraph()
    with (
        warnings.catch_warnings(action="ignore"),  # that the graph is empty
        pytest.raises(RuntimeError, match="cannot be captured in a CUDA graph: they run in Python"),
        torch.cuda.graph(graph),
    ):
        functional.conv2d(x, w)
    assert torch.equal(functional.conv2d(x, w).cpu(), expected)  # and no harm is done
