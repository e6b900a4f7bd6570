"""Test the errors for composite tensors of TensorFlow, which say what to pass instead."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import polyrnn

X, H = tf.ones((2, 3, 4)), tf.zeros((2, 4))
NOT_ONE = "which cannot be made one of tensorflow: TypeError: "

KINDS: dict[str, tuple[Callable[[], Any], str]] = {
    "ragged": (
        lambda: tf.RaggedTensor.from_tensor(X),
        f"tensorflow.python.ops.ragged.ragged_tensor.RaggedTensor, {NOT_ONE}it is ragged; pass "
        "x.to_tensor() and input_length=x.row_lengths()",
    ),
    "sparse": (
        lambda: tf.sparse.from_dense(X),
        f"tensorflow.python.framework.sparse_tensor.SparseTensor, {NOT_ONE}it is sparse; pass "
        "tf.sparse.to_dense(x)",
    ),
    "symbolic": (
        lambda: keras.KerasTensor((2, 3, 4)),
        "keras.src.backend.common.keras_tensor.KerasTensor, which no installed backend knows "
        f"(there are {', '.join(status.name for status in polyrnn.backends())}); it has no "
        "values: call rnn in the call method of a Keras layer",
    ),
}
kinds = pytest.mark.parametrize(("make", "kind"), KINDS.values(), ids=KINDS)
graphs = pytest.mark.parametrize("graph", [False, True], ids=["eager", "graph"])


def running_sum(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
    total = states[0] + x
    return total, [total]


def refused(text: str, graph: bool, step: Any = running_sum, **arguments: Any) -> None:
    call = {"inputs": X, "initial_states": [H], "backend": "tensorflow"} | arguments

    def run() -> Any:
        return polyrnn.rnn(step, **call)[0]

    with pytest.raises(TypeError) as caught:
        (tf.function(run, autograph=False) if graph else run)()
    assert str(caught.value) == text


@graphs
@kinds
@pytest.mark.parametrize(
    ("argument", "place"),
    [
        ("inputs", "inputs"),
        ("initial_states", "initial_states[0]"),
        ("constants", "constants[0]"),
        ("mask", "mask"),
        ("input_length", "input_length"),
    ],
)
def test_in_every_argument(make: Any, kind: str, argument: str, place: str, graph: bool) -> None:
    refused(f"{place}: expected a tensor, got {kind}", graph, **{argument: make()})


@graphs
@kinds
def test_of_a_step(make: Any, kind: str, graph: bool) -> None:
    def step(x: Any, states: list[Any]) -> Any:
        return {"a": make()}, states

    refused(f"output ['a']: expected a tensor, got {kind}", graph, step)


def test_what_is_advised_for_a_ragged_tensor() -> None:
    x = tf.RaggedTensor.from_row_lengths(tf.ones((5, 4)), [3, 2])
    *_, (total,) = polyrnn.rnn(running_sum, x.to_tensor(), [H], input_length=x.row_lengths())
    assert np.asarray(total)[:, 0].tolist() == [3.0, 2.0]
