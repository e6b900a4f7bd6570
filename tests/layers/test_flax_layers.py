"""Test that cells of flax.nnx run by polyrnn give the results of flax.nnx.RNN."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import polyrnn

BATCH, TIME, FEATURES, UNITS = 3, 6, 4, 5
LENGTHS = jnp.array([6, 2, 4])
CELLS: dict[str, Callable[..., Any]] = {
    "LSTMCell": nnx.LSTMCell,
    "OptimizedLSTMCell": nnx.OptimizedLSTMCell,
    "GRUCell": nnx.GRUCell,
    "SimpleCell": nnx.SimpleCell,
}


def step_of(cell: Any) -> Callable[[Any, Any], Any]:
    def step(x: Any, states: Any) -> Any:
        carry, output = cell(states[0], x)
        return output, [carry]

    return step


@pytest.fixture(params=CELLS, name="cell")
def make_cell(request: pytest.FixtureRequest) -> Any:
    return CELLS[request.param](FEATURES, UNITS, rngs=nnx.Rngs(0))


def inputs() -> jax.Array:
    return jax.random.normal(jax.random.key(2), (BATCH, TIME, FEATURES))


def carry_of(cell: Any) -> Any:
    return cell.initialize_carry((BATCH, FEATURES), nnx.Rngs(1))


def assert_close(ours: Any, theirs: Any) -> None:
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_a_cell_is_an_rnn(cell: Any) -> None:
    carry = carry_of(cell)

    _, outputs, states = polyrnn.rnn(step_of(cell), inputs(), [carry])

    expected = nnx.RNN(cell, return_carry=True)(inputs(), initial_carry=carry)
    assert_close((states[0], outputs), expected)


def test_lengths_are_seq_lengths(cell: Any) -> None:
    carry = carry_of(cell)

    _, outputs, states = polyrnn.rnn(step_of(cell), inputs(), [carry], input_length=LENGTHS)

    their_carry, their_outputs = nnx.RNN(cell, return_carry=True)(
        inputs(), initial_carry=carry, seq_lengths=LENGTHS
    )
    assert_close(states[0], their_carry)
    valid = np.arange(TIME) < np.asarray(LENGTHS)[:, None]
    assert_close(np.asarray(outputs)[valid], np.asarray(their_outputs)[valid])


def test_backwards_is_reverse(cell: Any) -> None:
    carry = carry_of(cell)

    _, outputs, states = polyrnn.rnn(step_of(cell), inputs(), [carry], go_backwards=True)

    expected = nnx.RNN(cell, reverse=True, return_carry=True)(inputs(), initial_carry=carry)
    assert_close((states[0], outputs), expected)


def test_backwards_in_time_order_is_keep_order(cell: Any) -> None:
    carry = carry_of(cell)

    _, outputs, states = polyrnn.rnn(
        step_of(cell), inputs(), [carry], go_backwards=True, input_length=LENGTHS
    )

    their_carry, their_outputs = nnx.RNN(cell, reverse=True, keep_order=True, return_carry=True)(
        inputs(), initial_carry=carry, seq_lengths=LENGTHS
    )
    assert_close(states[0], their_carry)
    valid = np.arange(TIME) < np.asarray(LENGTHS)[:, None]
    assert_close(np.asarray(outputs)[:, ::-1][valid], np.asarray(their_outputs)[valid])
