"""Test that eager calls on TensorFlow do not leak memory, with and without gradients."""

from functools import partial
from typing import Any

import pytest
import tensorflow as tf
from leaks import WAYS, alive_after, growth_of, walk

ways = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
trained_or_not = pytest.mark.parametrize("trained", [False, True])


def run(weight: Any, *, trained: bool, **way: Any) -> None:
    with tf.GradientTape() as tape:
        tape.watch(weight)
        results = walk(tf.convert_to_tensor, weight, **way)
        loss = None if results is None else tf.reduce_sum(results[0]["y"])
    if trained and loss is not None:
        assert tape.gradient(loss, weight) is not None


def weight(number: int = 0) -> Any:
    return tf.fill([3], 0.5 + number)


@pytest.mark.parametrize("fails", [False, True])
@trained_or_not
@ways
def test_what_a_step_closes_over_is_freed(way: dict[str, Any], trained: bool, fails: bool) -> None:
    assert alive_after(partial(run, trained=trained, fails=fails, **way), weight) == 0


@trained_or_not
@ways
def test_hundreds_of_calls_do_not_leak(way: dict[str, Any], trained: bool) -> None:
    objects, megabytes = growth_of(partial(run, weight(), trained=trained, **way), 300)
    # A leak of one object in each call exceeds this; garbage of other tests may be collected.
    assert objects < 270
    assert megabytes < 10
