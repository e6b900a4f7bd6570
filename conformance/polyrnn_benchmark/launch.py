"""Start worker processes and receive what they measure."""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

from polyrnn.errors import PolyrnnError

WORKER = "polyrnn_benchmark.worker"


class WorkerError(PolyrnnError, RuntimeError):
    """The process that measured a backend ended before it was done."""


def environment(backend: str, threads: int, *, cold: bool = False) -> dict[str, str]:
    """Return the environment variables of a worker, which its framework reads at import.

    Args:
        backend: The backend that the worker measures.
        threads: The number of threads that its framework may use.
        cold: Whether to disable caches of what other processes compiled.

    Returns:
        A copy of the environment of this process, with these variables set.
    """
    names = ("OMP", "MKL", "OPENBLAS", "VECLIB_MAXIMUM", "NUMEXPR")
    settled = {f"{name}_NUM_THREADS": str(threads) for name in names}
    # XLA makes its pool of threads as large as NPROC says.
    settled["NPROC"] = str(threads)
    flags = os.environ.get("XLA_FLAGS", "")
    if threads == 1:
        flags += " --xla_cpu_multi_thread_eigen=false"
    settled["XLA_FLAGS"] = flags.strip()
    settled["KERAS_BACKEND"] = backend
    settled["TF_CPP_MIN_LOG_LEVEL"] = "3"
    if cold:
        settled["TORCHINDUCTOR_FORCE_DISABLE_CACHES"] = "1"
    # The user's default backend must not affect a worker.
    return {k: v for k, v in os.environ.items() if k != "POLYRNN_BACKEND"} | settled


def events(request: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Start a worker on a request and yield its events as they arrive.

    Args:
        request: See `polyrnn_benchmark.worker.work`.

    Yields:
        The events.

    Raises:
        WorkerError: If the worker fails; the message names the exception.
    """
    with (
        tempfile.TemporaryFile("w+") as printed,
        subprocess.Popen(
            [sys.executable, "-m", WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=printed,
            env=environment(
                request["backend"],
                request["threads"],
                cold=request.get("probe") == "first_call",
            ),
            text=True,
        ) as worker,
    ):
        assert worker.stdin is not None
        assert worker.stdout is not None
        try:
            worker.stdin.write(json.dumps(request) + "\n")
            worker.stdin.close()
            for line in worker.stdout:
                yield json.loads(line)
        except BrokenPipeError:
            pass  # the worker ended before it read the request; its exit status is checked below
        except BaseException:
            # The caller stopped iterating: the worker must not go on measuring.
            worker.kill()
            raise
        worker.wait()
        if worker.returncode:
            printed.seek(0)
            raise WorkerError(
                f"the worker for {request['backend']} ended with status {worker.returncode}: "
                f"{_complaint(printed.read())}"
            )


def _complaint(printed: str) -> str:
    """Return the last line that names an exception in what a worker printed."""
    lines = [line for line in printed.splitlines() if line and not line[0].isspace()]
    named = [line for line in lines if re.match(r"[\w.]+(Error|Exception|Interrupt)\b", line)]
    return (named or lines or ["it printed nothing"])[-1]
