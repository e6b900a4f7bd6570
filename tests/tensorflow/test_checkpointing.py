"""Test `checkpoint_every`: the same values and gradients in less memory, or a refusal."""

from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from sampling import one_of
from training_memory import training_figures

import polyrnn

BATCH, TIME, DEPTH, WIDTH = 2, 11, 3, 12
RANDOM = np.random.default_rng(0)


def normal(*shape: int) -> Any:
    return tf.constant(RANDOM.normal(size=shape) * 0.5)


X = normal(BATCH, TIME, DEPTH)
MASK = tf.constant(RANDOM.random((BATCH, TIME)) > 0.3)
KERNEL = tf.Variable(normal(DEPTH, WIDTH))
FROZEN = tf.Variable(normal(WIDTH), trainable=False)
# As large as to be captured by a graph as an input, and as small as to be captured as a constant.
RECURRENT, BIAS = normal(WIDTH, WIDTH), normal(WIDTH)
CONSTANT = normal(BATCH, WIDTH)
SOURCES = [X, KERNEL, FROZEN, RECURRENT, BIAS, CONSTANT]

MODES: dict[str, Callable[[Any], Any]] = {
    "eager": lambda function: function,
    "graph": partial(tf.function, autograph=False),
    "xla": partial(tf.function, autograph=False, jit_compile=True),
    "nested": lambda function: tf.function(tf.function(function, autograph=False), autograph=False),
    "unknown batch": partial(
        tf.function,
        autograph=False,
        input_signature=[tf.TensorSpec((None, TIME, DEPTH), tf.float64)],
    ),
}
main_modes = pytest.mark.parametrize("mode", ["eager", "graph", "xla"])


def walk(x: Any, **options: Any) -> tuple[Any, Any, list[Any]]:
    """Walk with a step that uses an input, variables, tensors, and one computed before the call."""
    scaled = tf.tanh(RECURRENT) * KERNEL[0]

    def step(inputs: Any, states: list[Any]) -> tuple[Any, list[Any]]:
        hidden, count, constant = states
        hidden = tf.tanh(
            inputs["x"] @ KERNEL + hidden @ scaled + FROZEN * BIAS + constant * inputs["y"]
        )
        return {"hidden": hidden * 2, "count": count}, [hidden, count + 1]

    states = [tf.zeros_like(x[:, 0, :1]) + BIAS, tf.zeros_like(x[:, 0, :1], tf.int32)]
    if options.get("time_major"):
        x = tf.transpose(x, [1, 0, 2])
    return polyrnn.rnn(step, {"x": x, "y": x[..., :1]}, states, constants=[CONSTANT], **options)


def loss_of(x: Any, **options: Any) -> tuple[Any, Any]:
    results = walk(x, **options)
    leaves = [leaf for leaf in tf.nest.flatten(results) if leaf is not None]
    return tf.add_n([tf.reduce_sum(tf.sin(x)) for x in leaves if x.dtype.is_floating]), leaves


def trained(mode: str, loss_of: Callable[[Any], tuple[Any, Any]]) -> Any:
    def gradients(x: Any) -> Any:
        with tf.GradientTape() as tape:
            sources = [x, *SOURCES[1:]]
            tape.watch(sources)
            loss, leaves = loss_of(x)
        return leaves, tape.gradient(loss, sources, unconnected_gradients="zero")

    return MODES[mode](gradients)(X)


def assert_same(found: Any, expected: Any) -> None:
    for one, other in zip(tf.nest.flatten(found), tf.nest.flatten(expected), strict=True):
        one, other = tf.convert_to_tensor(one), tf.convert_to_tensor(other)
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


OPTIONS: list[dict[str, Any]] = [
    {},
    {"mask": MASK},
    {"go_backwards": True},
    {"mask": MASK, "go_backwards": True, "return_all_outputs": False},
    {"return_all_outputs": False},
    {"unroll": True},
    {"time_major": True, "go_backwards": True},
    {"truncate_every": 2},
]


@pytest.mark.parametrize(("options", "size"), one_of(4, product(OPTIONS, [1, 3, TIME])))
def test_eagerly_values_and_gradients_are_the_same(options: dict[str, Any], size: int) -> None:
    expected = trained("eager", partial(loss_of, **options))
    assert_same(trained("eager", partial(loss_of, checkpoint_every=size, **options)), expected)


@pytest.mark.parametrize(
    ("mode", "options"),
    one_of(
        2,
        [("graph", options) for options in OPTIONS]
        + [(mode, OPTIONS[3]) for mode in MODES if mode not in ("eager", "graph")]
        + [(mode, OPTIONS[0]) for mode in ("unknown batch", "xla")],
    ),
)
def test_in_graphs_values_and_gradients_are_the_same(options: dict[str, Any], mode: str) -> None:
    expected = trained("eager", partial(loss_of, **options))
    assert_same(trained(mode, partial(loss_of, checkpoint_every=4, **options)), expected)


