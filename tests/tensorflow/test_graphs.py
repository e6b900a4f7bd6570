"""Test that every kind of graph gives the results and gradients of eager execution."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import polyrnn

BATCH, TIME, WIDTH = 2, 5, 3
generator = np.random.default_rng(0)
X = generator.normal(size=(BATCH, TIME, WIDTH)).astype(np.float32)
H = generator.normal(size=(BATCH, WIDTH)).astype(np.float32)
W = generator.normal(size=(WIDTH, WIDTH)).astype(np.float32) / 2
MASK = np.array([[False, True, True, False, True], [True, True, False, False, False]])
PADDED = np.where(MASK[..., None], X, np.nan).astype(np.float32)


def recurrence(x: Any, h: Any, w: Any, mask: Any = None, /, **arguments: Any) -> list[Any]:
    """Run a small recurrence whose output is not its state."""

    def step(x: Any, states: list[Any]) -> Any:
        h = tf.tanh(tf.matmul(x, states[2]) + states[0])
        return {"wide": tf.concat([h, x], 1), "count": states[1]}, [h, states[1] + 1]

    count = tf.zeros_like(h[:, 0])
    last, outputs, states = polyrnn.rnn(step, x, [h, count], constants=[w], mask=mask, **arguments)
    return [*last.values(), *outputs.values(), *states]


def gradients(x: Any, h: Any, w: Any, mask: Any = None, **arguments: Any) -> Any:
    with tf.GradientTape() as tape:
        tape.watch([x, h, w])
        results = recurrence(x, h, w, mask, **arguments)
        total = tf.add_n([tf.reduce_sum(r) * (p + 1) for p, r in enumerate(results)])
    return tape.gradient(total, [x, h, w])


def tensors(*arrays: Any) -> tuple[Any, ...]:
    return tuple(tf.constant(array) for array in arrays)


def assert_close(given: Any, expected: Any) -> None:
    assert len(given) == len(expected)
    for g, e in zip(given, expected, strict=True):
        assert np.isfinite(e).all()
        np.testing.assert_allclose(g, e, rtol=1e-4, atol=1e-5)


UNKNOWN = [
    tf.TensorSpec((None, None, WIDTH)),
    tf.TensorSpec((None, WIDTH)),
    tf.TensorSpec((None, None)),
    tf.TensorSpec((None, None), tf.bool),
]
COMPILERS: dict[str, Callable[[Any], Any]] = {
    "function": tf.function,
    "reduce-retracing": lambda f: tf.function(f, reduce_retracing=True),
    "unknown": lambda f: tf.function(f, input_signature=UNKNOWN),
    "xla": lambda f: tf.function(f, jit_compile=True),
    "xla-unknown": lambda f: tf.function(f, input_signature=UNKNOWN, jit_compile=True),
}
ARGUMENTS: dict[str, dict[str, Any]] = {
    "forwards": {},
    "backwards": {"go_backwards": True},
    "zeros": {"zero_output_for_mask": True},
    "last-only": {"return_all_outputs": False},
    "last-only-backwards": {"return_all_outputs": False, "go_backwards": True},
}
OUTPUTS = pytest.mark.parametrize("arguments", [{}, {"return_all_outputs": False}], ids=str)


@pytest.mark.parametrize("compiler", COMPILERS.values(), ids=COMPILERS)
@pytest.mark.parametrize("arguments", ARGUMENTS.values(), ids=ARGUMENTS)
def test_graphs_agree_with_eager_execution(compiler: Any, arguments: dict[str, Any]) -> None:
    given = tensors(PADDED, H, W, MASK)

    def run(x: Any, h: Any, w: Any, mask: Any) -> Any:
        return recurrence(x, h, w, mask, **arguments), gradients(x, h, w, mask, **arguments)

    results, slopes = compiler(run)(*given)
    assert_close(results, recurrence(*given, **arguments))
    assert_close(slopes, gradients(*given, **arguments))


@pytest.mark.parametrize("compiler", ["unknown", "xla-unknown"])
@pytest.mark.parametrize("time", [1, 2])
@OUTPUTS
def test_gradients_agree_however_few_steps_an_unknown_time_turns_out_to_be(
    compiler: str, time: int, arguments: dict[str, Any]
) -> None:
    given = tensors(PADDED[:, :time], H, W, MASK[:, :time])
    graph = COMPILERS[compiler](lambda *given: gradients(*given, **arguments))
    assert_close(graph(*given), gradients(*given, **arguments))


@OUTPUTS
def test_the_gradient_of_a_step_is_not_as_large_as_the_inputs(arguments: dict[str, Any]) -> None:
    graph = tf.function(lambda x, h, w: gradients(x, h, w, **arguments))
    concrete = graph.get_concrete_function(*tensors(X, H, W))
    definition = concrete.graph.as_graph_def()
    types = {node.op for function in definition.library.function for node in function.node_def}
    # These operations would copy the list of all steps, at each step.
    assert not types & {"TensorListReserve", "TensorListSetItem"}
    assert {"TensorListPopBack", "TensorListPushBack", "MatMul"} <= types


@OUTPUTS
def test_inputs_are_copied_only_where_outputs_are_kept(arguments: dict[str, Any]) -> None:
    graph = tf.function(lambda x, h, w: recurrence(x, h, w, time_major=True, **arguments))
    concrete = graph.get_concrete_function(*tensors(X, H[:1].repeat(TIME, 0), W))
    types = {node.op for node in concrete.graph.as_graph_def().node}
    assert ("TensorListFromTensor" in types) == ("ReverseV2" in types) == (not arguments)


@pytest.mark.parametrize("compiled", [False, True], ids=["graph", "xla"])
@OUTPUTS
def test_gradients_of_gradients_agree(compiled: bool, arguments: dict[str, Any]) -> None:
    def norm_of_gradient(x: Any, h: Any, w: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch([x, h, w])
            total = tf.add_n([tf.reduce_sum(g**2) for g in gradients(x, h, w, **arguments)])
        return tape.gradient(total, [x, h, w])

    given = tensors(X, H, W)
    graph = tf.function(norm_of_gradient, jit_compile=compiled)
    assert_close(graph(*given), norm_of_gradient(*given))


def lstm(x: Any, w: Any, mask: Any, **arguments: Any) -> Any:
    def step(x: Any, states: list[Any]) -> Any:
        h, c = states
        gates = tf.matmul(tf.concat([x, h], 1), w)
        keep, add, put, new = tf.split(gates, 4, 1)
        c = tf.sigmoid(keep) * c + tf.sigmoid(add) * tf.tanh(new)
        h = tf.sigmoid(put) * tf.tanh(c)
        return h, [h, c]

    zeros = tf.zeros_like(x[:, 0])
    outputs = polyrnn.rnn(step, x, [zeros, zeros], mask=mask, **arguments)[1]
    return tf.reduce_sum(outputs**2)


def inside(x: Any, w: Any, mask: Any) -> Any:
    @tf.function(jit_compile=True)
    def slope(x: Any, mask: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = lstm(x, w, mask)
        return tape.gradient(loss, w)

    return slope(x, mask)


def outside(compiled: Callable[..., Any]) -> Callable[..., Any]:
    def slope(x: Any, w: Any, mask: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = compiled(x, w, mask)
        return tape.gradient(loss, w)

    return slope


TRAINING = {
    "tape-inside": inside,
    "tape-outside-unrolled": outside(
        tf.function(lambda x, w, mask: lstm(x, w, mask, unroll=True), jit_compile=True)
    ),
    "tape-outside-recomputed": outside(
        tf.function(
            lambda x, w, mask: tf.recompute_grad(lambda x: lstm(x, w, mask))(x), jit_compile=True
        )
    ),
}


@pytest.mark.parametrize("slope", TRAINING.values(), ids=TRAINING)
def test_the_forms_in_which_xla_compiles_what_is_trained(slope: Any) -> None:
    x, mask = tensors(PADDED, MASK)
    w = tf.Variable(np.tile(np.concatenate([W, W]), 4))
    assert_close([slope(x, w, mask)], [outside(lstm)(x, w, mask)])


def test_in_a_v1_graph_with_placeholders_and_variables() -> None:
    with tf.Graph().as_default():
        x = tf.compat.v1.placeholder(tf.float32, (None, None, WIDTH))
        h = tf.compat.v1.get_variable("h", initializer=H, use_resource=False)
        w = tf.compat.v1.get_variable("w", initializer=W, use_resource=True)
        mask = tf.compat.v1.get_variable("mask", initializer=MASK, trainable=False)
        results = recurrence(x, h, w, mask)
        slopes = tf.gradients(tf.add_n([tf.reduce_sum(r) for r in results]), [x, h, w])
        with tf.compat.v1.Session() as session:
            session.run(tf.compat.v1.global_variables_initializer())
            given, given_slopes = session.run([results, slopes], {x: PADDED})
    assert_close(given, recurrence(*tensors(PADDED, H, W, MASK)))
    with tf.GradientTape() as tape:
        variables = [x, h, w] = tensors(PADDED, H, W)
        tape.watch(variables)
        results = recurrence(x, h, w, tf.constant(MASK))
        total = tf.add_n([tf.reduce_sum(r) for r in results])
    assert_close(given_slopes, tape.gradient(total, variables))


def test_in_a_program_that_behaves_as_in_version_1() -> None:
    program = """
