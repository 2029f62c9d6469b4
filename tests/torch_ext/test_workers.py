"""Torch's spinning threads rest before ours work; where they cannot, nothing changes."""

import os
import subprocess
import sys
import textwrap

import pytest

import torch_ext  # noqa: F401  loads torch's OpenMP
from torch_ext.operators import workers

linux = pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="no /proc to count threads")
gnu = pytest.mark.skipif(not workers.pauses(), reason="torch's OpenMP is not GNU's libgomp")

SET_UP = """
import os, sys, threading, time
import numpy as np, torch, threadpoolctl
import refconv, torch_ext
from refconv.engine import tiles
from torch_ext.operators import workers

threadpoolctl.threadpool_limits(2, user_api="blas")
torch.set_num_threads(2)
x, w = np.ones((2, 32, 64, 64), np.float32), np.ones((32, 32, 3, 3), np.float32)
refconv.conv(x, w)  # our own pool is there from now on

def threads():
    time.sleep(0.1)  # a thread that ends is there for a while
    return len(os.listdir("/proc/self/task"))
def native(): torch.relu(torch.ones(1 << 20))
"""


def printed(script: str) -> list[str]:
    """Return the lines that a script prints, in a process of its own, behind the set-up."""
    done = subprocess.run(
        [sys.executable, "-c", SET_UP + textwrap.dedent(script)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@linux
@gnu
def test_a_shared_call_ends_torchs_team_and_a_native_one_makes_a_new_one() -> None:
    before, native, ours, again, without = map(
        int,
        printed(
            """
            before = threads(); native(); after = threads()
            refconv.conv(x, w); ours = threads()
            native(); again = threads()
            tiles._before.clear(); refconv.conv(x, w)
            print(before, after, ours, again, threads())
            """
        ),
    )
    assert native == before + 1
    assert ours == before
    assert again == before + 1
    assert without == before + 1  # what the test is about: the team stays without the pause


@linux
@gnu
def test_a_call_of_one_tile_leaves_the_team_alone() -> None:
    native, ours = printed(
        """
        native(); after = threads()
        refconv.conv(np.ones((1, 1, 4, 4), np.float32), np.ones((1, 1, 3, 3), np.float32))
        print(after, threads())
        """
    )
    assert native == ours


@linux
@gnu
def test_other_threads_calls_end_no_team_but_their_own() -> None:
    assert printed(
        """
        native(); after = threads()
        thread = threading.Thread(target=refconv.conv, args=(x, w))
        thread.start(); thread.join(); time.sleep(0.3)
        print(threads() - after)
        """
    ) == ["0"]


@linux
def test_a_forked_child_does_not_wait_for_its_parents_team() -> None:
    assert printed(
        """
        native()
        child = os.fork()
        if child == 0:
            refconv.conv(x, w)
            os._exit(7)
        for _ in range(300):
            pid, status = os.waitpid(child, os.WNOHANG)
            if pid:
                break
            time.sleep(0.1)
        else:
            os.kill(child, 9)
            sys.exit("the child hangs")
        print(os.waitstatus_to_exitcode(status))
        """
    ) == ["7"]


def test_resting_twice_or_without_a_team_does_nothing() -> None:
    workers.rest()
    workers.rest()
    assert all(pause(workers.SOFT) in (0, -1) for pause in workers.pauses())
