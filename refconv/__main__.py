"""What refconv is, and what it runs on.

python -m refconv              this text
python -m refconv --version
python -m refconv config       NumPy, its BLAS, the kernels and threads in use; and what would
                               be faster, where the processor could do more than is used
"""

import argparse
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import threadpoolctl

import refconv

# OpenBLAS's kernels by what they need of the processor, the best first
KERNELS = (("SkylakeX", "avx512f"), ("Haswell", "avx2"), ("Sandybridge", "avx"))
AS_GOOD = {"SkylakeX": ("SkylakeX", "Cooperlake", "SapphireRapids"), "Haswell": ("Haswell", "Zen")}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    parser = argparse.ArgumentParser(
        "python -m refconv", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--version", action="version", version=f"refconv {refconv.__version__}")
    parser.add_argument("command", nargs="?", choices=["config"], help="what it runs on")
    options = parser.parse_args(arguments)
    print("\n".join(config()) if options.command else parser.format_help())
    return 0


def config() -> list[str]:
    """Return lines about this machine, and a remedy where the kernels in use are not its best."""
    lines = [
        f"refconv {refconv.__version__}, NumPy {np.__version__}, Python "
        f"{platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores"
    ]
    libraries = [lib for lib in threadpoolctl.threadpool_info() if lib["user_api"] == "blas"]
    for library in libraries:
        lines.append(
            f"BLAS: {library['internal_api']} {library['version']}, "
            f"{library.get('architecture', 'unknown')} kernels, {library['num_threads']} threads"
        )
    return lines + remedies(libraries, features() or set())


def features() -> set[str] | None:
    """Return what the processor can do, by Linux's names, or None where that is not told."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return None
    found = next((line for line in lines if line.startswith("flags")), "")
    return set(found.partition(":")[2].split())


def remedies(libraries: Sequence[dict[str, Any]], features: set[str]) -> list[str]:
    """Return what to set where OpenBLAS uses kernels below those that the processor offers."""
    best = next((name for name, needed in KERNELS if needed in features), "")
    used = [lib.get("architecture", "") for lib in libraries if lib["internal_api"] == "openblas"]
    below = [name for name in used if best and name not in AS_GOOD.get(best, (best,))]
    if not below or below[0] in AS_GOOD["SkylakeX"]:
        return []
    return [
        f"The processor offers more than the {below[0]} kernels: OPENBLAS_CORETYPE={best} in the "
        "environment, before NumPy is imported, can be twice as fast."
    ]


if __name__ == "__main__":
    sys.exit(main())
