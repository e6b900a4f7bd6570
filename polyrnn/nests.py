"""Nests of tensors: taking them apart, putting them together, naming their leaves."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import optree

NAMESPACE = "polyrnn"
"""The optree namespace for node types that only polyrnn should take apart."""


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


class _Leaf:
    def __repr__(self) -> str:
        return "*"


LEAF = _Leaf()
"""Stands for a tensor where the structure of a nest is printed."""


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
