"""Test the backend while a private name of TensorFlow that it uses is missing."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from missing_names import backend_of, names_of, private_uses, without

import polyrnn
from polyrnn import Backend
from polyrnn_tensorflow.internals import COMPOSITES, LOOK_AHEAD, PRIVATE

Missing = tuple[Any, Backend]
ERRORS: list[type[Exception]] = [ImportError, AttributeError]


@pytest.fixture(params=ERRORS)
def missing(name: str, request: pytest.FixtureRequest) -> Iterator[Missing]:
    """Yield the private names and the backend while a name is missing."""
    with without("polyrnn_tensorflow", name, request.param) as module:
        yield module, backend_of("polyrnn_tensorflow", "TensorFlowBackend")


each_name = pytest.mark.parametrize("name", names_of(PRIVATE))

RANDOM = np.random.default_rng(0)
INPUTS = tf.constant(RANDOM.random((2, 6, 3), np.float32))
WEIGHT = tf.constant(RANDOM.random(3, np.float32))
MASK = tf.constant(RANDOM.random((2, 6)) > 0.3)


def walk(backend: Any, inputs: Any, weight: Any, mask: Any = None, **options: Any) -> list[Any]:
    def step(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
        hidden = tf.tanh(x * weight + states[0])
        return hidden * 2, [hidden]

    start = tf.zeros([2, 3])
    last, outputs, (state,) = polyrnn.rnn(
        step, inputs, [start], mask=mask, backend=backend, **options
    )
    return [last, outputs, state]


def gradient(backend: Any, mask: Any, **options: Any) -> Any:
    with tf.GradientTape() as tape:
        tape.watch(WEIGHT)
        last, outputs, state = walk(backend, INPUTS, WEIGHT, mask, **options)
        total = tf.reduce_sum(last) + tf.reduce_sum(outputs**2) + tf.reduce_sum(state)
    return tape.gradient(total, WEIGHT)


@each_name
def test_eager_calls_are_right(name: str, missing: Missing) -> None:
    _, backend = missing
    for options in ({}, {"go_backwards": True}, {"return_all_outputs": False}):
        for mask in (None, MASK):
            found = walk(backend, INPUTS, WEIGHT, mask, **options)
            for one, other in zip(
                found, walk("tensorflow", INPUTS, WEIGHT, mask, **options), strict=True
            ):
                np.testing.assert_allclose(one, other, rtol=1e-6)
            np.testing.assert_allclose(
                gradient(backend, mask, **options),
                gradient("tensorflow", mask, **options),
                rtol=1e-5,
            )


@each_name
@pytest.mark.parametrize("known", [False, True])
def test_a_loop_in_a_graph_is_right_or_says_what_it_needs(
    name: str, missing: Missing, known: bool
) -> None:
    _, backend = missing
    signature = [
        tf.TensorSpec([2, 6, 3] if known else [None, None, 3]),
        tf.TensorSpec([None, None], tf.bool),
    ]

    @tf.function(input_signature=signature)
    def function(inputs: Any, mask: Any) -> Any:
        return walk(backend, inputs, WEIGHT, mask)[1]

    if name in PRIVATE.uses[LOOK_AHEAD]:
        needed = f"a loop in a graph needs tensorflow 2.21: tensorflow {tf.__version__} has no "
        with pytest.raises(RuntimeError) as raised:
            function(INPUTS, MASK)
        assert needed in str(raised.value)
        assert name.replace(":", ".") in str(raised.value)
    else:
        expected = walk("tensorflow", INPUTS, WEIGHT, MASK)[1]
        np.testing.assert_allclose(function(INPUTS, MASK), expected, rtol=1e-6)


@each_name
def test_unrolled_graphs_are_right(name: str, missing: Missing) -> None:
    _, backend = missing
    function = tf.function(lambda: walk(backend, INPUTS, WEIGHT, MASK, unroll=True)[1])
    np.testing.assert_allclose(function(), walk("tensorflow", INPUTS, WEIGHT, MASK)[1], rtol=1e-6)


class Pair(tf.experimental.ExtensionType):
    first: tf.Tensor
    rows: tf.RaggedTensor


@pytest.mark.parametrize("name", PRIVATE.uses[COMPOSITES])
def test_extension_types_are_nests(name: str, missing: Missing) -> None:
    _, backend = missing
    pair = Pair(tf.ones([2]), tf.ragged.constant([[1.0], [2.0, 3.0]]))
    leaves, structure = backend.nests.flatten([pair])
    assert [type(leaf).__name__ for leaf in leaves] == ["EagerTensor", "RaggedTensor"]
    (again,) = backend.nests.unflatten(structure, leaves)
    assert again.rows is pair.rows


def test_containers_need_not_be_tracked(monkeypatch: pytest.MonkeyPatch) -> None:
    with without("polyrnn_tensorflow", None, ImportError) as module:

        class Module:
            tracked: Any

        monkeypatch.setattr(module.tf, "Module", Module)
        assert module.tracked_containers() == []
        backend = backend_of("polyrnn_tensorflow", "TensorFlowBackend")
        assert walk(backend, INPUTS, WEIGHT)[0].shape == (2, 3)


def test_nothing_is_missing_here() -> None:
    assert not [name for use in PRIVATE.uses for name in PRIVATE.missing(use)]


def test_private_names_are_in_one_module() -> None:
    pattern = r"__internal__|_shape_tuple|tensorflow\.python|_keras|tf\._"
    assert not private_uses("polyrnn_tensorflow", pattern)
