"""The package's face: what a newcomer's first commands find."""

import inspect
import pydoc
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

import refconv
import torch_ext
from refconv import __main__ as command
from refconv import direct, exact, signatures
from refconv.geometry import Array
from torch_ext import functional

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def ran(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("module", [refconv, direct, exact, functional])
def test_help_is_narrow(module: Any) -> None:
    swept = 0
    for name in (name for name in module.__all__ if callable(getattr(module, name))):
        lines = pydoc.plain(pydoc.render_doc(getattr(module, name))).splitlines()
        assert [line for line in lines[1:] if len(line) > 120] == [], name  # the first is a title
        swept += 1
    assert swept >= 28 or module is exact
    whole = pydoc.plain(pydoc.render_doc(module)).splitlines()
    assert [line for line in whole if len(line) > 120 and " = [" not in line] == []


def test_a_wide_signature_is_seen() -> None:
    """The check, tested: without shortening, help prints lines of hundreds of characters."""

    def wide(x: Array, weight: Array, bias: Array | None = None) -> Array:
        return x

    assert len(f"wide{inspect.signature(wide)}") > 120
    signatures.shorten(["wide"], {"wide": wide})
    assert max(map(len, pydoc.plain(pydoc.render_doc(wide)).splitlines())) <= 120


def test_parts_are_found_when_asked_for_and_cost_nothing_before() -> None:
    code = (
        "import sys, refconv; before = set(sys.modules);"
        "assert not {'torch', 'refconv.exact', 'refconv.textbook'} & before;"
        "print(refconv.textbook.__name__, refconv.exact.__name__)"
    )
    run = ran("-c", code)
    assert run.stdout.split() == ["refconv.textbook", "refconv.exact"], run.stderr
    with pytest.raises(AttributeError, match="has no attribute 'txtbook'"):
        refconv.txtbook  # noqa: B018
    assert ran("-c", "import refconv; help(refconv.textbook)").returncode == 0


def test_the_version_is_one() -> None:
    versions = {PROJECT["version"], refconv.__version__, torch_ext.__version__}
    citation = (ROOT / "CITATION.cff").read_text()
    changes = (ROOT / "CHANGELOG.md").read_text()
    versions |= set(re.findall(r"^version: (.*)$", citation, re.MULTILINE))
    (newest, day), *_ = re.findall(r"^## (\d\S*) - (\S+)$", changes, re.MULTILINE)
    assert versions == {newest}
    assert f"date-released: {day}" in citation
    assert PROJECT["authors"] == [{"name": "The refconv developers"}]
    assert 'name: "The refconv developers"' in citation
    assert changes.index("## Unreleased") < changes.index(f"## {newest}")


def test_the_command() -> None:
    assert ran("-m", "refconv", "--version").stdout.strip() == f"refconv {PROJECT['version']}"
    assert "python -m refconv config" in ran("-m", "refconv").stdout
    config = ran("-m", "refconv", "config").stdout
    assert "NumPy" in config
    assert "kernels" in config
    assert ran("-m", "refconv", "confg").returncode == 2


@pytest.mark.parametrize(
    ("used", "features", "says"),
    [
        ("Prescott", {"avx", "avx2", "avx512f"}, "OPENBLAS_CORETYPE=SkylakeX"),
        ("Haswell", {"avx", "avx2", "avx512f"}, "OPENBLAS_CORETYPE=SkylakeX"),
        ("Prescott", {"avx", "avx2"}, "OPENBLAS_CORETYPE=Haswell"),
        ("Zen", {"avx", "avx2"}, ""),
        ("SkylakeX", {"avx", "avx2", "avx512f"}, ""),
        ("Cooperlake", {"avx2", "avx512f"}, ""),
        ("armv8", set(), ""),
    ],
)
def test_the_remedy_for_slow_kernels(used: str, features: set[str], says: str) -> None:
    library = {"internal_api": "openblas", "architecture": used}
    assert says in "".join(command.remedies([library], features))
    assert bool(says) == bool(command.remedies([library], features))


def test_the_readme_names_the_environments_python() -> None:
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        assert re.findall(r"`python (?:-m|scripts)", page.read_text()) == [], page
