"""Test `checkpoint_every` on TensorFlow: gradients of all kinds, refused steps, and memory."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from training_memory import training_figures

import polyrnn

BATCH, TIME, SIZE, EVERY = 2, 11, 3, 3

RUNS: dict[str, Callable[[Callable[[], Any]], Any]] = {
    "eager": lambda function: function(),
    "function": lambda function: tf.function(function)(),
    "xla": lambda function: tf.function(function, jit_compile=True)(),
    "nested": lambda function: tf.function(lambda: tf.function(function)())(),
    "cond": lambda function: tf.function(
        lambda flag: tf.cond(flag, function, function), autograph=False
    )(tf.constant(True)),
}
runs = pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)


def draw(*shape: int, scale: float = 1.0) -> Any:
    return np.random.default_rng(len(shape)).normal(scale=scale, size=shape)


def loss_of(add: Callable[[Any], Any], every: int | None, inputs: Any, **options: Any) -> Any:
    def step(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
        h, number = states
        h = tf.tanh(x + add(h))
        return h, [h, number + 1]

    start = [tf.fill([BATCH, SIZE], tf.constant(0.1, tf.float64)), tf.constant(0)]
    last, outputs, (state, _) = polyrnn.rnn(step, inputs, start, checkpoint_every=every, **options)
    return tf.reduce_sum(outputs * outputs) + tf.reduce_sum(last * state)


@runs
@pytest.mark.parametrize("options", [{}, {"unroll": True}, {"go_backwards": True}], ids=str)
def test_everything_that_a_step_uses_has_its_gradient(run: Any, options: dict[str, Any]) -> None:
    variable = tf.Variable(draw(SIZE, SIZE, scale=0.3))
    frozen = tf.Variable(draw(SIZE), trainable=False)
    watched, inputs = tf.constant(draw(SIZE, scale=0.5)), tf.constant(draw(BATCH, TIME, SIZE))

    def gradients(every: int | None) -> Callable[[], Any]:
        def function() -> Any:
            with tf.GradientTape() as tape:
                tape.watch([watched, inputs])
                computed = tf.sin(variable) * watched

                def add(h: Any) -> Any:
                    return h @ variable + tf.linalg.matvec(computed, watched) * frozen

                loss = loss_of(add, every, inputs, **options)
            return [loss, *tape.gradient(loss, [variable, watched, inputs])]

        return function

    found, expected = (run(gradients(every)) for every in (EVERY, None))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-13)


def test_an_argument_that_the_step_closes_over_counts_twice() -> None:
    inputs = tf.constant(draw(BATCH, TIME, SIZE))
    found = []
    for every in (EVERY, None):
        start = tf.constant(draw(BATCH, SIZE))
        with tf.GradientTape() as tape:
            tape.watch(start)
            _, outputs, _ = polyrnn.rnn(
                lambda x, states: (states[0] * start, [states[0] * start + x]),  # noqa: B023
                inputs,
                [start],
                checkpoint_every=every,
            )
            loss = tf.reduce_sum(outputs)
        found.append(tape.gradient(loss, start))
    np.testing.assert_allclose(found[0], found[1], rtol=1e-11)


@pytest.mark.parametrize("run", [RUNS["eager"], RUNS["function"]], ids=["eager", "function"])
def test_gradients_of_gradients_are_refused(run: Any) -> None:
    weight, inputs = tf.Variable(draw(SIZE, SIZE, scale=0.3)), tf.constant(draw(BATCH, TIME, SIZE))

    def second() -> Any:
        with tf.GradientTape() as outer:
            with tf.GradientTape() as tape:
                loss = loss_of(lambda h: h @ weight, EVERY, inputs)
            slope = tf.reduce_sum(tape.gradient(loss, weight) ** 2)
        return outer.gradient(slope, weight)

    with pytest.raises(ValueError, match="checkpoint_every: gradients of gradients"):
        run(second)


def test_a_graph_of_version_1() -> None:
    found = []
    for every in (EVERY, None):
        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            weight = tf.constant(draw(SIZE, SIZE, scale=0.3))
            loss = loss_of(lambda h: h @ weight, every, tf.constant(draw(BATCH, TIME, SIZE)))  # noqa: B023
            found.append(session.run(tf.gradients(loss, weight)[0]))
    np.testing.assert_allclose(found[0], found[1], rtol=1e-11)


def test_the_batch_may_be_unknown() -> None:
    weight = tf.Variable(draw(SIZE, SIZE, scale=0.3))

    @tf.function(input_signature=[tf.TensorSpec([None, TIME, SIZE], tf.float64)])
    def gradients(inputs: Any) -> Any:
        found = []
        for every in (EVERY, None):
            with tf.GradientTape() as tape:
                loss = loss_of(
                    lambda h: h @ weight, every, inputs, mask=tf.reduce_sum(inputs, 2) > -1
                )
            found.append(tape.gradient(loss, weight))
        return found

    found = gradients(draw(BATCH, TIME, SIZE))
    np.testing.assert_allclose(found[0], found[1], rtol=1e-11)


COUNTER = tf.Variable(0.0, dtype=tf.float64)
GENERATOR = tf.random.Generator.from_seed(1)

REFUSED: dict[str, tuple[Callable[[Any], Any], str]] = {
    "random": (lambda h: h + tf.random.normal(h.shape, dtype=h.dtype), "RandomStandardNormal"),
    "dropout": (lambda h: tf.nn.dropout(h, 0.5), "RandomUniform"),
    "generator": (
        lambda h: h + GENERATOR.normal(h.shape, dtype=h.dtype),
        "StatefulStandardNormalV2|RngReadAndSkip",
    ),
    "assignment": (lambda h: h + COUNTER.assign_add(1.0), "AssignAddVariableOp"),
    "in-a-branch": (
        lambda h: tf.cond(h[0, 0] > 0, lambda: h, lambda: tf.random.normal(h.shape, dtype=h.dtype)),
        "RandomStandardNormal",
    ),
}


@pytest.mark.parametrize("run", [RUNS["eager"], RUNS["function"]], ids=["eager", "function"])
@pytest.mark.parametrize(("add", "kind"), REFUSED.values(), ids=REFUSED)
def test_steps_that_cannot_be_repeated_are_refused(add: Any, kind: str, run: Any) -> None:
    def gradient() -> Any:
        inputs = tf.constant(draw(BATCH, TIME, SIZE))
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            loss = loss_of(add, EVERY, inputs)
        return tape.gradient(loss, inputs)

    with pytest.raises(ValueError, match=f"checkpoint_every: .* the operation ({kind}) of"):
        run(gradient)


@pytest.mark.parametrize("run", [RUNS["eager"], RUNS["function"]], ids=["eager", "function"])
def test_random_numbers_of_given_seeds_are_the_same(run: Any) -> None:
    weight, inputs = tf.Variable(draw(SIZE, SIZE, scale=0.3)), tf.constant(draw(BATCH, TIME, SIZE))

    def add(h: Any) -> Any:
        seed = tf.stack([1, tf.cast(1e6 * h[0, 0], tf.int32)])
        return tf.nn.experimental.stateless_dropout(h @ weight, 0.5, seed=seed)

    def gradient(every: int | None) -> Callable[[], Any]:
        def function() -> Any:
            with tf.GradientTape() as tape:
                loss = loss_of(add, every, inputs)
            return tape.gradient(loss, weight)

        return function

    np.testing.assert_allclose(run(gradient(EVERY)), run(gradient(None)), rtol=1e-11)


def test_an_eager_step_that_no_graph_takes_is_refused_in_training_only() -> None:
    inputs = tf.constant(draw(BATCH, TIME, SIZE))

    def add(h: Any) -> Any:
        return h * float(h.numpy().mean())

    assert np.isfinite(loss_of(add, EVERY, inputs))
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        with pytest.raises(ValueError, match="checkpoint_every: step_function cannot be traced"):
            loss_of(add, EVERY, inputs)


@pytest.mark.parametrize("mode", ["eager", "function"])
def test_training_takes_a_tenth_of_the_memory(mode: str) -> None:
    plain, checkpointed = (
        training_figures("tensorflow", mode, time_steps=4000, checkpoint_every=every)
        for every in (None, 64)
    )
    assert checkpointed["bytes"] < 0.10 * plain["bytes"]