import sys
import numpy as np
import tensorflow as tf
import polyrnn

tf.compat.v1.disable_v2_behavior()
x = tf.compat.v1.placeholder(tf.float32, (None, None, 3))
h = tf.compat.v1.get_variable("h", (2, 3), initializer=tf.compat.v1.ones_initializer())
mask = tf.constant([[True, True, False], [True, False, True]])

def step(x, states):
    return x * states[0], [x + states[0]]

_, outputs, _ = polyrnn.rnn(step, x, [h], mask=mask)
by_h, = tf.gradients(tf.reduce_sum(outputs), [h])
assert not tf.compat.v1.control_flow_v2_enabled()
with tf.compat.v1.Session() as session:
    session.run(tf.compat.v1.global_variables_initializer())
    outputs, by_h = session.run([outputs, by_h], {x: np.full((2, 3, 3), 2.0)})
print(outputs[..., 0].tolist(), by_h[:, 0].tolist())
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[[2.0, 6.0, 6.0], [2.0, 2.0, 6.0]] [6.0, 6.0]"


@pytest.mark.parametrize("taken", [True, False])
@pytest.mark.parametrize("compiled", [False, True], ids=["graph", "xla"])
def test_in_the_branches_of_a_cond(taken: bool, compiled: bool) -> None:
    @tf.function(jit_compile=compiled)
    def graph(taken: Any, x: Any, h: Any, w: Any, mask: Any) -> Any:
        return tf.cond(
            taken,
            lambda: recurrence(x, h, w, mask),
            lambda: recurrence(x, h, w, mask, go_backwards=True),
        )

    given = tensors(PADDED, H, W, MASK)
    assert_close(graph(tf.constant(taken), *given), recurrence(*given, go_backwards=not taken))


