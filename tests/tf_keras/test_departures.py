"""Test departures of tf_keras that random calls do not show, on tf_keras and on polyrnn."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import polyrnn

KERAS = tf_keras.backend.rnn
X = tf.reshape(tf.range(24.0), (2, 3, 4))
H = tf.zeros((2, 4))
MASK = tf.constant([[True, True, False], [True, False, False]])
looped_and_unrolled = pytest.mark.parametrize("unroll", [False, True])


def keep(x: Any, states: Any) -> Any:
    return x, list(states)


def test_rule_1_it_takes_inputs_of_unequal_batch() -> None:
    inputs = [X, X[:1]]
    KERAS(lambda x, states: (x[0], states), inputs, [H])
    with pytest.raises(ValueError, match=r"^inputs\[1\]: expected batch 2 as in inputs\[0\]"):
        polyrnn.rnn(lambda x, states: (x[0], states), inputs, [H])


def test_rule_2_it_takes_a_bare_state_apart_along_the_batch() -> None:
    met = []

    def step(x: Any, states: Any) -> Any:
        met.append([tuple(state.shape) for state in states])
        return x, [H] if len(states) == 1 else list(states)

    KERAS(step, X, H, unroll=True)
    polyrnn.rnn(step, X, H, unroll=True)
    assert met[0] == [(4,), (4,)]
    assert met[-1] == [(2, 4)]


def test_rule_3_its_step_gets_a_tuple() -> None:
    met = []

    def step(x: Any, states: Any) -> Any:
        met.append(type(states))
        return keep(x, states)

    KERAS(step, X, [H])
    polyrnn.rnn(step, X, [H])
    assert (met[0], met[-1]) == (tuple, list)


def test_rule_3_it_fails_at_a_bare_new_state_where_masked() -> None:
    def step(x: Any, states: Any) -> Any:
        return x, states[0] + x

    with pytest.raises(ValueError, match="same nested structure"):
        KERAS(step, X, [H], mask=MASK)
    (state,) = polyrnn.rnn(step, X, [H], mask=MASK)[2]
    np.testing.assert_array_equal(state, [X[0, 0] + X[0, 1], X[1, 0]])


def test_rule_4_its_new_states_come_in_a_tuple() -> None:
    assert type(KERAS(keep, X, [H])[2]) is tuple
    assert type(polyrnn.rnn(keep, X, [H])[2]) is list


@looped_and_unrolled
def test_rule_5_it_lets_a_state_change_its_dtype(unroll: bool) -> None:
    def step(x: Any, states: Any) -> Any:
        return x, [tf.cast(states[0], tf.float64)]

    assert KERAS(step, X, [H], unroll=unroll)[2][0].dtype == tf.float64
    with pytest.raises(ValueError, match=r"^state \[0\]: step returned float64 \(2, 4\) for"):
        polyrnn.rnn(step, X, [H], unroll=unroll)


def test_rule_5_unrolled_it_lets_states_appear() -> None:
    def step(x: Any, states: Any) -> Any:
        return x, [H, *states]

    assert len(KERAS(step, X, [H], unroll=True)[2]) == 4
    with pytest.raises(ValueError, match=r"^new_states: step returned \[\*, \*\] for 1 state$"):
        polyrnn.rnn(step, X, [H], unroll=True)


def test_rule_10_looped_it_calls_the_step_once_more() -> None:
    met = []

    def step(x: Any, states: Any) -> Any:
        met.append(x)
        return keep(x, states)

    KERAS(step, X, [H])
    assert len(met) == 4
    polyrnn.rnn(step, X, [H])
    assert len(met) == 4 + 3


@pytest.mark.parametrize("shape", [(2, 3, 4), (1, 3)])
def test_rule_11_it_takes_masks_of_other_shapes(shape: tuple[int, ...]) -> None:
    mask = tf.ones(shape, tf.bool)
    KERAS(keep, X, [H], mask=mask)
    with pytest.raises(ValueError, match=r"^mask: expected shape \(2, 3\) or \(2, 3, 1\)"):
        polyrnn.rnn(keep, X, [H], mask=mask)


@looped_and_unrolled
def test_rule_13_it_masks_without_states(unroll: bool) -> None:
    KERAS(keep, X, [], mask=MASK, unroll=unroll)
    with pytest.raises(ValueError, match=r"^mask: expected initial_states, which masked"):
        polyrnn.rnn(keep, X, [], mask=MASK, unroll=unroll)


def test_rule_13_masked_it_gives_a_batch_to_a_state_without_one() -> None:
    state = tf.zeros(())
    assert KERAS(keep, X, [state], mask=MASK)[2][0].shape == (2, 1)
    assert polyrnn.rnn(keep, X, [state], mask=MASK)[2][0].shape == ()


@looped_and_unrolled
def test_rule_14_its_gradients_are_nan_where_padding_is(unroll: bool) -> None:
    padded = tf.where(MASK[..., None], X / 24, np.nan)
    kernel = tf.ones((4, 4))

    def step(x: Any, states: Any) -> Any:
        h = tf.tanh(x @ kernel)
        return h, [h]

    gradients = []
    for rnn in (KERAS, polyrnn.rnn):
        with tf.GradientTape() as tape:
            tape.watch(kernel)
            last = rnn(step, padded, [H], mask=MASK, unroll=unroll)[0]
        gradients.append(tape.gradient(last, kernel).numpy())
    assert np.isnan(gradients[0]).all()
    assert np.isfinite(gradients[1]).all()


def test_rule_15_it_fails_at_lengths_of_int64() -> None:
    lengths = tf.constant([1, 2], tf.int64)
    with pytest.raises(tf.errors.InvalidArgumentError, match="int64"):
        KERAS(keep, X, [H], input_length=lengths)
    last = polyrnn.rnn(keep, X, [H], input_length=lengths)[0]
    np.testing.assert_array_equal(last, [X[0, 0], X[1, 1]])


def test_rule_15_it_ignores_lengths_in_an_array() -> None:
    lengths = np.array([1, 2])
    np.testing.assert_array_equal(KERAS(keep, X, [H], input_length=lengths)[0], X[:, -1])
    last = polyrnn.rnn(keep, X, [H], input_length=lengths)[0]
    np.testing.assert_array_equal(last, [X[0, 0], X[1, 1]])


def test_rule_15_it_takes_a_length_beyond_time() -> None:
    KERAS(keep, X, [H], input_length=99)
    with pytest.raises(ValueError, match=r"^input_length: expected 1 to 3, got 99$"):
        polyrnn.rnn(keep, X, [H], input_length=99)


def test_rule_16_it_fails_at_a_mask_in_a_list() -> None:
    mask = MASK.numpy().tolist()
    with pytest.raises(AttributeError, match="'list' object has no attribute 'dtype'"):
        KERAS(keep, X, [H], mask=mask)
    last = polyrnn.rnn(keep, X, [H], mask=mask)[0]
    np.testing.assert_array_equal(last, [X[0, 1], X[1, 0]])
