"""Hypothesis profiles: `everyday` unless HYPOTHESIS_PROFILE says `nightly`."""

import os

import torch
from hypothesis import HealthCheck, settings

torch.set_num_threads(1)  # pytest-xdist already uses every core

settings.register_profile(
    "everyday", max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("nightly", settings.get_profile("everyday"), max_examples=2000)
PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "everyday")


def pytest_collectstart() -> None:
    """Load the profile before every module: torch.testing, once imported, loads its own, of 10."""
    settings.load_profile(PROFILE)
