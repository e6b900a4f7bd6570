"""Test that a graph executes the step, its random numbers and effects, once for each time step."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import polyrnn

BATCH, TIME, WIDTH = 2, 6, 4
X = tf.ones((BATCH, TIME, WIDTH))
H = tf.zeros((BATCH, WIDTH))
MASK = tf.constant([[True] * 6, [False, True, True, False, True, True]])

KNOWN = [tf.TensorSpec((BATCH, TIME, WIDTH)), tf.TensorSpec((BATCH, TIME), tf.bool)]
UNKNOWN = [tf.TensorSpec((None, None, WIDTH)), tf.TensorSpec((None, None), tf.bool)]
OPEN = [tf.TensorSpec((None, None, None)), tf.TensorSpec((None, None), tf.bool)]
SIGNATURES = pytest.mark.parametrize(
    "signature", [KNOWN, UNKNOWN, OPEN], ids=["known", "unknown", "features-unknown"]
)
ARGUMENTS: dict[str, dict[str, Any]] = {
    "all-outputs": {},
    "last-only": {"return_all_outputs": False},
    "backwards": {"go_backwards": True},
}

Draw = Callable[[Any, Any], tuple[Any, Any]]


def with_state(draw: Callable[[Any], Any]) -> Draw:
    return lambda shape, count: (draw(shape), count)


def stateless(shape: Any, count: Any) -> tuple[Any, Any]:
    return tf.random.stateless_uniform(shape, [7, count[0]]), count + 1


def draws() -> dict[str, Draw]:
    generator, seeds = tf.random.Generator.from_seed(1), keras.random.SeedGenerator(1)
    called = tf.function(lambda shape: generator.uniform(shape))
    return {
        "uniform": with_state(tf.random.uniform),
        "normal": with_state(tf.random.normal),
        "generator": with_state(generator.uniform),
        "generator-in-a-function": with_state(called),
        "seed-generator": with_state(lambda shape: keras.random.uniform(shape, seed=seeds)),
        "stateless": stateless,
    }


@pytest.mark.parametrize("masked", [False, True], ids=["plain", "masked"])
@pytest.mark.parametrize("name", draws())
@SIGNATURES
def test_no_random_number_is_drawn_twice(name: str, signature: Any, masked: bool) -> None:
    tf.random.set_seed(3)
    draw = draws()[name]

    @tf.function(input_signature=signature)
    def graph(x: Any, mask: Any) -> Any:
        def step(x: Any, states: list[Any]) -> Any:
            drawn, count = draw(tf.shape(x), states[0])
            return x + drawn, [count]

        count = tf.zeros(tf.shape(x)[:1], tf.int32)
        return polyrnn.rnn(step, x, [count], mask=mask if masked else None)[1]

    values = graph(X, tf.ones_like(MASK)).numpy()
    assert len(np.unique(values)) == values.size


@SIGNATURES
def test_masks_of_dropout_differ_from_step_to_step(signature: Any) -> None:
    tf.random.set_seed(3)
    wide = tf.ones((BATCH, TIME, 64))
    specs = signature if signature[0].shape[-1] is None else [None, signature[1]]
    specs[0] = specs[0] or tf.TensorSpec((*signature[0].shape[:2], 64))

    @tf.function(input_signature=specs)
    def graph(x: Any, mask: Any) -> Any:
        def step(x: Any, states: list[Any]) -> Any:
            return tf.nn.dropout(x, 0.5), states

        return polyrnn.rnn(step, x, [tf.zeros_like(x[:, 0])], mask=mask)[1]

    values = graph(wide, tf.ones_like(MASK)).numpy()
    assert len(np.unique(values.reshape(-1, 64), axis=0)) == BATCH * TIME


class Effects:
    """The side effects of a step."""

    def __init__(self) -> None:
        self.variable = tf.Variable(0)
        self.calls = 0
        self.generator = tf.random.Generator.from_seed(1)
        self.queue: Any = tf.queue.FIFOQueue(100, tf.int32)

    def in_python(self, x: Any) -> Any:
        self.calls += 1
        return x

    def states(self) -> list[Any]:
        return [int(self.variable), self.calls, int(self.queue.size()), self.generator.state]


def assign(effects: Effects, x: Any) -> Any:
    effects.variable.assign_add(1)
    return x


def assign_and_read(effects: Effects, x: Any) -> Any:
    return x[: tf.minimum(effects.variable.assign_add(1), 0) + tf.shape(x)[0]]


def call_python(effects: Effects, x: Any) -> Any:
    return tf.py_function(effects.in_python, [x], x.dtype)


def call_python_and_say_the_shape(effects: Effects, x: Any) -> Any:
    return tf.ensure_shape(call_python(effects, x), x.shape)


def enqueue(effects: Effects, x: Any) -> Any:
    effects.queue.enqueue(1)
    return x


def draw(effects: Effects, x: Any) -> Any:
    return x + effects.generator.normal(tf.shape(x))


def branch(effects: Effects, x: Any) -> Any:
    return tf.cond(tf.reduce_sum(x) > 0, lambda: draw(effects, x), lambda: x)


def call(effects: Effects, x: Any) -> Any:
    return tf.function(lambda x: draw(effects, assign(effects, x)))(x)


DOINGS = {
    doing.__name__: doing
    for doing in (
        assign,
        assign_and_read,
        call_python,
        call_python_and_say_the_shape,
        enqueue,
        draw,
        branch,
        call,
    )
}


@pytest.mark.parametrize("arguments", ARGUMENTS.values(), ids=ARGUMENTS)
@pytest.mark.parametrize("masked", [False, True], ids=["plain", "masked"])
@pytest.mark.parametrize("doing", DOINGS.values(), ids=DOINGS)
@SIGNATURES
def test_an_effect_takes_place_once_at_each_time_step(
    doing: Any, signature: Any, masked: bool, arguments: dict[str, Any]
) -> None:
    def run(effects: Effects, x: Any, mask: Any) -> Any:
        def step(x: Any, states: list[Any]) -> Any:
            y = doing(effects, x)
            return y, [states[0] + 1]

        count = tf.zeros(tf.shape(x)[:1])
        return polyrnn.rnn(step, x, [count], mask=mask if masked else None, **arguments)

    expected, given = Effects(), Effects()
    last, outputs, (count,) = run(expected, X, MASK)
    graph = tf.function(lambda x, mask: run(given, x, mask), input_signature=signature)
    by_graph = graph(X, MASK)
    for one, other in zip([last, outputs, count], tf.nest.flatten(by_graph), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-6)
    for one, other in zip(given.states(), expected.states(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_is_printed_is_printed_once_at_each_time_step(tmp_path: Any) -> None:
    path = tmp_path / "printed"

    @tf.function(input_signature=UNKNOWN)
    def graph(x: Any, mask: Any) -> Any:
        def step(x: Any, states: list[Any]) -> Any:
            tf.print("step", output_stream=f"file://{path}")
            return x, states

        return polyrnn.rnn(step, x, [tf.zeros_like(x[:, 0])], mask=mask)[1]

    graph(X, MASK)
    assert path.read_text().split() == ["step"] * TIME


@pytest.mark.parametrize("arguments", ARGUMENTS.values(), ids=ARGUMENTS)
@SIGNATURES
def test_compiled_by_xla_a_generator_advances_as_far(
    signature: Any, arguments: dict[str, Any]
) -> None:
    def run(generator: Any, x: Any, mask: Any) -> Any:
        def step(x: Any, states: list[Any]) -> Any:
            return x + generator.uniform(tf.shape(x)), states

        return polyrnn.rnn(step, x, [tf.zeros_like(x[:, 0])], mask=mask, **arguments)[1]

    # The numbers themselves differ from those of a CPU.
    one, other = tf.random.Generator.from_seed(1), tf.random.Generator.from_seed(1)
    run(one, X, MASK)
    graph = tf.function(
        lambda x, mask: run(other, x, mask), input_signature=signature, jit_compile=True
    )
    values = graph(X, tf.ones_like(MASK)).numpy()
    assert len(np.unique(values)) == values.size
    np.testing.assert_array_equal(one.state, other.state)


@pytest.mark.parametrize("arguments", ARGUMENTS.values(), ids=ARGUMENTS)
@pytest.mark.parametrize("masked", [False, True], ids=["plain", "masked"])
@pytest.mark.parametrize("compiled", [False, True], ids=["graph", "xla"])
def test_sizes_that_only_the_step_knows(
    compiled: bool, masked: bool, arguments: dict[str, Any]
) -> None:
    weights = tf.ones((WIDTH, 7))

    def run(x: Any, mask: Any) -> Any:
        def step(x: Any, states: list[Any]) -> Any:
            rows = tf.reshape(tf.transpose(x), [-1, tf.shape(x)[0]])
            wide = tf.matmul(rows, weights[: tf.shape(rows)[0]], transpose_a=True)
            return {"wide": wide, "deep": tf.tile(x[:, None], [1, 2, 1])}, [states[0] + x]

        with tf.GradientTape() as tape:
            tape.watch(x)
            results = polyrnn.rnn(
                step, x, [tf.zeros_like(x[:, 0])], mask=mask if masked else None, **arguments
            )
            flat = tf.nest.flatten(results)
            total = tf.add_n([tf.reduce_sum(result**2) for result in flat])
        return flat, tape.gradient(total, x)

    graph = tf.function(run, input_signature=OPEN, jit_compile=compiled)
    tf.nest.map_structure(
        lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-5),
        graph(X, MASK),
        run(X, MASK),
    )


@pytest.mark.parametrize("compiled", [False, True], ids=["graph", "xla"])
@pytest.mark.parametrize("kind", ["variable", "keras"])
def test_a_step_may_make_its_variables_when_it_is_first_traced(kind: str, compiled: bool) -> None:
    class Cell(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weights: Any = None
            self.layer = keras.layers.Dense(WIDTH, kernel_initializer="ones")

        def __call__(self, x: Any, states: list[Any]) -> Any:
            if kind == "keras":
                return self.layer(x), states
            if self.weights is None:
                self.weights = tf.Variable(tf.ones((WIDTH, WIDTH)))
            return tf.matmul(x, self.weights), states

    cell = Cell()

    @tf.function(jit_compile=compiled)
    def graph(x: Any) -> Any:
        with tf.GradientTape() as tape:
            _, outputs, _ = polyrnn.rnn(cell, x, [])
            total = tf.reduce_sum(outputs)
        weights = cell.layer.kernel.value if kind == "keras" else cell.weights
        return outputs, tape.gradient(total, weights)

    for _ in range(2):
        outputs, by_weights = graph(X)
        assert (outputs.numpy() == WIDTH).all()
        assert (by_weights.numpy() == BATCH * TIME).all()


def test_in_a_v1_graph_a_step_may_make_its_variables() -> None:
    def step(x: Any, states: list[Any]) -> Any:
        with tf.compat.v1.variable_scope("cell", reuse=tf.compat.v1.AUTO_REUSE):
            weights = tf.compat.v1.get_variable(
                "w", (WIDTH, WIDTH), initializer=tf.compat.v1.ones_initializer(), use_resource=True
            )
        return tf.matmul(x, weights), states

    with tf.Graph().as_default():
        x = tf.compat.v1.placeholder(tf.float32, (None, None, WIDTH))
        _, outputs, _ = polyrnn.rnn(step, x, [])
        (variable,) = tf.compat.v1.global_variables()
        (slope,) = tf.gradients(outputs, [variable])
        with tf.compat.v1.Session() as session:
            session.run(tf.compat.v1.global_variables_initializer())
            outputs, slope = session.run([outputs, slope], {x: X.numpy()})
    assert (outputs == WIDTH).all()
    assert (slope == BATCH * TIME).all()


def test_nothing_of_the_temporary_graph_is_left_in_the_other() -> None:
    graph = tf.function(
        lambda x: polyrnn.rnn(lambda x, states: (tf.tanh(x), states), x, [])[1]
    ).get_concrete_function(KNOWN[0])
    names = [operation.name for operation in graph.graph.get_operations()]
    assert not [name for name in names if "Tanh" in name or "look_ahead" in name]
