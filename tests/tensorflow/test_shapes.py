"""Test that static shapes of arguments are static in results, and that unknown ones work."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import polyrnn

BATCH, TIME, WIDTH = 2, 3, 4
X = tf.reshape(tf.range(BATCH * TIME * WIDTH, dtype=tf.float32), (BATCH, TIME, WIDTH))
H = tf.zeros((BATCH, WIDTH))
MASK = tf.constant([[True, False, True], [True, True, False]])


def running_sum(x: Any, states: list[Any]) -> Any:
    total = states[0] + x
    return total, [total]


def static_shapes(*specs: tf.TensorSpec, **arguments: Any) -> list[list[int | None] | None]:
    """Return the static shapes of the last output, the outputs and the state in the graph."""
    found: list[Any] = []

    @tf.function
    def graph(x: Any, h: Any, mask: Any = None) -> Any:
        last, outputs, states = polyrnn.rnn(running_sum, x, [h], mask=mask, **arguments)
        found[:] = [last.shape, outputs.shape, states[0].shape]
        return last

    graph.get_concrete_function(*specs)
    return [None if shape.rank is None else shape.as_list() for shape in found]


@pytest.mark.parametrize("masked", [False, True], ids=["plain", "masked"])
@pytest.mark.parametrize("unroll", [False, True], ids=["looped", "unrolled"])
def test_known_shapes_stay_known(masked: bool, unroll: bool) -> None:
    mask = [tf.TensorSpec((BATCH, TIME), tf.bool)] if masked else []
    shapes = static_shapes(
        tf.TensorSpec((BATCH, TIME, WIDTH)), tf.TensorSpec((BATCH, WIDTH)), *mask, unroll=unroll
    )
    assert shapes == [[BATCH, WIDTH], [BATCH, TIME, WIDTH], [BATCH, WIDTH]]


@pytest.mark.parametrize("zero_output", [False, True], ids=["repeats", "zeros"])
@pytest.mark.parametrize("backwards", [False, True], ids=["forwards", "backwards"])
def test_of_unknown_batch_and_time_the_width_stays_known(
    zero_output: bool, backwards: bool
) -> None:
    shapes = static_shapes(
        tf.TensorSpec((None, None, WIDTH)),
        tf.TensorSpec((None, WIDTH)),
        tf.TensorSpec((None, None), tf.bool),
        zero_output_for_mask=zero_output,
        go_backwards=backwards,
    )
    assert shapes == [[None, WIDTH], [None, None, WIDTH], [None, WIDTH]]


def test_a_batch_known_from_the_state_alone_is_known_of_the_outputs() -> None:
    shapes = static_shapes(tf.TensorSpec((None, None, WIDTH)), tf.TensorSpec((BATCH, WIDTH)))
    assert shapes == [[BATCH, WIDTH], [BATCH, None, WIDTH], [BATCH, WIDTH]]


def test_time_major_outputs_have_the_known_time_first() -> None:
    shapes = static_shapes(
        tf.TensorSpec((TIME, None, WIDTH)), tf.TensorSpec((None, WIDTH)), time_major=True
    )
    assert shapes == [[None, WIDTH], [TIME, None, WIDTH], [None, WIDTH]]


def test_with_the_last_output_only_time_is_one() -> None:
    shapes = static_shapes(
        tf.TensorSpec((None, None, WIDTH)), tf.TensorSpec((None, WIDTH)), return_all_outputs=False
    )
    assert shapes == [[None, WIDTH], [None, 1, WIDTH], [None, WIDTH]]


@pytest.mark.parametrize("batch", [None, BATCH])
def test_the_step_sees_what_is_known_each_time_it_is_traced(batch: int | None) -> None:
    seen: list[Any] = []

    def step(x: Any, states: list[Any]) -> Any:
        seen.append((x.shape.as_list(), states[0].shape.as_list()))
        return running_sum(x, states)

    graph = tf.function(lambda x, h, mask: polyrnn.rnn(step, x, [h], mask=mask)[0])
    graph.get_concrete_function(
        tf.TensorSpec((batch, None, WIDTH)),
        tf.TensorSpec((batch, WIDTH)),
        tf.TensorSpec((batch, None), tf.bool),
    )
    assert seen == [([batch, WIDTH], [batch, WIDTH])] * 2


def forget_shape(x: Any, rank: int | None = None) -> Any:
    """Return the same tensor with an unknown static shape, or with only the rank known."""
    return tf.compat.v1.placeholder_with_default(x, None if rank is None else [None] * rank)


@pytest.mark.parametrize("rank", [None, 2], ids=["rank-lost", "sizes-lost"])
def test_a_state_that_lost_its_shape_gets_it_back_before_the_next_step(rank: int | None) -> None:
    seen: list[Any] = []

    def step(x: Any, states: list[Any]) -> Any:
        seen.append(states[0].shape.as_list())
        return x, [forget_shape(states[0] + x, rank)]

    @tf.function
    def graph(x: Any, h: Any) -> Any:
        states = polyrnn.rnn(step, x, [h])[2]
        seen.append(states[0].shape.as_list())
        return states[0]

    np.testing.assert_array_equal(graph(X, H), tf.reduce_sum(X, 1))
    assert seen == [[BATCH, WIDTH]] * 3


def test_a_state_that_changes_its_shape_at_run_time_is_an_error() -> None:
    def step(x: Any, states: list[Any]) -> Any:
        return x, [forget_shape(states[0][:, 1:])]

    with pytest.raises(
        tf.errors.InvalidArgumentError, match="is not compatible with expected shape"
    ):
        tf.function(lambda x, h: polyrnn.rnn(step, x, [h])[2])(X, H)


@pytest.mark.parametrize("zero_output", [False, True], ids=["repeats", "zeros"])
@pytest.mark.parametrize("masked", [False, True], ids=["plain", "masked"])
def test_outputs_of_unknown_rank_come_out_right(masked: bool, zero_output: bool) -> None:
    def step(x: Any, states: list[Any]) -> Any:
        return forget_shape(x) if isinstance(x, tf.Tensor) else x, states

    arguments: dict[str, Any] = {"mask": MASK if masked else None}
    arguments["zero_output_for_mask"] = zero_output
    graph = tf.function(lambda x, h: polyrnn.rnn(step, x, [h], **arguments)[:2])
    plain = {**arguments, "mask": MASK.numpy() if masked else None}
    expected = polyrnn.rnn(
        lambda x, states: (x, states), X.numpy(), [H.numpy()], backend="numpy", **plain
    )
    last, outputs = graph(X, H)
    np.testing.assert_array_equal(last, expected[0])
    np.testing.assert_array_equal(outputs, expected[1])


def test_a_state_of_unknown_rank_is_masked_by_rows() -> None:
    @tf.function(input_signature=[tf.TensorSpec((None, None, WIDTH)), tf.TensorSpec(None)])
    def graph(x: Any, h: Any) -> Any:
        return polyrnn.rnn(lambda x, states: (x, [states[0] + 1]), x, [h], mask=MASK)[2][0]

    np.testing.assert_array_equal(graph(X, tf.zeros((BATCH, 2, 2))), np.full((BATCH, 2, 2), 2.0))


@pytest.mark.parametrize(
    ("spec", "given"),
    [(tf.TensorSpec(None), "unknown rank"), (tf.TensorSpec((3, 4)), "shape (3, 4)")],
)
def test_inputs_without_a_time_axis_are_refused(spec: tf.TensorSpec, given: str) -> None:
    expected = f"inputs: expected (batch, time, ...) with rank 3 or more, got {given}"
    graph = tf.function(lambda x: polyrnn.rnn(running_sum, x, [H])[0])
    with pytest.raises(ValueError, match="rank 3 or more") as caught:
        graph.get_concrete_function(spec)
    assert expected in str(caught.value)


def test_a_mask_of_unknown_rank_is_refused() -> None:
    graph = tf.function(lambda x, mask: polyrnn.rnn(running_sum, x, [H], mask=mask)[0])
    with pytest.raises(ValueError, match=r"mask: expected shape .* got unknown rank"):
        graph.get_concrete_function(X, tf.TensorSpec(None))


def test_a_time_axis_that_is_not_static_cannot_be_unrolled() -> None:
    graph = tf.function(lambda x: polyrnn.rnn(running_sum, x, [H], unroll=True)[0])
    with pytest.raises(ValueError, match="unroll: expected a time axis of static length"):
        graph.get_concrete_function(tf.TensorSpec((BATCH, None, WIDTH)))


@pytest.mark.parametrize("compiled", [False, True], ids=["graph", "xla"])
@pytest.mark.parametrize("by", ["mask", "input_length"])
@pytest.mark.parametrize("batch", [0, 1, 2])
@pytest.mark.parametrize("time", [1, 3])
def test_unknown_batch_and_time_may_have_any_size(
    compiled: bool, by: str, batch: int, time: int
) -> None:
    @tf.function(
        input_signature=[
            tf.TensorSpec((None, None, WIDTH)),
            tf.TensorSpec((None, WIDTH)),
            tf.TensorSpec((None, None), tf.bool)
            if by == "mask"
            else tf.TensorSpec([None], tf.int32),
        ],
        jit_compile=compiled,
    )
    def graph(x: Any, h: Any, steps: Any) -> Any:
        return polyrnn.rnn(running_sum, x, [h], **{by: steps})

    x, h = X[:batch, :time], H[:batch]
    steps = MASK[:batch, :time] if by == "mask" else tf.constant([3, 2][:batch], tf.int32)
    last, outputs, states = graph(x, h, steps)
    expected = polyrnn.rnn(
        running_sum, x.numpy(), [h.numpy()], backend="numpy", **{by: np.minimum(steps, time)}
    )
    np.testing.assert_array_equal(last, expected[0])
    np.testing.assert_array_equal(outputs, expected[1])
    np.testing.assert_array_equal(states[0], expected[2][0])


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int32", "int64", "uint32"])
@pytest.mark.parametrize("unknown", [False, True], ids=["known", "unknown"])
def test_lengths_of_every_dtype_count_beyond_what_they_hold(dtype: str, unknown: bool) -> None:
    time, lengths = 300, [120, 3]

    @tf.function
    def graph(x: Any, lengths: Any) -> Any:
        return polyrnn.rnn(running_sum, x, [tf.zeros((2, 1))], input_length=lengths)[0]

    x = tf.ones((2, time, 1))
    given = tf.constant(lengths, dtype)
    run = graph.get_concrete_function(tf.TensorSpec((None, None, 1)), given) if unknown else graph
    assert run(x, given).numpy().tolist() == [[120.0], [3.0]]


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "uint32", "int64", "uint64"])
@pytest.mark.parametrize("mode", ["eager", "function", "xla"])
def test_the_least_and_the_largest_length_of_every_dtype(dtype: str, mode: str) -> None:
    kind = tf.as_dtype(dtype)

    def run(lengths: Any) -> Any:
        return polyrnn.rnn(
            running_sum, tf.ones((3, TIME, 1)), [tf.zeros((3, 1))], input_length=lengths
        )[0]

    if mode != "eager":
        run = tf.function(run, jit_compile=mode == "xla")
    lengths = tf.constant([kind.max, 2, kind.min], kind)
    assert run(lengths).numpy().tolist() == [[TIME], [2.0], [0.0]]


def test_a_scalar_length_counts_for_every_sample_of_an_unknown_batch() -> None:
    @tf.function(input_signature=[tf.TensorSpec((None, None, WIDTH)), tf.TensorSpec([], tf.int32)])
    def graph(x: Any, length: Any) -> Any:
        return polyrnn.rnn(running_sum, x, [H], input_length=length)[0]

    np.testing.assert_array_equal(graph(X, tf.constant(2)), tf.reduce_sum(X[:, :2], 1))


@pytest.mark.parametrize("argument", ["mask", "reset"])
@pytest.mark.parametrize("unroll", [False, True])
@pytest.mark.parametrize("time", [1, 3])
def test_flags_may_be_of_unknown_length_beside_known_inputs(
    argument: str, unroll: bool, time: int
) -> None:
    inputs = np.arange(2.0 * time, dtype="float32").reshape(2, time, 1)
    flags = np.ones((2, time), bool)

    @tf.function(input_signature=[tf.TensorSpec((None, None), tf.bool)])
    def graph(flags: Any) -> Any:
        return polyrnn.rnn(
            lambda x, states: (x + states[0], [x + states[0]]),
            inputs,
            [np.zeros((2, 1), "float32")],
            unroll=unroll,
            backend="tensorflow",
            **{argument: flags},
        )[1]

    expected = inputs if argument == "reset" else inputs.cumsum(1)
    np.testing.assert_array_equal(graph(flags), expected)
