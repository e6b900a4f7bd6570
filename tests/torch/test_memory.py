"""Test that calls on torch do not leak memory, with and without gradients."""

from functools import partial
from typing import Any

import pytest
import torch
from leaks import WAYS, alive_after, growth_of, walk
from sampling import one_of

ways = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
trained_or_not = pytest.mark.parametrize("trained", [False, True])


def run(weight: Any, *, trained: bool, **way: Any) -> None:
    results = walk(torch.as_tensor, weight, **way)
    if trained and results is not None:
        results[0]["y"].sum().backward()


def weight(number: int = 0, *, trained: bool) -> Any:
    return torch.full((3,), 0.5 + number, requires_grad=trained)


@pytest.mark.parametrize("fails", [False, True])
@trained_or_not
@ways
def test_what_a_step_closes_over_is_freed(way: dict[str, Any], trained: bool, fails: bool) -> None:
    call = partial(run, trained=trained, fails=fails, **way)
    assert alive_after(call, partial(weight, trained=trained)) == 0


@pytest.mark.parametrize("trained", one_of(2, [True, False]))
@ways
def test_a_thousand_calls_do_not_leak(way: dict[str, Any], trained: bool) -> None:
    call = partial(run, weight(trained=trained), trained=trained, **way)
    objects, megabytes = growth_of(call, 1000)
    # A leak of one object in each call exceeds this; garbage of other tests may be collected.
    assert objects < 900
    assert megabytes < 10
