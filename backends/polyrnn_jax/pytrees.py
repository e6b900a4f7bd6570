"""Nests as JAX's own pytrees, so that what is registered with JAX is a nest."""

from collections.abc import Sequence
from typing import Any

from jax import tree_util

from polyrnn import nests


def flatten(tree: Any) -> tuple[list[Any], Any]:
    """Return the leaves of a nest and its structure."""
    if not nests.ends(tree):
        # JAX finds that out too, but goes on with the other branches before it says so.
        raise RecursionError("the nest has too many levels")
    leaves, structure = tree_util.tree_flatten(tree)
    return leaves, structure


def unflatten(structure: Any, leaves: Sequence[Any]) -> Any:
    """Return the nest of a structure with other leaves."""
    return tree_util.tree_unflatten(structure, leaves)


def paths(structure: Any) -> list[str]:
    """Return for each leaf the expression that reaches it."""
    count = structure.num_leaves
    try:
        places = tree_util.tree_unflatten(structure, range(count))
    except Exception:  # whatever a class raises that checks what it is made of
        return [f"[<leaf {number}>]" for number in range(count)]
    return [tree_util.keystr(path) for path, _ in tree_util.tree_leaves_with_path(places)]