def test_within_another_loop_of_the_graph() -> None:
    @tf.function
    def graph(x: Any, h: Any, w: Any) -> Any:
        for _ in tf.range(2):
            h = recurrence(x, h, w)[-2]
        return [h]

    given = tensors(X, H, W)
    once = recurrence(*given)[-2]
    assert_close(graph(*given), [recurrence(given[0], once, given[2])[-2]])


def test_within_the_step_of_another_recurrence() -> None:
    def outer(x: Any, h: Any, w: Any) -> list[Any]:
        def step(x: Any, states: list[Any]) -> Any:
            h = recurrence(tf.stack([x, -x], 1), states[0], w)[-2]
            return h, [h]

        last, outputs, _ = polyrnn.rnn(step, x, [h])
        return [last, outputs]

    given = tensors(X, H, W)
    assert_close(tf.function(outer)(*given), outer(*given))


def test_mapped_over_by_vectorized_map() -> None:
    x, h, w = tensors(np.stack([X, -X]), np.stack([H, H]), W)
    mapped = tf.vectorized_map(lambda entry: recurrence(entry[0], entry[1], w)[:4], (x, h))
    each = [recurrence(x[position], h[position], w)[:4] for position in range(2)]
    assert_close(mapped, [tf.stack(pair) for pair in zip(*each, strict=True)])


def test_the_jacobian_agrees() -> None:
    def jacobian(x: Any, h: Any, w: Any) -> Any:
        with tf.GradientTape(persistent=True) as tape:
            tape.watch([x, h, w])
            last = recurrence(x, h, w)[0]
        return tape.jacobian(last, [x, h, w])

    given = tensors(X, H, W)
    assert_close(tf.function(jacobian)(*given), jacobian(*given))


def test_a_saved_model_serves_any_batch_and_time(tmp_path: Path) -> None:
    class Model(tf.Module):
        def __init__(self) -> None:
            self.weights = tf.Variable(W)
            self.states = [tf.Variable(H[:1])]

        @tf.function(input_signature=[UNKNOWN[0], UNKNOWN[3]])
        def __call__(self, x: Any, mask: Any) -> Any:
            h = tf.repeat(self.states[0], tf.shape(x)[0], axis=0)
            return recurrence(x, h, self.weights, mask)

    tf.saved_model.save(Model(), tmp_path)
    served = tf.saved_model.load(tmp_path)
    for batch, time in ((1, 1), (2, 4)):
        x, mask = tensors(PADDED[:batch, :time], MASK[:batch, :time])
        h = tf.repeat(tf.constant(H[:1]), batch, axis=0)
        assert_close(served(x, mask), recurrence(x, h, tf.constant(W), mask))


def test_on_the_elements_of_a_dataset() -> None:
    lengths = [3, 5, 1]
    rows = tf.data.Dataset.from_generator(
        lambda: (X[0, :length] for length in lengths),
        output_signature=tf.TensorSpec((None, WIDTH)),
    )
    batches = rows.padded_batch(3, padding_values=float("nan")).map(
        lambda x: recurrence(x, tf.zeros_like(x[:, 0]), W, ~tf.math.is_nan(x[..., 0]))[-1]
    )
    assert next(iter(batches)).numpy().tolist() == lengths
