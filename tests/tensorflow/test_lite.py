"""Test that an unrolled call converts to TensorFlow Lite with built-in operations only."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import polyrnn

BATCH, TIME, WIDTH = 4, 5, 4
generator = np.random.default_rng(0)
X = generator.normal(size=(BATCH, TIME, WIDTH)).astype(np.float32)
W = generator.normal(size=(WIDTH, WIDTH)).astype(np.float32) / 2
# As many samples as features, so that a mask over the wrong axis has a valid shape.
MASK = np.array(
    [
        [True, True, False, False, True],
        [False, True, True, False, False],
        [True, True, True, True, True],
        [False, False, False, False, False],
    ]
)


def step(x: Any, states: list[Any]) -> Any:
    state = tf.tanh(tf.matmul(x + states[0], W))
    return 2.0 * state, [state]


def interpreted(graph: Any, *arrays: Any) -> list[Any]:
    """Convert a graph, and return the results of the interpreter for some arrays."""
    converter = tf.lite.TFLiteConverter.from_concrete_functions([graph.get_concrete_function()])
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    interpreter = tf.lite.Interpreter(model_content=converter.convert())
    places = [detail["index"] for detail in interpreter.get_input_details()]
    for place, array in zip(places, arrays, strict=True):
        interpreter.resize_tensor_input(place, array.shape)
    interpreter.allocate_tensors()
    for place, array in zip(places, arrays, strict=True):
        interpreter.set_tensor(place, array)
    interpreter.invoke()
    results = interpreter.get_output_details()
    return [interpreter.get_tensor(result["index"]) for result in results]


@pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated.*:UserWarning")
@pytest.mark.parametrize("batch", [BATCH, None], ids=["batch-known", "batch-unknown"])
@pytest.mark.parametrize("masked", [False, True], ids=["plain", "masked"])
@pytest.mark.parametrize(
    "arguments",
    [{}, {"zero_output_for_mask": True}, {"return_all_outputs": False}, {"go_backwards": True}],
    ids=str,
)
def test_an_unrolled_call_converts(
    batch: int | None, masked: bool, arguments: dict[str, Any]
) -> None:
    specs = [tf.TensorSpec((batch, TIME, WIDTH), name="x")]
    if masked:
        specs.append(tf.TensorSpec((batch, TIME), tf.bool, name="mask"))

    def run(x: Any, mask: Any = None) -> list[Any]:
        h = tf.zeros_like(x[:, 0])
        last, outputs, states = polyrnn.rnn(step, x, [h], mask=mask, unroll=True, **arguments)
        return [last, outputs, states[0]]

    arrays = [X, MASK][: len(specs)]
    given = interpreted(tf.function(run, input_signature=specs, autograph=False), *arrays)
    for values, expected in zip(given, run(*map(tf.constant, arrays)), strict=True):
        np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-6)