def test_in_a_graph_of_version_1_gradients_are_the_same() -> None:
    arrays = [x.numpy() for x in (X, KERNEL, RECURRENT)]

    def run(size: int | None) -> Any:
        with tf.compat.v1.Graph().as_default():
            x, kernel, recurrent = map(tf.constant, arrays)
            weight = tf.compat.v1.get_variable("weight", initializer=kernel, use_resource=True)

            def step(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
                hidden = tf.tanh(x @ weight + states[0] @ recurrent)
                return hidden, [hidden]

            start = tf.zeros((BATCH, WIDTH), tf.float64)
            outputs = polyrnn.rnn(step, x, [start], checkpoint_every=size)[1]
            slopes = tf.gradients(tf.sin(outputs), [x, weight, recurrent])
            with tf.compat.v1.Session() as session:
                session.run(tf.compat.v1.global_variables_initializer())
                return session.run(slopes)

    assert_same(run(3), run(None))


def in_a_loop(x: Any, size: int | None) -> Any:
    def body(turn: Any, total: Any) -> Any:
        scale = tf.cast(turn, x.dtype)
        return turn + 1, total + loss_of(x * scale, checkpoint_every=size)[0]

    start = (tf.constant(0), tf.zeros([], x.dtype))
    return tf.while_loop(lambda turn, _: turn < 3, body, start, maximum_iterations=3)[1]


def in_a_branch(x: Any, size: int | None) -> Any:
    return tf.cond(
        tf.reduce_sum(x) > -1e9,
        lambda: loss_of(x, checkpoint_every=size)[0],
        lambda: tf.reduce_sum(x),
    )


def in_a_step(x: Any, size: int | None) -> Any:
    def step(scale: Any, states: list[Any]) -> tuple[Any, list[Any]]:
        loss = loss_of(x * tf.reduce_mean(scale), checkpoint_every=size)[0]
        return states[0] + loss, [states[0] + loss]

    scales = tf.ones((1, 3, 1), x.dtype)
    last = polyrnn.rnn(step, scales, [tf.zeros((1, 1), x.dtype)], checkpoint_every=size and 1)[0]
    return last[0, 0]


def with_integers(x: Any, size: int | None) -> Any:
    def step(place: Any, states: list[Any]) -> tuple[Any, list[Any]]:
        hidden = tf.tanh(tf.gather(KERNEL, place[:, 0]) + states[0])
        return hidden, [hidden]

    places = tf.cast(x[..., :1] > 0, tf.int32)
    return tf.reduce_sum(polyrnn.rnn(step, places, [CONSTANT], checkpoint_every=size)[0])


def with_the_same_tensor_many_times(x: Any, size: int | None) -> Any:
    start = x[:, 0]

    def step(inputs: Any, states: list[Any]) -> tuple[Any, list[Any]]:
        hidden = tf.tanh(inputs[0] + inputs[1] * states[0] + states[1] * start)
        return hidden, [states[1], hidden]

    results = polyrnn.rnn(step, (x, x), [start, start], checkpoint_every=size)
    return tf.reduce_sum(results[1] ** 2) + tf.reduce_sum(results[2][0])


def with_a_function(x: Any, size: int | None) -> Any:
    @tf.function(autograph=False)
    def step(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
        seed = tf.cast(states[0][0, :2] * 1e6, tf.int32)
        noise = tf.random.stateless_normal(x.shape, seed, dtype=x.dtype)
        hidden = tf.tanh((x + noise) @ KERNEL + states[0] @ RECURRENT)
        return hidden, [hidden]

    return tf.reduce_sum(polyrnn.rnn(step, x, [CONSTANT], checkpoint_every=size)[1] ** 2)


CALLS = [in_a_loop, in_a_branch, in_a_step, with_integers]
CALLS += [with_the_same_tensor_many_times, with_a_function]


# XLA compiles no gradient of a loop in a tf.cond whose branch reads a variable.
CALLS_IN_MODES = [
    (call, mode)
    for call, mode in product(CALLS, ("eager", "graph", "xla"))
    if (call, mode) != (in_a_branch, "xla")
]


@pytest.mark.parametrize(("call", "mode"), one_of(3, CALLS_IN_MODES))
def test_gradients_of_other_calls_are_the_same(call: Any, mode: str) -> None:
    # In the same mode, because the random numbers of XLA are others.
    expected = trained(mode, lambda x: (call(x, None), []))
    assert_same(trained(mode, lambda x: (call(x, 3), [])), expected)


@pytest.mark.parametrize("mode", ["eager", "graph"])
def test_second_derivatives_are_refused(mode: str) -> None:
    def slopes_of(x: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = loss_of(x, checkpoint_every=3)[0]
        return tf.reduce_sum(tape.gradient(loss, KERNEL) ** 2), []

    with pytest.raises(ValueError, match="checkpoint_every: gradients of gradients"):
        trained(mode, slopes_of)


@pytest.mark.parametrize("mode", ["eager", "graph"])
def test_a_tape_outside_of_the_function_gets_the_same_gradients(mode: str) -> None:
    def run(size: int | None) -> Any:
        function = MODES[mode](lambda x: loss_of(x, checkpoint_every=size)[0])
        with tf.GradientTape() as tape:
            tape.watch(SOURCES)
            loss = function(X)
        return tape.gradient(loss, SOURCES)

    assert_same(run(3), run(None))


COUNT = tf.Variable(0.0, dtype=tf.float64)
GENERATOR = tf.random.Generator.from_seed(1)


def noise() -> Any:
    return tf.random.normal((BATCH, 1), dtype=tf.float64)


UNREPEATABLE: dict[str, Callable[[Any], Any]] = {
    "RandomStandardNormal": lambda x: x + noise(),
    "RandomUniform": lambda x: tf.nn.dropout(x, 0.5),
    "RngReadAndSkip": lambda x: x + GENERATOR.normal((BATCH, 1), dtype=tf.float64),
    "AssignAddVariableOp": lambda x: x + COUNT.assign_add(1.0),
    "AssignVariableOp": lambda x: x + COUNT.assign(1.0),
}


@main_modes
@pytest.mark.parametrize("kind", UNREPEATABLE)
def test_a_step_that_cannot_be_repeated_is_refused(kind: str, mode: str) -> None:
    def loss_of(x: Any) -> Any:
        change = UNREPEATABLE[kind]
        return polyrnn.rnn(lambda x, s: (change(x), s), x, [], checkpoint_every=3)[0], []

    with pytest.raises(ValueError, match=f"checkpoint_every: .* {kind} .*stateless"):
        trained(mode, loss_of)


def test_random_numbers_in_loops_and_functions_of_a_step_are_refused() -> None:
    def looped(x: Any) -> Any:
        return tf.while_loop(lambda turn, _: turn < 2, lambda t, x: (t + 1, x + noise()), (0, x))[1]

    for change in (looped, tf.function(lambda x: x + noise(), autograph=False)):

        def step(x: Any, states: list[Any], change: Any = change) -> tuple[Any, list[Any]]:
            return change(x), states

        with pytest.raises(ValueError, match="RandomStandardNormal"), tf.GradientTape():
            polyrnn.rnn(step, X, [], checkpoint_every=3)


def test_a_step_that_cannot_be_traced_is_refused() -> None:
    with pytest.raises(ValueError, match=r"traced in a graph.* AttributeError"), tf.GradientTape():
        polyrnn.rnn(lambda x, s: (x * x.numpy().mean(), s), X, [], checkpoint_every=3)


def test_without_a_gradient_tape_nothing_is_refused() -> None:
    polyrnn.rnn(lambda x, s: (x + noise(), s), X, [], checkpoint_every=3)
    tape = tf.GradientTape()
    with tape, tape.stop_recording():
        polyrnn.rnn(lambda x, s: (x + noise(), s), X, [], checkpoint_every=3)


@pytest.mark.parametrize("mode", ["eager", "graph"])
def test_a_variable_may_not_change_before_the_backward_pass(mode: str) -> None:
    weight = tf.Variable(normal(DEPTH, DEPTH))

    def gradient(changes: bool) -> Any:
        with tf.GradientTape() as tape:
            loss = polyrnn.rnn(
                lambda x, s: (x @ weight + s[0], [x @ weight + s[0]]),
                X,
                [tf.zeros((BATCH, DEPTH), tf.float64)],
                checkpoint_every=3,
            )[0]
        if changes:
            weight.assign_add(tf.ones_like(weight))
        return tape.gradient(loss, weight)

    run = MODES[mode](gradient)
    assert np.isfinite(run(False)).all()
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError), match="has changed between"):
        run(True)


@pytest.mark.parametrize(("mode", "time_steps"), one_of(2, [("function", 4000), ("eager", 2000)]))
def test_training_takes_a_tenth_of_the_memory(mode: str, time_steps: int) -> None:
    plain, checkpointed = (
        training_figures("tensorflow", mode, time_steps=time_steps, checkpoint_every=every)
        for every in (None, 64)
    )
    assert checkpointed["bytes"] < 0.10 * plain["bytes"]
