"""override(level="aten"): native autograd over reference kernels, and no kernel of torch's left."""

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import torch_ext
from support.watch import Below, Counting, compare
from torch_ext.override import aten

AVERAGED = 720720  # a multiple of every divisor that occurs
FORMATS = {4: torch.channels_last, 5: torch.channels_last_3d}


@dataclass
class AtenCall:
    """A call of torch's and the shapes of its operands, integers times a unit."""

    call: Callable[..., Tensor]
    shapes: tuple[tuple[int, ...], ...]
    unit: int = 1


def unpool(pool, unpool):
    """Unpool a permutation, on the way of a pool: every index once."""

    def call(x):
        _, indices = pool(torch.arange(x.numel() * 2 ** (x.dim() - 2)).double().view(
            *x.shape[:2], *(2 * i for i in x.shape[2:])), 2, return_indices=True)  # fmt: skip
        return unpool(x, indices, 2)

    return call


def fractional(pool, rank, output_size):
    """Pool with samples that are given."""
    return lambda x: pool(x, 2, output_size, _random_samples=torch.full((2, 4, rank), 0.4).double())


X = {1: (2, 4, 7), 2: (2, 4, 6, 5), 3: (2, 4, 5, 4, 6)}
W = {1: (4, 2, 3), 2: (4, 2, 3, 2), 3: (4, 2, 2, 1, 3)}
B = (4,)
CASES = {
    "conv1d": AtenCall(lambda x, w, b: F.conv1d(x, w, b, 2, 1, 2, 2), (X[1], W[1], B)),
    "conv2d": AtenCall(lambda x, w, b: F.conv2d(x, w, b, (2, 1), 1, 1, 2), (X[2], W[2], B)),
    "conv3d": AtenCall(
        lambda x, w, b: F.conv3d(x, w, b, 1, (1, 0, 1), (2, 1, 1), 2), (X[3], W[3], B)
    ),
    "conv2d, same": AtenCall(lambda x, w: F.conv2d(x, w, padding="same", groups=2), (X[2], W[2])),
    "conv_transpose1d": AtenCall(
        lambda x, w, b: F.conv_transpose1d(x, w, b, 2, 1, 1, 2), (X[1], W[1], B)
    ),
    "conv_transpose2d": AtenCall(
        lambda x, w, b: F.conv_transpose2d(x, w, b, (2, 1), 1, (1, 0), 2), (X[2], W[2], B)
    ),
    "conv_transpose3d": AtenCall(
        lambda x, w, b: F.conv_transpose3d(x, w, b, 1, (1, 0, 1), 0, 2, (2, 1, 1)), (X[3], W[3], B)
    ),
    "conv_tbc": AtenCall(lambda x, w, b: F.conv_tbc(x, w, b, 1), ((7, 2, 3), (3, 3, 4), B)),
    "unfold": AtenCall(lambda x: F.unfold(x, (3, 2), 1, (1, 0), (2, 1)), (X[2],)),
    "fold": AtenCall(lambda x: F.fold(x, (6, 5), (3, 2), 1, (1, 0), (2, 1)), ((2, 12, 12),)),
    "max_pool1d": AtenCall(lambda x: F.max_pool1d(x, 3, 2, 1, 1, True), (X[1],)),
    "max_pool2d": AtenCall(lambda x: F.max_pool2d(x, (3, 2), (2, 1), 1), (X[2],)),
    "max_pool3d": AtenCall(lambda x: F.max_pool3d(x, 2, 1, 1, (1, 2, 1)), (X[3],)),
    "avg_pool1d": AtenCall(lambda x: F.avg_pool1d(x, 3, 2, 1, True, False), (X[1],), AVERAGED),
    "avg_pool2d": AtenCall(lambda x: F.avg_pool2d(x, (3, 2), 2, 1, True), (X[2],), AVERAGED),
    "avg_pool3d": AtenCall(lambda x: F.avg_pool3d(x, 2, 1, 1, False, True, 3), (X[3],), AVERAGED),
    "lp_pool1d": AtenCall(lambda x: F.lp_pool1d(x.abs() + 1, 2, 2), (X[1],), 2),
    "lp_pool2d": AtenCall(lambda x: F.lp_pool2d(x.abs() + 1, 2, 2), (X[2],), 2),
    "lp_pool3d": AtenCall(lambda x: F.lp_pool3d(x.abs() + 1, 2, 2), (X[3],), 2),
    "adaptive_avg_pool1d": AtenCall(lambda x: F.adaptive_avg_pool1d(x, 3), (X[1],), AVERAGED),
    "adaptive_avg_pool2d": AtenCall(lambda x: F.adaptive_avg_pool2d(x, (4, 3)), (X[2],), AVERAGED),
    "adaptive_avg_pool3d": AtenCall(
        lambda x: F.adaptive_avg_pool3d(x, (3, 4, 2)), (X[3],), AVERAGED
    ),
    "adaptive_max_pool1d": AtenCall(lambda x: F.adaptive_max_pool1d(x, 3), (X[1],)),
    "adaptive_max_pool2d": AtenCall(lambda x: F.adaptive_max_pool2d(x, (4, 3)), (X[2],)),
    "adaptive_max_pool3d": AtenCall(lambda x: F.adaptive_max_pool3d(x, (3, 4, 2)), (X[3],)),
    "fractional_max_pool2d": AtenCall(fractional(F.fractional_max_pool2d, 2, (4, 3)), (X[2],)),
    "fractional_max_pool3d": AtenCall(fractional(F.fractional_max_pool3d, 3, (3, 2, 4)), (X[3],)),
    "max_unpool1d": AtenCall(unpool(F.max_pool1d, F.max_unpool1d), ((2, 4, 3),)),
    "max_unpool2d": AtenCall(unpool(F.max_pool2d, F.max_unpool2d), ((2, 4, 3, 2),)),
    "max_unpool3d": AtenCall(unpool(F.max_pool3d, F.max_unpool3d), ((2, 4, 2, 3, 1),)),
}


