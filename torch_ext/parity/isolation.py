"""A process of its own for a candidate: it gets inputs only, and a time limit.

What is expected is computed in this process, afterwards, so that a candidate can neither find it
among its caller's variables nor through the garbage collector. Its fresh memory holds no zeros. A
crash, an exit and a hang are findings; the next call gets a new process.
"""

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Self

from torch_ext.parity.observation import Candidate, Outcome, Traces

LIMIT = 60.0  # seconds for one call, of which most take milliseconds
START = 60.0  # seconds to start, torch's import included
POISON = "128"  # glibc fills new memory with the complement, 0x7f..., which is NaN or huge


class Isolated:
    """Runs functions of `torch_ext.parity.observation` in another process: run(job, *arguments)."""

    def __init__(self, candidate: Candidate, limit: float = LIMIT) -> None:
        """Take a candidate that another process can import."""
        try:
            if getattr(candidate, "__module__", "") == "__main__":
                raise pickle.PicklingError("it is defined in the script that runs")
            self.candidate = pickle.dumps(candidate)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise ValueError(
                "isolate=True needs a candidate that can be imported, got "
                f"{candidate!r:.60}: {error}"
            ) from None
        self.limit = limit
        self.process: subprocess.Popen[bytes] | None = None
        self.pipe: tuple[Connection, Connection] | None = None

    def __enter__(self) -> Self:
        """Return the runner; the process starts with the first call."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the process."""
        self.end()

    def __call__(self, job: Callable[..., Any], *arguments: Any) -> Any:
        """Return job(candidate, *arguments); an `Outcome` with trouble if it crashes or hangs."""
        if self.process is None:
            self.start()
        assert self.pipe is not None
        receive, send = self.pipe
        try:
            send.send_bytes(pickle.dumps((job, arguments)))
            if not receive.poll(self.limit):
                self.end()
                return trouble(job, f"hangs: nothing came back in {self.limit:.0f} s")
            result = pickle.loads(receive.recv_bytes())
        except (EOFError, BrokenPipeError, ConnectionResetError):
            return trouble(job, f"crashes: its process ended with {self.end()}")
        if isinstance(result, Unreturned):
            return trouble(job, result.message)
        return result

    def start(self) -> None:
        """Start a process and hand it the candidate."""
        inward, send = os.pipe()
        receive, outward = os.pipe()
        code = f"from torch_ext.parity.isolation import serve; serve({inward}, {outward})"
        self.process = subprocess.Popen(
            [sys.executable, "-c", code],
            pass_fds=(inward, outward),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "MALLOC_PERTURB_": POISON, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        os.close(inward)
        os.close(outward)
        self.pipe = Connection(receive, writable=False), Connection(send, readable=False)
        self.pipe[1].send_bytes(self.candidate)
        if not self.pipe[0].poll(START):
            self.end()
            raise ValueError(f"the candidate's process did not start in {START:.0f} s")
        try:
            self.pipe[0].recv_bytes()
        except EOFError:
            status = self.end()
            raise ValueError(
                f"isolate=True: the candidate cannot be imported by another process ({status})"
            ) from None

    def end(self) -> str:
        """End the process, and say how it ended."""
        if self.process is None:
            return ""
        assert self.pipe is not None
        for connection in self.pipe:
            connection.close()
        try:
            status = self.process.wait(1.0)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        self.process = self.pipe = None
        return f"signal {-status}" if status < 0 else f"exit status {status}"


class Unreturned:
    """What comes back where a result could not be sent."""

    def __init__(self, message: str) -> None:
        """Keep the reason."""
        self.message = message


def trouble(job: Callable[..., Any], message: str) -> Any:
    """Return what a job returns, with trouble and nothing else."""
    outcome = Outcome(trouble=message)
    if job.__name__ == "traces":
        return Traces(outcome, outcome)
    return (outcome, "") if job.__name__ == "repeated" else outcome


def serve(inward: int, outward: int) -> None:
    """Run jobs for another process until it closes the pipe."""
    receive, send = Connection(inward, writable=False), Connection(outward, readable=False)
    candidate = pickle.loads(receive.recv_bytes())
    send.send_bytes(b"ready")
    from torch_ext.parity.modes import neutral

    with neutral():
        while True:
            try:
                job, arguments = pickle.loads(receive.recv_bytes())
            except EOFError:
                return
            result = job(candidate, *arguments)
            try:
                answer = pickle.dumps(detached(result))
            except Exception as error:
                answer = pickle.dumps(Unreturned(f"gives what cannot be sent: {error}"))
            send.send_bytes(answer)


def detached(result: Any) -> Any:
    """Return results without the graph they hang on, which cannot be sent."""
    if isinstance(result, tuple):
        return tuple(detached(part) for part in result)
    outcomes = [result] if isinstance(result, Outcome) else []
    if isinstance(result, Traces):
        outcomes = [result.outcome, result.other]
    for outcome in outcomes:
        for name, value in outcome.found.items():
            if hasattr(value, "detach"):
                outcome.found[name] = value.detach().requires_grad_(
                    value.requires_grad and value.is_floating_point()
                )
    return result
