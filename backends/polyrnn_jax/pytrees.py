"""Nests as JAX's own pytrees, so that what is registered with JAX is a nest."""

from collections.abc import Sequence
from typing import Any

from jax import tree_util


def flatten(tree: Any) -> tuple[list[Any], Any]:
    """Return the leaves of a nest and its structure."""
    leaves, structure = tree_util.tree_flatten(tree)
    return leaves, structure


def unflatten(structure: Any, leaves: Sequence[Any]) -> Any:
    """Return the nest of a structure with other leaves."""
    return tree_util.tree_unflatten(structure, leaves)


def paths(structure: Any) -> list[str]:
    """Return for each leaf the expression that reaches it."""
    places = tree_util.tree_unflatten(structure, range(structure.num_leaves))
    return [tree_util.keystr(path) for path, _ in tree_util.tree_leaves_with_path(places)]
