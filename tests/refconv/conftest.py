"""Fixtures that the tests of several operators share."""

import pytest

from refconv.engine import columns, planes, tiles


@pytest.fixture(params=["usual tiles", "tiny tiles"])
def tile_size(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a test again with tiles of a few elements, so that every seam between them is crossed."""
    if request.param == "tiny tiles":
        monkeypatch.setattr(tiles, "SCRATCH_BYTES", 200)
        monkeypatch.setattr(columns, "COLUMNS", 3)
        monkeypatch.setattr(columns, "SHIFT_ROWS", 1)
        monkeypatch.setattr(columns, "PRODUCTS", 1)
        monkeypatch.setattr(planes, "TILE_BYTES", 64)
