"""Look for false alarms of the parity oracle: sound kernels, many seeds, whole runs.

    python scripts/parity_alarms.py --seeds 10000 --runs 50 --jobs 2

A seed draws one random case of the exact and the bounded tier, the probes, the sign tests and one
case of the identities, for one of twelve sound kernels in turn; a run is `parity.check` whole, with
another seed. Prints what was rejected, and exits with status 1 if anything was.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import Any

import torch
import torch.nn.functional as F
from rich.progress import track

from torch_ext import functional, parity

SOUND: list[tuple[str, str, Callable[..., Any]]] = [
    ("conv1d", "torch", F.conv1d),
    ("conv2d", "torch", F.conv2d),
    ("conv2d", "ours", functional.conv2d),
    ("conv3d", "ours", functional.conv3d),
    ("conv_transpose2d", "ours", functional.conv_transpose2d),
    ("conv_transpose1d", "ours", functional.conv_transpose1d),
    ("fold", "torch", F.fold),
    ("max_pool2d", "ours", functional.max_pool2d),
    ("avg_pool2d", "torch", F.avg_pool2d),
    ("adaptive_avg_pool2d", "torch", F.adaptive_avg_pool2d),
    ("lp_pool2d", "torch", F.lp_pool2d),
    ("fractional_max_pool2d", "torch", F.fractional_max_pool2d),
]
DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
RANDOM = ("exact", "bounded", "probes", "statistics", "identities")


def drawn(case: parity.Case) -> bool:
    """Choose the case that the seed draws."""
    return case.name.startswith("random")


def one_seed(seed: int) -> list[str]:
    """Return the false alarms of one seed of the random tiers."""
    torch.set_num_threads(1)
    op, name, kernel = SOUND[seed % len(SOUND)]
    dtype = DTYPES[seed // len(SOUND) % len(DTYPES)]
    check = partial(parity.check, kernel, op, dtypes=[dtype], seed=seed, random_cases=1)
    small = check(tiers=RANDOM[:2], only=drawn)
    found = [*small.failures, *check(tiers=RANDOM[2:]).failures]
    return [f"{name}, seed {seed}: {failure}" for failure in found]


def one_run(seed: int) -> list[str]:
    """Return the false alarms of one whole run."""
    torch.set_num_threads(1)
    op, name, kernel = SOUND[seed % len(SOUND)]
    dtype = DTYPES[seed // len(SOUND) % len(DTYPES)]
    verdict = parity.check(kernel, op, dtypes=[dtype], seed=100_000 + seed)
    return [f"{name}, run {seed}: {failure}" for failure in verdict.failures]


def results(work: Callable[[int], list[str]], number: int, jobs: int) -> Iterator[list[str]]:
    """Yield what every seed found."""
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        yield from pool.map(work, range(number), chunksize=max(1, min(50, number // jobs // 4)))


def main() -> int:
    """Run the command and return its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    alarms: list[str] = []
    for title, work, number in (
        ("seeds of the random tiers", one_seed, options.seeds),
        ("whole runs", one_run, options.runs),
    ):
        started = time.perf_counter()
        found = results(work, number, options.jobs)
        mine = [text for texts in track(found, title, number) for text in texts]
        seconds = time.perf_counter() - started
        print(f"{number} {title}, {len(SOUND)} sound kernels, {seconds:.0f} s: {len(mine)} alarms")
        alarms += mine
    print(*alarms[:20], sep="\n")
    return 1 if alarms else 0


if __name__ == "__main__":
    sys.exit(main())
