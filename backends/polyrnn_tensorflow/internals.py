"""All private names of TensorFlow that the backend uses, and what it does without them."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import tensorflow as tf

from polyrnn.private_names import PrivateNames

SHAPES = "the fast access to static shapes"
LOOK_AHEAD = "a loop in a graph"
RECORDING = "the use of checkpoint_every in eager mode"
COMPOSITES = "a composite tensor within a tf.experimental.ExtensionType"

PRIVATE = PrivateNames(
    "tensorflow",
    "2.21",
    {
        SHAPES: ("tensorflow:Tensor._shape_tuple",),
        LOOK_AHEAD: (
            "tensorflow:__internal__.FuncGraph",
            "tensorflow:__internal__.FuncGraph.captures",
            "tensorflow:__internal__.FuncGraph.op_def_for_type",
        ),
        RECORDING: (
            "tensorflow.python.eager.record:could_possibly_record",
            "tensorflow.python.eager.record:stop_recording",
        ),
        COMPOSITES: ("tensorflow:__internal__.CompositeTensor",),
    },
)

Shape = tuple[int | None, ...] | None


def _quick_shape_of(x: Any) -> Shape:
    shape: Shape = x._shape_tuple()
    return shape


def _public_shape_of(x: Any) -> Shape:
    shape = x.shape
    return None if shape.rank is None else tuple(shape.as_list())


shape_of: Callable[[Any], Shape] = _public_shape_of if PRIVATE.missing(SHAPES) else _quick_shape_of
"""A function that returns the static shape of a tensor, or `None` if its rank is unknown.

The attribute ``x.shape`` creates Python objects when it is first read, which takes longer than
many operations.
"""


_could_record, _stop_recording = map(PRIVATE.find, PRIVATE.uses[RECORDING])


def may_differentiate() -> bool:
    """Return whether operations may be differentiated: a tape records, or a graph is built.

    If the private name is missing, the result is true.
    """
    return not tf.executing_eagerly() or _could_record is None or bool(_could_record())


def stop_recording() -> AbstractContextManager[None]:
    """Return a context in which no tape records what is executed eagerly.

    If the private name is missing, tapes record, and keep in memory what checkpoints would save.
    """
    if _stop_recording is None or not tf.executing_eagerly():
        return nullcontext()
    context: AbstractContextManager[None] = _stop_recording()
    return context


def new_graph(name: str) -> Any:
    """Return a new graph in which a function can be traced.

    Args:
        name: The name of the graph.

    Raises:
        RuntimeError: If TensorFlow lacks a private name that this needs.
    """
    missing = PRIVATE.missing(LOOK_AHEAD)
    if missing:
        # A RuntimeError, because AutoGraph does not change the type of built-in errors.
        raise RuntimeError(
            f"{PRIVATE.explain(LOOK_AHEAD, missing)}; eager calls work, and in a graph those with "
            "unroll=True"
        )
    return PRIVATE.find("tensorflow:__internal__.FuncGraph")(name)


_composite = PRIVATE.find("tensorflow:__internal__.CompositeTensor")

COMPOSITE: tuple[type[Any], ...] = (
    (tf.RaggedTensor, tf.SparseTensor, tf.IndexedSlices, tf.experimental.ExtensionType)
    if _composite is None
    else (_composite,)
)
"""The types of composite tensors; if the private name is missing, the documented ones."""


def tracked_containers() -> list[tuple[type[Any], Callable[[Any], Any]]]:
    """Return the types that `tf.Module` and Keras wrap around containers in their attributes.

    The types are private, so they are found by assigning containers to a `tf.Module`.

    Returns:
        Pairs of a type and a function that returns the plain container of an instance.
    """
    module = tf.Module()
    module.tracked = [{}, ([],)]
    tracked: Any = module.tracked
    found = ((tracked, list), (tracked[0], _unwrapped), (tracked[1], _unwrapped))
    plain = (list, dict, tuple)
    return [(type(node), function) for node, function in found if type(node) not in plain]


def _unwrapped(node: Any) -> Any:
    return node.__wrapped__