def draw(case, last, dtype=torch.float64):
    """Return the operands of a case, channels last if so."""
    generator = torch.Generator().manual_seed(3)
    for shape in case.shapes:
        each = case.unit * torch.randint(-2, 3, shape, generator=generator).to(dtype)
        yield (
            each.contiguous(memory_format=FORMATS[len(shape)]) if last and len(shape) > 3 else each
        )


def differentiate(call, operands, unit):
    """Return values, first and second gradients of a call."""
    operands = [each.detach().requires_grad_() for each in operands]
    generator = torch.Generator().manual_seed(4)

    def like(t):
        return unit * torch.randint(-2, 3, t.shape, generator=generator).to(t.dtype)

    y = call(*operands)
    gy = like(y).requires_grad_()
    first = torch.autograd.grad(y, operands, gy, create_graph=True)
    second = torch.autograd.grad(
        first, (*operands, gy), [like(g) for g in first], allow_unused=True, materialize_grads=True
    )
    return y, *first, *second


@pytest.mark.parametrize("last", [False, True], ids=["contiguous", "channels_last"])
@pytest.mark.parametrize("name", CASES)
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")  # torch's
def test_derivatives_are_torchs_over_our_kernels(name, last):
    """Bit for bit, strides included, to second order; and torch's kernels compute nothing."""
    case = CASES[name]
    with Below() as natively:
        expected = differentiate(case.call, draw(case, last), case.unit)
    assert natively.seen
    assert expected[0].any()
    with Below() as left, Counting() as replaced:
        found = differentiate(case.call, draw(case, last), case.unit)
    assert left.seen == []
    assert [str(each) for each in replaced.seen] == natively.seen
    compare(found, expected)


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("name", CASES)
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")  # torch's
def test_without_gradients(name, context):
    """Under inference mode composites arrive whole, and are taken apart."""
    case = CASES[name]
    operands = list(draw(case, True))
    with context():
        expected = case.call(*operands)
        with Below() as left, Counting() as replaced:
            found = case.call(*operands)
    assert left.seen == []
    assert replaced.seen
    compare([found], [expected])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize(
    "name", ["conv2d", "conv_transpose3d", "max_pool2d", "adaptive_max_pool3d"]
)
def test_dtypes(name, dtype):
    case = CASES[name]
    expected = differentiate(case.call, draw(case, False, dtype), 1)
    with Below() as left, torch_ext.override(level="aten"):
        found = differentiate(case.call, draw(case, False, dtype), 1)
    assert left.seen == []
    compare(found, expected)


@pytest.mark.parametrize("name", [n for n in CASES if "_pool" in n and "fract" not in n])
def test_without_a_batch(name):
    case = CASES[name]
    operands = [each[0] for each in draw(case, False)]
    expected = differentiate(case.call, operands, case.unit)
    with Below() as left, torch_ext.override(level="aten"):
        found = differentiate(case.call, operands, case.unit)
    assert left.seen == []
    compare(found, expected)


# --------------------------------------------------------------------------- every operator

SPACE = {"x": torch.ones(1, 2, 3, 4, 5), "w": torch.ones(2, 2, 1, 2, 2), "k": (1, 2, 2)}
PLANE = {"x": torch.ones(1, 2, 4, 5), "w": torch.ones(2, 2, 2, 2), "k": (2, 2)}


def direct(d, name, *rest, of=torch._C._nn):
    """Call a convolution by a name that torch keeps for itself."""
    x, w = (d[each].clone().requires_grad_() for each in "xw")
    y = getattr(of, name)(x, w, *rest)
    return y, *torch.autograd.grad(y.sum(), (x, w))


