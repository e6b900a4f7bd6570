"""Measure leaks of calls: weights that stay alive, objects, and resident memory."""

import gc
import resource
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import polyrnn

MASK = np.array([[True, True, False], [False, True, True]])

WAYS: dict[str, dict[str, Any]] = {
    "plain": {},
    "masked": {"mask": MASK},
    "last-only": {"return_all_outputs": False},
    "masked-last-only-backwards": {
        "mask": MASK,
        "return_all_outputs": False,
        "go_backwards": True,
    },
    "lengths-zeroed": {"input_length": [3, 1], "zero_output_for_mask": True},
    "checkpointed": {"mask": MASK, "checkpoint_every": 1},
}
"""Arguments of the calls whose leaks are measured, by name."""


class StepError(Exception):
    """Raised by a step."""


class Weights(np.ndarray[Any, Any]):
    """An array that supports weak references."""


def walk(tensor: Callable[[Any], Any], weight: Any, *, fails: bool = False, **way: Any) -> Any:
    """Call `rnn` with a step that closes over a weight, and with constants and a nest.

    Args:
        tensor: Converts an array to a tensor of the framework.
        weight: The weight, of three features.
        fails: Whether the step raises.
        way: Further arguments.
    """

    def step(x: Any, states: Any) -> Any:
        if fails:
            raise StepError
        state, (inner,), constant = states
        total = state + x * weight + constant
        return {"y": total}, [total, [inner + total]]

    h = tensor(np.zeros((2, 3), np.float32))
    x = tensor(np.ones((2, 3, 3), np.float32))
    constants = [tensor(np.ones(3, np.float32))]
    try:
        return polyrnn.rnn(step, x, [h, [h]], constants=constants, **way)
    except StepError:
        return None


def alive_after(call: Callable[[Any], Any], make: Callable[[int], Any], count: int = 5) -> int:
    """Return how many weights, one for each call, are alive after a garbage collection."""
    references = []
    for number in range(count):
        weight = make(number)
        references.append(weakref.ref(weight))
        call(weight)
        del weight
    gc.collect()
    return sum(reference() is not None for reference in references)


def growth_of(call: Callable[[], Any], count: int) -> tuple[int, float]:
    """Return by how many objects and megabytes the process grows in some calls."""
    for _ in range(50):
        call()
    gc.collect()
    objects, before = len(gc.get_objects()), _megabytes()
    for _ in range(count):
        call()
    gc.collect()
    return len(gc.get_objects()) - objects, _megabytes() - before


def _megabytes() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20
