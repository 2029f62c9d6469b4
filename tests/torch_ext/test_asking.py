"""Asking torch for its own exception: what it must not change, cost or break."""

import logging
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest
import torch
from torch import ones
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional as F

from support.functional_calls import Seen, W, X
from support.torch_refusals import refused
from torch_ext import functional
from torch_ext.functional import _asking


def test_asking_changes_nothing():
    """Neither what is drawn next, nor what a mode sees; and no warning is given."""
    torch.manual_seed(0)
    state = torch.get_rng_state()
    with FakeTensorMode() as mode:
        fake = mode.from_tensor(X[2])
        with Seen() as seen, pytest.raises(RuntimeError, match="torch: "):
            functional.fractional_max_pool2d(fake, 2, 9)
    refused("fractional_max_pool2d", X[2], 2, 9, words=("kernel_size",))
    assert seen.functions == [functional.fractional_max_pool2d]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        refused("conv2d", X[2], ones(4, 3, 2, 2), padding="same", words=("input",))
    torch.manual_seed(0)
    with pytest.raises(RuntimeError, match="torch: "):
        functional.fractional_max_pool2d(X[2], 2, 9)
    assert torch.equal(torch.get_rng_state(), state)


def test_asking_inside_of_vmap_and_grad():
    words = "expected input\\[1, 4, 8, 7\\] to have 3 channels"
    weight = ones(4, 3, 3, 3)
    with pytest.raises(RuntimeError, match=words):
        torch.vmap(lambda x: functional.conv2d(x, weight))(X[2][None])
    with pytest.raises(RuntimeError, match=words):
        torch.func.grad(lambda x: functional.conv2d(x, weight).sum())(X[2])


def test_asking_from_a_compiled_function(caplog):
    """Torch's compiler runs what is refused again, and does not look into the asking."""
    compiled = torch.compile(lambda x, w: functional.conv2d(x, w), backend="eager")
    with pytest.raises(RuntimeError, match="to have 3 channels, but got 4 channels instead"):
        compiled(X[2], ones(4, 3, 3, 3))
    assert [each for each in caplog.records if each.levelno >= logging.WARNING] == []


def test_asking_about_tensors_without_data():
    refused("max_pool2d", X[2].to("meta"), 9, words=("kernel_size", 9))
    with pytest.raises(RuntimeError, match="to have 3 channels, but got 4 channels instead"):
        functional.conv2d(X[2].to("meta"), ones(4, 3, 3, 3, device="meta"))


LARGE = torch.zeros(()).expand(2**20, 4, 2**10, 2**10)  # without memory


@pytest.mark.parametrize(
    ("name", "args", "words"),
    [
        ("conv2d", (LARGE, ones(8, 3, 3, 3)), r"to have 3 channels, but got 4 channels instead"),
        ("conv2d", (LARGE, ones(8, 4, 3, 3).double()), "FloatTensor.*DoubleTensor"),
        ("conv2d", (LARGE, ones(8, 4, 3, 3), ones(7)), "expected bias to be 1-dimensional with 8"),
        ("conv2d", (LARGE[None], ones(8, 4, 3, 3)), r"Expected 3D \(unbatched\) or 4D \(batched\)"),
        ("conv2d", (LARGE, ones(8, 4, 3, 3), None, 0), "non-positive stride is not supported"),
        ("conv_transpose2d", (LARGE, ones(3, 4, 3, 3)), "to have 3 channels, but got 4"),
        ("conv_transpose2d", (LARGE, ones(4, 4, 3, 3), None, 1, 2**20), "Output size is too small"),
        ("conv_transpose2d", (X[2], W[2], None, 2**62), "there is no memory"),  # no TypeError
        ("max_pool2d", (LARGE, 2, 1, 2), "pad should be at most half of effective kernel size"),
        ("adaptive_avg_pool2d", (LARGE[None], 2), "Expected 3D or 4D tensor"),
        ("avg_pool2d", (LARGE, 2**12), "too small"),
        ("conv2d", (X[2], W[2], None, 1, 2**40), "there is no memory"),  # nor asked for any
        ("unfold", (LARGE, 2, 0), "dilation should be greater than zero"),
    ],
)
def test_large_data_are_not_asked_with(name, args, words):
    """Torch is asked about the shapes alone, and computes nothing."""
    start = time.process_time()
    with pytest.raises(RuntimeError, match=words):
        getattr(functional, name)(*args)
    assert time.process_time() - start < 5


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor:UserWarning")
def test_large_data_that_cannot_be_left_out():
    """Of quantized tensors torch has none without data: it is not asked."""
    quantized = torch.quantize_per_tensor(ones(2**10, 4, 64, 64), 1.0, 0, torch.quint8)
    with pytest.raises(NotImplementedError, match=r"quint8, for which this is not defined$"):
        functional.max_pool2d(quantized, 2)


def test_what_torch_takes_is_not_computed_twice():
    """Of large data it is asked without them: a refusal of ours does not cost a pool of torch's."""
    assert _asking.error_of(F.max_pool2d, (LARGE, 2), {}) is None


def test_an_exception_that_is_not_ours_goes_through():
    class Failure(RuntimeError):
        pass

    class Failing(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            raise Failure("x" * 1000)

    with pytest.raises(Failure) as caught, Failing():
        functional.conv2d(X[2], W[2])
    assert str(caught.value) == "x" * 1000


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_asking_is_safe(seed):
    """Whatever is asked, in 5,000 odd calls: torch does not crash, nor take long, nor memory."""
    command = [sys.executable, "-m", "support.asking", str(seed), "5000"]
    tests = Path(__file__).parents[1]
    found = subprocess.run(command, cwd=tests, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr[-2000:]
    calls, refused, longest, megabytes = map(float, found.stdout.split())
    assert calls == 5000
    assert 2000 < refused < 5000
    assert longest < 2
    assert megabytes < 256
