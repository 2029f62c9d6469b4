"""Torch's own threads, put to rest before ours work.

After a native operator (a batch norm, a ReLU) the workers of torch's OpenMP spin for milliseconds,
waiting for the next one, on the cores that our threads need. OpenMP has a call that ends the team
of the calling thread; the next operator makes a new one. Measured on 2 cores, swapped, batch 8: a
ResNet-18 at 224 x 224 takes 307 ms where it took 445, a MobileNetV2 228 where it took 337. The call
costs 0.2 microseconds where no team is, else 28, and 54 for the new team: a MobileNetV2 at 96 x 96
takes 112 ms where it took 83.

Only GNU's libgomp, which torch's Linux wheels bring, does so safely: Intel's libiomp5 and LLVM's
libomp keep their threads, or can hang. There, `OMP_WAIT_POLICY=passive` in the environment helps
(`KMP_BLOCKTIME=0` for Intel's).
"""

import ctypes
import os
from collections.abc import Callable

from threadpoolctl import ThreadpoolController

SOFT = 1  # omp_pause_soft, OpenMP 5.0, section 3.2.43: what threads keep is kept


def pauses() -> list[Callable[[int], int]]:
    """Return omp_pause_resource_all of every libgomp that is loaded and has it, of GCC 9 or later.

    It returns 0, or -1 within a parallel region, where it does nothing.
    """
    found = []
    for library in ThreadpoolController().select(user_api="openmp").lib_controllers:
        if library.prefix == "libgomp":
            # as a CDLL, which lets other threads go on while the team ends
            pause = getattr(ctypes.CDLL(library.filepath), "omp_pause_resource_all", None)
            if pause is not None:
                found.append(pause)
    return found


_pauses = pauses()


def rest() -> None:
    """End the calling thread's team of OpenMP, if it has one and is not at work in it."""
    for pause in _pauses:
        pause(SOFT)


def _forget() -> None:
    _pauses.clear()  # a forked child has the parent's team, but not its threads: it would wait


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
