"""Everything that the backend takes from TensorFlow without TensorFlow's promise to keep it."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from polyrnn.private_names import PrivateNames

SHAPES = "the quick way to a shape"
LOOK_AHEAD = "a loop in a graph"
COMPOSITES = "a tensor of several parts within a tf.experimental.ExtensionType"

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
"""Give the static shape of a tensor; `None` where not even the rank is known.

``x.shape`` is made of Python objects when it is first asked for, which takes longer than
many an operation.
"""


def new_graph(name: str) -> Any:
    """Return a graph that a function is traced in.

    Args:
        name: The name of the graph.

    Raises:
        RuntimeError: If TensorFlow has none of the kind that is needed.
    """
    missing = PRIVATE.missing(LOOK_AHEAD)
    if missing:
        # Of a type that AutoGraph passes on as it is.
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
"""The types of tensors that have parts; where TensorFlow does not say which, those it documents."""


def tracked_containers() -> list[tuple[type[Any], Callable[[Any], Any]]]:
    """List what `tf.Module` and Keras make of the containers among their attributes.

    The types are private; their instances are not.

    Returns:
        Each type, with a function that returns the plain container of an instance.
    """
    module = tf.Module()
    module.tracked = [{}, ([],)]
    tracked: Any = module.tracked
    found = ((tracked, list), (tracked[0], _unwrapped), (tracked[1], _unwrapped))
    plain = (list, dict, tuple)
    return [(type(node), function) for node, function in found if type(node) not in plain]


def _unwrapped(node: Any) -> Any:
    return node.__wrapped__
