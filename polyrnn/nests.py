"""Flattens and unflattens nests of tensors, and names their leaves."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import optree

NAMESPACE = "polyrnn"
"""The optree namespace for node types that only polyrnn should flatten."""

MOST_LEVELS = 128
"""How many levels a nest may have.

Some functions that walk through nests are written in Python, whose stack is limited. The limit of
optree itself is 1,000 levels.
"""


class Nest(NamedTuple):
    """A flattened nest of tensors.

    Args:
        leaves: The tensors.
        structure: The containers.
        is_plain: Whether unflattening is unnecessary, because the nest is a single leaf or, for
            an argument that is a sequence of nests, a list of leaves.
    """

    leaves: list[Any]
    structure: Any
    is_plain: bool


def flatten(tree: Any) -> tuple[list[Any], Any]:
    """Return the leaves of a nest and its structure; `None` is structure, not a leaf."""
    leaves, structure = optree.tree_flatten(tree, namespace=NAMESPACE)
    return leaves, structure


def unflatten(structure: Any, leaves: Sequence[Any]) -> Any:
    """Return a nest of the given structure with the given leaves."""
    return optree.tree_unflatten(structure, leaves)


def paths(structure: Any) -> list[str]:
    """Return, for each leaf, the Python expression that reaches it, such as ``['a'][0].h``."""
    return [accessor.codify("") for accessor in structure.accessors()]


def too_deep(called: str) -> ValueError:
    """Return the error for a nest that has too many levels or contains itself.

    Args:
        called: The name of the argument, such as ``"inputs"``.
    """
    return ValueError(
        f"{called}: expected a nest of at most {MOST_LEVELS} levels; "
        "got one that is deeper or contains itself"
    )


def flatten_named(
    called: str, tree: Any, flatten: Callable[[Any], tuple[list[Any], Any]] = flatten
) -> tuple[list[Any], Any]:
    """Return the leaves of a nest and its structure; the error for too many levels names it.

    Args:
        called: The name of the argument, such as ``"inputs"``.
        tree: The nest.
        flatten: The function that flattens it, such as that of a backend.

    Raises:
        ValueError: If the nest has too many levels or contains itself.
    """
    try:
        return flatten(tree)
    except RecursionError:
        raise too_deep(called) from None


def ends(tree: Any) -> bool:
    """Return whether a nest of lists, tuples and dicts has at most `MOST_LEVELS` levels.

    The function also returns for a nest that contains itself.
    """
    level = [tree] if isinstance(tree, CONTAINERS) else []
    for _ in range(MOST_LEVELS):
        if not level:
            return True
        inner: dict[int, Any] = {}
        for node in level:
            for child in node.values() if isinstance(node, dict) else node:
                if isinstance(child, CONTAINERS):
                    # By identity, or the count of a container that contains itself twice would
                    # double at each level.
                    inner[id(child)] = child
        level = list(inner.values())
    return not level


def check_levels(called: str, tree: Any) -> None:
    """Check that a nest has at most `MOST_LEVELS` levels.

    This is done before calling functions that would not return for a nest that contains itself.

    Args:
        called: The name of the argument, such as ``"inputs"``.
        tree: The nest.

    Raises:
        ValueError: If the nest has more levels or contains itself.
    """
    if not ends(tree):
        raise too_deep(called)


class _Leaf:
    def __repr__(self) -> str:
        return "*"


LEAF = _Leaf()
"""A placeholder for a tensor where the structure of a nest is printed."""


CONTAINERS = (list, tuple, dict)
"""The container types of Python; instances of subclasses count as well."""

# A tuple, because a union of types would be created at each call.
NUMBER = (bool, int, float, complex)
"""The types of plain Python numbers."""


def is_number(value: Any) -> bool:
    """Return whether a value is a plain Python number (a bool is one)."""
    return isinstance(value, NUMBER)


def is_number_list(value: Any) -> bool:
    """Return whether a value is a list of numbers, or a list of such lists.

    Such a list is a tensor written out.
    """
    return (
        isinstance(value, list)
        and len(value) > 0
        and all(is_number(entry) or is_number_list(entry) for entry in value)
    )


def written_out_to_arrays(tree: Any) -> Any:
    """Return a nest with each list of numbers replaced by a NumPy array of these numbers."""
    import numpy

    return optree.tree_map(
        lambda node: numpy.asarray(node) if is_number_list(node) else node,
        tree,
        is_leaf=is_number_list,
        namespace=NAMESPACE,
    )
