"""How a graph walks over time: it takes inputs off a list, and puts outputs on another.

- A loop of a graph must know what it carries before it starts, so the first step
  stands before the loop: it shows what the outputs are.
- The gradient of reading ``x[t]`` is as large as `x`, at every step, and that of
  reading from a `tf.TensorArray` is no smaller; with them the cost grows with the
  square of the time. The gradient of taking the last element off a list is one element.
- A shape that is known going in is known coming out, whatever the step loses of it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

from polyrnn.backend import Body, Carry


def graph_loop(body: Body, carry: Carry, xs: list[Any], reverse: bool) -> tuple[Carry, list[Any]]:
    """Walk in a graph: the first step in plain sight, the others in a `tf.while_loop`."""
    length = length_of(xs[0], tf.int32)
    item_shapes = [x.shape[1:] for x in xs]
    sources = [
        tf.raw_ops.TensorListFromTensor(
            tensor=x if reverse else tf.reverse(x, [0]), element_shape=_as_tensor(shape)
        )
        for x, shape in zip(xs, item_shapes, strict=True)
    ]

    def step(carry: Carry, sources: list[Any]) -> tuple[Carry, list[Any], list[Any]]:
        rests, slices = [], []
        for source, x, shape in zip(sources, xs, item_shapes, strict=True):
            rest, item = tf.raw_ops.TensorListPopBack(
                input_handle=source, element_shape=_as_tensor(shape), element_dtype=x.dtype
            )
            rests.append(rest)
            slices.append(item)
        new, outputs = body(carry, slices)
        return tuple(map(_keep_shapes, new, carry)), rests, outputs

    carry, sources, first = step(carry, sources)
    sinks = [
        tf.raw_ops.EmptyTensorList(
            element_shape=_as_tensor(output.shape),
            max_num_elements=length,
            element_dtype=output.dtype,
        )
        for output in first
    ]
    is_none = [entry is None for entry in carry]

    def loop_body(entries: Any, sources: Any, sinks: Any) -> Any:
        before = tuple(None if none else e for none, e in zip(is_none, entries, strict=True))
        after, sources, outputs = step(before, sources)
        return [entry or [] for entry in after], sources, list(map(_push, sinks, outputs))

    # XLA makes room for what gradients remember by the greatest count, which must not be 0.
    remaining, further = length - 1, True
    if not isinstance(length, int):
        remaining, further = tf.maximum(remaining, 1), length > 1
    with _control_flow_of_version_2():
        entries, _, sinks = tf.while_loop(
            lambda *_: further,
            loop_body,
            ([entry or [] for entry in carry], sources, list(map(_push, sinks, first))),
            maximum_iterations=remaining,
        )
    last = tuple(None if none else e for none, e in zip(is_none, entries, strict=True))
    return last, [
        _stack(sink, y, static_length(xs[0])) for sink, y in zip(sinks, first, strict=True)
    ]


@contextmanager
def _control_flow_of_version_2() -> Iterator[None]:
    """Have loops differentiate lists, also in programs that behave as in version 1."""
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


def _stack(sink: Any, output: Any, length: int | None) -> Any:
    return tf.raw_ops.TensorListStack(
        input_handle=sink,
        element_shape=_as_tensor(output.shape),
        element_dtype=output.dtype,
        num_elements=-1 if length is None else length,
    )


def _as_tensor(shape: tf.TensorShape) -> Any:
    if shape.rank is None:
        return tf.constant(-1)
    return tf.constant([-1 if size is None else size for size in shape.as_list()], tf.int32)


def _keep_shapes(new: list[Any] | None, old: list[Any] | None) -> list[Any] | None:
    """Give tensors that lost static sizes those of the tensors they take the place of."""
    if new is None or old is None:
        return new
    return [
        n if n.shape == o.shape else tf.ensure_shape(n, o.shape)
        for n, o in zip(new, old, strict=True)
    ]


def static_length(x: Any) -> int | None:
    """Give the size of the first axis where it is static; version 1 wraps it up."""
    length: int | None = tf.compat.dimension_value(x.shape[0])
    return length


def length_of(x: Any, dtype: Any) -> Any:
    """Give the size of the first axis: an integer where it is static, else a tensor."""
    length = static_length(x)
    return tf.shape(x, dtype)[0] if length is None else length
