"""Measure one cell: check that polyrnn and its rivals agree, then time them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

import polyrnn
from polyrnn.errors import PolyrnnError
from polyrnn_benchmark import workload
from polyrnn_benchmark.framework import Framework, Loop, Step, Tensor
from polyrnn_benchmark.measure import Call, alternate
from polyrnn_benchmark.results import Contest, Result
from polyrnn_benchmark.scenarios import Cell


class DisagreementError(PolyrnnError, AssertionError):
    """Two loops do not compute the same thing, so that comparing their times means nothing."""


def polyrnn_loop(backend: str) -> Loop:
    """Return `polyrnn.rnn` on a backend, with the signature of `Loop`."""

    def loop(
        step: Step, x: Tensor, states: list[Tensor], mask: Tensor = None, **constants: Any
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        return polyrnn.rnn(step, x, states, mask=mask, backend=backend, **constants)

    return loop


def hold(
    framework: Framework,
    cell: Cell,
    loop: Loop,
    peers: Mapping[str, Loop],
    *,
    pairs: int,
    after_pair: Callable[[], None] = lambda: None,
) -> Result:
    """Compare and time polyrnn against each of its rivals in one cell.

    Args:
        framework: The framework.
        cell: What to measure.
        loop: polyrnn's loop.
        peers: The loops of other libraries by name. If one fails or its results differ, the
            remark of its contest says so.
        pairs: How many pairs to time.
        after_pair: Called when a pair is done.

    Returns:
        The result, with the contest against the hand-written loop first.

    Raises:
        DisagreementError: If polyrnn and the hand-written loop give different results.
    """
    tensors = [framework.tensor(array) for array in workload.arrays(cell)]
    ours = make_call(framework, cell, loop, tensors)
    results = _arrays(framework, ours)
    theirs = make_call(framework, cell, framework.hand_written(cell.mode.name), tensors)
    difference = first_difference(results, _arrays(framework, theirs))
    if difference:
        raise DisagreementError(f"polyrnn differs from the loop by hand: {difference}")
    duel = alternate(ours, theirs, pairs=pairs, after_pair=after_pair)
    contests = [Contest.of(framework.rival, duel)]
    del theirs
    for name, peer in peers.items():
        try:
            call = make_call(framework, cell, peer, tensors)
            remark = first_difference(_arrays(framework, call), results)
            duel = alternate(ours, call, pairs=pairs, after_pair=after_pair)
        except Exception as error:
            contests.append(Contest(rival=name, remark=f"fails: {_first_line(error)}"))
        else:
            contests.append(Contest.of(name, duel, remark))
    return Result(cell, tuple(contests))


def make_call(framework: Framework, cell: Cell, loop: Loop, tensors: Sequence[Tensor]) -> Call:
    """Return the call of a loop that is timed in a cell."""
    program = framework.program(cell.mode.name, loop, cell.variant)
    make = framework.gradient if cell.variant.gradient else framework.call
    return make(cell.mode.name, program, tensors)


def first_difference(
    ours: Sequence[np.ndarray[Any, Any]], theirs: Sequence[np.ndarray[Any, Any]]
) -> str:
    """Describe the first difference between two lists of results that exceeds rounding.

    Args:
        ours: The arrays to check.
        theirs: The expected arrays.

    Returns:
        A phrase, or an empty string if the results agree.

    Example:
        >>> first_difference([np.ones(3)], [np.ones(3)])
        ''
        >>> first_difference([np.full(3, np.nan)], [np.ones(3)])
        'result 0 is not finite'
    """
    if len(ours) != len(theirs):
        return f"{len(ours)} results instead of {len(theirs)}"
    for position, (one, other) in enumerate(zip(ours, theirs, strict=True)):
        if one.shape != other.shape or one.dtype != other.dtype:
            return f"result {position} is {one.dtype} {one.shape}, not {other.dtype} {other.shape}"
        if not np.isfinite(one).all():
            return f"result {position} is not finite"
        # Reordered sums of many terms differ by rounding errors of the largest term.
        allowed = 1000 * np.finfo(one.dtype).eps * max(1.0, float(np.abs(other).max()))
        largest = float(np.abs(one - other).max())
        if not largest <= allowed:
            return f"result {position} is off by {largest:.2g}"
    return ""


def _arrays(framework: Framework, call: Call) -> list[np.ndarray[Any, Any]]:
    return [framework.array(tensor) for tensor in call()]


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else ''}"[:120]
