"""The names, orders and defaults of torch.nn.functional and torch.nn, as torch documents them."""

import ast
import inspect

import pytest
from torch import nn
from torch.nn import functional as F

import torch_ext


def documented(function):
    """Return the parameters in the first line of a docstring of torch, `name(a, b=0) -> Tensor`."""
    header = function.__doc__.strip().splitlines()[0].split(" ->")[0]
    arguments = ast.parse(f"def {header}: ...").body[0].args
    names = [argument.arg for argument in arguments.args]
    defaults = [ast.literal_eval(default) for default in arguments.defaults]
    required = [inspect.Parameter.empty] * (len(names) - len(defaults))
    return list(zip(names, required + defaults, strict=True))


@pytest.mark.parametrize("name", torch_ext.functional.__all__)
def test_functions(name):
    ours = inspect.signature(getattr(torch_ext.functional, name)).parameters
    expected = documented(getattr(F, name))
    assert len(expected) >= 6
    assert [(each.name, each.default) for each in ours.values()] == expected
    assert {each.kind for each in ours.values()} == {inspect.Parameter.POSITIONAL_OR_KEYWORD}


@pytest.mark.parametrize("name", torch_ext.nn.__all__)
def test_layers(name):
    assert inspect.signature(getattr(torch_ext.nn, name)) == inspect.signature(getattr(nn, name))


def test_the_family_is_whole():
    family = [f"{kind}{rank}d" for kind in ("conv", "max_pool", "avg_pool") for rank in (1, 2, 3)]
    family += [f"max_pool{rank}d_with_indices" for rank in (1, 2, 3)]
    assert sorted(torch_ext.functional.__all__) == sorted(family)
    assert set(torch_ext.__all__) <= set(dir(torch_ext))
