"""Every Python block of the README and of other pages runs, in order, as it stands."""

import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = [
    README,
    ROOT / "ARCHITECTURE.md",
    ROOT / "tests" / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
]


def blocks(page: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)


def test_pages_have_blocks() -> None:
    assert len(blocks(README)) >= 3
    assert len(blocks(ROOT / "docs" / "differences.md")) >= 4


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_python_blocks_run(page: Path) -> None:
    namespace: dict[str, Any] = {}
    for block in blocks(page):
        exec(compile(block, str(page), "exec"), namespace)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_that_are_named_exist(page: Path) -> None:
    text = page.read_text()
    paths = re.findall(r"`((?:refconv|torch_ext|scripts|tests|docs)/[\w/.]+)`", text)
    links = re.findall(r"\]\(([\w./]+\.md)\)", text)
    assert len(paths) >= 6 or page != README
    assert [path for path in paths if not (ROOT / path).exists()] == []
    assert [link for link in links if not (page.parent / link).exists()] == []
