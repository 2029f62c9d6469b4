"""Strides of results and gradients are torch's, and values do not depend on those of the inputs."""

import itertools

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional as F

from support.functional_uses import USES
from torch_ext import functional

CHANNELS_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}
FLOATS = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
SPATIAL = [name for name, use in USES.items() if len(use.shapes[0]) in CHANNELS_LAST]

# What torch 2.13 has no rule for, on the CPU:
# - convolutions of volumes keep the channels last where oneDNN computes them, which is in float32
#   and not one image alone. On CUDA all do, and so do ours.
# - averages of volumes, power averages included, do not exist in half precision.
VOLUMES = ("conv3d", "conv_transpose3d")
NOT_IN_HALF = ("avg_pool3d", "lp_pool3d")
# - of all functions of one image without a batch, these alone keep its channels last.
KEPT_IN_ONE = ("max_pool3d", "max_pool3d_with_indices", "lp_pool3d of infinite order")
# Not compared at all, as torch's differ from one another: adaptive averages of one window an axis,
# which are means in torch, and whose gradients are contiguous; strides of axes of size 1, beyond
# those of `test_one_channel`; strides of empty batches.


def last(t):
    """Return a copy with its channels last, by its strides too where an axis has size 1."""
    if t.dim() not in CHANNELS_LAST:
        return t
    return torch.empty_like(t, memory_format=CHANNELS_LAST[t.dim()]).copy_(t)


def formats(tensors):
    """Yield the tensors with x, w, or both as they are, and with their channels last."""
    for chosen in itertools.product((False, True), repeat=min(2, len(tensors))):
        yield [last(t) if yes else t for t, yes in zip(tensors, chosen, strict=False)] + tensors[2:]


def gradients_of(y):
    """Yield gradients for y: in either order, and the one of a sum, which is in none."""
    ones = torch.ones(y.shape, dtype=y.dtype)
    yield from (ones, last(ones), torch.ones((), dtype=y.dtype).expand(y.shape))


def strides(module, use, tensors):
    """Return the strides of the results, and of the gradients for every gradient of the first."""
    inputs = [each.detach().requires_grad_() for each in tensors]
    y = use.call(module, *inputs)
    results = list(y if isinstance(y, tuple) else (y,))
    for gy in gradients_of(results[0]):
        results += torch.autograd.grad(results[0], inputs, gy, retain_graph=True)
    return [each.stride() for each in results]


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("name", SPATIAL)
def test_strides_are_torchs(name, dtype):
    use = USES[name]
    for tensors in formats(use.draw(dtype)):
        found = strides(functional, use, tensors)
        if name in VOLUMES or (name in NOT_IN_HALF and dtype.itemsize == 2):
            tensors = [each.float() for each in tensors]
        assert found == strides(F, use, tensors)


@pytest.mark.parametrize("name", SPATIAL)
def test_tensors_without_data_have_the_same_strides(name):
    use = USES[name]
    for tensors in formats(use.draw()):
        expected = strides(functional, use, tensors)
        with FakeTensorMode() as mode:
            assert (
                strides(functional, use, [mode.from_tensor(each) for each in tensors]) == expected
            )


@pytest.mark.parametrize("name", ["max_pool2d_with_indices", "avg_pool2d", "max_pool3d", "conv2d"])
def test_one_channel(name):
    """Memory does not tell then which axis is last, the strides do."""
    use = USES[name]
    shapes = [(2, 1, *use.shapes[0][2:]), (3, 1, 3, 3), (3,)][: len(use.shapes)]
    if name == "conv2d":

        def call(module, *tensors):
            return module.conv2d(*tensors, padding=1)
    else:
        call = use.call
    one = type(use)(name, tuple(shapes), call)
    for tensors in formats(one.draw()):
        assert strides(functional, one, tensors) == strides(F, one, tensors)


