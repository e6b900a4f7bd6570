"""Functions on nests, written independently of polyrnn so that they do not share its faults."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any


class DisagreementError(AssertionError):
    """Raised if the backend and the reference differ."""


@dataclass(frozen=True)
class Pair:
    """A custom container, which the harness registers as a node of nests."""

    left: Any
    right: Any


@dataclass(frozen=True)
class Host:
    """Marks a value of a call that is passed unchanged instead of converted to a tensor."""

    value: Any


def is_node(tree: Any) -> bool:
    """Return whether a value is a container or `None`, which is a node without children."""
    return tree is None or isinstance(tree, list | tuple | dict | Pair)


def children(node: Any) -> list[Any]:
    """Return the children of a node; those of a dict in the order of its sorted keys."""
    if node is None:
        return []
    if isinstance(node, Pair):
        return [node.left, node.right]
    if isinstance(node, dict):
        return [node[key] for key in sorted(node)]
    return list(node)


def with_children(node: Any, new: list[Any]) -> Any:
    """Return a node of the same kind with other children."""
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
    """Return a nest with a function applied to every leaf."""
    if not is_node(tree):
        return function(tree)
    return with_children(tree, [map_leaves(function, child) for child in children(tree)])


def leaves_of(tree: Any) -> list[Any]:
    """Return the leaves of a nest."""
    if not is_node(tree):
        return [tree]
    return [leaf for child in children(tree) for leaf in leaves_of(child)]


def filled(tree: Any, leaves: Iterator[Any]) -> Any:
    """Return a nest with its leaves replaced, in the order of `leaves_of`."""
    if not is_node(tree):
        return next(leaves)
    return with_children(tree, [filled(child, leaves) for child in children(tree)])


def skeleton(tree: Any) -> Any:
    """Return a description of the containers of a nest that can be compared for equality."""
    if not is_node(tree):
        return "*"
    below = tuple(skeleton(child) for child in children(tree))
    if isinstance(tree, dict):
        return ("dict", tuple(sorted(tree)), below)
    return (type(tree).__name__, below)
