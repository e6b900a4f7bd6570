"""The tensorflow backend.

Operations that every call needs are called through `tf.raw_ops`, because the Python wrappers around
them take as long as the operations, or longer.

`polyrnn_tensorflow.graph_loop` implements the loop in a graph, and `polyrnn_tensorflow.functions`
is the namespace for steps. The backend is larger than the others because TensorFlow executes
eagerly and in graphs, where sizes and even ranks may be unknown.
"""

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from polyrnn import Backend, python_loop
from polyrnn.backend import Body, Carry, CheckpointedLoop, Sharing
from polyrnn_tensorflow import containers, functions
from polyrnn_tensorflow.checkpointing import checkpointed_loop
from polyrnn_tensorflow.graph_loop import graph_loop
from polyrnn_tensorflow.internals import may_differentiate, shape_of
from polyrnn_tensorflow.time_steps import length_of, static_length

BLOCK = 128
"""How many time steps an eager loop unstacks at once."""


class TensorFlowBackend(Backend):
    """The tensorflow backend, which runs eagerly, in graphs of every kind, and under XLA.

    Eagerly the step is called once for each time step. In a graph it is traced twice for each
    trace of the graph: once to find its outputs, and once for the body of a `tf.while_loop`. It is
    traced once if the time axis has the static length 1, and once for each time step with
    ``unroll=True``. It is always executed once for each time step.
    """

    tensor_type: ClassVar = tf.Tensor
    namespace: ClassVar = functions
    nests = containers
    expands_masks: ClassVar = False

    @property
    def tensor_key(self) -> Callable[[Any], tuple[Any, ...]]:
        return _tensor_key

    def transpose(self, x: Any) -> Any:
        shape = shape_of(x)
        if shape is None:
            return tf.transpose(x, tf.concat([[1, 0], tf.range(2, tf.rank(x))], 0))
        # An array, because converting a list to a tensor takes longer than the transposition.
        return tf.raw_ops.Transpose(x=x, perm=np.array([1, 0, *range(2, len(shape))], np.int32))

    def select(self, mask: Any, on_true: Any, on_false: Any = None) -> Any:
        if on_false is None:
            on_false = tf.zeros_like(on_true)
        mask_shape, shape = shape_of(mask) or (), shape_of(on_true)
        mask_rank = len(mask_shape)
        is_of_rows = mask_rank == 1 and shape is not None and mask_shape == shape[:1]
        if is_of_rows and shape == shape_of(on_false) and tf.executing_eagerly():
            # This operation selects whole rows, of any rank, and halves the time in training. It
            # does not broadcast, and in a graph that was converted (as by tf.vectorized_map) it
            # would apply the mask to columns.
            return tf.raw_ops.Select(condition=mask, x=on_true, y=on_false)
        if shape is None:
            missing = tf.ones([tf.rank(on_true) - mask_rank], tf.int32)
            mask = tf.reshape(mask, tf.concat([tf.shape(mask), missing], 0))
        else:
            for _ in range(len(shape) - mask_rank):
                mask = tf.raw_ops.ExpandDims(input=mask, axis=-1)
        selected = tf.raw_ops.SelectV2(condition=mask, t=on_true, e=on_false)
        if shape is not None and not tf.executing_eagerly():
            # An unknown size of the mask would leave a size of 1 unknown, too.
            selected.set_shape(on_true.shape)
        return selected

    @property
    def checkpointed_loop(self) -> CheckpointedLoop | None:
        return checkpointed_loop if may_differentiate() else None

    def flip(self, x: Any) -> Any:
        return tf.reverse(x, [0])

    def detach(self, x: Any) -> Any:
        return tf.stop_gradient(x)

    def loop(
        self, body: Body, carry: Carry, xs: list[Any], *, reverse: bool, unroll: bool
    ) -> tuple[Carry, list[Any]]:
        length = static_length(xs[0])
        if unroll or tf.executing_eagerly() or length == 1:
            steps = zip(*(_slices(_of_length(x, length), reverse) for x in xs), strict=True)
            return python_loop(body, carry, map(list, steps), _stack)
        return graph_loop(body, carry, xs, reverse)

    def convert(self, value: Any, like: Any = None) -> Any:
        if isinstance(value, tf.RaggedTensor):
            raise TypeError("it is ragged; pass x.to_tensor() and input_length=x.row_lengths()")
        if isinstance(value, tf.SparseTensor):
            raise TypeError("it is sparse; pass tf.sparse.to_dense(x)")
        if like is None and isinstance(value, tf.Tensor):
            return value
        tensor = tf.convert_to_tensor(value)
        if like is None or not tf.executing_eagerly() or tensor.device == like.device:
            return tensor
        with tf.device(like.device):
            return tf.identity(tensor)

    def converts(self, value: Any) -> bool:
        return hasattr(type(value), "__tf_tensor__")

    def nonzero(self, x: Any) -> Any:
        # A cast of a complex number would ignore its imaginary part.
        return tf.not_equal(x, tf.zeros([], x.dtype)) if x.dtype.is_complex else tf.cast(x, tf.bool)

    def length_mask(self, lengths: Any, like: Any) -> Any:
        # Compare as int64 or uint64, because other dtypes may not hold both lengths and sizes.
        steps = tf.range(length_of(like, tf.int64), dtype=tf.int64)
        if lengths.dtype == tf.uint64:
            steps = tf.cast(steps, tf.uint64)
        else:
            lengths = tf.cast(lengths, tf.int64)
        if lengths.shape.rank == 0:
            lengths = tf.fill(tf.shape(like)[1:2], lengths)
        mask = tf.expand_dims(steps, 1) < lengths
        mask.set_shape(like.shape[:2])
        return mask

    def take_first(self, mask: Any, xs: list[Any], *, reverse: bool = False) -> list[Any]:
        if reverse:
            steps = length_of(mask, tf.int32) - 1 - _first_true(self.flip(mask))
        else:
            steps = _first_true(mask)
        return [_take(x, steps) for x in xs]

    @property
    def sharing(self) -> Sharing:
        return _SHARING

    def shape(self, x: Any) -> tuple[Any, ...] | None:
        return shape_of(x)

    def dtype_name(self, x: Any) -> str:
        return str(x.dtype.name)

    def devices(self) -> list[str]:
        physical = tf.config.list_physical_devices()
        return [device.name.removeprefix("/physical_device:") for device in physical]


