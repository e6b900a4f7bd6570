"""Flattens nests, in which extension types and tracked containers of TensorFlow are nodes."""

from typing import Any

import optree

from polyrnn import nests
from polyrnn.nests import paths, unflatten
from polyrnn_tensorflow import extension_types
from polyrnn_tensorflow.internals import tracked_containers

__all__ = ["flatten", "paths", "unflatten"]


def flatten(tree: Any) -> tuple[list[Any], Any]:
    """Return the leaves of a nest and its structure."""
    leaves, structure = nests.flatten(tree)
    while extension_types.take_apart(leaves):
        leaves, structure = nests.flatten(tree)
    if structure.namespace:
        # The nest holds a type that polyrnn registered, such as a tracked list. A step that is
        # given one may return a plain list, so the structure is made that of plain containers.
        leaves, structure = nests.flatten(nests.unflatten(structure, leaves))
    return leaves, structure


def _register_tracked_containers() -> None:
    """Register the containers that `tf.Module` and Keras wrap around attributes as nodes."""
    for kind, plain in tracked_containers():
        if optree.register_pytree_node.get(kind, namespace=nests.NAMESPACE) is None:
            optree.register_pytree_node(
                kind,
                lambda node, plain=plain: ((plain(node),), None),  # type: ignore[misc]
                lambda _, children: next(iter(children)),
                namespace=nests.NAMESPACE,
            )


_register_tracked_containers()
