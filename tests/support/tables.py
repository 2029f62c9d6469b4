"""Tables that a test run shows though its tests pass."""

import io
from contextlib import nullcontext

import pytest
from rich.console import Console
from rich.table import Table


def show(table: Table, config: pytest.Config, width: int) -> None:
    """Print a table past pytest's capture (pytest-xdist's workers print nothing)."""
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(table)
    capture = config.pluginmanager.get_plugin("capturemanager")
    with capture.global_and_fixture_disabled() if capture else nullcontext():
        print("\n" + console.export_text(), flush=True)
