"""Flattens nests of types that are registered with torch, which optree does not know."""

import threading
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import optree
from torch.nn.utils.rnn import PackedSequence

from polyrnn import nests
from polyrnn.marks import before_calls, constant_in_traces
from polyrnn.nests import paths, unflatten
from polyrnn_torch.internals import registered_nodes

__all__ = ["flatten", "paths", "register_nodes", "unflatten"]

_lock = threading.Lock()
_counted: list[int] = [0]
_registered = registered_nodes()


def flatten(tree: Any) -> tuple[list[Any], Any]:
    """Return the leaves and the structure of a nest, including nodes registered with torch.

    Args:
        tree: The nest.

    Returns:
        The leaves and the structure, like `polyrnn.nests.flatten`.
    """
    register_nodes()
    return nests.flatten(tree)


@constant_in_traces
def register_nodes() -> None:
    """Register with optree every type that is registered with torch.

    It runs before the arguments of a call are read, because torch.compile reads the registry of
    optree once for each function that it compiles, and does not see types that are registered
    while it traces.
    """
    if len(_registered) == _counted[0]:
        return
    with _lock:
        # A type that another thread registers meanwhile is left to the next call.
        kinds = list(_registered)
        for kind in kinds:
            if not isinstance(kind, type):
                continue
            if optree.register_pytree_node.get(kind, namespace=nests.NAMESPACE) is None:
                optree.register_pytree_node(
                    kind,
                    _take_apart(kind),
                    _put_together(kind),
                    path_entry_type=_Key,
                    namespace=nests.NAMESPACE,
                )
        _counted[0] = len(kinds)


before_calls.append(register_nodes)


WHAT_TO_PASS_INSTEAD = (
    "it is packed; pass inputs, lengths = torch.nn.utils.rnn.pad_packed_sequence(x, "
    "batch_first=True), and input_length=lengths"
)
"""The error message for a `torch.nn.utils.rnn.PackedSequence`."""


class PackedLeaf:
    """A leaf that represents a packed sequence in a nest.

    A packed sequence is a named tuple, which would otherwise be flattened into unrelated tensors.
    The class has the module and the name of `PackedSequence`, so that errors name that type and
    the leaf chooses the torch backend.

    Args:
        packed: The packed sequence.
    """

    def __init__(self, packed: PackedSequence) -> None:
        self.packed = packed


PackedLeaf.__module__ = PackedSequence.__module__
PackedLeaf.__qualname__ = PackedSequence.__qualname__

PACKED = (PackedLeaf, PackedSequence)
"""The types of packed sequences, as a leaf of a nest and as passed by the user."""


class _Itself(optree.PyTreeEntry):
    """A path entry for a node with one child, which is named like the node itself."""

    def codify(self, /, node: str = "") -> str:
        return node


def _make_packed_sequences_leaves() -> None:
    with warnings.catch_warnings(), suppress(ValueError):  # registered by an earlier import
        # optree warns that the class is a named tuple, which is the reason to register it.
        warnings.simplefilter("ignore", UserWarning)
        optree.register_pytree_node(
            PackedSequence,
            lambda packed: ((PackedLeaf(packed),), None),
            lambda _, children: next(iter(children)),
            path_entry_type=_Itself,
            namespace=nests.NAMESPACE,
        )


_make_packed_sequences_leaves()


class _Key(optree.PyTreeEntry):
    """A path entry that is printed as in torch: ``.h``, ``['h']`` or ``[0]``."""

    def codify(self, /, node: str = "") -> str:
        """Return the expression that reaches the child of a node."""
        return f"{node}[{self.entry}]" if isinstance(self.entry, int) else f"{node}{self.entry}"


def _take_apart(kind: type) -> Callable[[Any], tuple[Any, ...]]:
    definition = _registered[kind]
    by_key = definition.flatten_with_keys_fn

    def take_apart(node: Any) -> tuple[Any, ...]:
        children, context = definition.flatten_fn(node)
        # The function with keys may return another context, with which unflattening fails.
        entries = None if by_key is None else tuple([str(key) for key, _ in by_key(node)[0]])
        return children, context, entries

    return take_apart


def _put_together(kind: type) -> Callable[[Any, Any], Any]:
    definition = _registered[kind]

    def put_together(context: Any, children: Any) -> Any:
        return definition.unflatten_fn(list(children), context)

    return put_together
