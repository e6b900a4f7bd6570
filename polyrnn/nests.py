"""Nests of tensors: taking them apart, putting them together, naming their leaves."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import optree

NAMESPACE = "polyrnn"
"""The optree namespace for node types that only polyrnn should take apart."""

MOST_LEVELS = 128
"""How many levels a nest may have. Some of what walks through nests is Python, whose stack is
finite; what is in C++ stops at 1,000, where it stops in good order."""


class Nest(NamedTuple):
    """A nest of tensors that was taken apart.

    Args:
        leaves: The tensors.
        structure: The containers.
        is_plain: Whether there is nothing to put together: a nest that is a leaf, or a list
            of leaves.
    """

    leaves: list[Any]
    structure: Any
    is_plain: bool


def flatten(tree: Any) -> tuple[list[Any], Any]:
    """Take a nest apart into its leaves and its structure; `None` is structure, not a leaf."""
    leaves, structure = optree.tree_flatten(tree, namespace=NAMESPACE)
    return leaves, structure


def unflatten(structure: Any, leaves: Sequence[Any]) -> Any:
    """Put a nest together from its structure and its leaves."""
    return optree.tree_unflatten(structure, leaves)


def paths(structure: Any) -> list[str]:
    """Name every leaf by the Python expression that reaches it, such as ``['a'][0].h``."""
    return [accessor.codify("") for accessor in structure.accessors()]


def too_deep(called: str) -> ValueError:
    """Return the error for a nest that does not end, or not soon enough.

    Args:
        called: What the nest is, such as ``"inputs"``.
    """
    return ValueError(
        f"{called}: expected a nest of at most {MOST_LEVELS} levels; "
        "got one that is deeper or contains itself"
    )


def ends(tree: Any) -> bool:
    """Return whether a nest of lists, tuples and dicts has at most `MOST_LEVELS` levels.

    It always returns, also for one that contains itself.
    """
    level = [tree] if isinstance(tree, CONTAINERS) else []
    for _ in range(MOST_LEVELS):
        if not level:
            return True
        inner: dict[int, Any] = {}
        for node in level:
            for child in node.values() if isinstance(node, dict) else node:
                if isinstance(child, CONTAINERS):
                    # By identity: one that contains itself twice would be met ever more often.
                    inner[id(child)] = child
        level = list(inner.values())
    return not level


def check_levels(called: str, tree: Any) -> None:
    """Check that a nest ends, before anything walks through it that might not return.

    Args:
        called: What the nest is, such as ``"inputs"``.
        tree: The nest.

    Raises:
        ValueError: If it does not end, or not soon enough.
    """
    if not ends(tree):
        raise too_deep(called)


class _Leaf:
    def __repr__(self) -> str:
        return "*"


LEAF = _Leaf()
"""Stands for a tensor where the structure of a nest is printed."""


CONTAINERS = (list, tuple, dict)
"""The types of containers of Python, subclasses among them."""

# A tuple, because the union of types would be made anew at each call.
NUMBER = (bool, int, float, complex)
"""The types of plain Python numbers."""


def is_number(value: Any) -> bool:
    """Return whether a value is a plain Python number (a bool is one)."""
    return isinstance(value, NUMBER)


def is_number_list(value: Any) -> bool:
    """Return whether a value is a list of numbers, or of such lists: a tensor written out."""
    return (
        isinstance(value, list)
        and len(value) > 0
        and all(is_number(entry) or is_number_list(entry) for entry in value)
    )


def written_out_to_arrays(tree: Any) -> Any:
    """Replace each list of numbers within a nest by the NumPy array that it spells."""
    import numpy

    return optree.tree_map(
        lambda node: numpy.asarray(node) if is_number_list(node) else node,
        tree,
        is_leaf=is_number_list,
        namespace=NAMESPACE,
    )