def _copy(x: Any) -> Any:
    """Return a copy of a tensor in eager mode, and the tensor itself in a graph."""
    # Eagerly a slice shares memory with the whole tensor, and would keep all of it alive.
    if not tf.executing_eagerly():
        return x
    if x.shape.rank == 0:
        return tf.reshape(_copy(tf.reshape(x, [1])), [])
    # Concatenation with an empty tensor is the only operation that always copies.
    return tf.concat([x, tf.zeros([0, *x.shape[1:]], x.dtype)], 0)


_SHARING = Sharing(copy=_copy)


def _tensor_key(x: Any) -> tuple[Any, ...]:
    return type(x), x.dtype, shape_of(x)


def _stack(values: list[Any]) -> Any:
    return tf.raw_ops.Pack(values=values, axis=0)


def _of_length(x: Any, length: int | None) -> Any:
    """Return a tensor with the static number of time steps that is known from another one."""
    if length is None or static_length(x) is not None:
        return x
    return tf.ensure_shape(x, [length, *x.shape[1:]])


def _slices(x: Any, reverse: bool) -> Iterator[Any]:
    """Yield the time steps of a tensor of static length, in the order of the loop.

    The tensor is split into blocks, which copies nothing, and each block is unstacked, which copies
    it. Reading single time steps by their index would be much slower.
    """
    length = static_length(x)
    assert length is not None
    sizes = [min(BLOCK, length - start) for start in range(0, length, BLOCK)]
    blocks = tf.split(x, sizes) if len(sizes) > 1 else [x]
    for block in reversed(blocks) if reverse else blocks:
        items = tf.unstack(block)
        yield from reversed(items) if reverse else items


def _first_true(mask: Any) -> Any:
    return tf.raw_ops.ArgMax(input=_not_empty(mask), dimension=0, output_type=tf.int32)


def _take(x: Any, steps: Any) -> Any:
    """Return the entries ``x[steps[b], b]`` for each sample `b`."""
    batch = length_of(steps, tf.int32)
    samples = np.arange(batch, dtype=np.int32) if isinstance(batch, int) else tf.range(batch)
    x = _not_empty(x)
    shape = shape_of(x)
    if shape is not None and all(shape):
        places = tf.raw_ops.Pack(values=[steps, samples], axis=1)
        return tf.raw_ops.GatherNd(params=x, indices=places)
    # GatherNd raises for a tensor without elements, even if the result has none either.
    sizes = tf.shape(x)
    rows = tf.reshape(x, tf.concat([sizes[:1] * sizes[1:2], sizes[2:]], 0))
    taken = tf.gather(rows, steps * batch + samples)
    taken.set_shape(x.shape[1:])
    return taken


def _not_empty(x: Any) -> Any:
    """Return a tensor padded by one entry if the size of its first axis, unknown, may be zero."""
    if static_length(x) is not None:
        return x
    if x.shape.rank is None:
        return tf.pad(x, tf.concat([[[0, 1]], tf.zeros([tf.rank(x) - 1, 2], tf.int32)], 0))
    return tf.pad(x, [[0, 1]] + [[0, 0]] * (x.shape.rank - 1))
