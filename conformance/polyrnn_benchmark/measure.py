"""Time two calls against each other on a machine whose speed varies."""

import gc
import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

Call = Callable[[], Any]
"""Runs the work to be timed, and returns when its results are ready."""

LEAST_SECONDS = 0.005
"""The least duration of one timing; shorter calls are repeated within it."""

WARM_UPS = 3
"""The number of calls before timing starts: nothing compiles after the second."""


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of a series of figures and its quartiles.

    Args:
        median: Half of the figures are smaller.
        lower: A quarter of the figures are smaller.
        upper: Three quarters of the figures are smaller.
    """

    median: float
    lower: float
    upper: float

    @classmethod
    def of(cls, figures: Sequence[float]) -> "Spread":
        """Return the spread of a series of at least one figure.

        Example:
            >>> Spread.of([5.0, 1.0, 2.0, 4.0, 3.0])
            Spread(median=3.0, lower=2.0, upper=4.0)
        """
        if len(figures) == 1:
            return cls(figures[0], figures[0], figures[0])
        lower, median, upper = statistics.quantiles(figures, n=4, method="inclusive")
        return cls(median, lower, upper)


@dataclass(frozen=True, slots=True)
class Duel:
    """The seconds of two calls that were timed in turns.

    Args:
        first: The seconds of the first call, one figure for each pair.
        second: The seconds of the second call, timed right after the first of its pair.
    """

    first: tuple[float, ...]
    second: tuple[float, ...]

    def ratio(self) -> Spread:
        """Return the spread of the ratios of the pairs.

        A slower period of the machine slows both calls of a pair, and cancels out.

        Example:
            >>> Duel((1.0, 10.0, 2.0), (2.0, 20.0, 4.0)).ratio().median
            0.5
        """
        return Spread.of([a / b for a, b in zip(self.first, self.second, strict=True)])


def alternate(
    first: Call,
    second: Call,
    *,
    pairs: int,
    least_seconds: float = LEAST_SECONDS,
    clock: Callable[[], float] = time.perf_counter,
    after_pair: Callable[[], None] = lambda: None,
) -> Duel:
    """Time two calls in turns: first, second, first, second.

    Args:
        first: The first call.
        second: The second call.
        pairs: How many times each is timed.
        least_seconds: The least duration of one timing. If the faster call is shorter, both
            calls are repeated, equally often.
        clock: Returns the time in seconds.
        after_pair: Called when a pair is done.

    Returns:
        The seconds that a single call took, for each timing.
    """
    for call in (first, second):
        for _ in range(WARM_UPS):
            call()
    with _settled_garbage():
        once = min(_seconds(first, 1, clock), _seconds(second, 1, clock))
        repeats = max(1, math.ceil(least_seconds / once)) if once > 0 else 1
        firsts, seconds = [], []
        for _ in range(pairs):
            firsts.append(_seconds(first, repeats, clock))
            seconds.append(_seconds(second, repeats, clock))
            after_pair()
    return Duel(tuple(firsts), tuple(seconds))


def best_of(call: Call, *, times: int, clock: Callable[[], float] = time.perf_counter) -> float:
    """Return the seconds of the fastest of several calls, the least disturbed one."""
    with _settled_garbage():
        return min(_seconds(call, 1, clock) for _ in range(times))


def _seconds(call: Call, repeats: int, clock: Callable[[], float]) -> float:
    start = clock()
    for _ in range(repeats):
        call()
    return (clock() - start) / repeats


@contextmanager
def _settled_garbage() -> Iterator[None]:
    # Garbage collections during the timing then skip the many objects of the frameworks.
    # Collection stays enabled: freeing reference cycles is part of the cost of a call.
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
