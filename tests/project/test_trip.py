"""The trip of a conv2d call, which ARCHITECTURE.md shows, crosses few files."""

import re
from pathlib import Path

import torch

from project.trip import Trip, trips
from torch_ext import functional

ROOT = Path(__file__).parents[2]


def test_no_more_files_than_it_crossed_before_the_house() -> None:
    forward, backward = trips()
    assert len(forward.files) <= 20
    assert len(backward.files) <= 15


def test_every_floor_is_crossed() -> None:
    floors = ("functional", "derivatives", "operators", "_bridge", "geometry", "fast", "engine")
    for trip, part in zip(trips(), (floors, floors[1:]), strict=True):
        assert [f for f in part if not any(f"/{f}/" in file for file in trip.files)] == []


def test_the_architecture_shows_it() -> None:
    """Every file of the trip is named there, in the section on it; and none that is not of it."""
    text = (ROOT / "ARCHITECTURE.md").read_text()
    section = text.split("## The trip of a call\n")[1].split("\n## ")[0]
    named = set(re.findall(r"`((?:refconv|torch_ext)/[\w/]+\.py)`", section))
    assert named == {file for trip in trips() for file in trip.files}


def test_only_what_is_called_is_seen() -> None:
    x = torch.ones(1, 2, 4)
    assert Trip(lambda: functional.lp_pool1d).files == []
    crossed = Trip(lambda: functional.lp_pool1d(x, 2, 2)).files
    assert "refconv/fast/power_pooling.py" in crossed
    assert "refconv/fast/convolution.py" not in crossed
