"""A good call of every function of torch_ext.functional, to change for the worse, and a witness."""

import inspect

import torch
from torch import ones, zeros
from torch.overrides import TorchFunctionMode

from torch_ext import functional

X = {1: ones(1, 4, 8), 2: ones(1, 4, 8, 7), 3: ones(1, 4, 8, 7, 6)}
W = {1: ones(4, 4, 3), 2: ones(4, 4, 3, 3), 3: ones(4, 4, 3, 3, 3)}


def rank_of(name):
    """Return the number of spatial axes of a function."""
    digits = [int(letter) for letter in name if letter.isdigit()]
    return digits[0] if digits else 2


def call_of(name):
    """Return arguments by name that a function takes."""
    rank = rank_of(name)
    given = {
        "input": X[rank],
        "weight": W[rank],
        "kernel_size": 2,
        "norm_type": 2.0,
        "output_size": 3,
        "indices": zeros(X[rank].shape, dtype=torch.int64),
    }
    if name == "conv_tbc":
        given |= {"input": ones(7, 2, 3), "weight": ones(3, 3, 4), "bias": ones(4)}
    if name == "fold":
        given |= {"input": ones(1, 16, 42), "output_size": (8, 7)}
    parameters = inspect.signature(getattr(functional, name)).parameters
    chosen = {} if "unpool" in name else {"output_size": given["output_size"]}
    required = {each for each, p in parameters.items() if p.default is p.empty}
    return {each: given[each] for each in parameters if each in required or each in chosen}


class Seen(TorchFunctionMode):
    """Lists what it is handed."""

    def __init__(self):
        super().__init__()
        self.functions = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.functions.append(func)
        return func(*args, **(kwargs or {}))
