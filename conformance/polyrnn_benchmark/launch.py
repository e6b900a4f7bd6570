"""Starts a worker for each backend and hears what it measures."""

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
    """Give the environment of a worker: what must be settled before a framework is imported.

    Args:
        backend: The backend it measures.
        threads: How many threads its framework may compute with.
        cold: Whether it may use nothing that other processes compiled.

    Returns:
        A copy of this environment, with more in it.
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
    # A choice made outside must not reach a worker that compares backends.
    return {k: v for k, v in os.environ.items() if k != "POLYRNN_BACKEND"} | settled


def events(request: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Start a worker on a request and give its events as they come.

    Args:
        request: See `polyrnn_benchmark.worker.work`.

    Yields:
        Events.

    Raises:
        WorkerError: If the worker fails; it names the exception.
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
            pass  # it ended before it read; its exit status says so
        except BaseException:
            # Whoever listens gave up: a worker that is still measuring must not stay behind.
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
    """Find the exception in what a worker printed; what follows it is advice."""
    lines = [line for line in printed.splitlines() if line and not line[0].isspace()]
    named = [line for line in lines if re.match(r"[\w.]+(Error|Exception|Interrupt)\b", line)]
    return (named or lines or ["it printed nothing"])[-1]
