"""Nests on TensorFlow: extension types and tracked containers besides what optree knows."""

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
        # There is a container of ours in it: a step that gets a tracked list may
        # give back a plain one, so the structure had better be that of a plain one.
        leaves, structure = nests.flatten(nests.unflatten(structure, leaves))
    return leaves, structure


def _take_apart_tracked_containers() -> None:
    """Have nests see the plain container in what `tf.Module` and Keras make of attributes."""
    for kind, plain in tracked_containers():
        if optree.register_pytree_node.get(kind, namespace=nests.NAMESPACE) is None:
            optree.register_pytree_node(
                kind,
                lambda node, plain=plain: ((plain(node),), None),  # type: ignore[misc]
                lambda _, children: next(iter(children)),
                namespace=nests.NAMESPACE,
            )


_take_apart_tracked_containers()
