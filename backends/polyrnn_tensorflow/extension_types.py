"""Makes instances of `tf.experimental.ExtensionType` nests whose leaves are their tensors.

Other values of an instance, such as numbers and strings, are part of the structure. Composite
tensors of TensorFlow, such as a `tf.RaggedTensor`, are not extension types, and remain leaves.
"""

import threading
from collections.abc import Callable, Mapping
from inspect import get_annotations
from typing import Any

import optree
import tensorflow as tf

from polyrnn import nests
from polyrnn_tensorflow.internals import COMPOSITE

_taken_apart: set[type] = set()
_lock = threading.Lock()


def take_apart(leaves: list[Any]) -> bool:
    """Register the types of all extension types among some leaves as nodes of nests.

    Args:
        leaves: The leaves of a nest.

    Returns:
        Whether one of the leaves was an extension type, so that the nest has to be flattened again.
    """
    found = False
    for leaf in leaves:
        if isinstance(leaf, tf.experimental.ExtensionType):
            found = True
            with _lock:
                if type(leaf) not in _taken_apart:
                    _register(type(leaf))
                    _taken_apart.add(type(leaf))
    return found


class _Part(optree.PyTreeEntry):
    """A path entry for a tensor within a field, printed as Python code: ``.several[2]``."""

    def codify(self, /, node: str = "") -> str:
        return f"{node}.{self.entry}"


def _register(kind: type) -> None:
    if optree.register_pytree_node.get(kind, namespace=nests.NAMESPACE) is not None:
        return
    fields = [
        name
        for base in reversed(kind.__mro__)
        if issubclass(base, tf.experimental.ExtensionType)
        for name in get_annotations(base)
    ]

    def flatten(node: Any) -> tuple[list[Any], Any, list[str]]:
        found: list[tuple[str, Any]] = []

        def keep(path: str, value: Any) -> Any:
            if not (tf.is_tensor(value) or isinstance(value, COMPOSITE)):
                return value
            found.append((path, value))
            return nests.LEAF

        rest = [_map(name, getattr(node, name), keep) for name in fields]
        return [value for _, value in found], rest, [path for path, _ in found]

    def unflatten(rest: Any, children: Any) -> Any:
        remaining = iter(children)

        def put(_: str, value: Any) -> Any:
            return next(remaining) if value is nests.LEAF else value

        # The constructor is not called: it may have other parameters than the fields, and it
        # checks their shapes, while the tensors that a step is given have no time axis.
        node: Any = object.__new__(kind)
        vars(node).update(
            (name, _map(name, value, put)) for name, value in zip(fields, rest, strict=True)
        )
        return node

    optree.register_pytree_node(
        kind,
        flatten,
        unflatten,
        path_entry_type=_Part,
        namespace=nests.NAMESPACE,
    )


def _map(path: str, value: Any, function: Callable[[str, Any], Any]) -> Any:
    """Return a field with each part replaced by ``function(path of the part, part)``."""
    if isinstance(value, tuple):
        return tuple(_map(f"{path}[{at}]", part, function) for at, part in enumerate(value))
    if isinstance(value, Mapping):
        parts = {key: _map(f"{path}[{key!r}]", part, function) for key, part in value.items()}
        return type(value)(parts)  # type: ignore[call-arg]
    return function(path, value)
