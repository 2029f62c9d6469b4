"""The trip of a call: which of our files and functions it crosses, in order.

    python tests/project/trip.py

prints that of torch_ext.functional.conv2d, forward and back (padding 1, a bias, float32).
"""

import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from threadpoolctl import threadpool_limits

from torch_ext import functional

ROOT = Path(__file__).parents[2]


class Trip:
    """The functions of the project that ran, in the order of their first calls."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self.stops: dict[tuple[str, str], int] = {}  # (file, function) -> depth among ours
        with threadpool_limits(1):  # tiles then run in this thread
            sys.setprofile(self.watch)
            try:
                self.result = call()
            finally:
                sys.setprofile(None)

    def watch(self, frame: FrameType, event: str, _: Any) -> None:
        """Note a call of a function of ours."""
        code = frame.f_code
        if event == "call" and (file := ours(code.co_filename)) and code.co_name[0] != "<":
            depth, caller = 0, frame.f_back
            while caller is not None:
                depth += ours(caller.f_code.co_filename) is not None
                caller = caller.f_back
            self.stops.setdefault((file, code.co_qualname), depth)

    @property
    def files(self) -> list[str]:
        """The files, in the order in which they are entered first."""
        return list(dict.fromkeys(file for file, _ in self.stops))

    def __str__(self) -> str:
        lines = [
            f"{'  ' * depth}{name.replace('.<locals>', '')}  {file}"
            for (file, name), depth in self.stops.items()
        ]
        return "\n".join(lines)


def ours(filename: str) -> str | None:
    """Return the path of a file of the two packages, from the repository's root; else None."""
    path = Path(filename)
    if not path.is_relative_to(ROOT):
        return None
    relative = path.relative_to(ROOT)
    return str(relative) if relative.parts[0] in ("refconv", "torch_ext") else None


@cache
def trips() -> tuple[Trip, Trip]:
    """Return the trip of a conv2d, and of its backward."""
    x, w, b = torch.ones(1, 2, 8, 8), torch.ones(3, 2, 3, 3), torch.ones(3)
    for tensor in (x, w, b):
        tensor.requires_grad_()
    functional.conv2d(x, w, b, padding=1).sum().backward()  # once: what torch imports or caches
    forward = Trip(lambda: functional.conv2d(x, w, b, padding=1))
    return forward, Trip(forward.result.sum().backward)


if __name__ == "__main__":
    for name, trip in zip(("forward", "backward"), trips(), strict=True):
        print(f"{name}: {len(trip.files)} files\n{trip}\n")
