"""CUDA: on a GPU where there is one; and, anywhere, with a double in CuPy's place.

The double shows that the same source computes the same bits on arrays of another library, within
torch's stream, device and allocator, and what becomes of memory. Of CUDA and of CuPy it shows
nothing: that is what the tests further down are for, which say so where there is no GPU.
"""

import gc
import math
import threading
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional as F

from support.doubles import cupy as cupy_double
from support.functional_uses import USES
from torch_ext import functional
from torch_ext._bridge import cuda, to_array, to_tensor

FLOATS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)


def results(module, use, tensors):
    """Return the results, and the gradients of the first one, also of second order if linear."""
    inputs = [each.detach().requires_grad_() for each in tensors]
    found = use.call(module, *inputs)
    found = found if isinstance(found, tuple) else (found,)
    ones = torch.ones(found[0].shape, dtype=found[0].dtype, device=found[0].device)
    gy = (use.unit * ones).requires_grad_()
    first = torch.autograd.grad(found[0], inputs, gy, create_graph=True)
    second = torch.autograd.grad(first[0].sum() * use.unit, gy)
    return [each.detach() for each in (*found, *first, *second)]


# --------------------------------------------------------------------------- with a double


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("name", USES)
def test_another_librarys_arrays_give_the_same_bits(name, dtype, cupy, monkeypatch):
    use = USES[name]
    tensors = use.draw(dtype)
    found = results(functional, use, tensors)
    assert cupy.log
    monkeypatch.setattr(cuda, "DEVICE", "cuda")
    expected = results(functional, use, tensors)
    assert all(map(torch.equal, found, expected))
    assert [each.stride() for each in found] == [each.stride() for each in expected]
    assert [each.dtype for each in found] == [each.dtype for each in expected]


def test_every_call_is_on_torchs_stream_and_device(cupy):
    functional.conv1d(torch.ones(1, 1, 3), torch.ones(1, 1, 2))
    around = [("device", None), ("stream", 1234), ("allocator", None)]
    assert cupy.log == around + [(f"end of {what}", which) for what, which in reversed(around)]
    assert cupy.compute_type == cupy_double.TF32


def test_an_error_leaves_no_trace(cupy):
    with pytest.raises(RuntimeError, match="channels"):
        torch.ops.refconv.convolution(
            torch.ones(1, 2, 3), torch.ones(1, 1, 2), None, [1], [0], [1], False, [0], 1
        )
    assert len(cupy.log) == 6
    assert cupy.compute_type == cupy_double.TF32


def test_precision_is_full_until_the_last_thread_leaves(cupy):
    inside, leave = threading.Event(), threading.Event()

    def other():
        with cuda.on(torch.device("cpu")):
            inside.set()
            leave.wait()

    thread = threading.Thread(target=other)
    with cuda.on(torch.device("cpu")):
        thread.start()
        inside.wait()
    assert cupy.compute_type == cupy_double.FULL
    leave.set()
    thread.join()
    assert cupy.compute_type == cupy_double.TF32


def test_memory_of_a_result_is_a_tensors(cupy):
    """The array is gone, its block forgotten; the tensor keeps the storage, and no copy is made."""
    x = torch.arange(6.0).view(1, 1, 6)
    with cuda.on(x.device):
        array = to_array(x) * 2
        y = to_tensor(array, like=x)
    (address,) = cuda._blocks
    assert y.untyped_storage().data_ptr() == address
    assert 4 * y.storage_offset() == cupy_double.OFFSET
    array._inside[0, 0, 0] = 7
    assert y[0, 0, 0] == 7
    del array
    gc.collect()
    assert not cuda._blocks
    assert y.flatten().tolist() == [7, 2, 4, 6, 8, 10]


def test_nothing_is_allocated_for_an_empty_result(cupy):
    y = functional.avg_pool1d(torch.ones(0, 2, 4), 2)
    assert y.shape == (0, 2, 2)
    assert y.stride() == (4, 2, 1)
    assert not cuda._blocks


