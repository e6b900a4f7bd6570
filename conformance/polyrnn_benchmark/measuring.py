"""Measure cells and claims in worker processes, and continue if a worker dies."""

from collections import deque
from collections.abc import Callable, Generator, Sequence
from typing import Any, TypeAlias

from polyrnn_benchmark import claims as promises
from polyrnn_benchmark import launch
from polyrnn_benchmark.claims import Claim
from polyrnn_benchmark.results import (
    Finding,
    Result,
    cell_from_json,
    cell_to_json,
    result_from_json,
)
from polyrnn_benchmark.scenarios import Cell, Mode, plugged_in

Show: TypeAlias = Callable[[str], None]
"""Shows a phrase that describes the current activity."""


def modes(backend: str, *, threads: int) -> list[Mode]:
    """Return the modes of a third-party backend, which its harness names.

    Args:
        backend: The name of the backend.
        threads: The number of threads that its framework may use.

    Raises:
        WorkerError: If the backend or its harness cannot be imported.
    """
    request = {"backend": backend, "threads": threads, "describe": True}
    return [
        plugged_in(backend, name, differentiates=event["differentiates"])
        for event in launch.events(request)
        for name in event["modes"]
    ]


def results(
    cells: Sequence[Cell], *, threads: int, pairs: int, peers: bool, show: Show
) -> Generator[Result]:
    """Measure cells, those of each backend in a process of its own.

    If that process ends early, the cell that it was measuring fails, and a new process
    continues with the next cell.

    Args:
        cells: What to measure.
        threads: The number of threads that a framework may use.
        pairs: The number of pairs of timings of polyrnn and each rival.
        peers: Whether to measure other libraries too.
        show: Called with a phrase that says what is being measured.

    Yields:
        The result of each cell, as soon as it is available.
    """
    for backend in dict.fromkeys(cell.mode.backend for cell in cells):
        waiting = deque(cell for cell in cells if cell.mode.backend == backend)
        common = {"backend": backend, "threads": threads, "pairs": pairs, "peers": peers}
        while waiting:
            show(f"starting {backend}")
            yield from _by_one_worker(common, waiting, show)


def _by_one_worker(common: dict[str, Any], waiting: deque[Cell], show: Show) -> Generator[Result]:
    """Start one worker on the waiting cells and yield results; removes at least one cell."""
    asked, begun = len(waiting), False
    failure = f"the worker for {common['backend']} ended before it was done"
    try:
        for event in launch.events({**common, "cells": [cell_to_json(cell) for cell in waiting]}):
            if event["event"] == "start":
                cell, timed, begun = cell_from_json(event["cell"]), 0, True
                show(f"{cell}: compiling")
            elif event["event"] == "pair":
                timed += 1
                show(f"{cell}: {timed} pairs")
            else:
                begun = False
                waiting.popleft()
                yield result_from_json(event["result"])
    except launch.WorkerError as error:
        failure = str(error)
    if begun:
        yield Result(waiting.popleft(), failure=failure)
    elif len(waiting) == asked:
        # The worker failed before its first cell, and a new one would fail likewise.
        while waiting:
            yield Result(waiting.popleft(), failure=failure)


def findings(
    chosen: Sequence[tuple[Claim, Mode]], *, threads: int, show: Show
) -> Generator[Finding]:
    """Test claims, with each figure measured in a process of its own.

    Args:
        chosen: The claims, each with a mode.
        threads: The number of threads that a framework may use.
        show: Called with a phrase that says what is being measured.

    Yields:
        The finding for each claim.
    """

    def ask(mode: Mode, probe: str, **arguments: Any) -> dict[str, float]:
        show(f"{mode.label}: {probe.replace('_', ' ')}")
        request = {
            "backend": mode.backend,
            "mode": mode.name,
            "threads": threads,
            "probe": probe,
            "arguments": arguments,
        }
        figures: dict[str, float] = {}
        for event in launch.events(request):
            figures = event["figures"]
        return figures

    yield from promises.examine(chosen, ask)
