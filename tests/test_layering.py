"""Who may import whom: the table of the house, in force.

shapes <- checks <- {padding, windows, tiles} <- {columns, taps, pooling};
{columns, taps} <- {convolution, folding}; convolution <- transposed; the definitions in `direct`
see shapes and checks only, so that a bug in a fast form cannot reach them.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BASE = {"refconv.shapes", "refconv.checks"}
TILED = BASE | {"refconv.padding", "refconv.windows", "refconv.tiles"}

# package or module -> what it may import of this project, beside its own package
ALLOWED = {
    "refconv": {"refconv"},
    "refconv.shapes": set(),
    "refconv.checks": {"refconv.shapes"},
    "refconv.signatures": set(),
    "refconv.padding": BASE | {"refconv.tiles"},
    "refconv.windows": BASE,
    "refconv.tiles": BASE,
    "refconv.columns": TILED,
    "refconv.taps": BASE | {"refconv.tiles"},
    "refconv.convolution": TILED | {"refconv.columns", "refconv.taps"},
    "refconv.folding": TILED | {"refconv.columns", "refconv.taps"},
    "refconv.transposed": BASE | {"refconv.convolution"},
    "refconv.pooling": TILED,
    "refconv.direct": BASE,
    "refconv.exact": BASE | {"refconv.direct", "refconv.signatures"},
    "refconv.textbook": {"refconv.convolution", "refconv.pooling"},
    "torch_ext": {
        "refconv",
        "torch_ext.functional",
        "torch_ext.nn",
        "torch_ext.swap",
        "torch_ext.override",
    },
    "torch_ext._bridge": set(),
    "torch_ext.library": {"torch_ext._bridge", "refconv", "refconv.shapes", "refconv.pooling"},
    "torch_ext.functions": {"torch_ext.library"},
    "torch_ext.functional": {
        "refconv.signatures",
        "torch_ext.functions",
        "torch_ext.library",
        *BASE,
    },
    "torch_ext.nn": {"torch_ext.functional"},
    "torch_ext.modes": {"torch_ext.functional", "torch_ext.library", "refconv.checks"},
    "torch_ext.override": {"torch_ext.modes"},
    "torch_ext.swap": {"torch_ext.nn"},
    "torch_ext.parity": {
        "refconv.exact",
        "refconv.direct",
        "torch_ext.functional",
        "torch_ext.nn",
        "torch_ext",
    },
}


def files() -> list[Path]:
    return sorted(p for package in ("refconv", "torch_ext") for p in (ROOT / package).rglob("*.py"))


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in files()}


def owner(module: str) -> str:
    """Return the longest entry of the table that the module belongs to."""
    parts = module.split(".")
    names = (".".join(parts[:n]) for n in range(len(parts), 0, -1))
    return next(name for name in names if name in ALLOWED)


def imports(source: str) -> set[str]:
    """Return every module that a source file imports; `from a import b` counts as a.b if one."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide who imports whom"
            whole = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else str(node.module) for name in whole}
    return found


def offences(module: str, source: str) -> list[str]:
    """Return what a module imports and may not."""
    mine = owner(module)
    ours = {name for name in imports(source) if name.split(".")[0] in ("refconv", "torch_ext")}
    allowed = ALLOWED[mine] | ({mine} if mine not in ("refconv", "torch_ext") else set())
    bad = [n for n in ours if owner(n) not in allowed and n not in allowed]
    if mine == "refconv":
        bad = [n for n in bad if not n.startswith("refconv.")]
    if module.split(".")[0] == "refconv":
        bad += [n for n in imports(source) if n.split(".")[0] in ("torch", "torch_ext", "scipy")]
    return sorted(bad)


@pytest.mark.parametrize("module", MODULES)
def test_imports_follow_the_table(module: str) -> None:
    assert offences(module, MODULES[module].read_text()) == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("refconv.direct.convolution", "from refconv.windows import windows"),
        ("refconv.direct.pooling", "from refconv import tiles"),
        ("refconv.shapes", "import refconv.checks"),
        ("refconv.convolution", "import torch"),
        ("refconv.exact", "from refconv.convolution import conv"),
        ("torch_ext.functional", "import torch_ext.nn"),
        ("torch_ext.nn", "from torch_ext.parity import check"),
        ("torch_ext._bridge", "import refconv"),
    ],
)
def test_a_forbidden_import_is_seen(module: str, source: str) -> None:
    assert offences(module, source)


def test_every_module_has_a_row() -> None:
    assert all(owner(module) in ALLOWED for module in MODULES)
    assert set(ALLOWED) <= {owner(module) for module in MODULES}


def test_no_file_is_too_long_to_hold_in_mind() -> None:
    assert {m: n for m, p in MODULES.items() if (n := len(p.read_text().splitlines())) > 400} == {}
