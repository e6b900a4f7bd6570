"""Test how often the step is called eagerly and traced in a graph."""

from collections import Counter
from typing import Any

import pytest
import tensorflow as tf

import polyrnn

WIDTH = 2
H = tf.zeros((1, WIDTH))


class Step:
    """A step that counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, x: Any, states: list[Any]) -> Any:
        self.calls += 1
        return x + states[0], [x + states[0]]


@pytest.mark.parametrize("time", [1, 3, 50])
@pytest.mark.parametrize("unroll", [False, True], ids=["looped", "unrolled"])
def test_eagerly_the_step_is_called_at_each_time_step(time: int, unroll: bool) -> None:
    step = Step()
    polyrnn.rnn(step, tf.ones((1, time, WIDTH)), [H], unroll=unroll)
    assert step.calls == time


@pytest.mark.parametrize("compiled", [False, True], ids=["graph", "xla"])
@pytest.mark.parametrize("masked", [False, True], ids=["plain", "masked"])
@pytest.mark.parametrize(("time", "calls"), [(1, 1), (3, 2), (300, 2)])
def test_a_graph_traces_the_step_twice(time: int, calls: int, masked: bool, compiled: bool) -> None:
    step = Step()
    mask = tf.ones((1, time)) if masked else None

    @tf.function(jit_compile=compiled)
    def graph(x: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            last = polyrnn.rnn(step, x, [H], mask=mask)[0]
        return tape.gradient(last, x)

    graph(tf.ones((1, time, WIDTH)))
    assert step.calls == calls


def test_a_graph_of_unknown_time_traces_the_step_twice() -> None:
    step = Step()
    graph = tf.function(
        lambda x: polyrnn.rnn(step, x, [H])[0], input_signature=[tf.TensorSpec((1, None, WIDTH))]
    )
    for time in (1, 3, 300):
        graph(tf.ones((1, time, WIDTH)))
    assert step.calls == 2


def test_unrolled_in_a_graph_the_step_is_traced_at_each_time_step() -> None:
    step = Step()
    tf.function(lambda x: polyrnn.rnn(step, x, [H], unroll=True)[0])(tf.ones((1, 7, WIDTH)))
    assert step.calls == 7


def test_a_graph_is_as_large_for_many_steps_as_for_few() -> None:
    def operations(time: int) -> Counter[str]:
        graph = tf.function(lambda x: polyrnn.rnn(Step(), x, [H], mask=tf.ones((1, time)))[1])
        concrete = graph.get_concrete_function(tf.TensorSpec((1, time, WIDTH)))
        return Counter(operation.type for operation in concrete.graph.get_operations())

    assert operations(3) == operations(300)
    assert operations(3)["While"] + operations(3)["StatelessWhile"] == 1


def test_from_call_to_call_nothing_is_traced_again() -> None:
    graph = tf.function(lambda x, mask: polyrnn.rnn(Step(), x, [H], mask=mask)[0])
    for scale in range(5):
        graph(tf.ones((1, 4, WIDTH)) * scale, tf.ones((1, 4)) * scale)
    assert graph.experimental_get_tracing_count() == 1


def test_reduced_retracing_traces_for_the_second_length_and_then_no_more() -> None:
    graph = tf.function(lambda x: polyrnn.rnn(Step(), x, [H])[0], reduce_retracing=True)
    for time in range(1, 6):
        graph(tf.ones((1, time, WIDTH)))
    assert graph.experimental_get_tracing_count() == 2


def test_random_numbers_are_the_same_looped_and_unrolled() -> None:
    def run(unroll: bool) -> Any:
        random = tf.random.Generator.from_seed(1)
        return polyrnn.rnn(
            lambda x, states: (x + random.normal((1, WIDTH)), states),
            tf.zeros((1, 4, WIDTH)),
            [],
            unroll=unroll,
        )[1]

    looped, unrolled = run(unroll=False), run(unroll=True)
    assert len(set(looped.numpy().ravel().tolist())) == 4 * WIDTH
    tf.debugging.assert_equal(looped, unrolled)


def test_random_numbers_differ_from_step_to_step_in_a_graph() -> None:
    @tf.function
    def graph(x: Any) -> Any:
        return polyrnn.rnn(lambda x, states: (x + tf.random.normal((1, WIDTH)), states), x, [])[1]

    assert len(set(graph(tf.zeros((1, 5, WIDTH))).numpy().ravel().tolist())) == 5 * WIDTH