def test_the_host_is_waited_for_before_it_is_read(monkeypatch):
    """Without CuPy: page-locked memory, a copy that does not block, then the stream."""
    log = []
    empty_like, copy = torch.empty_like, torch.Tensor.copy_

    def locked(tensor, *, device, pin_memory):
        log.append(f"page-locked on the {device}" if pin_memory else "pageable")
        return empty_like(tensor, device=device)

    def copied(host, tensor, non_blocking=False):
        log.append("copy" if non_blocking else "copy and wait")
        return copy(host, tensor)

    stream = SimpleNamespace(synchronize=lambda: log.append("wait"))
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: stream)
    monkeypatch.setattr(cuda, "library", lambda: None)
    monkeypatch.setattr(torch, "empty_like", locked)
    monkeypatch.setattr(torch.Tensor, "copy_", copied)
    x = torch.arange(6.0).view(2, 3).t()
    array = cuda.to_array(x)
    assert log == ["page-locked on the cpu", "copy", "wait"]
    assert array.tolist() == x.tolist()
    with cuda.on(x.device):
        assert len(log) == 3  # nothing to surround


def test_the_double_has_nothing_that_cupy_has_not():
    real = pytest.importorskip("cupy", reason="CuPy is not installed: its names are unchecked")
    assert hasattr(real, "from_dlpack")
    assert hasattr(real.cuda.Stream, "from_external")
    for name in ("Device", "UnownedMemory", "MemoryPointer", "using_allocator"):
        assert hasattr(real.cuda, name)
    for name in ("get_compute_type", "set_compute_type"):
        assert hasattr(real._core, name)
    assert real._core._routines_linalg.COMPUTE_TYPE_DEFAULT == cupy_double.FULL
    assert real._core._routines_linalg.COMPUTE_TYPE_TF32 == cupy_double.TF32
    assert {"mem", "ptr"} <= set(dir(real.cuda.MemoryPointer))
    assert {"data", "strides", "itemsize"} <= set(dir(real.ndarray))


# --------------------------------------------------------------------------- on a GPU

gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here: this has not run")


@pytest.fixture(params=["CuPy", "the host"])
def way(request, monkeypatch):
    """Go either way; torch's own convolutions are those that are exact on integers."""
    if request.param == "CuPy":
        pytest.importorskip("cupy", reason="CuPy is not installed: this has not run")
        assert cuda.library() is not None
    else:
        monkeypatch.setattr(cuda, "library", lambda: None)
    with torch.backends.cudnn.flags(enabled=False):
        yield request.param


@pytest.fixture
def nothing_left():
    """Demand that no memory is left that an array of CuPy's had."""
    gc.collect()
    before = set(cuda._blocks)
    yield
    gc.collect()
    assert set(cuda._blocks) <= before


@gpu
@pytest.mark.parametrize("dtype", [*FLOATS, torch.uint8, torch.int64, torch.complex64], ids=str)
def test_there_and_back(dtype, way):
    tensor = torch.tensor([[1, 2, 3], [4, 5, 6]], device="cuda").to(dtype).t()
    with cuda.on(tensor.device):
        back = to_tensor(to_array(tensor).copy(), like=tensor)
    assert back.device == tensor.device
    assert torch.equal(back, tensor)


@gpu
@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("name", USES)
def test_bits_are_torchs(name, dtype, way):
    """Values, gradients and gradients of gradients are those of torch on the CPU, and on the GPU.

    In half precision torch lacks some functions on one of them.
    """
    use = USES[name]
    tensors = use.draw(dtype)
    found = results(functional, use, [each.cuda() for each in tensors])
    assert all(each.is_cuda for each in found)
    compared = 0
    if "infinite" in name and F.lp_pool1d(torch.full((1, 1, 1), 2.0), math.inf, 1) != 2:
        pytest.skip("this torch has no infinite order: a sum of infinite powers")
    for device in ("cpu", "cuda"):
        try:
            expected = results(F, use, [each.to(device) for each in tensors])
        except RuntimeError as error:
            if "not implemented" not in str(error):
                raise
            continue
        assert [each.dtype for each in found] == [each.dtype for each in expected]
        assert all(torch.equal(a.cpu(), b.cpu()) for a, b in zip(found, expected, strict=True))
        compared += 1
    assert compared or dtype.itemsize == 2


