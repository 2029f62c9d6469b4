"""Who may import whom: the table of the house, in force.

geometry <- engine <- fast;   geometry <- direct <- exact;   textbook -> fast

The definitions in `direct` see the geometry only, so that a bug in a fast form cannot reach them.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# package or module -> what it may import of this project, besides its own package
ALLOWED = {
    "refconv": {"refconv"},
    "refconv.geometry": set(),
    "refconv.signatures": set(),
    "refconv.engine": {"refconv.geometry"},
    "refconv.fast": {"refconv.engine", "refconv.geometry"},
    "refconv.direct": {"refconv.geometry"},
    "refconv.exact": {"refconv.direct", "refconv.geometry", "refconv.signatures"},
    "refconv.textbook": {"refconv.fast"},
    "torch_ext": {
        "refconv",
        "torch_ext.functional",
        "torch_ext.nn",
        "torch_ext.swap",
        "torch_ext.override",
    },
    "torch_ext._bridge": set(),
    "torch_ext.operators": {
        "torch_ext._bridge",
        "refconv",
        "refconv.engine",
        "refconv.fast",
        "refconv.geometry",
    },
    "torch_ext.derivatives": {"torch_ext.operators"},
    "torch_ext.functional": {
        "refconv.signatures",
        "torch_ext.derivatives",
        "torch_ext.operators",
        "refconv.geometry",
    },
    "torch_ext.nn": {"torch_ext.functional"},
    "torch_ext.override": {"torch_ext.functional", "torch_ext.operators", "refconv.geometry"},
    "torch_ext.swap": {"torch_ext.nn"},
    "torch_ext.parity": {
        "refconv",
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
        ("refconv.direct.convolution", "from refconv.engine.patches import windows"),
        ("refconv.direct.max_pooling", "from refconv.engine import tiles"),
        ("refconv.geometry.sizes", "import refconv.engine.tiles"),
        ("refconv.fast.convolution", "import torch"),
        ("refconv.exact", "from refconv.fast.convolution import conv"),
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


def long_files() -> dict[str, int]:
    """Return the files of Python with more than 400 lines."""
    folders = ("refconv", "torch_ext", "scripts", "tests")
    paths = (path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    lengths = {str(p.relative_to(ROOT)): len(p.read_text().splitlines()) for p in paths}
    return {path: length for path, length in lengths.items() if length > 400}


def test_no_file_is_too_long_to_hold_in_mind() -> None:
    assert long_files() == {}


def long_functions(source: str) -> dict[str, int]:
    """Return the functions of more than 40 lines, their docstrings not counted."""
    found = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef):
            lines = (node.end_lineno or 0) - node.lineno + 1
            if ast.get_docstring(node) is not None:
                lines -= (node.body[0].end_lineno or 0) - node.body[0].lineno + 1
            if lines > 40:
                found[node.name] = lines
    return found


def test_no_function_is_too_long_to_hold_in_mind() -> None:
    found = {name for path in MODULES.values() for name in long_functions(path.read_text())}
    assert found == set()


def test_a_long_function_is_seen() -> None:
    body = "    x = 1\n" * 40
    assert long_functions(f"def f():\n{body}") == {"f": 41}
    assert long_functions(f'def f():\n    """Do\n\n    it."""\n{body[:-10]}') == {}
