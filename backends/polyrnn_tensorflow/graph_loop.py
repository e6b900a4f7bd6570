"""The loop in a graph: a `tf.while_loop` that appends outputs to tensor lists.

- `polyrnn_tensorflow.look_ahead` finds the shapes and dtypes of the outputs before the loop.
- `polyrnn_tensorflow.time_steps` reads the inputs.
- States keep the static shapes that they have before the loop, even if the step loses them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

from polyrnn.backend import Body, Carry
from polyrnn_tensorflow.look_ahead import look_ahead
from polyrnn_tensorflow.time_steps import (
    ReadInPlace,
    TakenOffList,
    as_tensor,
    length_of,
    static_length,
)


def graph_loop(
    body: Body, carry: Carry, xs: list[Any], reverse: bool, *, reads_in_place: bool = False
) -> tuple[Carry, list[Any]]:
    """Run a loop in a graph.

    Args:
        body: As in `polyrnn.Backend.loop`.
        carry: As in `polyrnn.Backend.loop`.
        xs: As in `polyrnn.Backend.loop`.
        reverse: Whether to loop from the last time step to the first.
        reads_in_place: Copy no inputs, whose gradient then costs the square of the time.

    Returns:
        The last carry and the stacked outputs.
    """
    length = length_of(xs[0], tf.int32)
    found = look_ahead(body, carry, xs, reverse)
    # `TakenOffList` copies the inputs. If outputs are stacked, the copy hardly matters; if not, it
    # would dominate the memory of the loop.
    time_steps = TakenOffList if found.outputs and not reads_in_place else ReadInPlace
    sources = [time_steps(x, reverse) for x in xs]
    sinks = [
        tf.raw_ops.EmptyTensorList(
            element_shape=as_tensor(shape), max_num_elements=length, element_dtype=dtype
        )
        for shape, dtype in found.outputs
    ]
    is_none = [entry is None for entry in found.carry]

    def loop_body(entries: Any, handles: Any, sinks: Any) -> Any:
        before = tuple(None if none else e for none, e in zip(is_none, entries, strict=True))
        reads = [source.read(handle) for source, handle in zip(sources, handles, strict=True)]
        after, outputs = body(before, [item for item, _ in reads])
        return (
            [
                _keep_shapes(entry, shapes)
                for entry, shapes in zip(after, found.shapes, strict=True)
            ],
            [rest for _, rest in reads],
            list(map(_push, sinks, outputs)),
        )

    # XLA allocates memory for the gradients by `maximum_iterations`, which must not be 0.
    steps, further = length, True
    if not isinstance(length, int):
        steps, further = tf.maximum(length, 1), length > 0
    handles = [source.handle for source in sources]
    shape_of_each = tf.nest.map_structure(lambda tensor: tensor.shape, (handles, sinks))
    with _control_flow_of_version_2():
        entries, _, sinks = tf.while_loop(
            lambda *_: further,
            loop_body,
            ([entry or [] for entry in found.carry], handles, sinks),
            shape_invariants=([shapes or [] for shapes in found.shapes], *shape_of_each),
            maximum_iterations=steps,
        )
    last = tuple(None if none else e for none, e in zip(is_none, entries, strict=True))
    return last, [
        _stack(sink, shape, dtype, static_length(xs[0]))
        for sink, (shape, dtype) in zip(sinks, found.outputs, strict=True)
    ]


@contextmanager
def _control_flow_of_version_2() -> Iterator[None]:
    """Enable control flow v2 for a block, as v1 loops cannot differentiate tensor lists."""
    if tf.compat.v1.control_flow_v2_enabled():
        yield
        return
    tf.compat.v1.enable_control_flow_v2()
    try:
        yield
    finally:
        tf.compat.v1.disable_control_flow_v2()


def _push(sink: Any, output: Any) -> Any:
    return tf.raw_ops.TensorListPushBack(input_handle=sink, tensor=output)


def _stack(sink: Any, shape: tf.TensorShape, dtype: Any, length: int | None) -> Any:
    return tf.raw_ops.TensorListStack(
        input_handle=sink,
        element_shape=as_tensor(shape),
        element_dtype=dtype,
        num_elements=-1 if length is None else length,
    )


def _keep_shapes(entry: list[Any] | None, shapes: list[tf.TensorShape] | None) -> list[Any]:
    """Return the tensors of an entry with the static shapes that they have throughout the loop."""
    return [
        tensor if tensor.shape == shape else tf.ensure_shape(tensor, shape)
        for tensor, shape in zip(entry or [], shapes or [], strict=True)
    ]
