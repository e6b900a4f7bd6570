"""Reads the time steps of inputs one after the other in a loop in a graph.

The gradient of ``x[t]`` is as large as `x` at each step, and so is the gradient of a read from a
`tf.TensorArray`: the cost of the backward pass would grow with the square of the number of steps.
The gradient of removing the last element of a tensor list is a single element.
"""

from abc import ABC, abstractmethod
from typing import Any

import tensorflow as tf

from polyrnn_tensorflow.internals import shape_of


class TimeSteps(ABC):
    """The time steps of a tensor, in the order of the loop.

    Args:
        x: A tensor with time as its first axis.
        reverse: Whether to read from the last time step to the first.
    """

    handle: Any
    """The nest of tensors that the loop carries to find the next time step."""

    @abstractmethod
    def __init__(self, x: Any, reverse: bool) -> None: ...

    @abstractmethod
    def read(self, handle: Any) -> tuple[Any, Any]:
        """Return the next time step and the next handle.

        Args:
            handle: The handle returned with the previous time step; at first `self.handle`.
        """


class TakenOffList(TimeSteps):
    """Reads time steps by removing them from the end of a tensor list.

    The list is a copy of the tensor. Where the loop is not reversed, the tensor has to be, which
    copies it once more.
    """

    def __init__(self, x: Any, reverse: bool) -> None:
        self._dtype, self._shape = x.dtype, as_tensor(x.shape[1:])
        self.handle = tf.raw_ops.TensorListFromTensor(
            tensor=x if reverse else tf.reverse(x, [0]), element_shape=self._shape
        )

    def read(self, handle: Any) -> tuple[Any, Any]:
        return _take_off(handle, self._shape, self._dtype)


class ReadInPlace(TimeSteps):
    """Reads time steps by their index, without copying the tensor.

    The gradient of a step that was read goes to an element of a second tensor list, whose elements
    are uninitialized and take no memory. One element is removed from it at each step.
    `tf.vectorized_map` cannot convert such a list.
    """

    def __init__(self, x: Any, reverse: bool) -> None:
        self._values, self._reverse, self._shape = tf.stop_gradient(x), reverse, tf.shape(x)[1:]
        self._length = length_of(x, tf.int32)
        position = self._length - 1 if reverse else 0
        self.handle = (self._make_blanks(x), tf.convert_to_tensor(position))

    def read(self, handle: Any) -> tuple[Any, Any]:
        blanks, position = handle
        item = tf.gather(self._values, position)
        blank, rest = _take_off(blanks, self._shape, item.dtype)
        return _in_place_of(blank, item), (rest, position + (-1 if self._reverse else 1))

    def _make_blanks(self, x: Any) -> Any:
        @tf.custom_gradient  # type: ignore[untyped-decorator]
        def make_blanks(x: Any) -> Any:
            blanks = tf.raw_ops.TensorListReserve(
                element_shape=self._shape, num_elements=self._length, element_dtype=x.dtype
            )
            return blanks, gradient

        def gradient(gradients: Any) -> Any:
            steps = tf.raw_ops.TensorListStack(
                input_handle=gradients, element_shape=as_tensor(x.shape[1:]), element_dtype=x.dtype
            )
            # The step that is read first removes the last element.
            return steps if self._reverse else tf.reverse(steps, [0])

        return make_blanks(x)


def _take_off(steps: Any, shape: Any, dtype: Any) -> tuple[Any, Any]:
    """Remove the last element of a tensor list, and return it and the rest of the list."""
    rest, item = tf.raw_ops.TensorListPopBack(
        input_handle=steps, element_shape=shape, element_dtype=dtype
    )
    return item, rest


@tf.custom_gradient  # type: ignore[untyped-decorator]
def _in_place_of(blank: Any, item: Any) -> Any:
    """Return the item, and pass its gradient to the blank instead."""
    return tf.identity(item), lambda gradient: (gradient, None)


def as_tensor(shape: tf.TensorShape) -> Any:
    """Return a static shape as operations on tensor lists expect it, with -1 for unknown sizes."""
    if shape.rank is None:
        return tf.constant(-1)
    return tf.constant([-1 if size is None else size for size in shape.as_list()], tf.int32)


def static_length(x: Any) -> int | None:
    """Return the size of the first axis if it is static, else `None`."""
    shape = shape_of(x)
    return None if shape is None else shape[0]


def length_of(x: Any, dtype: Any) -> Any:
    """Return the size of the first axis: an integer if it is static, else a tensor."""
    length = static_length(x)
    return tf.shape(x, dtype)[0] if length is None else length
