"""Nests of types that are registered with torch, which optree does not ask."""

import threading
import warnings
from collections.abc import Callable
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
    """Return the leaves and the structure of a nest, also where only torch knows its type.

    Args:
        tree: The nest.

    Returns:
        The leaves and the structure, as `polyrnn.nests.flatten` gives them.
    """
    register_nodes()
    return nests.flatten(tree)


@constant_in_traces
def register_nodes() -> None:
    """Make optree know every type that is registered with torch.

    It is called before a call is read: torch.compile looks into the registry of optree once
    for each function that it compiles, and would not see what is registered while it traces.
    """
    if len(_registered) == _counted[0]:
        return
    with _lock:
        # Another thread may register a type meanwhile, which is for the next call then.
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
"""What to say of a `torch.nn.utils.rnn.PackedSequence`."""


class PackedLeaf:
    """A leaf of nests that stands for a packed sequence.

    As a named tuple it would be taken for a nest of tensors that have nothing in common. The
    name is that of what it stands for, by which errors and the choice of a backend go.
    """

    def __init__(self, packed: PackedSequence) -> None:
        self.packed = packed


PackedLeaf.__module__ = PackedSequence.__module__
PackedLeaf.__qualname__ = PackedSequence.__qualname__

PACKED = (PackedLeaf, PackedSequence)
"""The types of packed sequences, within nests and outside."""


class _Itself(optree.PyTreeEntry):
    """Spells the only child of a node as the node itself."""

    def codify(self, /, node: str = "") -> str:
        return node


def _make_packed_sequences_leaves() -> None:
    if optree.register_pytree_node.get(PackedSequence, namespace=nests.NAMESPACE) is not None:
        return
    with warnings.catch_warnings():
        # Of the class being that of a named tuple, which is why it is registered.
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
    """Spells a child as torch does: ``.h``, ``['h']`` or ``[0]``."""

    def codify(self, /, node: str = "") -> str:
        """Give the expression that reaches the child of a node."""
        return f"{node}[{self.entry}]" if isinstance(self.entry, int) else f"{node}{self.entry}"


def _take_apart(kind: type) -> Callable[[Any], tuple[Any, ...]]:
    definition = _registered[kind]
    by_key = definition.flatten_with_keys_fn

    def take_apart(node: Any) -> tuple[Any, ...]:
        children, context = definition.flatten_fn(node)
        # What comes with the keys is not always the context that puts the node together.
        entries = None if by_key is None else tuple([str(key) for key, _ in by_key(node)[0]])
        return children, context, entries

    return take_apart


def _put_together(kind: type) -> Callable[[Any, Any], Any]:
    definition = _registered[kind]

    def put_together(context: Any, children: Any) -> Any:
        return definition.unflatten_fn(list(children), context)

    return put_together