@gpu
@pytest.mark.parametrize("name", ["conv2d", "conv_transpose1d", "unfold", "avg_pool2d"])
def test_complex_numbers_and_lazy_conjugates(name, way):
    use = USES[name]
    tensors = [torch.complex(t, t.flip(0)) * (1 + 2j) for t in use.draw()]
    found = use.call(functional, *(each.cuda().conj() for each in tensors))
    assert torch.equal(found.cpu(), use.call(functional, *(each.conj() for each in tensors)))


@gpu
@pytest.mark.parametrize("name", ["conv2d", "conv3d", "max_pool2d_with_indices", "fold"])
def test_on_another_stream(name, way):
    """The input is still being written when the function is called, on a stream of its own."""
    use = USES[name]
    tensors = use.draw()
    expected = use.call(F, *tensors)
    expected = expected if isinstance(expected, tuple) else (expected,)
    sources = [each.cuda() for each in tensors]
    targets = [torch.zeros_like(each) for each in sources]
    torch.cuda.synchronize()
    with torch.cuda.stream(torch.cuda.Stream()):
        torch.cuda._sleep(200_000_000)
        for target, source in zip(targets, sources, strict=True):
            target.copy_(source)
        found = use.call(functional, *targets)
        found = [each.clone() for each in (found if isinstance(found, tuple) else (found,))]
        hosts = [each.cpu() for each in found]
    assert all(map(torch.equal, hosts, expected))


@gpu
@pytest.mark.usefixtures("nothing_left")
def test_memory_is_torchs(way):
    """What is computed is counted; what is dropped is free again, recorded on a stream or not."""
    use = USES["conv2d"]
    tensors = [each.cuda() for each in use.draw()]
    use.call(functional, *tensors)
    gc.collect()
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    y = use.call(functional, *tensors)
    assert torch.cuda.memory_allocated() >= before + y.nbytes
    y.record_stream(torch.cuda.Stream())
    del y
    gc.collect()
    torch.cuda.synchronize()
    assert torch.cuda.memory_allocated() == before


@gpu
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_under_autocast(dtype, way):
    for name in ("conv2d", "conv_transpose3d", "lp_pool2d", "max_pool3d", "avg_pool3d"):
        use = USES[name]
        tensors = [each.cuda() for each in use.draw()]
        with torch.autocast("cuda", dtype):
            found, expected = (use.call(module, *tensors) for module in (functional, F))
        assert found.dtype == expected.dtype
        assert torch.equal(found, expected)


@gpu
@pytest.mark.parametrize("name", ["conv2d", "conv_transpose2d", "max_unpool2d"])
def test_devices_that_differ_are_refused(name, way):
    use = USES[name]
    x, *others = use.draw()
    if name == "max_unpool2d":
        others = [torch.zeros(x.shape, dtype=torch.int64), 2]
    for module in (functional, F):
        with pytest.raises(RuntimeError):
            getattr(module, name)(x.cuda(), *others)


@gpu
def test_float32_is_not_rounded_to_tf32(way, request):
    """1 + 2^-12 would be 1; even where CuPy is told that it may."""
    if way == "CuPy":
        core = cuda.library()._core
        request.addfinalizer(partial(core.set_compute_type, "f", core.get_compute_type("f")))
        core.set_compute_type("f", core._routines_linalg.COMPUTE_TYPE_TF32)
    x = torch.full((1, 64, 8, 8), 1 + 2.0**-12, device="cuda")
    w = torch.ones(64, 64, 1, 1, device="cuda")
    assert (functional.conv2d(x, w) == 64 * (1 + 2.0**-12)).all()  # no sum rounds
