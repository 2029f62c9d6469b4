"""Every Python block of the README runs, in order, as it stands."""

import re
from pathlib import Path
from typing import Any

README = Path(__file__).parent.parent / "README.md"


def test_python_blocks_run() -> None:
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert len(blocks) >= 3
    namespace: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, str(README), "exec"), namespace)


def test_files_named_in_the_table_exist() -> None:
    text = README.read_text()
    paths = re.findall(r"`((?:refconv|torch_ext|scripts)/[\w/.]+)`", text)
    assert len(paths) >= 6
    assert [path for path in paths if not (README.parent / path).exists()] == []
