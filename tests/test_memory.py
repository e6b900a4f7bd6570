"""Test that calls on numpy do not leak memory."""

from functools import partial
from typing import Any

import numpy as np
import pytest
from leaks import WAYS, Weights, alive_after, growth_of, walk

ways = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


def weight(number: int = 0) -> Any:
    return np.full(3, 0.5 + number, np.float32).view(Weights)


@pytest.mark.parametrize("fails", [False, True])
@ways
def test_what_a_step_closes_over_is_freed(way: dict[str, Any], fails: bool) -> None:
    assert alive_after(lambda w: walk(np.asarray, w, fails=fails, **way), weight) == 0


@pytest.mark.parametrize("fails", [False, True])
@ways
def test_thousands_of_calls_do_not_leak(way: dict[str, Any], fails: bool) -> None:
    call = partial(walk, np.asarray, np.ones(3, np.float32), fails=fails, **way)
    objects, megabytes = growth_of(call, 3000)
    assert objects < 300
    assert megabytes < 3


def test_a_leak_is_detected() -> None:
    kept: list[Any] = []

    def leaking(weight: Any) -> None:
        kept.append([weight])

    assert alive_after(leaking, weight) == 5
    objects, megabytes = growth_of(lambda: leaking(np.zeros(2**12)), 3000)
    assert objects >= 3000
    assert megabytes > 3
