"""Test that keeping one result does not keep the memory of the others."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from polyrnn_tensorflow.backend import TensorFlowBackend

DTYPES = (
    *("bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"),
    *("float16", "bfloat16", "float32", "float64", "complex64", "complex128"),
)


def place(x: Any) -> int:
    address: int = np.asarray(memoryview(x)).__array_interface__["data"][0]
    return address


def shares_memory(one: Any, other: Any) -> bool:
    return place(one) - place(other) in range(other.numpy().nbytes)


@pytest.mark.parametrize("shape", [(), (8,), (8, 16)], ids=str)
def test_eagerly_a_copy_has_memory_of_its_own(shape: tuple[int, ...]) -> None:
    stacked = tf.random.normal((64, *shape))
    copied = TensorFlowBackend().sharing.copy(stacked[-1, ...])
    np.testing.assert_array_equal(copied, stacked[-1])
    assert not shares_memory(copied, stacked)


def test_without_a_copy_the_memory_would_be_shared() -> None:
    stacked = tf.random.normal((64, 8, 16))
    assert shares_memory(stacked[-1, ...], stacked)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (2, 3), (2, 0), (0, 3)], ids=str)
def test_a_copy_has_the_same_dtype_shape_and_values(dtype: str, shape: tuple[int, ...]) -> None:
    x = tf.cast(tf.ones(shape), dtype)
    copied = TensorFlowBackend().sharing.copy(x)
    assert copied.dtype == x.dtype
    assert copied.shape == x.shape
    assert bool(tf.reduce_all(copied == x))


def test_gradients_of_every_order_pass_through_a_copy() -> None:
    x = tf.constant([1.0, 2.0])
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = TensorFlowBackend().sharing.copy(x) ** 3
        slope = TensorFlowBackend().sharing.copy(inner.gradient(y, x))
    assert slope.numpy().tolist() == [3.0, 12.0]
    assert outer.gradient(slope, x).numpy().tolist() == [6.0, 12.0]


@pytest.mark.parametrize("compiled", [False, True], ids=["graph", "xla"])
def test_a_graph_copies_nothing(compiled: bool) -> None:
    graph = tf.function(TensorFlowBackend().sharing.copy, jit_compile=compiled, autograph=False)
    concrete = graph.get_concrete_function(tf.TensorSpec((None, 3)))
    assert {operation.type for operation in concrete.graph.get_operations()} == {
        "Placeholder",
        "Identity",
    }
    assert graph(tf.ones((2, 3))).shape == (2, 3)
