"""A loop in blocks that keeps only the carry and the inputs of each block for the backward pass.

`tf.recompute_grad` loses the gradients of tensors that the step closes over, and in a graph it
takes no variables. So the walk over all blocks is one function with a gradient of its own, which is
given everything from outside that the step uses. Tracing one block finds what that is.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from polyrnn import python_loop
from polyrnn.backend import Body, Carry, Walk
from polyrnn.blocks import flattened, parted
from polyrnn_tensorflow.graph_loop import graph_loop
from polyrnn_tensorflow.internals import stop_recording
from polyrnn_tensorflow.look_ahead import READING, Effects

REPEATABLE = READING | {"Assert", "PrintV2"}
"""Stateful operations that may be executed twice."""


def checkpointed_loop(
    walk: Walk, carry: Carry, xs: list[Any], *, size: int, reverse: bool
) -> tuple[Carry, list[Any]]:
    """Walk block by block; see `polyrnn.Backend.checkpointed_loop`.

    Raises:
        ValueError: If the step draws random numbers that depend on a state, or changes a variable:
            the backward pass would do it again. Also if it works eagerly only. In the backward
            pass, if a variable has changed since.
    """
    first, others = parted(xs, size, reverse=reverse)
    # The first block finds what the carry is where an entry starts as zeros.
    carry, outputs = walk(carry, first)
    if xs[0].shape[0] == size:
        return carry, outputs
    blocks = [tf.reshape(x, [-1, size, *_sizes(x)[1:]]) for x in others]
    carry, stacked = _Blocks(walk, carry, blocks, reverse).walk()
    following = [tf.reshape(y, [-1, *_sizes(y)[2:]]) for y in stacked]
    return carry, [tf.concat(pair, 0) for pair in zip(outputs, following, strict=True)]


class _Blocks:
    """The blocks of a walk, as one function with a gradient of its own.

    Args:
        walk: The walk over one block.
        carry: The carry before the first block.
        xs: The inputs of all blocks, with the blocks along the first axis.
        reverse: Whether the walk goes from the last block to the first.
    """

    def __init__(self, walk: Walk, carry: Carry, xs: list[Any], reverse: bool) -> None:
        self._flat = flattened(walk, carry)
        self._count = len(self._flat.leaves)
        self._xs = xs
        self._reverse = reverse
        self._block = _traced(self._flat.walk, [*self._flat.leaves, *(x[0] for x in xs)])

    def walk(self) -> tuple[Carry, list[Any]]:
        """Return the last carry, and the outputs of all blocks in the order of the walk."""
        count, used = self._count, self._count + len(self._xs)

        @tf.custom_gradient  # type: ignore[untyped-decorator]
        def walked(*tensors: Any) -> Any:
            leaves, xs = list(tensors[:count]), list(tensors[count:used])
            with stop_recording():
                last, outputs, kept = self._forward(leaves, xs)
            results = [*last, *outputs]

            # Variables are among what is outside, also those that are not trainable.
            def gradient(*slopes: Any, variables: Sequence[Any] = ()) -> Any:
                slopes = tuple(
                    tf.zeros_like(x) if slope is None else slope
                    for x, slope in zip(results, slopes, strict=True)
                )
                found = list(_not_differentiated(*self._backward([*xs, *kept], slopes)))
                return (found, [None] * len(variables)) if variables else found

            return results, gradient

        results = walked(*self._flat.leaves, *self._xs, *self._block.values)
        return self._flat.carry_and_outputs(list(results))

    def _forward(self, leaves: list[Any], xs: list[Any]) -> tuple[list[Any], list[Any], list[Any]]:
        """Return the last carry, the outputs, and the carry before each block."""

        def body(carry: Carry, block: list[Any]) -> tuple[Carry, list[Any]]:
            (before,) = carry
            assert before is not None
            results = self._block.walk([*before, *block])
            return (results[: self._count],), [*results[self._count :], *before]

        (last,), stacked = _loop(body, (leaves,), xs, self._reverse)
        assert last is not None
        first_kept = len(stacked) - self._count
        kept = [self._in_time_order(x) for x in stacked[first_kept:]]
        return last, stacked[:first_kept], kept

    def _in_time_order(self, x: Any) -> Any:
        """Return what is in the order of the walk in that of the time, or the other way round."""
        return tf.reverse(x, [0]) if self._reverse else x

    def _backward(self, kept: list[Any], slopes: Sequence[Any]) -> list[Any]:
        """Return the gradients of the first carry, the inputs, and what is outside.

        Args:
            kept: The inputs of each block, and the carry before it.
            slopes: The gradients of the last carry, and of the outputs.
        """
        count, input_count = self._count, len(kept) - self._count

        def body(carry: Carry, slices: list[Any]) -> tuple[Carry, list[Any]]:
            after, sums = carry
            block, before = slices[:input_count], slices[input_count : len(kept)]
            # Otherwise a graph walks over many blocks at once, which takes the memory of them all.
            with tf.control_dependencies(after):
                own = list(map(tf.identity, (*before, *block)))
            with tf.GradientTape() as tape:
                tape.watch([*filter(_is_differentiable, own), *self._block.sources])
                results = self._block.walk(own)
            found = _gradients(
                tape,
                results,
                [*(after or []), *slices[len(kept) :]],
                [*own, *self._block.sources],
                [*own, *self._block.values],
            )
            new = [one + other for one, other in zip(sums or [], found[len(own) :], strict=True)]
            return (found[:count], new), found[count : len(own)]

        _check_unchanged(self._block)
        stacked = [self._in_time_order(slope) for slope in slopes[count:]]
        zeros = list(map(tf.zeros_like, self._block.values))
        (after, sums), of_inputs = _loop(
            body, (list(slopes[:count]), zeros), [*kept, *stacked], not self._reverse
        )
        # They are in the order of the backward pass.
        of_inputs = [x if self._reverse else tf.reverse(x, [0]) for x in of_inputs]
        return [*(after or []), *of_inputs, *(sums or [])]


@tf.custom_gradient  # type: ignore[untyped-decorator]
def _not_differentiated(*gradients: Any) -> Any:
    """Return gradients, and raise an error where these are differentiated.

    The carry before each block is not recorded, so gradients of gradients would be wrong.
    """

    def refuse(*slopes: Any, variables: Any = ()) -> Any:
        raise ValueError(
            "checkpoint_every: gradients of gradients are not supported on tensorflow; leave it out"
        )

    return list(gradients), refuse


def _loop(body: Body, carry: Carry, xs: list[Any], reverse: bool) -> tuple[Carry, list[Any]]:
    """Run a loop over blocks, which differs from one over steps in that it copies no inputs."""
    if not tf.executing_eagerly():
        return graph_loop(body, carry, xs, reverse, reads_in_place=True)
    numbers = range(xs[0].shape[0])
    blocks = ([x[n] for x in xs] for n in (reversed(numbers) if reverse else numbers))
    return python_loop(body, carry, blocks, tf.stack)


def _gradients(
    tape: Any, results: list[Any], slopes: list[Any], sources: list[Any], values: list[Any]
) -> list[Any]:
    """Return dense gradients of results, zeros where there are none.

    Args:
        tape: The tape that recorded the results.
        results: The results, of which some may be integers.
        slopes: The gradients of the results.
        sources: With respect to what to differentiate.
        values: The values of the sources.
    """
    ends = [(x, slope) for x, slope in zip(results, slopes, strict=True) if _is_differentiable(x)]
    found = tape.gradient(
        [x for x, _ in ends], sources, output_gradients=[slope for _, slope in ends]
    )
    return [
        tf.zeros_like(value) if slope is None else tf.convert_to_tensor(slope)
        for slope, value in zip(found, values, strict=True)
    ]


def _sizes(x: Any) -> list[Any]:
    """Return the sizes of a tensor, static where they are known."""
    sizes = tf.shape(x)
    return [sizes[axis] if size is None else size for axis, size in enumerate(x.shape)]


class _Block(NamedTuple):
    """How to walk over a block, and what its steps use from outside.

    Args:
        walk: Takes and returns one list of tensors.
        sources: The tensors and variables that may have a gradient; in a graph, the handles of
            variables.
        values: The tensors, and the values of the variables.
    """

    walk: Callable[[list[Any]], list[Any]]
    sources: list[Any]
    values: list[Any]


def _traced(walk: Callable[[list[Any]], list[Any]], given: list[Any]) -> _Block:
    """Trace a block to find what its steps use from outside, and whether it can be repeated.

    Args:
        walk: The walk over a block.
        given: The tensors of the carry and the inputs of a block.
    """
    is_eager = tf.executing_eagerly()
    like = [tf.TensorSpec(x.shape, x.dtype) for x in given]
    try:
        with stop_recording():
            function = tf.function(walk, autograph=False).get_concrete_function(like)
    except Exception as error:
        if not is_eager:
            raise
        # It has just worked eagerly.
        raise ValueError(
            "checkpoint_every: step_function cannot be traced in a graph, by which TensorFlow "
            f"finds the tensors that it uses: {type(error).__name__}: {error}"
        ) from error
    graph = function.graph
    _check_repeatable(graph)
    captured = [outer for outer, _ in graph.captures]
    if is_eager:
        sources = [x for x in (*captured, *graph.variables) if _is_differentiable(x)]
        return _Block(walk, sources, list(map(tf.convert_to_tensor, sources)))
    # The gradient of a loop around this call cannot capture eager tensors, so tensors of the graph
    # replace them. The step refers to the eager ones, so the traced function is called instead.
    symbols = list(map(tf.identity, captured))
    function.set_external_captures(symbols)
    read = {id(variable.handle): variable for variable in graph.variables}
    pairs = [
        (symbol, tf.convert_to_tensor(read.get(id(outer), symbol)))
        for outer, symbol in zip(captured, symbols, strict=True)
        if id(outer) in read or _is_differentiable(outer)
    ]
    return _Block(function, [source for source, _ in pairs], [value for _, value in pairs])


def _check_repeatable(graph: Any) -> None:
    """Check that the operations of a graph can be executed a second time."""
    definition = graph.as_graph_def()
    effects = Effects(graph, definition, REPEATABLE)
    for node in definition.node:
        kind = effects.first(node)
        if kind is not None:
            raise ValueError(
                f"checkpoint_every: the backward pass would repeat the operation {kind} of "
                "step_function with another result or effect; use tf.random.stateless_* for random "
                "numbers, and assign to variables outside of the step"
            )


def _check_unchanged(block: _Block) -> None:
    """Check, in the backward pass, that variables have the values of the forward pass.

    Raises:
        ValueError: If one has changed; in a graph, an `tf.errors.InvalidArgumentError` when the
            graph is executed. XLA ignores this check.
    """
    message = (
        "checkpoint_every: a variable that step_function uses has changed between the call and its "
        "backward pass, which reads it again"
    )
    for source, value in zip(block.sources, block.values, strict=True):
        if isinstance(source, tf.Variable):
            now = tf.convert_to_tensor(source)
        elif source.dtype == tf.resource:
            now = tf.raw_ops.ReadVariableOp(resource=source, dtype=value.dtype)
        else:
            continue
        is_same = tf.reduce_all((now == value) | (value != value))
        if not tf.executing_eagerly():
            tf.debugging.Assert(is_same, [message])
        elif not is_same:
            raise ValueError(message)


def _is_differentiable(x: Any) -> bool:
    return bool(x.dtype.is_floating or x.dtype.is_complex)
