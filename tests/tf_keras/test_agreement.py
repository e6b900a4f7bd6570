"""Test that polyrnn agrees with `tf_keras.backend.rnn`, except for its known departures."""

from collections import Counter

import pytest
from departures import DEPARTURES, Departure
from hypothesis import HealthCheck, given, settings
from tf_keras_calls import ask_polyrnn, ask_tf_keras, calls

from polyrnn_conformance.comparing import assert_agrees, expected_of
from polyrnn_conformance.random_calls import RandomCall

CALLS = 300


@pytest.mark.parametrize("unroll", [False, True])
def test_random_calls_agree(unroll: bool) -> None:
    compared: Counter[bool] = Counter()

    @settings(
        max_examples=CALLS,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(calls(unroll=unroll))
    def agree(drawn: RandomCall) -> None:
        call = drawn.call()
        assert_agrees(ask_polyrnn(call), ask_tf_keras(call))
        compared[drawn.is_masked] += 1

    agree()
    assert compared.total() >= CALLS
    assert min(compared[True], compared[False]) > CALLS // 8


@pytest.mark.parametrize("departure", DEPARTURES.values(), ids=DEPARTURES)
def test_tf_keras_departs(departure: Departure) -> None:
    met = [other for other in DEPARTURES.values() if other.meets(departure.example)]
    assert met == [departure]
    call = departure.example.call()
    expected = expected_of(call)
    assert_agrees(ask_polyrnn(call), expected)
    with pytest.raises(departure.fails_with):
        assert_agrees(ask_tf_keras(call), expected)
