# ruff: noqa: A001 - the names are NumPy's, some of which Python uses as well
"""The module that `polyrnn.namespace` returns: TensorFlow's functions under NumPy's names.

``tensorflow.experimental.numpy`` is no substitute: it widens bfloat16 and float32 to float64 when
an operand is a Python number, has no ``tanh`` for bfloat16, and its ``where`` takes three times as
long. The functions of this module always keep the dtype of the tensor.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from polyrnn import nests
from polyrnn.marks import left_alone


def _binary(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Return a function whose first operand may be a number; in a graph only the second may."""

    def binary(x: Any, y: Any) -> Any:
        return function(_number_as(x, y), y)

    binary.__name__ = binary.__qualname__ = function.__name__
    binary.__doc__ = f"Apply `tf.{function.__name__}` to two tensors, or a tensor and a number."
    return left_alone(binary)


def _number_as(value: Any, tensor: Any) -> Any:
    if nests.is_number(value) and isinstance(tensor, tf.Tensor | tf.Variable):
        return tf.constant(value, tensor.dtype)
    return value


abs = tf.abs
ceil = tf.math.ceil
cos = tf.cos
cosh = tf.cosh
exp = tf.exp
expm1 = tf.math.expm1
floor = tf.floor
isfinite = tf.math.is_finite
isinf = tf.math.is_inf
isnan = tf.math.is_nan
log = tf.math.log
log1p = tf.math.log1p
logical_not = tf.logical_not
negative = tf.negative
ones_like = tf.ones_like
sign = tf.sign
sin = tf.sin
sinh = tf.sinh
sqrt = tf.sqrt
square = tf.square
tan = tf.tan
tanh = tf.tanh
zeros_like = tf.zeros_like

add = _binary(tf.add)
divide = _binary(tf.divide)
equal = _binary(tf.equal)
greater = _binary(tf.greater)
greater_equal = _binary(tf.greater_equal)
less = _binary(tf.less)
less_equal = _binary(tf.less_equal)
logical_and = _binary(tf.logical_and)
logical_or = _binary(tf.logical_or)
logical_xor = _binary(tf.math.logical_xor)
maximum = _binary(tf.maximum)
minimum = _binary(tf.minimum)
multiply = _binary(tf.multiply)
not_equal = _binary(tf.not_equal)
power = _binary(tf.pow)
subtract = _binary(tf.subtract)

all = tf.reduce_all
amax = max = tf.reduce_max
amin = min = tf.reduce_min
any = tf.reduce_any
mean = tf.reduce_mean
prod = tf.reduce_prod
sum = tf.reduce_sum

ones = tf.ones
zeros = tf.zeros

broadcast_to = tf.broadcast_to
clip = tf.clip_by_value
einsum = tf.einsum
expand_dims = tf.expand_dims
reshape = tf.reshape
squeeze = tf.squeeze
tensordot = tf.tensordot


@left_alone
def concatenate(arrays: Any, axis: int = 0) -> Any:
    """Join tensors along an existing axis."""
    return tf.concat(arrays, axis)


concat = concatenate
stack = tf.stack


@left_alone
def matmul(x: Any, y: Any) -> Any:
    """Return the matrix product of two tensors; as in NumPy, a tensor of rank 1 is a vector."""
    if x.shape.rank == 1:
        return tf.squeeze(matmul(x[None], y), -1 if y.shape.rank == 1 else -2)
    return tf.linalg.matvec(x, y) if y.shape.rank == 1 else tf.matmul(x, y)


@left_alone
def take(x: Any, indices: Any, axis: int) -> Any:
    """Return the entries of a tensor at some indices along an axis."""
    return tf.gather(x, indices, axis=axis)


@left_alone
def where(condition: Any, x: Any, y: Any) -> Any:
    """Return `x` where the condition is true, and `y` elsewhere; either may be a number."""
    return tf.where(condition, _number_as(x, y), y)
