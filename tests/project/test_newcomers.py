"""Mistakes that newcomers make: each is refused by a message that says what to do instead."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import refconv
from refconv import textbook
from torch_ext import functional

ROOT = Path(__file__).parents[2]
LONGEST = 300

image, batch = np.zeros((3, 8, 8)), np.zeros((2, 3, 8, 8))
w, gy = np.zeros((4, 3, 3, 3)), np.zeros((2, 4, 6, 6))
t, tw = torch.zeros(2, 3, 8, 8), torch.zeros(4, 3, 3, 3)
r, f = refconv, functional

Mistake = tuple[Callable[[], Any], type[Exception], str]

# what is called, what it raises, and words of the message: the argument, and the remedy
MISTAKES: list[Mistake] = [
    (lambda: r.max_pool(image, 2), RuntimeError, "kernel_size=(2,) for a batch (N, C, L)"),
    (lambda: r.avg_pool(image, 2), RuntimeError, "kernel_size=(2,) for a batch (N, C, L)"),
    (lambda: r.lp_pool(image, 2, 2), RuntimeError, "kernel_size=(2, 2) for one image"),
    (lambda: r.unfold(image, 2), RuntimeError, "kernel_size=(2, 2) for one image"),
    (lambda: r.max_unpool(image, np.zeros((3, 8, 8), int), 2), RuntimeError, "kernel_size=(2, 2)"),
    (lambda: r.fractional_max_pool(image, 2, 3), RuntimeError, "kernel_size=(2,) for"),
    (lambda: r.adaptive_avg_pool(image, 2), RuntimeError, "output_size=(2,) for"),
    (lambda: r.adaptive_max_pool(image, 2), RuntimeError, "output_size=(2,) for"),
    (lambda: r.conv(np.zeros((3, 3)), np.zeros((2, 2))), RuntimeError, "x[None], w[None, None]"),
    (lambda: r.conv(batch, np.zeros((3, 3))), RuntimeError, "weight has shape (3, 3)"),
    (lambda: r.conv(batch.tolist(), w), TypeError, "np.asarray(x)"),
    (lambda: r.conv(batch, w.tolist()), TypeError, "np.asarray(weight)"),
    (lambda: r.conv(t, w), TypeError, "torch_ext.functional takes tensors"),
    (lambda: r.max_pool(t, 2), TypeError, "torch_ext.functional takes tensors"),
    (lambda: r.conv(batch, w.astype(np.float32)), RuntimeError, "weight has dtype float32 and x"),
    (lambda: r.conv(batch, w[:, :2]), RuntimeError, "x has 3 channels"),
    (lambda: r.conv(batch, w, np.zeros(3)), RuntimeError, "bias has shape (3,), expected (4,)"),
    (lambda: r.conv(batch, w, 0), TypeError, "bias must be a numpy.ndarray, got int"),
    (lambda: r.conv(batch, w, None, 1.0), TypeError, "stride must be integers, got 1.0"),
    (lambda: r.conv(batch, w, None, 0), RuntimeError, "stride must be at least 1"),
    (lambda: r.conv(batch, w, None, 1, "SAME"), RuntimeError, "'same' or 'valid', got 'SAME'"),
    (lambda: r.conv(batch, w, None, 2, "same"), RuntimeError, "padding='same' needs stride 1"),
    (lambda: r.conv(batch, w, None, 1, -1), RuntimeError, "padding must be at least 0"),
    (lambda: r.conv(batch, w, None, (1, 1, 1)), RuntimeError, "stride must be an integer or"),
    (lambda: r.conv(batch, w, groups=2), RuntimeError, "groups=2"),
    (lambda: r.conv(batch[:, :, :2], w), RuntimeError, "more than the padded input (2, 8)"),
    (lambda: r.conv(batch > 0, w > 0), NotImplementedError, "x has dtype bool"),
    (lambda: r.conv_grad_input(batch, w, gy), TypeError, "input_shape must be integers, got an"),
    (lambda: r.conv_grad_weight(batch, w, gy), TypeError, "3, 3): pass its .shape"),
    (lambda: r.conv_grad_input(batch.shape, w, gy[..., 1:]), RuntimeError, "grad_output has shape"),
    (lambda: r.max_pool(batch, b"1"), TypeError, "kernel_size must be integers, got b'1'"),
    (lambda: r.max_pool(batch, "2"), TypeError, "kernel_size must be integers, got '2'"),
    (lambda: r.max_pool(batch, {2}), TypeError, "kernel_size must be integers, got {2}"),
    (lambda: r.max_pool(batch, {"k": 2}), TypeError, "kernel_size must be integers"),
    (lambda: r.max_pool(batch, 2.0), TypeError, "kernel_size must be integers, got 2.0"),
    (lambda: r.max_pool(batch, True), TypeError, "kernel_size must be an integer, got True"),
    (lambda: r.max_pool(batch, 2, 2, 2), RuntimeError, "padding must be at most half"),
    (lambda: r.max_pool(batch, 9), RuntimeError, "kernel_size=9 spans (9, 9)"),
    (lambda: r.max_pool(batch, 2**63), RuntimeError, "kernel_size must fit in 64 bits"),
    (lambda: r.max_pool(np.ma.masked_less(batch, 1), 2), TypeError, "x.filled(...)"),
    (lambda: r.pad(batch, (1,)), RuntimeError, "padding must be pairs, before and after"),
    (lambda: r.pad(batch, (1, 1), "mirror"), NotImplementedError, "mode must be one of"),
    (lambda: r.max_unpool(batch, np.zeros(batch.shape), 2), NotImplementedError, "indices has"),
    (lambda: r.avg_pool(batch, 2, divisor_override=0), RuntimeError, "divisor_override must"),
    (lambda: r.lp_pool(batch, 0, 2), ZeroDivisionError, "norm_type must not be zero"),
    (lambda: r.lp_pool(batch, "2", 2), TypeError, "norm_type must be a number, got '2'"),
    (lambda: f.conv2d(batch, tw), TypeError, "got ndarray: pass torch.as_tensor(input)"),
    (lambda: f.conv2d(t, tw.tolist()), TypeError, "got list: pass torch.as_tensor(weight)"),
    (lambda: r.max_pool(batch, 2, 2, 0, 1, 2), TypeError, "ceil_mode must be a bool, got 2"),
    (lambda: r.conv(batch[0, 0], w), RuntimeError, "for one channel use x[None]"),
    (lambda: r.max_pool(image[0], (2, 2)), RuntimeError, "for one channel use x[None]"),
    (lambda: f.conv2d(t, tw.double()), RuntimeError, "weight has dtype torch.float64"),
    (lambda: f.conv2d(t, tw, stride=b"1"), TypeError, "stride must be integers, got b'1'"),
    (lambda: f.max_pool2d(t, 2.0), TypeError, "kernel_size must be integers, got 2.0"),
    (lambda: textbook.pool_max(image[0], 2.0), TypeError, "2.0"),
]  # fmt: skip


def test_there_are_forty() -> None:
    assert len(MISTAKES) >= 40


@pytest.mark.parametrize("number", range(len(MISTAKES)))
def test_a_mistake_is_told_with_its_remedy(number: int) -> None:
    call, error, words = MISTAKES[number]
    with pytest.raises(error) as caught:
        call()
    own = str(caught.value).split("\n")[0]
    assert words in own
    assert len(own) <= LONGEST


def test_torch_missing_is_told_by_its_extra() -> None:
    code = "import sys; sys.modules['torch'] = None\nimport torch_ext"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 1
    assert "pip install 'refconv[torch]'" in run.stderr.splitlines()[-1]
