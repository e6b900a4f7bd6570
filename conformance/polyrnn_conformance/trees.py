"""Nests as the suite sees them: a recursion of its own, sharing no code with polyrnn."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any


class DisagreementError(AssertionError):
    """The backend and the reference differ."""


@dataclass(frozen=True)
class Pair:
    """A node that is none of Python's containers; the harness registers it."""

    left: Any
    right: Any


@dataclass(frozen=True)
class Host:
    """Marks a value of a call that is handed over as it is, and not made a tensor."""

    value: Any


def is_node(tree: Any) -> bool:
    """Return whether something holds children, or is `None`, which has neither child nor value."""
    return tree is None or isinstance(tree, list | tuple | dict | Pair)


def children(node: Any) -> list[Any]:
    """List the children of a node; those of a dict in the order of its sorted keys."""
    if node is None:
        return []
    if isinstance(node, Pair):
        return [node.left, node.right]
    if isinstance(node, dict):
        return [node[key] for key in sorted(node)]
    return list(node)


def with_children(node: Any, new: list[Any]) -> Any:
    """Make a node like another with other children."""
    if node is None:
        return None
    if isinstance(node, Pair):
        return Pair(*new)
    if isinstance(node, dict):
        return dict(zip(sorted(node), new, strict=True))
    if hasattr(node, "_fields"):
        return type(node)(*new)
    return type(node)(new)


def map_leaves(function: Callable[[Any], Any], tree: Any) -> Any:
    """Apply a function to every leaf of a nest."""
    if not is_node(tree):
        return function(tree)
    return with_children(tree, [map_leaves(function, child) for child in children(tree)])


def leaves_of(tree: Any) -> list[Any]:
    """List the leaves of a nest."""
    if not is_node(tree):
        return [tree]
    return [leaf for child in children(tree) for leaf in leaves_of(child)]


def filled(tree: Any, leaves: Iterator[Any]) -> Any:
    """Replace the leaves of a nest, in the order of `leaves_of`."""
    if not is_node(tree):
        return next(leaves)
    return with_children(tree, [filled(child, leaves) for child in children(tree)])


def skeleton(tree: Any) -> Any:
    """Describe the containers of a nest, in a form that compares equal where they are the same."""
    if not is_node(tree):
        return "*"
    below = tuple(skeleton(child) for child in children(tree))
    if isinstance(tree, dict):
        return ("dict", tuple(sorted(tree)), below)
    return (type(tree).__name__, below)
