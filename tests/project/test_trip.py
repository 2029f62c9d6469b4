"""The trip of a conv2d call, which ARCHITECTURE.md shows, crosses few files."""

import re
from pathlib import Path

from project.trip import Trip, trips
from torch_ext import functional

ROOT = Path(__file__).parents[2]
FORWARD, BACKWARD = trips()


def test_no_more_files_than_it_crossed_before_the_house() -> None:
    assert len(FORWARD.files) <= 20
    assert len(BACKWARD.files) <= 15


def test_every_floor_is_crossed() -> None:
    floors = ("functional", "derivatives", "operators", "_bridge", "geometry", "fast", "engine")
    for trip, part in ((FORWARD, floors), (BACKWARD, floors[1:])):
        assert [f for f in part if not any(f"/{f}/" in file for file in trip.files)] == []


def test_the_architecture_shows_it() -> None:
    """Every file of the trip is named there, in the section on it; and none that is not of it."""
    text = (ROOT / "ARCHITECTURE.md").read_text()
    section = text.split("## The trip of a call\n")[1].split("\n## ")[0]
    named = set(re.findall(r"`((?:refconv|torch_ext)/[\w/]+\.py)`", section))
    assert named == {*FORWARD.files, *BACKWARD.files}


def test_a_call_is_watched() -> None:
    seen = Trip(lambda: functional.lp_pool1d)
    assert seen.files == []
