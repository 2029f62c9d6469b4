"""Autocast: dtypes, bits and gradients are those of torch's functions under it."""

import copy
import itertools

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional as F

import torch_ext
from support.functional_uses import USES
from torch_ext import functional

# torch scripts a few decompositions of its own when forward mode is first used
pytestmark = pytest.mark.filterwarnings(
    "ignore:`torch.jit.script` is deprecated:DeprecationWarning"
)

FLOATS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
LOWER = (torch.bfloat16, torch.float16)
# without the device, torch cannot look inside its tensors: not unfold's, nor views that ours take
NOT_WITHOUT = (
    "unfold",
    "conv_tbc",
    "fractional_max_pool2d",
    "fractional_max_pool2d_with_indices",
    "fractional_max_pool3d",
    "fractional_max_pool3d_with_indices",
)
CONVOLUTIONS = [name for name in USES if name.startswith("conv")]

lower = pytest.mark.parametrize("lower", LOWER, ids=str)


def results(module, use, tensors):
    """Return the results, and the gradients of the first one where it is differentiable."""
    inputs = [each.detach().requires_grad_() for each in tensors]
    found = use.call(module, *inputs)
    found = found if isinstance(found, tuple) else (found,)
    gy = use.unit * torch.ones_like(found[0])
    return *found, *torch.autograd.grad(found[0], inputs, gy)


@lower
@pytest.mark.parametrize("name", USES)
def test_every_function_has_torchs_dtypes_and_bits(name, lower):
    use = USES[name]
    for dtype in FLOATS:
        tensors = use.draw(dtype)
        with torch.autocast("cpu", lower):
            found, expected = (results(module, use, tensors) for module in (functional, F))
        assert [each.dtype for each in found] == [each.dtype for each in expected]
        assert all(map(torch.equal, found, expected))
        assert all(each.any() for each in found)


@lower
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions_of_several_dtypes(name, lower):
    """A weight in float32 and what another convolution returned: the usual case; but not float64.

    A bias in float64 is refused here; torch takes it, or not, by the convolution.
    """
    use = USES[name]
    for first, second in itertools.permutations(FLOATS, 2):
        x, w, b = use.draw()
        tensors = x.to(first), w.to(second), b.to(second)
        with torch.autocast("cpu", lower):
            if torch.float64 in (first, second):
                for module in (functional, F):
                    with pytest.raises(RuntimeError):
                        use.call(module, *tensors)
                continue
            found, expected = (results(module, use, tensors) for module in (functional, F))
        assert [each.dtype for each in found] == [lower, first, second, second]
        assert all(map(torch.equal, found, expected))


@pytest.mark.parametrize("device", ["cuda", "xpu", "mps", "mtia"])
@pytest.mark.parametrize("name", [name for name in USES if name not in NOT_WITHOUT])
def test_the_lists_of_devices_that_are_not_here(name, device):
    """Tensors without data are on any device, and torch casts them as it does those with data."""
    use = USES[name]

    def dtypes(module, dtype):
        tensors = [torch.empty(shape, dtype=dtype, device=device) for shape in use.shapes]
        found = use.call(module, *tensors)
        return [each.dtype for each in (found if isinstance(found, tuple) else (found,))]

    with FakeTensorMode():
        for dtype, low in zip(FLOATS, (torch.float16, *LOWER, torch.float16), strict=True):
            before = torch.is_autocast_enabled(device), torch.get_autocast_dtype(device)
            torch.set_autocast_enabled(device, True)
            torch.set_autocast_dtype(device, low)
            try:
                assert dtypes(functional, dtype) == dtypes(F, dtype)
            finally:
                torch.set_autocast_enabled(device, before[0])
                torch.set_autocast_dtype(device, before[1])


def test_another_devices_autocast_and_integers_are_left_alone():
    x, w = torch.ones(1, 1, 3), torch.ones(1, 1, 2)
    torch.set_autocast_enabled("cuda", True)
    try:
        assert functional.conv1d(x, w).dtype == torch.float32
    finally:
        torch.set_autocast_enabled("cuda", False)
    with torch.autocast("cpu", torch.bfloat16):
        assert functional.conv1d(x.long(), w.long()).dtype == torch.int64
        assert functional.conv1d(x.to("meta"), w.to("meta")).dtype == torch.float32
        with torch.autocast("cpu", enabled=False):
            assert functional.conv1d(x, w).dtype == torch.float32


@lower
def test_a_step_of_training(lower):
    """Parameters stay in float32, and every one moves by torch's bits."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 4, 3),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(4, 3),
    )
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randint(-1, 2, parameter.shape))
    ours = copy.deepcopy(model)
    assert len(torch_ext.swap(ours).changed) == 4
    x, target = torch.randint(-2, 3, (5, 2, 8, 8)).float(), torch.randint(-4, 5, (5, 3)).float()
    for each in (ours, model):
        optimizer = torch.optim.SGD(each.parameters(), lr=2**-4)
        with torch.autocast("cpu", lower):
            y = each(x)
        assert y.dtype == lower
        (y.float() * target).sum().backward()
        optimizer.step()
    for found, expected in zip(ours.parameters(), model.parameters(), strict=True):
        assert found.dtype == found.grad.dtype == torch.float32
        assert found.grad.any()
        assert torch.equal(found.grad, expected.grad)
        assert torch.equal(found, expected)


@pytest.mark.parametrize("inside", [True, False], ids=["in the function", "around it"])
def test_compiled(inside):
    x, w, _ = USES["conv2d"].draw()
    w.requires_grad_()

    def function(x, w):
        y = functional.conv2d(x, w, padding=1, groups=2)
        return functional.conv2d(functional.max_pool2d(y, 2), w[:3, :1].repeat(1, 6, 1, 1))

    def cast(x, w):
        with torch.autocast("cpu", torch.bfloat16):
            return function(x, w)

    run = torch.compile(cast if inside else function, backend="aot_eager", fullgraph=True)
    with torch.autocast("cpu", torch.bfloat16, enabled=not inside):
        found = run(x, w)
    expected = cast(x, w)
    assert found.dtype == expected.dtype == torch.bfloat16
    assert torch.equal(found, expected)
    gradients = [torch.autograd.grad(y.float().sum(), w)[0] for y in (found, expected)]
    assert gradients[0].dtype == torch.float32
    assert torch.equal(*gradients)


def test_transformed():
    """Casts are below torch.func's transforms too, one inside the other."""
    x, w, _ = USES["conv2d"].draw()

    def loss(module, w):
        with torch.autocast("cpu", torch.bfloat16):
            y = module.conv2d(x, w, padding=1, groups=2)
        assert y.dtype == torch.bfloat16
        return y.float().square().sum()

    found, expected = [], []
    for module, into in ((functional, found), (F, expected)):

        def f(w, module=module):
            return loss(module, w)

        into.append(torch.func.vmap(torch.func.grad(f))(torch.stack((w, 2 * w))))
        gradient = torch.func.grad(f)
        into.append(torch.func.grad(lambda w, g=gradient: g(w).sum())(w))
    along = torch.func.jvp(lambda w: loss(functional, w), (w,), (w,))[1]
    assert torch.equal(along, 2 * loss(F, w))  # of a square, in its own direction
    assert all(each.dtype == torch.float32 for each in found)
    assert all(map(torch.equal, found, expected))
