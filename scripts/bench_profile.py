"""Where the time goes: samples of native stacks by py-spy, of a case that runs again and again."""

import importlib.util
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

# what a stack is about, told by its innermost frame that has one of these: in this order
KINDS = {
    "waiting": ("PyThread_acquire_lock", "take_gil", "pthread_cond", "SimpleQueue_get", "sem_wait"),
    "products": ("openblas", "mkl_"),
    "arrays": ("_multiarray_umath", "memcpy", "memset", "memmove"),
    "torch": ("libtorch", "libgomp", "libc10"),
}
OTHERS = "Python"
SECONDS = 2


def kind_of(frames: list[str]) -> str:
    """Return what a stack, outermost frame first, is doing.

    >>> kind_of(["task (convolution.py:150)", "sgemm_kernel (libscipy_openblas64_.so)"])
    'products'
    >>> kind_of(["task (convolution.py:150)", "columns (columns.py:190)"])
    'Python'
    """
    for frame in reversed(frames):
        for kind, marks in KINDS.items():
            if any(mark in frame for mark in marks):
                return kind
    return OTHERS


def shares(raw: str) -> dict[str, float]:
    """Return the share of each kind in what py-spy wrote: in the calling thread and our pool's."""
    found: Counter[str] = Counter()
    for line in raw.splitlines():
        stack, _, count = line.rpartition(" ")
        if "again (bench.py" in stack or "refconv_" in stack.partition(";")[0]:
            found[kind_of(stack.split(";"))] += int(count)
    total = sum(found.values()) or 1
    return {kind: found[kind] / total for kind in (*KINDS, OTHERS)}


def profile(group: str, number: int, dtype: str, way: str) -> str:
    """Return the shares of a case as cells of a table; a dash where py-spy is not installed."""
    if importlib.util.find_spec("py_spy") is None and not Path(sys.prefix, "bin/py-spy").exists():
        return "| - | - | - | - | - |"
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder, "raw.txt")
        bench = Path(__file__).with_name("bench.py")
        subprocess.run(
            [Path(sys.prefix, "bin/py-spy"), "record", "--native", "--idle", "--threads",
             "--rate", "200", "--format", "raw", "--output", raw,
             "--", sys.executable, bench, "--repeat", group, str(number), dtype, way],
            check=False, capture_output=True, timeout=300,
        )  # fmt: skip
        found = shares(raw.read_text() if raw.exists() else "")
    return "".join(f"| {share:.0%} " for share in found.values()) + "|"
