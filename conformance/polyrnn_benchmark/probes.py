"""Measurements for the claims: memory, compilations, first calls. They run within a worker."""

import gc
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, TypeAlias

import numpy as np

import polyrnn
from polyrnn_benchmark import contest, workload
from polyrnn_benchmark.framework import Framework, Tensor
from polyrnn_benchmark.measure import best_of
from polyrnn_benchmark.scenarios import VARIANTS, Cell, Mode, Sizes

Probe: TypeAlias = Callable[..., dict[str, float]]
"""``(framework, mode, **arguments) -> figures by name``."""


def first_call(framework: Framework, mode: Mode, *, time_steps: int) -> dict[str, float]:
    """Time the first call of a mode, compilation included."""
    call = _call(framework, mode, Sizes(time=time_steps))
    start = time.perf_counter()
    call()
    return {"seconds": time.perf_counter() - start}


def growth(framework: Framework, mode: Mode, *, lengths: list[int]) -> dict[str, float]:
    """Time calls with several numbers of time steps, with all other sizes small."""
    figures = {}
    for length in lengths:
        call = _call(framework, mode, Sizes(batch=4, time=length, features=8, units=16))
        call()
        figures[str(length)] = best_of(call, times=5)
    return figures


def overhead(framework: Framework, mode: Mode, *, calls: int) -> dict[str, float]:
    """Time a call over one time step with an empty step, less the time of the step."""
    x = framework.tensor(np.zeros((2, 1, 3), "float32"))
    state = framework.tensor(np.zeros((2, 3), "float32"))

    def step(x: Tensor, states: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        return x, states

    def call() -> None:
        polyrnn.rnn(step, x, [state], backend=mode.backend)

    def bare() -> None:
        step(x, [state])

    for _ in range(calls):
        call()
    return {
        "seconds": median(best_of(call, times=10) for _ in range(calls))
        - median(best_of(bare, times=10) for _ in range(calls))
    }


def peak(
    framework: Framework, mode: Mode, *, time_steps: int, time_major: bool
) -> dict[str, float]:
    """Measure the peak memory of a call that keeps the last output only.

    The memory of the inputs is not included; that of compilation is.
    """
    rnn = contest.polyrnn_loop(mode.backend)

    def loop(*arguments: Any, **constants: Any) -> Any:
        return rnn(*arguments, return_all_outputs=False, time_major=time_major, **constants)

    cell = Cell(mode, VARIANTS["plain"], Sizes(time=time_steps))
    x, *others = workload.arrays(cell)
    if time_major:
        x = np.ascontiguousarray(x.swapaxes(0, 1))
    tensors = [framework.tensor(array) for array in (x, *others)]
    call = contest.make_call(framework, cell, loop, tensors)
    gc.collect()
    _forget_peak()
    before = _resident("VmRSS")
    call()
    return {"bytes": float(_resident("VmHWM") - before)}


def training(
    framework: Framework, mode: Mode, *, time_steps: int, checkpoint_every: int | None
) -> dict[str, float]:
    """Measure the peak memory and the time of the gradient of states and weights.

    Only the last output is kept. The memory of the inputs is not included, nor is what a call with
    fewer time steps takes for the first time, such as the memory of a compiler.
    """
    rnn = contest.polyrnn_loop(mode.backend)

    def loop(*arguments: Any, **constants: Any) -> Any:
        how = {"return_all_outputs": False, "time_major": True}
        return rnn(*arguments, checkpoint_every=checkpoint_every, **how, **constants)

    def make_call(time_steps: int) -> Callable[[], Any]:
        cell = Cell(mode, VARIANTS["gradient"], Sizes(time=time_steps))
        x, *others = workload.arrays(cell)
        inputs_first = framework.program(mode.name, loop, cell.variant)

        def program(*arguments: Tensor) -> list[Tensor]:
            *others, x = arguments
            return inputs_first(x, *others)

        arrays = [*others, np.ascontiguousarray(x.swapaxes(0, 1))]
        tensors = list(map(framework.tensor, arrays))
        return framework.gradient(mode.name, program, tensors, leading=len(others))

    call = make_call(time_steps)
    make_call(time_steps // 10)()
    gc.collect()
    _forget_peak()
    before = _resident("VmRSS")
    call()
    peak = _resident("VmHWM")
    start = time.perf_counter()
    call()
    return {"bytes": float(peak - before), "seconds": time.perf_counter() - start}


def fresh_calls(framework: Framework, mode: Mode, *, calls: int) -> dict[str, float]:
    """Call repeatedly with a new step function each time; count compilations and memory growth.

    Memory is measured after as many calls as are counted, because allocators and bounded
    caches fill up first.
    """
    call = _call(framework, mode, Sizes())
    call()
    with framework.compilations() as count:
        for _ in range(calls):
            call()
        gc.collect()
        before = _resident("VmRSS")
        for _ in range(calls):
            call()
        gc.collect()
        return {"compilations": float(count()), "bytes": float(_resident("VmRSS") - before)}


PROBES: dict[str, Probe] = {
    "first_call": first_call,
    "growth": growth,
    "overhead": overhead,
    "peak": peak,
    "training": training,
    "fresh_calls": fresh_calls,
}
"""All probes by name."""


def _call(framework: Framework, mode: Mode, sizes: Sizes) -> Callable[[], Any]:
    cell = Cell(mode, VARIANTS["plain"], sizes)
    tensors = [framework.tensor(array) for array in workload.arrays(cell)]
    return contest.make_call(framework, cell, contest.polyrnn_loop(mode.backend), tensors)


def _resident(name: str) -> int:
    """Return a memory figure of this process from ``/proc``, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise OSError(f"/proc/self/status has no {name}")


def _forget_peak() -> None:
    # Writing 5 resets the peak to the current resident memory; see proc(5).
    Path("/proc/self/clear_refs").write_text("5")
