"""Finds the shapes and dtypes of the outputs of a step before the loop, without executing it.

A loop in a graph must know its carry before it starts, so the step is traced once in a graph that
is then discarded. The step must not be executed there, because side effects would happen once too
often, and because random numbers would repeat: TensorFlow counts the seeds of operations per graph.
"""

from typing import Any, NamedTuple

import tensorflow as tf

from polyrnn.backend import Body, Carry
from polyrnn_tensorflow.internals import new_graph

READING = frozenset(
    [
        *("LookupTableFindV2", "LookupTableSizeV2", "ReadVariableOp", "ResourceGather"),
        *("ResourceGatherNd", "VarHandleOp", "VarIsInitializedOp", "Variable", "VariableShape"),
        "VariableV2",
    ]
)
"""Stateful operations that only read their state."""

RANDOM = frozenset(
    [
        *("Multinomial", "ParameterizedTruncatedNormal", "RandomGamma", "RandomPoissonV2"),
        *("RandomShuffle", "RandomStandardNormal", "RandomUniform", "RandomUniformInt"),
        "TruncatedNormal",
    ]
)
"""Random operations that have a counter of their own, so that a copy does not affect others.

Operations that draw from a generator are not among them, because they share its state.
"""

CALLS = frozenset(["Case", "If", "PartitionedCall", "StatefulPartitionedCall", "While"])
"""Operations that are stateful only if a function that they call is."""


class Found(NamedTuple):
    """The carry and the outputs of a loop, as known before it starts."""

    carry: Carry
    """The first carry, in which zeros replace each `None` that the body replaces by a list.

    A size of these zeros that only an operation with side effects would give is 1.
    """

    shapes: list[list[tf.TensorShape] | None]
    """The static shapes of the carry throughout the loop, where such a size is `None`."""

    outputs: list[tuple[tf.TensorShape, Any]]
    """The static shape and the dtype of each output."""


def look_ahead(body: Body, carry: Carry, xs: list[Any], reverse: bool) -> Found:
    """Trace a body once, in a graph of its own.

    Args:
        body: The body of a loop.
        carry: The first carry of the loop.
        xs: The inputs of the loop, with time as the first axis.
        reverse: Whether it loops from the last time step to the first.

    Returns:
        The carry and the outputs of the loop.
    """
    graph = new_graph("polyrnn_look_ahead")
    with graph.as_default():
        slices = [tf.compat.v1.placeholder(x.dtype, x.shape[1:]) for x in xs]
        after, outputs = body(carry, slices)
        started = [new if old is None else None for old, new in zip(carry, after, strict=True)]
        leaves = [leaf for entry in started for leaf in entry or []]
        sizes = [None if leaf.shape.is_fully_defined() else tf.shape(leaf) for leaf in leaves]
    if any(size is not None for size in sizes):
        given = {inner.name: outer for outer, inner in graph.captures}
        first = -1 if reverse else 0
        given.update((inner.name, x[first, ...]) for inner, x in zip(slices, xs, strict=True))
        sizes = _copy_without_effects(graph, sizes, given)
    zeros = map(_zeros, leaves, sizes)
    kept = [old if entry is None else entry for old, entry in zip(carry, started, strict=True)]
    return Found(
        tuple(
            old if entry is None else [next(zeros) for _ in entry]
            for old, entry in zip(carry, started, strict=True)
        ),
        [entry and [leaf.shape for leaf in entry] for entry in kept],
        [(output.shape, output.dtype) for output in outputs],
    )


def _zeros(like: Any, sizes: Any) -> Any:
    """Return zeros of the given sizes; without them, of the static sizes, and 1 if unknown."""
    if sizes is None:
        shape = [1 if size is None else size for size in like.shape] if like.shape.rank else []
        return tf.zeros(shape, like.dtype)
    zeros = tf.zeros(sizes, like.dtype)
    zeros.set_shape(like.shape)
    return zeros


def _copy_without_effects(graph: Any, sizes: list[Any], given: dict[str, Any]) -> list[Any]:
    """Copy tensors of a graph, with the operations that compute them, to the default graph.

    Args:
        graph: The graph.
        sizes: Tensors of the graph, each of which may be `None`.
        given: Tensors outside of the graph that replace tensors in it, by the names of the latter.

    Returns:
        The copies; `None` in place of each `None`, and of each tensor whose computation has side
        effects.
    """
    definition = graph.as_graph_def()
    effects = Effects(graph, definition)
    found = [None if size is None else _needed(size, given, effects) for size in sizes]
    needed = {operation.name for operations in found for operation in operations or []}
    copied = tf.compat.v1.GraphDef(versions=definition.versions, library=definition.library)
    for node in definition.node:
        if node.name in needed:
            node.input[:] = [name for name in node.input if not name.startswith("^")]
            node.attr.pop("_class", None)
            copied.node.append(node)
    inputs = {
        tensor.name
        for operations in found
        for operation in operations or []
        for tensor in operation.inputs
    }
    # The copies call functions of the graph, so the graph must stay alive.
    surrounding: Any = tf.compat.v1.get_default_graph()
    surrounding.polyrnn_looked_ahead = [*getattr(surrounding, "polyrnn_looked_ahead", []), graph]
    # Tensors that a function closes over are outside of it, in another graph or eager.
    capture = getattr(surrounding, "capture", tf.convert_to_tensor)
    copies = iter(
        tf.graph_util.import_graph_def(
            copied,
            {name: capture(tensor) for name, tensor in given.items() if name in inputs},
            [size.name for size, operations in zip(sizes, found, strict=True) if operations],
            name="polyrnn_look_ahead",
        )
    )
    return [next(copies) if operations else None for operations in found]


def _needed(size: Any, given: dict[str, Any], effects: "Effects") -> set[Any] | None:
    """Return the operations that compute a tensor; `None` if one of them has side effects.

    If an operation has side effects and its result a static shape, zeros replace its result.
    The size cannot depend on its values, or else it would not be the same at each step.
    """
    needed: set[Any] = set()
    waiting = [size]
    while waiting:
        tensor = waiting.pop()
        operation = tensor.op
        if tensor.name in given or operation in needed:
            continue
        if not effects.of(operation.node_def):
            needed.add(operation)
            waiting += operation.inputs
        elif tensor.shape.is_fully_defined() and (tensor.dtype.is_numeric or tensor.dtype.is_bool):
            given[tensor.name] = tf.zeros(tensor.shape, tensor.dtype)
        else:
            return None
    return needed


class Effects:
    """Determines which operations of a graph have side effects.

    Args:
        graph: The graph.
        definition: Its ``GraphDef``.
        without: The types of stateful operations that count as having none.
    """

    def __init__(
        self, graph: Any, definition: Any, without: frozenset[str] = READING | RANDOM
    ) -> None:
        self._without = without
        self._definition_of = graph.op_def_for_type
        self._bodies = {f.signature.name: f.node_def for f in definition.library.function}

    def of(self, node: Any) -> bool:
        """Return whether an operation, or a function that it calls, has side effects."""
        return self.first(node) is not None

    def first(self, node: Any) -> str | None:
        """Return the type of the operation that has side effects, within a node; `None` if none."""
        called = [node.op]
        for value in node.attr.values():
            called += [function.name for function in (value.func, *value.list.func)]
        bodies = [self._bodies[name] for name in called if name in self._bodies]
        if bodies and (node.op in CALLS or node.op in self._bodies):
            found = (self.first(inner) for body in bodies for inner in body)
            return next((kind for kind in found if kind is not None), None)
        is_stateful = node.op not in self._without and self._definition_of(node.op).is_stateful
        return str(node.op) if is_stateful else None
