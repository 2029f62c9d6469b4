"""Which layers a swap takes: `only` and `skip`."""

import pytest
from torch import nn

import torch_ext
from support.networks import Block, network, snapshot

NAMES = ["0", "2", "3.conv1", "3.conv2", "4"]


@pytest.mark.parametrize(
    ("only", "skip", "changed"),
    [
        ("0", None, ["0"]),
        (["0", "4"], None, ["0", "4"]),
        ("3", None, ["3.conv1", "3.conv2"]),
        ("*.conv?", None, ["3.conv1", "3.conv2"]),
        ("*", None, NAMES),
        ("", None, NAMES),
        (nn.Conv2d, None, ["0", "3.conv1", "3.conv2"]),
        ((nn.MaxPool2d, "4"), None, ["2", "4"]),
        (Block, None, ["3.conv1", "3.conv2"]),
        (None, "0", NAMES[1:]),
        (None, Block, ["0", "2", "4"]),
        (None, [nn.Conv2d, nn.MaxPool2d], ["4"]),
        (nn.Conv2d, Block, ["0"]),
        ("0", "*", []),
    ],
)
def test_only_and_skip(only, skip, changed):
    model = network()
    report = torch_ext.swap(model, only=only, skip=skip)
    assert [row.name for row in report.changed] == changed
    assert [row.name for row in report.rows] == NAMES
    assert all(row.reason in ("skipped", "not in only") for row in report.left)
    modules = dict(model.named_modules())
    assert all(
        (type(modules[n]).__module__.startswith("torch_ext.nn.")) == (n in changed) for n in NAMES
    )


def test_a_shared_module_is_selected_by_any_of_its_names():
    pool = nn.MaxPool2d(2)
    model = nn.ModuleDict({"a": pool, "b": pool})
    assert [row.reason for row in torch_ext.swap(model, skip="b").rows] == ["skipped"]
    assert [row.name for row in torch_ext.swap(model, only="b").changed] == ["a"]


@pytest.mark.parametrize("argument", ["only", "skip"])
@pytest.mark.parametrize(
    ("value", "error"),
    [
        ("layer9", ValueError),
        (["0", "9*"], ValueError),
        (nn.Conv3d, ValueError),
        (3, TypeError),
        ([nn.Conv2d, 3], TypeError),
    ],
)
def test_a_selection_that_fits_nothing(argument, value, error):
    model = network()
    before = snapshot(model)
    with pytest.raises(error, match=argument):
        torch_ext.swap(model, **{argument: value})
    assert snapshot(model) == before
