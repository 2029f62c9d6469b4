"""What torch's own tools do with a layer of the reference, they do as with its original."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune

import torch_ext
from support.layers import NAMES, ROWS, LayerPair

pytestmark = pytest.mark.filterwarnings(
    "ignore:Lazy modules are a new feature:UserWarning",  # from torch, all
    "ignore:`torch.nn.utils.weight_norm` is deprecated:FutureWarning",
)
every_layer = pytest.mark.parametrize("name", NAMES)
moved = [n for n in NAMES if "Conv" in n or "Fractional" in n]  # what has parameters or buffers


# --------------------------------------------------------------------------- moves


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("name", moved)
def test_a_move_to_a_dtype(integers, name, dtype):
    case = LayerPair(integers, name, 0)
    tensors = dict(case.ours.named_parameters())
    case.ours.to(dtype), case.original.to(dtype)
    case.inputs = tuple(x.to(dtype) for x in case.inputs)
    assert {x.dtype for x in case.ours.state_dict().values()} == {dtype}
    assert all(each is tensors[name] for name, each in case.ours.named_parameters())
    case.times = 1  # so that sums fit in the significand of bfloat16
    case.check()


@every_layer
def test_a_move_to_a_device(integers, name):
    case = LayerPair(integers, name, 0)
    expected = case.original(*case.inputs).shape
    case.ours.to("meta")
    y = case.ours(*(x.to("meta") for x in case.inputs))
    assert (y.shape, y.device.type) == (expected, "meta")


@pytest.mark.parametrize("name", [name for name in NAMES if "Conv" in name])
def test_where_and_how_a_layer_is_made(name):
    args, options = ROWS[name][0]
    layer = getattr(torch_ext.nn, name)(*args, **options, device="meta", dtype=torch.float64)
    assert {(x.device.type, x.dtype) for x in layer.parameters()} == {("meta", torch.float64)}
    if "Lazy" not in name:
        kind = getattr(torch_ext.nn, name)
        skipped = nn.utils.skip_init(kind, *args, **options)
        assert type(skipped) is kind
        assert not skipped.weight.is_meta


@pytest.mark.parametrize("kind", [torch_ext.nn.Conv2d, torch_ext.nn.ConvTranspose2d])
def test_memory_formats(integers, kind):
    name = kind.__name__
    case = LayerPair(integers, name, 0)
    nn.utils.convert_conv2d_weight_memory_format(case.ours, torch.channels_last)
    assert case.ours.weight.is_contiguous(memory_format=torch.channels_last)
    case.check()


# --------------------------------------------------------------------------- transposed


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("module", [torch_ext.nn, nn])
def test_output_sizes_that_no_stride_gives(module, rank):
    layer = getattr(module, f"ConvTranspose{rank}d")(2, 1, 3, stride=2)
    x = torch.ones(2, *[4] * rank)  # unbatched; the sizes are 9 and 10
    assert layer(x, [10] * rank).shape == (1, *[10] * rank)
    assert layer(x, torch.Size([1, *[9] * rank])).shape == (1, *[9] * rank)
    for wrong in ([8] * rank, [11] * rank, [9] * (rank + 2), []):
        with pytest.raises(ValueError, match=r"output.size"):
            layer(x, wrong)


@pytest.mark.parametrize(
    ("module", "error"),
    [(torch_ext.nn, r"padding must be integers, got 'same'"), (nn, "padding must be a tuple")],
)
def test_what_a_transposed_layer_cannot_do(module, error):
    with pytest.raises(ValueError, match="padding mode"):
        module.ConvTranspose1d(1, 1, 1, padding_mode="circular")
    layer = module.ConvTranspose1d(1, 1, 1)
    layer.padding_mode = "circular"
    with pytest.raises(ValueError, match="padding"):
        layer(torch.ones(1, 1, 1))
    layer = module.ConvTranspose1d(1, 1, 1)
    layer.padding = "same"
    with pytest.raises((TypeError, AssertionError), match=error):
        layer(torch.ones(1, 1, 1))


# --------------------------------------------------------------------------- torch.nn.utils


@pytest.mark.parametrize(
    "wrap", [parametrizations.weight_norm, parametrizations.spectral_norm, nn.utils.weight_norm]
)
def test_a_norm_keeps_the_class_below(wrap):
    torch.manual_seed(0)
    ours = torch_ext.nn.Conv1d(2, 3, 2)
    original = nn.Conv1d(2, 3, 2)
    original.load_state_dict(ours.state_dict())
    for layer in (ours, original):
        torch.manual_seed(0)
        wrap(layer).eval()
        layer(torch.ones(1, 2, 2))  # the old hooks compute the weight here
    assert torch.equal(ours.weight, original.weight)
    if parametrize.is_parametrized(ours):
        assert parametrize.type_before_parametrizations(ours) is torch_ext.nn.Conv1d
        parametrize.remove_parametrizations(ours, "weight")
    else:
        nn.utils.remove_weight_norm(ours)
    assert type(ours) is torch_ext.nn.Conv1d


def test_pruning(integers):
    case = LayerPair(integers, "Conv2d", 0)
    for layer in (case.ours, case.original):
        prune.l1_unstructured(layer, "weight", amount=5)
    assert (case.ours.weight == 0).sum() >= 5
    case.check()
    prune.remove(case.ours, "weight"), prune.remove(case.original, "weight")
    assert case.ours.weight.is_leaf
    case.check()


def test_a_batch_norm_is_fused_into_the_layer():
    ours, batch_norm = torch_ext.nn.Conv2d(2, 3, 2).eval(), nn.BatchNorm2d(3).eval()
    original = nn.Conv2d(2, 3, 2).eval()
    original.load_state_dict(ours.state_dict())
    batch_norm.running_var.fill_(3)
    fused, expected = (nn.utils.fuse_conv_bn_eval(c, batch_norm) for c in (ours, original))
    assert type(fused) is torch_ext.nn.Conv2d
    assert all(map(torch.equal, fused.parameters(), expected.parameters()))


def test_parameters_as_arguments_and_as_one_vector(integers):
    case = LayerPair(integers, "Conv3d", 1)
    vector = nn.utils.parameters_to_vector(case.ours.parameters())
    nn.utils.vector_to_parameters(2 * vector, case.original.parameters())
    state = {"weight": 2 * case.ours.weight}
    found = torch.func.functional_call(case.ours, state, case.inputs)
    assert torch.equal(found, case.original(*case.inputs))
    twin = copy.deepcopy(case.ours)
    assert torch.equal(nn.utils.parameters_to_vector(twin.parameters()), vector)
