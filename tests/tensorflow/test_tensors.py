"""Test that all that `tf.convert_to_tensor` accepts is a tensor, and tracked containers."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf

import polyrnn

BATCH, TIME, WIDTH = 2, 3, 4
X = np.arange(BATCH * TIME * WIDTH, dtype=np.float32).reshape(BATCH, TIME, WIDTH)
H = np.ones((BATCH, WIDTH), np.float32)
MASK = np.array([[1, 0, 1], [1, 1, 0]])
LENGTHS = np.array([2, 3])


class Pair(NamedTuple):
    h: Any
    c: Any


def running_sum(x: Any, states: list[Any]) -> Any:
    total = states[0] + x
    return total, [total]


KINDS: dict[str, Callable[[Any], Any]] = {
    "constant": tf.constant,
    "variable": tf.Variable,
    "keras-variable": lambda array: keras.Variable(array, dtype=array.dtype.name),
}


@pytest.mark.parametrize("by", ["mask", "input_length"])
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("graph", [False, True], ids=["eager", "graph"])
def test_variables_may_stand_for_tensors(kind: Any, graph: bool, by: str) -> None:
    steps: Any = MASK.astype(np.float32) if by == "mask" else LENGTHS.astype(np.int32)
    x, h, constant, counted = kind(X), kind(H), kind(H[:1]), kind(steps)

    def run() -> Any:
        return polyrnn.rnn(
            lambda x, states: running_sum(x + states[1], states[:1]),
            x,
            [h],
            constants=[constant],
            **{by: counted},
        )

    last, outputs, states = tf.function(run)() if graph else run()
    expected = polyrnn.rnn(running_sum, X + H[0, 0], [H], **{by: steps}, backend="numpy")
    np.testing.assert_array_equal(last, expected[0])
    np.testing.assert_array_equal(outputs, expected[1])
    np.testing.assert_array_equal(states[0], expected[2][0])


@pytest.mark.parametrize("argument", ["inputs", "initial_states", "constants", "mask"])
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_one_tensor_among_arrays_chooses_tensorflow(argument: str, kind: Any) -> None:
    arguments: dict[str, Any] = {
        "inputs": X,
        "initial_states": H,
        "constants": H,
        "mask": MASK.astype(np.float32),
    }
    arguments[argument] = kind(arguments[argument])
    last, _, _ = polyrnn.rnn(lambda x, states: (x, states[:1]), **arguments)
    assert isinstance(last, tf.Tensor)


def test_a_step_may_return_variables() -> None:
    weights = tf.Variable(H)
    last, outputs, states = polyrnn.rnn(lambda x, states: (weights, [weights]), tf.constant(X), [H])
    assert outputs.shape == (BATCH, TIME, WIDTH)
    assert isinstance(last, tf.Tensor)
    assert isinstance(states[0], tf.Tensor)


def test_a_variable_changed_by_the_step_keeps_each_of_its_values() -> None:
    counter = tf.Variable(0.0)

    def step(x: Any, states: list[Any]) -> Any:
        counter.assign_add(1.0)
        return x * counter, states

    _, outputs, _ = polyrnn.rnn(step, tf.ones((1, TIME, 1)), [])
    assert outputs[0, :, 0].numpy().tolist() == [1.0, 2.0, 3.0]
    _, outputs, _ = tf.function(lambda x: polyrnn.rnn(step, x, []))(tf.ones((1, TIME, 1)))
    assert outputs[0, :, 0].numpy().tolist() == [4.0, 5.0, 6.0]


def test_gradients_reach_variables_that_stand_for_tensors() -> None:
    x, h = tf.Variable(X), tf.Variable(H)
    with tf.GradientTape() as tape:
        _, outputs, _ = polyrnn.rnn(running_sum, x, [h], mask=MASK)
        total = tf.reduce_sum(outputs)
    by_x, by_h = tape.gradient(total, [x, h])
    np.testing.assert_array_equal(by_h, np.full_like(H, TIME))
    np.testing.assert_array_equal(by_x[..., 0], [[3, 0, 1], [3, 2, 0]])


def test_indexed_slices_are_dense_tensors() -> None:
    sparse = tf.IndexedSlices(tf.ones((1, TIME, WIDTH)), tf.constant([1]), tf.constant(X.shape))
    last, _, _ = polyrnn.rnn(running_sum, sparse, [H])
    assert last.numpy().tolist() == [[1.0] * WIDTH, [4.0] * WIDTH]


@pytest.mark.parametrize(
    "kind", [tf.ragged.constant, tf.sparse.from_dense], ids=["ragged", "sparse"]
)
def test_what_cannot_be_a_tensor_is_refused_by_its_name(kind: Any) -> None:
    with pytest.raises(TypeError, match=r"^inputs: expected a tensor, got .*Tensor, which cannot"):
        polyrnn.rnn(running_sum, kind([[[1.0]], [[2.0]]]), [H])


@pytest.mark.parametrize(
    "dtype", ["float16", ml_dtypes.bfloat16, "float32", "float64", "int64", "complex64"]
)
def test_arrays_keep_their_dtype(dtype: Any) -> None:
    x = X.astype(dtype)
    last, outputs, states = polyrnn.rnn(
        running_sum, x, [np.zeros_like(x[:, 0])], mask=MASK, backend="tensorflow"
    )
    assert {t.dtype.name for t in (last, outputs, *states)} == {np.dtype(dtype).name}
    assert last.dtype.as_numpy_dtype == x.dtype


@pytest.mark.parametrize(
    "dtype", ["bool", "uint8", "int64", "float16", "bfloat16", "float32", "float64", "complex64"]
)
def test_masks_may_be_of_any_dtype(dtype: str) -> None:
    mask = tf.cast(tf.constant(MASK), dtype)
    last, _, _ = polyrnn.rnn(running_sum, X, [H], mask=mask)
    np.testing.assert_array_equal(last, (X * MASK[..., None]).sum(1) + 1)


def test_whatever_is_not_zero_counts_as_true_in_a_mask() -> None:
    mask = tf.constant([[0.25, 0.0, -3.0], [float("nan"), float("inf"), 0.0]])
    last, _, _ = polyrnn.rnn(running_sum, X, [H], mask=mask)
    np.testing.assert_array_equal(last, (X * MASK[..., None]).sum(1) + 1)


def tracked(value: Any) -> Any:
    """Return a value as wrapped by an attribute of a `tf.Module`."""
    module = tf.Module()
    module.value = value
    assert type(module.value).__module__.startswith("tensorflow"), "not a wrapper at all"
    return module.value


STATES: dict[str, Any] = {
    "list": [H],
    "tuple": (tf.Variable(H),),
    "nested": [[H, (tf.Variable(H), [H])], {"a": H, "b": [H, {"c": H}]}],
    "named": [Pair(tf.Variable(H), [H])],
    "ordered": [OrderedDict(b=H, a=H)],
}


@pytest.mark.parametrize("states", STATES.values(), ids=STATES)
@pytest.mark.parametrize("graph", [False, True], ids=["eager", "graph"])
def test_tracked_containers_of_states_are_plain_ones(states: Any, graph: bool) -> None:
    handed: list[Any] = []

    def step(x: Any, states: list[Any]) -> Any:
        handed.append(states)
        return x, tf.nest.map_structure(lambda state: state + 1, states)

    def run(initial_states: Any) -> Any:
        return polyrnn.rnn(step, X, initial_states, mask=MASK, backend="tensorflow")[2]

    wrapped = tracked(states)
    given = tf.function(lambda: run(wrapped))() if graph else run(wrapped)
    expected = run(states)
    assert types_in(handed[0]) == types_in(expected) == types_in(given)
    tf.nest.map_structure(np.testing.assert_array_equal, given, expected)


def types_in(tree: Any) -> Any:
    """Return the types of all containers of a nest, in order."""
    if isinstance(tree, dict):
        return type(tree), {key: types_in(value) for key, value in tree.items()}
    return (type(tree), *map(types_in, tree)) if isinstance(tree, list | tuple) else None


def test_tracked_containers_of_inputs_and_outputs_are_plain_ones() -> None:
    module = tf.Module()
    module.inputs = {"a": [X], "b": (X, {"c": X})}

    def step(x: Any, states: list[Any]) -> Any:
        assert types_in(x) == types_in({"a": [0], "b": (0, {"c": 0})})
        module.output = {"total": [x["a"][0]], "pair": Pair(x["b"][0], x["b"][1]["c"])}
        module.states = [states[0] + 1]
        return module.output, module.states

    _, outputs, states = polyrnn.rnn(step, module.inputs, [H], mask=MASK)
    assert types_in(outputs) == types_in({"total": [0], "pair": Pair(0, 0)})
    assert type(states) is list
    np.testing.assert_array_equal(outputs["pair"].c[:, 0], X[:, 0])


def test_a_fault_within_a_tracked_container_is_named_by_its_path() -> None:
    states = tracked([{"a": [H, H[:1]]}])
    with pytest.raises(ValueError, match=r"^initial_states\[0\]\['a'\]\[1\]: expected the batch"):
        polyrnn.rnn(running_sum, X, states, mask=MASK, backend="tensorflow")


def test_numbers_get_the_dtype_that_tensorflow_gives_them() -> None:
    def step(x: Any, states: list[Any]) -> Any:
        return x * states[1], [states[0] + 1]

    last, _, states = polyrnn.rnn(step, tf.constant(X), [0], constants=[0.5])
    assert last.dtype == tf.float32
    assert states[0].dtype == tf.int32
    assert int(states[0]) == TIME


@pytest.mark.parametrize("time", [127, 128, 129, 300])
@pytest.mark.parametrize("backwards", [False, True])
def test_an_eager_walk_passes_from_block_to_block(time: int, backwards: bool) -> None:
    x = tf.reshape(tf.range(2.0 * time), (2, time, 1))
    with tf.GradientTape() as tape:
        tape.watch(x)
        _, outputs, _ = polyrnn.rnn(
            lambda x, states: (states[0], [x]), x, [-tf.ones((2, 1))], go_backwards=backwards
        )
        weighted = tf.reduce_sum(outputs * tf.range(1.0, time + 1)[:, None])
    walked = x[:, ::-1] if backwards else x
    expected = tf.concat([-tf.ones((2, 1, 1)), walked[:, :-1]], 1)
    np.testing.assert_array_equal(outputs, expected)
    weights = np.append(np.arange(2, time + 1), 0)
    by_x = tape.gradient(weighted, x)[..., 0]
    np.testing.assert_array_equal(by_x, [weights[::-1] if backwards else weights] * 2)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_arrays_of_a_foreign_byte_order_are_taken_in_graphs(jit_compile: bool) -> None:
    @tf.function(jit_compile=jit_compile)
    def run() -> Any:
        return polyrnn.rnn(
            running_sum,
            X.astype(">f4"),
            [H.astype(">f4")],
            mask=MASK.astype(">i4"),
            backend="tensorflow",
        )[1]

    expected = polyrnn.rnn(running_sum, X, [H], mask=MASK, backend="numpy")[1]
    np.testing.assert_array_equal(run(), expected)
