"""How a graph walks over time: by a `tf.while_loop`, which puts outputs on a list.

- A loop of a graph must know what it carries before it starts, so the first step
  stands before the loop: it shows what the outputs are.
- How inputs are read is in `polyrnn_tensorflow.time_steps`.
- A shape that is known going in is known coming out, whatever the step loses of it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

from polyrnn.backend import Body, Carry
from polyrnn_tensorflow.time_steps import (
    ReadInPlace,
    TakenOffList,
    as_tensor,
    length_of,
    static_length,
)


def graph_loop(body: Body, carry: Carry, xs: list[Any], reverse: bool) -> tuple[Carry, list[Any]]:
    """Walk in a graph: the first step in plain sight, the others in a `tf.while_loop`."""
    length = length_of(xs[0], tf.int32)
    carry, first = _take_step(body, carry, [x[-1 if reverse else 0, ...] for x in xs])
    # Beside outputs a copy of the inputs is little; where none are kept it would be all there is.
    time_steps = TakenOffList if first else ReadInPlace
    sources = [time_steps(x, reverse) for x in xs]
    sinks = [
        tf.raw_ops.EmptyTensorList(
            element_shape=as_tensor(output.shape),
            max_num_elements=length,
            element_dtype=output.dtype,
        )
        for output in first
    ]
    is_none = [entry is None for entry in carry]

    def loop_body(entries: Any, handles: Any, sinks: Any) -> Any:
        before = tuple(None if none else e for none, e in zip(is_none, entries, strict=True))
        reads = [source.read(handle) for source, handle in zip(sources, handles, strict=True)]
        after, outputs = _take_step(body, before, [item for item, _ in reads])
        return (
            [entry or [] for entry in after],
            [rest for _, rest in reads],
            list(map(_push, sinks, outputs)),
        )

    # XLA makes room for what gradients remember by the greatest count, which must not be 0.
    remaining, further = length - 1, True
    if not isinstance(length, int):
        remaining, further = tf.maximum(remaining, 1), length > 1
    with _control_flow_of_version_2():
        entries, _, sinks = tf.while_loop(
            lambda *_: further,
            loop_body,
            (
                [entry or [] for entry in carry],
                [source.handle for source in sources],
                list(map(_push, sinks, first)),
            ),
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


def _take_step(body: Body, carry: Carry, slices: list[Any]) -> tuple[Carry, list[Any]]:
    new, outputs = body(carry, slices)
    return tuple(map(_keep_shapes, new, carry)), outputs


def _push(sink: Any, output: Any) -> Any:
    return tf.raw_ops.TensorListPushBack(input_handle=sink, tensor=output)


def _stack(sink: Any, output: Any, length: int | None) -> Any:
    return tf.raw_ops.TensorListStack(
        input_handle=sink,
        element_shape=as_tensor(output.shape),
        element_dtype=output.dtype,
        num_elements=-1 if length is None else length,
    )


def _keep_shapes(new: list[Any] | None, old: list[Any] | None) -> list[Any] | None:
    """Give tensors that lost static sizes those of the tensors they take the place of."""
    if new is None or old is None:
        return new
    return [
        n if n.shape == o.shape else tf.ensure_shape(n, o.shape)
        for n, o in zip(new, old, strict=True)
    ]