@pytest.mark.parametrize("name", [name for name in SPATIAL if not name.startswith("fractional")])
def test_without_a_batch(name):
    """One image has no channels last, whatever its strides; its result is contiguous."""
    use = USES[name]
    x, *others = use.draw()
    for image in (x[0], last(x)[0], x.transpose(-1, -2)[0]):
        found, expected = (use.call(module, image, *others) for module in (functional, F))
        both = (found, expected) if isinstance(found, tuple) else ((found,), (expected,))
        if name not in KEPT_IN_ONE:
            assert [each.stride() for each in both[0]] == [each.stride() for each in both[1]]
        assert all(each.is_contiguous() for each in both[0])
        assert all(map(torch.equal, *both))


def views(t):
    """Yield tensors of this shape that are views of other memory, in every way."""
    wide = torch.stack((t, -t), dim=-1)
    yield "every second element", wide[..., 0]
    yield "flipped axes", t.transpose(0, -1).contiguous().transpose(0, -1)
    yield "images first to last", t.movedim(0, -1).contiguous().movedim(-1, 0)
    yield "one image, again and again", t[:1].expand(t.shape)
    yield "one number", t.flatten()[:1].reshape([1] * t.dim()).expand(t.shape)
    step = [1] * t.dim()
    yield "overlapping windows", t.flatten().as_strided(t.shape, step)
    yield "an offset", torch.cat((t, t))[t.shape[0] :]
    yield "negated, lazily", torch.complex(t, -t).conj().imag
    yield "channels last", last(t)


@pytest.mark.parametrize("name", USES)
def test_values_are_those_of_contiguous_copies(name):
    """For every view of x, and for the same kind of view of everything else."""
    use = USES[name]
    operands = [list(views(t)) for t in use.draw(torch.float64)]
    for x, *others in zip(*operands, strict=True):
        label = x[0]
        tensors = [x[1], *(t for _, t in others)]
        if use.signed or label != "negated, lazily":
            compare(use, tensors, label)
        if others:
            compare(use, [x[1], *use.draw(torch.float64)[1:]], label)
            compare(use, [use.draw(torch.float64)[0], *(t for _, t in others)], label)


def compare(use, tensors, label):
    """Assert that values and gradients are torch's for contiguous tensors with these values."""
    ours = [each.detach().requires_grad_() for each in tensors]
    copies = [each.detach().resolve_neg().contiguous().requires_grad_() for each in tensors]
    found, expected = use.call(functional, *ours), use.call(F, *copies)
    both = [each if isinstance(each, tuple) else (each,) for each in (found, expected)]
    assert all(map(torch.equal, *both)), label
    y = both[1][0]
    gy = use.unit * (torch.arange(y.numel()).view(y.shape) % 3 - 1).double()
    turned = gy.transpose(0, 1).contiguous().transpose(0, 1)
    gradients = torch.autograd.grad(both[0][0], ours, turned), torch.autograd.grad(y, copies, gy)
    assert all(map(torch.equal, *gradients)), label


@pytest.mark.parametrize("name", ["conv2d", "conv_transpose1d", "unfold", "avg_pool2d"])
def test_lazy_conjugates(name):
    use = USES[name]
    tensors = [torch.complex(t, t.flip(0)) * (1 + 2j) for t in use.draw(torch.float64)]
    found = use.call(functional, *(t.conj() for t in tensors))
    assert torch.equal(found, use.call(functional, *(t.conj().resolve_conj() for t in tensors)))
    if name != "avg_pool2d":  # torch's takes no complex numbers
        assert torch.equal(found, use.call(F, *(t.conj().resolve_conj() for t in tensors)))


@pytest.mark.parametrize("name", USES)
def test_no_images(name):
    """Shapes and dtypes of results and gradients, or the type of the error, are torch's."""
    use = USES[name]
    x, *others = use.draw()
    axis = 1 if name == "conv_tbc" else 0

    def outcome(module):
        inputs = [each.requires_grad_() for each in (x.narrow(axis, 0, 0).clone(), *others)]
        try:
            y = use.call(module, *inputs)
        except Exception as error:
            return type(error)
        y = y if isinstance(y, tuple) else (y,)
        gradients = torch.autograd.grad(y[0], inputs, torch.ones_like(y[0]))
        assert not any(each.any() for each in gradients)
        return [(each.shape, each.dtype) for each in (*y, *gradients)]

    assert outcome(functional) == outcome(F)
