"""Flattens nests as JAX pytrees, so that types registered with JAX are nests."""

from collections.abc import Sequence
from typing import Any

from jax import tree_util

from polyrnn import nests


def flatten(tree: Any) -> tuple[list[Any], Any]:
    """Return the leaves of a nest and its structure."""
    if not nests.ends(tree):
        # JAX would raise as well, but only after it has visited all other branches.
        raise RecursionError("the nest has too many levels")
    leaves, structure = tree_util.tree_flatten(tree)
    return leaves, structure


def unflatten(structure: Any, leaves: Sequence[Any]) -> Any:
    """Return a nest of the given structure with the given leaves."""
    return tree_util.tree_unflatten(structure, leaves)


def paths(structure: Any) -> list[str]:
    """Return, for each leaf, the Python expression that reaches it."""
    count = structure.num_leaves
    try:
        places = tree_util.tree_unflatten(structure, range(count))
    except Exception:  # a class that validates its parts may raise any error
        return [f"[<leaf {number}>]" for number in range(count)]
    return [tree_util.keystr(path) for path, _ in tree_util.tree_leaves_with_path(places)]
