"""One family, one file name on every floor: where each operator lives.

    python tests/project/test_families.py

prints the list of files of every operator.
"""

import ast
from pathlib import Path

import pytest

import refconv
from torch_ext import functional, nn, operators

ROOT = Path(__file__).parents[2]
FAMILIES = {  # a name belongs to the first family whose words begin it
    "conv_transpose": "transposed",
    "lazy_conv_transpose": "transposed",
    "conv": "convolution",
    "lazy_conv": "convolution",
    "pad": "padding",
    "unfold": "folding",
    "fold": "folding",
    "max_pool": "max_pooling",
    "avg_pool": "average_pooling",
    "adaptive": "adaptive_pooling",
    "fractional": "fractional_pooling",
    "lp_pool": "power_pooling",
    "max_unpool": "unpooling",
}
PUBLIC = {
    "refconv/geometry": [f"{name}_call" for name in refconv.direct.__all__],
    "refconv/fast": refconv.direct.__all__,
    "refconv/direct": refconv.direct.__all__,
    "refconv/exact": refconv.direct.__all__,
    "torch_ext/functional": functional.__all__,
    "torch_ext/nn": nn.__all__,
    "torch_ext/operators": operators.__all__,
}
SHARED = {"conv_transpose_grad_bias_call"}  # it is conv_grad_bias: the bias enters both alike


def family_of(name: str) -> str:
    """Return the family of a function or class, by how its name begins."""
    words = "".join(f"_{c.lower()}" if c.isupper() else c for c in name.replace("LPP", "LpP"))
    words = words.removeprefix("_")
    found = [family for start, family in FAMILIES.items() if words.startswith(start)]
    assert found, f"{name} belongs to no family: say in FAMILIES how its name begins"
    return found[0]


def defined(floor: str) -> dict[str, set[str]]:
    """Return the files of a floor that define each function and class."""
    found: dict[str, set[str]] = {}
    for path in (ROOT / floor).glob("[a-z]*.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                found.setdefault(node.name, set()).add(path.stem)
    return found


def derivatives() -> dict[str, set[str]]:
    """Return the files that give each operator its derivatives."""
    found: dict[str, set[str]] = {}
    for path in (ROOT / "torch_ext/derivatives").glob("*.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.Expr) and ast.unparse(node).startswith("differentiate("):
                assert isinstance(node.value, ast.Call)
                name = ast.unparse(node.value.args[0]).removeprefix("operators.")
                found.setdefault(name, set()).add(path.stem)
    return found


FLOORS = {floor: defined(floor) for floor in PUBLIC} | {"torch_ext/derivatives": derivatives()}
NAMES = PUBLIC | {"torch_ext/derivatives": operators.__all__}


def astray(files: dict[str, set[str]], names: list[str]) -> dict[str, set[str] | None]:
    """Return the names that are not in the file of their family, or in another one too."""
    wanted = [name for name in names if name not in SHARED]
    return {name: files.get(name) for name in wanted if files.get(name) != {family_of(name)}}


@pytest.mark.parametrize("floor", FLOORS)
def test_every_operator_is_in_the_file_of_its_family(floor: str) -> None:
    assert astray(FLOORS[floor], NAMES[floor]) == {}


@pytest.mark.parametrize("files", [{}, {"padding"}, {"padding", "unpooling"}])
def test_a_name_in_another_file_is_seen(files: set[str]) -> None:
    floor = FLOORS["torch_ext/nn"]
    assert astray(floor | {"MaxUnpool2d": files}, nn.__all__) == {"MaxUnpool2d": files}


def test_families_of_names() -> None:
    assert family_of("max_unpool2d") == "unpooling"
    assert family_of("LPPool2d") == "power_pooling"
    assert family_of("LazyConvTranspose1d") == "transposed"


def files_of(family: str) -> list[str]:
    """Return the files of a family, on all floors."""
    floors = [*FLOORS, "torch_ext/override"]
    return [f"{f}/{family}.py" for f in floors if (ROOT / f / f"{family}.py").exists()]


if __name__ == "__main__":
    for family in dict.fromkeys(FAMILIES.values()):
        members = [name for name in refconv.direct.__all__ if family_of(name) == family]
        print(f"{', '.join(members)}\n    " + "\n    ".join(files_of(family)))
