"""Values that no message may show in full: long, deep, large, of long names, or without words."""

from typing import Any

import numpy as np

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
