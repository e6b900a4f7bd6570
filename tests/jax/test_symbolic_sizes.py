"""Test that batch and time may be symbolic sizes of `jax.export`, also as the length."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

import polyrnn

BATCH, TIME, FEATURES = 4, 5, 3
INPUTS = np.sin(np.arange(BATCH * TIME * FEATURES, dtype=np.float32)).reshape(BATCH, TIME, -1)
STATE = np.cos(np.arange(BATCH * FEATURES, dtype=np.float32)).reshape(BATCH, -1)
MASK = np.arange(BATCH * TIME).reshape(BATCH, TIME) % 3 > 0
LENGTHS = np.array([1, 2, 5, 3], np.int32)


def _step(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
    new = jnp.tanh(x + states[0])
    return {"new": new, "sum": new.sum(-1)}, [new]


CALLS: dict[str, Any] = {
    "plain": lambda x, state, mask, lengths: polyrnn.rnn(_step, x, [state]),
    "backwards": lambda x, state, mask, lengths: polyrnn.rnn(_step, x, [state], go_backwards=True),
    "masked": lambda x, state, mask, lengths: polyrnn.rnn(_step, x, [state], mask=mask),
    "masked-backwards": lambda x, state, mask, lengths: polyrnn.rnn(
        _step, x, [state], mask=mask, go_backwards=True, zero_output_for_mask=True
    ),
    "lengths": lambda x, state, mask, lengths: polyrnn.rnn(_step, x, [state], input_length=lengths),
    "whole-length": lambda x, state, mask, lengths: polyrnn.rnn(
        _step, x, [state], input_length=x.shape[1]
    ),
    "length-of-mask": lambda x, state, mask, lengths: polyrnn.rnn(
        _step, x, [state], input_length=mask.shape[1]
    ),
    "shorter-length": lambda x, state, mask, lengths: polyrnn.rnn(
        _step, x, [state], input_length=x.shape[1] - 1
    ),
    "last-only": lambda x, state, mask, lengths: polyrnn.rnn(
        _step, x, [state], return_all_outputs=False
    ),
    "gradient": lambda x, state, mask, lengths: jax.grad(
        lambda x: sum(
            leaf.sum()
            for leaf in jax.tree_util.tree_leaves(polyrnn.rnn(_step, x, [state], mask=mask))
        )
    )(x),
}


@pytest.mark.parametrize("sizes", ["batch, time", f"{BATCH}, time", f"batch, {TIME}"])
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_sizes_may_be_symbols(call: Any, sizes: str) -> None:
    batch, time = export.symbolic_shape(sizes)
    exported = export.export(jax.jit(call))(
        jax.ShapeDtypeStruct((batch, time, FEATURES), "float32"),
        jax.ShapeDtypeStruct((batch, FEATURES), "float32"),
        jax.ShapeDtypeStruct((batch, time), "bool"),
        jax.ShapeDtypeStruct((batch,), "int32"),
    )
    arguments = (INPUTS, STATE, MASK, LENGTHS)
    jax.tree_util.tree_map(
        lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6),
        exported.call(*arguments),
        call(*map(jnp.asarray, arguments)),
    )


def test_a_symbolic_batch_may_be_unrolled() -> None:
    (batch,) = export.symbolic_shape("batch")
    exported = export.export(
        jax.jit(lambda x: polyrnn.rnn(lambda x, _: (x, []), x, [], unroll=True))
    )(jax.ShapeDtypeStruct((batch, TIME, FEATURES), "float32"))
    np.testing.assert_array_equal(exported.call(INPUTS)[1], INPUTS)


def test_symbolic_time_cannot_be_unrolled() -> None:
    (time,) = export.symbolic_shape("time")
    shape = jax.ShapeDtypeStruct((BATCH, time, FEATURES), "float32")
    with pytest.raises(ValueError, match="unroll: expected a time axis of static length"):
        export.export(jax.jit(lambda x: polyrnn.rnn(lambda x, _: (x, []), x, [], unroll=True)))(
            shape
        )
