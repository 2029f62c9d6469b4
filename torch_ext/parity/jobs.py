"""One operator in one dtype at a time, in several processes: what the command line runs."""

import argparse
import importlib
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any, NamedTuple

import torch

from torch_ext.parity.catalogue import Case
from torch_ext.parity.failure import spelled
from torch_ext.parity.inputs import COMPLEX, DTYPES
from torch_ext.parity.report import Verdict
from torch_ext.parity.runner import QUICK, TIERS, check

NAMES = {spelled(dtype): dtype for dtype in (*DTYPES, *COMPLEX)}


class Task(NamedTuple):
    """One operator in one dtype, and the options of the command."""

    op: str
    dtype: str
    options: argparse.Namespace


def results(tasks: Sequence[Task], jobs: int) -> Iterator[tuple[Task, Verdict]]:
    """Yield tasks and their verdicts, as they are done."""
    if jobs == 1:
        for task in tasks:
            yield task, run(task)
        return
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        futures = {pool.submit(run, task): task for task in tasks}
        for future in as_completed(futures):
            yield futures[future], future.result()


def run(task: Task) -> Verdict:
    """Check one operator in one dtype."""
    options = task.options
    threads = torch.get_num_threads()
    torch.set_num_threads(options.threads)
    try:
        return check(
            getattr(place(options.candidate), task.op),
            task.op,
            device=options.device,
            dtypes=[NAMES[task.dtype]],
            order=options.order,
            seed=options.seed,
            random_cases=0 if options.quick else options.cases,
            tiers=options.tier or (QUICK if options.quick else TIERS),
            only=Names(options.only, options.skip) if options.only or options.skip else None,
            isolate=options.isolate,
            name=f"{options.candidate}.{task.op}",
        )
    finally:
        torch.set_num_threads(threads)


@dataclass(frozen=True)
class Names:
    """Chooses cases by their names."""

    only: str | None
    skip: str | None

    def __call__(self, case: Case) -> bool:
        """Return whether a case is to run."""
        wanted = self.only is None or re.search(self.only, case.name)
        return bool(wanted and not (self.skip and re.search(self.skip, case.name)))


def place(name: str) -> Any:
    """Return the module, or its attribute, that `package.module:attribute` names."""
    module, _, attribute = name.partition(":")
    namespace: Any = importlib.import_module(module)
    for part in attribute.split(".") if attribute else ():
        namespace = getattr(namespace, part)
    return namespace
