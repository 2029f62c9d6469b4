"""The names, orders and defaults of torch.nn.functional and torch.nn, as torch documents them."""

import ast
import inspect
import re
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import torch_ext

# what torch calls a convolution, a pooling or a folding
PUBLIC = re.compile(r"(?!_).*(conv|pool|fold)")
STUBS = Path(torch.__file__).parent / "_C" / "_VariableFunctions.pyi"  # builtins of torch


def documented(name):
    """Return names and defaults from torch's docstring, its Python source, or its type stubs."""
    function = getattr(F, name)
    header = function.__doc__.strip().splitlines()[0].split(" ->")[0]
    if header.startswith(name.removesuffix("_with_indices") + "("):
        return of_arguments(ast.parse(f"def {header}: ...").body[0].args)
    if inspect.isfunction(function):
        found = inspect.signature(function).parameters.values()
        return [(each.name, each.default) for each in found]
    (stub,) = re.findall(rf"^def {name}\(.*?\.\.\.$", STUBS.read_text(), re.MULTILINE | re.DOTALL)
    return of_arguments(ast.parse(stub).body[0].args)


def of_arguments(arguments):
    """Return names and defaults of a parsed function."""
    names = [argument.arg for argument in arguments.args]
    defaults = [ast.literal_eval(default) for default in arguments.defaults]
    required = [inspect.Parameter.empty] * (len(names) - len(defaults))
    return list(zip(names, required + defaults, strict=True))


@pytest.mark.parametrize("name", list(filter(PUBLIC.match, dir(F))))
def test_functions(name):
    ours = inspect.signature(getattr(torch_ext.functional, name)).parameters
    expected = documented(name)
    assert expected[0] == ("input", inspect.Parameter.empty)
    assert [(each.name, each.default) for each in ours.values()] == expected
    assert {each.kind for each in ours.values()} == {inspect.Parameter.POSITIONAL_OR_KEYWORD}


@pytest.mark.parametrize("name", torch_ext.nn.__all__)
def test_layers(name):
    assert inspect.signature(getattr(torch_ext.nn, name)) == inspect.signature(getattr(nn, name))


def test_the_family_is_whole():
    assert torch_ext.functional.__all__ == sorted(filter(PUBLIC.match, dir(F)))
    assert len(torch_ext.functional.__all__) == 37
    assert set(torch_ext.__all__) <= set(dir(torch_ext))
