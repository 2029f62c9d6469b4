"""Tensors to arrays and back."""

import numpy as np
import pytest
import torch

from torch_ext._bridge import to_array, to_tensor

DTYPES = [
    torch.uint8,
    torch.int8,
    torch.int16,
    torch.int32,
    torch.int64,
    torch.float16,
    torch.float32,
    torch.float64,
    torch.complex64,
    torch.complex128,
]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_cpu_memory_is_shared_both_ways(dtype):
    tensor = torch.tensor([[1, 2, 3], [4, 5, 6]]).to(dtype)
    array = to_array(tensor)
    back = to_tensor(array, like=tensor)
    tensor[0, 1] = 9
    assert array[0, 1] == 9
    assert back[0, 1] == 9
    assert back.dtype == dtype


def test_views_keep_their_strides():
    tensor = torch.arange(24.0).view(2, 3, 4)
    for view in (tensor.mT, tensor[:, ::2], tensor[:1].expand(5, 3, 4)):
        array = to_array(view)
        assert tuple(s // array.itemsize for s in array.strides) == view.stride()
        assert np.shares_memory(array, tensor.numpy())
        assert array.tolist() == view.tolist()


def test_a_gradient_is_left_behind():
    array = to_array(torch.ones(2, requires_grad=True))
    assert array.tolist() == [1, 1]


def test_lazy_conjugates_and_negations_are_carried_out():
    tensor = torch.tensor([1 + 2j, 3 - 4j])
    assert to_array(tensor.conj()).tolist() == [1 - 2j, 3 + 4j]
    assert to_array(tensor.conj().imag).tolist() == [-2, 4]


def test_bfloat16_is_widened_exactly_and_rounded_once():
    tensor = torch.tensor([1.0, -2.5, 2.0**-130, torch.inf], dtype=torch.bfloat16)
    array = to_array(tensor)
    assert array.dtype == np.float32
    assert array.tolist() == [1.0, -2.5, 2.0**-130, np.inf]
    # 1 + 2^-8 lies halfway: to even, 1; what is added below float32's own half of that goes up
    rounded = to_tensor(np.array([1 + 2**-8, 1 + 2**-8 + 2**-20], np.float32), like=tensor)
    assert rounded.dtype == torch.bfloat16
    assert rounded.tolist() == [1, 1 + 2**-7]


def test_indices_stay_integers_whatever_the_input_was():
    assert to_tensor(np.array([3]), like=torch.ones(1, dtype=torch.bfloat16)).dtype == torch.int64


@pytest.mark.parametrize("dtype", [torch.bool, torch.int8, torch.float16, torch.complex64], ids=str)
def test_a_tensor_keeps_a_storage_that_can_be_resized(dtype):
    """FSDP frees the memory of weights between their uses, and allocates it anew."""
    tensor = torch.ones(3, dtype=dtype)
    assert to_array(tensor).tolist() == [1, 1, 1]
    tensor.untyped_storage().resize_(0)
    assert tensor.untyped_storage().nbytes() == 0
