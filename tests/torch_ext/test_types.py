"""What a type checker makes of the functions: mypy's own verdict."""

import sys
from pathlib import Path

import pytest
from mypy import api

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
CALLS = ROOT / "tests" / "support" / "typed_calls.py"


def verdict(path, cache):
    """Return what mypy says of a file."""
    options = ["--strict", "--warn-unused-ignores", "--config-file", str(ROOT / "pyproject.toml")]
    where = ["--python-executable", sys.executable, "--cache-dir", str(cache)]
    said, trouble, _ = api.run([*options, *where, str(path)])
    assert not trouble
    return said


def test_calls_have_the_types_that_torch_gives_them(tmp_path):
    assert verdict(CALLS, tmp_path).startswith("Success")
    # and with the flags exchanged every one of these lines is an error
    wrong = tmp_path / "wrong_calls.py"
    text = CALLS.read_text().partition("\n\ndef others")[0]
    swapped = text.replace(", Tensor)", ", int)").replace(", Pair)", ", Tensor)")
    wrong.write_text(swapped.replace(", Tensor | Pair)", ", Pair)"))
    lines = [n for n, line in enumerate(text.splitlines(), 1) if "assert_type(" in line]
    found = verdict(wrong, tmp_path).splitlines()
    assert {int(each.split(":")[1]) for each in found if "[assert-type]" in each} == set(lines)
    assert len(lines) == 43
