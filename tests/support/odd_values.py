"""Values of all kinds in the place of a size, and values that no message may show in full."""

from typing import Any

import numpy as np
import torch


class Index:
    """An integer that does nothing but be one."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __index__(self) -> int:
        return self.value


ONE = {
    "Python's": int,
    **{name: getattr(np, name) for name in ("int8", "int32", "int64", "uint8", "uint64")},
    "an array": np.array,
    "a tensor": torch.tensor,
    "an unsigned tensor": lambda v: torch.tensor(v, dtype=torch.uint8),
    "an index": Index,
}
SEVERAL = {
    "a tuple": tuple,
    "a list": list,
    "torch's": torch.Size,
    "an array": np.array,
    "a small array": lambda v: np.array(v, np.int8),
    "a tensor": torch.tensor,
    **{f"of {name}": (lambda v, one=one: [one(each) for each in v]) for name, one in ONE.items()},
}
BAD: list[Any] = [
    *(True, np.True_, np.array(True), torch.tensor(True), 2.0, np.float32(2), np.array(2.0)),
    *(torch.tensor(2.0), 1j, b"\x02", bytearray(b"\x02\x02"), memoryview(b"\x02\x02"), {2}),
    *({2: 2}, {2: 2}.keys(), frozenset({2}), object(), (True, True), (2, True)),
    *(np.array([True, True]), torch.tensor([True, True]), (2.0, 2), [2, "2"], ["2", "2"]),
    *(np.array([2.0, 2.0]), torch.tensor([2.0, 2.0]), np.full((2, 2), 2), [[2], [2]], [(2, 2)]),
    *(np.array([2, 2], object) / 2, slice(2), Ellipsis, np.datetime64(2, "s"), "2", ("2", 2)),
    (None, None),
]
WORDED = ("conv", "conv1d", "conv2d", "conv3d", "conv_grad_input", "conv_grad_weight")


def takes(function: str, argument: str, value: Any) -> bool:
    """Say whether a value of BAD is good here: a word as padding, None to keep a size."""
    if isinstance(value, str):
        return argument == "padding" and function in WORDED
    return value is BAD[-1] and argument == "output_size" and "adaptive" in function


DEEP = (1,) * 60
STRUCTURED = np.dtype([(f"a field of a long name, {n}", "f8") for n in range(99)])
HUGE: dict[str, Any] = {
    "a long list": list(range(5000)),
    "a long tuple": (2**62,) * 62,
    "a deep list": [[[[list(range(999))] * 99]]],
    "large numbers": (10**5000, -(10**5000)),
    "a large number": 10**5000,
    "a long word": "x" * 10**5,
    "long bytes": b"x" * 10**5,
    "a dict": dict.fromkeys(range(10**4), "x" * 99),
    "a set": set(range(5000)),
    "an array": np.zeros((99, 99)),
    "an array of one axis": np.arange(5000),
    "an array of sizes": np.full(60, 2**62),
    "an array of words": np.array(["x" * 10**4] * 4),
    "an array of axes": np.zeros(DEEP),
    "indices of axes": np.zeros(DEEP, np.int64),
    "an array of fields": np.zeros((4, 4), STRUCTURED),
    "an array of objects": np.array(["x" * 10**4, None] * 99, object),
    "a type": type("X" * 10**4, (), {}),
    "of a type": type("X" * 10**4, (), {})(),
    "lines": "x\n" * 10**4,
    "no text": type("X", (), {"__repr__": lambda _: 1 / 0})(),
}
