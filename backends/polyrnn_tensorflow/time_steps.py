"""How a loop of a graph gets at the time steps of its inputs, one after the other.

The gradient of reading ``x[t]`` is as large as `x`, at every step, and that of reading from
a `tf.TensorArray` is no smaller; with them the cost grows with the square of the time. The
gradient of taking the last element off a list is one element.
"""

from abc import ABC, abstractmethod
from typing import Any

import tensorflow as tf

from polyrnn_tensorflow.internals import shape_of


class TimeSteps(ABC):
    """The time steps of a tensor, in the order of a walk.

    Args:
        x: A tensor with time as its first axis.
        reverse: Read from the last step to the first.
    """

    handle: Any
    """What tells the next step, for the loop to carry: a nest of tensors."""

    @abstractmethod
    def __init__(self, x: Any, reverse: bool) -> None: ...

    @abstractmethod
    def read(self, handle: Any) -> tuple[Any, Any]:
        """Read the next step.

        Args:
            handle: What was given back with the step before; `self.handle` at first.

        Returns:
            The step, and the next handle.
        """


class TakenOffList(TimeSteps):
    """Takes steps off a list; to make it copies the tensor, twice where it has to be reversed."""

    def __init__(self, x: Any, reverse: bool) -> None:
        self._dtype, self._shape = x.dtype, as_tensor(x.shape[1:])
        self.handle = tf.raw_ops.TensorListFromTensor(
            tensor=x if reverse else tf.reverse(x, [0]), element_shape=self._shape
        )

    def read(self, handle: Any) -> tuple[Any, Any]:
        return _take_off(handle, self._shape, self._dtype)


class ReadInPlace(TimeSteps):
    """Reads steps by their index, and copies nothing.

    The gradient of what is read goes to a list of blanks instead, which take no memory, and
    of which one is taken off with each step. `tf.vectorized_map` cannot convert such a list.
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
            # What is read first takes off the last blank.
            return steps if self._reverse else tf.reverse(steps, [0])

        return make_blanks(x)


def _take_off(steps: Any, shape: Any, dtype: Any) -> tuple[Any, Any]:
    """Take the last element off a list; give it and the rest."""
    rest, item = tf.raw_ops.TensorListPopBack(
        input_handle=steps, element_shape=shape, element_dtype=dtype
    )
    return item, rest


@tf.custom_gradient  # type: ignore[untyped-decorator]
def _in_place_of(blank: Any, item: Any) -> Any:
    """Give the item, and its gradient to the blank."""
    return tf.identity(item), lambda gradient: (gradient, None)


def as_tensor(shape: tf.TensorShape) -> Any:
    """Give a static shape as operations on lists take it, with -1 for what is not known."""
    if shape.rank is None:
        return tf.constant(-1)
    return tf.constant([-1 if size is None else size for size in shape.as_list()], tf.int32)


def static_length(x: Any) -> int | None:
    """Give the size of the first axis where it is static."""
    shape = shape_of(x)
    return None if shape is None else shape[0]


def length_of(x: Any, dtype: Any) -> Any:
    """Give the size of the first axis: an integer where it is static, else a tensor."""
    length = static_length(x)
    return tf.shape(x, dtype)[0] if length is None else length