DIRECT = {
    "thnn_conv2d": lambda: direct(PLANE, "thnn_conv2d", PLANE["k"]),
    "slow_conv3d": lambda: direct(SPACE, "slow_conv3d", SPACE["k"]),
    "slow_conv_dilated2d": lambda: direct(PLANE, "slow_conv_dilated2d", PLANE["k"]),
    "slow_conv_dilated3d": lambda: direct(SPACE, "slow_conv_dilated3d", SPACE["k"]),
    "slow_conv_transpose2d": lambda: direct(PLANE, "slow_conv_transpose2d", PLANE["k"]),
    "slow_conv_transpose3d": lambda: direct(SPACE, "slow_conv_transpose3d", SPACE["k"]),
    "_convolution": lambda: direct(
        PLANE, "_convolution", None, [1], [0], [1], False, [0], 1, *[False] * 4, of=torch
    ),
    "_convolution_mode": lambda: direct(
        PLANE, "_convolution_mode", None, [1], "valid", [1], 1, of=torch
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DIRECT)
def test_names_that_torch_keeps_for_itself(name):
    expected = DIRECT[name]()
    with Below() as left, torch_ext.override(level="aten"):
        found = DIRECT[name]()
    assert left.seen == []
    compare(found, expected)


def tbc_backward():
    """Call what autograd calls taken apart, in matrix products."""
    return torch.ops.aten.conv_tbc_backward(*draw(TBC_BACKWARD, False), 1)


TBC_BACKWARD = AtenCall(tbc_backward, ((7, 2, 4), *CASES["conv_tbc"].shapes))


def test_a_composite_backward_by_its_name():
    with torch.inference_mode():
        expected = tbc_backward()
        with Below() as left, torch_ext.override(level="aten"):
            found = tbc_backward()
    assert left.seen == []
    compare(found, expected)


# only where a library or a device is that this machine may lack
ELSEWHERE = {
    "aten.convolution_overrideable.default",
    "aten.convolution_backward_overrideable.default",
    "aten._conv_depthwise2d.default",
    "aten.conv_depthwise3d.default",
    "aten._nnpack_spatial_convolution.default",
    "aten.mkldnn_convolution.default",
}


def test_every_entry_was_needed():
    """Each operator in the table arrives in one of the cases above, or its machine is not here."""
    with Counting() as replaced, warnings.catch_warnings(action="ignore"):
        for case in CASES.values():
            differentiate(case.call, draw(case, False), case.unit)
        for call in DIRECT.values():
            call()
        with torch.inference_mode():
            F.adaptive_avg_pool2d(PLANE["x"], 1)
            F.adaptive_avg_pool3d(SPACE["x"], 1)
            tbc_backward()
    assert {str(each) for each in aten.KERNELS} - {str(each) for each in replaced.seen} == ELSEWHERE


def test_no_operator_is_passed_on():
    """All of ATen that convolves, pools or folds is replaced, or made of what is, or refused."""
    refused = []
    for schema in torch._C._jit_get_all_schemas():
        library, _, name = schema.name.partition("::")
        if library != "aten" or not re.search("conv(?!ert)|pool|im2col|col2im", name):
            continue
        operator = getattr(getattr(torch.ops.aten, name), schema.overload_name or "default")
        assert aten.of_the_family(operator)
        composite = torch._C._dispatch_has_kernel_for_dispatch_key(
            operator.name(), "CompositeImplicitAutograd"
        )
        if operator not in aten.KERNELS and not composite:
            refused.append(operator)
    only = r"out|grad_input|output|mkldnn|cudnn|miopen|mps|quantized|max_pool2d_backward"
    assert [str(each) for each in refused if not re.search(only, str(each))] == []


def test_a_missing_operator_is_caught(monkeypatch):
    """One that falls out of the table is refused; one that is torch's own is seen."""
    name, native = "avg_pool2d", torch.ops.aten.avg_pool2d.default
    less = {each: kernel for each, kernel in aten.KERNELS.items() if each is not native}
    monkeypatch.setattr(aten, "KERNELS", less)
    with pytest.raises(NotImplementedError, match="avg_pool2d"), torch_ext.override(level="aten"):
        CASES[name].call(*draw(CASES[name], False))
    monkeypatch.setattr(aten, "KERNELS", {**less, native: native})
    with Below() as left, torch_ext.override(level="aten"):
        CASES[name].call(*draw(CASES[name], False))
    assert left.seen == ["aten.avg_pool2d.default"]


@pytest.mark.parametrize(
    "call",
    [
        lambda: torch._C._nn.avg_pool2d(PLANE["x"], 2, out=torch.empty(0)),
        lambda: torch.quantized_max_pool2d(PLANE["x"], [2, 2]),
        lambda: torch.cudnn_convolution(PLANE["x"], PLANE["w"], [0], [1], [1], 1, *[False] * 3),
        lambda: PLANE["x"].to_mkldnn(),
    ],
    ids=["out=", "quantized", "cuDNN", "oneDNN's layout"],
)
def test_what_has_no_reference_is_refused(call):
    with torch_ext.override(level="aten"), pytest.raises(NotImplementedError, match="no reference"):
        call()


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="needs oneDNN")
def test_a_tensor_in_onednns_layout_is_refused():
    x = PLANE["x"].to_mkldnn()
    with torch_ext.override(level="aten"), pytest.raises(NotImplementedError, match="oneDNN"):
        F.avg_pool2d(x, 2)
