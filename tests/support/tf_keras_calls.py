"""Run one call by polyrnn on TensorFlow and by tf_keras."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras
from departures import DEPARTURES, FLOAT
from hypothesis import assume
from hypothesis import strategies as st

import polyrnn
from polyrnn_conformance.calls import Call
from polyrnn_conformance.comparing import Result
from polyrnn_conformance.random_calls import RandomCall, random_calls
from polyrnn_conformance.random_steps import Leaf
from polyrnn_conformance.trees import (
    children,
    is_node,
    leaves_of,
    map_leaves,
    skeleton,
    with_children,
)

DTYPES = ("float32", "float64", "int32", "bool", "complex64")
MASK_DTYPES = ("bool", "int32", "float32")


def ask_polyrnn(call: Call) -> Result:
    """Return the results of polyrnn for a call."""
    return _run(polyrnn.rnn, call, backend="tensorflow")


def ask_tf_keras(call: Call) -> Result:
    """Return the results of tf_keras for a call, with its tuple of new states as a list."""
    return _run(tf_keras.backend.rnn, call)


def _run(rnn: Callable[..., Any], call: Call, **keywords: Any) -> Result:
    made = call.step(polyrnn.namespace(tf.zeros(())), *_tensors(call.weights))

    def step(x: Any, states: Any) -> Any:
        # tf_keras gives a tuple, which steps of the suite do not accept.
        return made(x, list(states))

    arguments = {name: _tensors(value) for name, value in call.arguments().items()}
    last, outputs, states = rnn(step, **arguments, **keywords)
    results = (last, outputs, list(states))
    leaves = [leaf.numpy() for leaf in leaves_of(results)]
    return Result(skeleton(results), leaves, [leaf.dtype.name for leaf in leaves])


def _tensors(tree: Any) -> Any:
    return map_leaves(
        lambda leaf: tf.convert_to_tensor(leaf) if isinstance(leaf, np.ndarray) else leaf, tree
    )


@st.composite
def calls(draw: Callable[..., Any], *, unroll: bool) -> RandomCall:
    """Draw a call that tf_keras supports and that no departure affects.

    Args:
        draw: The function that hypothesis provides.
        unroll: Whether to unroll the loop.
    """
    drawn = replace(
        draw(random_calls(DTYPES)),
        reset=None,
        has_reset_states=False,
        has_initial_output=False,
        truncate_every=None,
        checkpoint_every=None,
    )
    call = _shared(drawn, draw(st.sampled_from(MASK_DTYPES)), unroll)
    if draw(st.integers(0, 3)):
        # Otherwise departures would affect most calls.
        call = _plainer(call, unroll)
    assume(not any(departure.meets(call) for departure in DEPARTURES.values()))
    return call


def _shared(call: RandomCall, mask_dtype: str, unroll: bool) -> RandomCall:
    """Return a call with only tensors in lists and tuples, as the text of tf_keras requires."""
    constants = call.constants
    if not isinstance(constants, list | tuple | None):
        constants = [constants]
    return replace(
        call,
        constants=constants,
        flags=call.flags | {"unroll"} if unroll else call.flags - {"unroll"},
        lengths_as="int" if call.lengths_as == "int" else "tensor",
        mask_as=(mask_dtype, call.mask_as[1], "tensor"),
        on_host=frozenset(),
        returned_as=call.returned_as.replace("bare", "list"),
        states_as=call.states_as.replace("bare", "list"),
    )


def _plainer(call: RandomCall, unroll: bool) -> RandomCall:
    inputs, outputs = _without_none(call.inputs), _without_none(call.outputs)
    if unroll:
        inputs = leaves_of(inputs) if is_node(inputs) else inputs
        outputs = leaves_of(outputs)[0]
    return replace(
        call,
        inputs=inputs,
        states=tuple(map_leaves(_deeper, _without_none(state)) for state in call.states),
        outputs=map_leaves(_deeper, outputs),
    )


def _without_none(tree: Any) -> Any:
    if tree is None:
        return FLOAT
    if not is_node(tree):
        return tree
    return with_children(tree, [_without_none(child) for child in children(tree)])


def _deeper(leaf: Leaf) -> Leaf:
    return replace(leaf, axes=leaf.axes or (3,), batched=True)
