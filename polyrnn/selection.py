"""Which backend a call runs on, and what chose it."""

import os
from collections.abc import Iterator
from contextvars import ContextVar
from types import ModuleType, TracebackType
from typing import Any, NamedTuple

from polyrnn import nests, registry
from polyrnn.backend import Backend
from polyrnn.registry import BackendStatus

ENVIRONMENT_VARIABLE = "POLYRNN_BACKEND"

NEUTRAL = "numpy"
"""The backend whose tensors any other takes, and the one used when nothing else chooses."""


class Choice(NamedTuple):
    """A backend, its name, and the words that say what chose it."""

    backend: Backend
    name: str
    reason: str


# A stack rather than tokens: one `use_backend` may be entered in several threads at once.
_in_use: ContextVar[tuple[Choice, ...]] = ContextVar("polyrnn_backend", default=())


class use_backend:  # noqa: N801 - read as a statement, like contextlib's classes
    """Choose the backend for a block of code, in this thread and this asyncio task only.

    Args:
        backend: The name of a backend, or a `Backend`.

    Raises:
        UnknownBackendError: If there is no backend of that name.
        BackendNotInstalledError: If its framework is not installed.
        BackendBrokenError: If importing it fails.

    Example:
        >>> import numpy as np
        >>> import polyrnn
        >>> with polyrnn.use_backend("numpy"):
        ...     last, outputs, states = polyrnn.rnn(
        ...         lambda x, states: (x, []), np.ones((2, 3, 4)), []
        ...     )
        >>> outputs.shape
        (2, 3, 4)
    """

    def __init__(self, backend: str | Backend) -> None:
        self._choice = _explicit(backend, f"polyrnn.use_backend({_spell(backend)})")

    def __enter__(self) -> Backend:
        _in_use.set((*_in_use.get(), self._choice))
        return self._choice.backend

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _in_use.set(_in_use.get()[:-1])


def backends() -> tuple[BackendStatus, ...]:
    """List every backend: whether it is installed, and how to get it where it is not.

    Frameworks are looked up, not imported.

    Returns:
        One `BackendStatus` for each backend, sorted by name; claims to a name that
        is taken come last.

    Example:
        >>> import polyrnn
        >>> [status.name for status in polyrnn.backends() if status.name == "numpy"]
        ['numpy']
    """
    return registry.installed().statuses()


def namespace(x: Any) -> ModuleType:
    """Give the module in which a step finds the functions for a tensor.

    Args:
        x: A tensor of any framework that has a backend, or a Python number.

    Returns:
        ``numpy``, ``torch``, ``jax.numpy``, ``tensorflow.experimental.numpy``, or what
        the backend of the tensor says. All have ``tanh``, ``exp``, ``matmul``, ``where``.

    Raises:
        TypeError: If the type belongs to no framework that has a backend.

    Example:
        >>> import numpy as np
        >>> import polyrnn
        >>> polyrnn.namespace(np.ones(3)).tanh is np.tanh
        True
    """
    known = registry.installed()
    name = known.framework_of(type(x))
    if name is None:
        if not nests.is_number(x):
            raise TypeError(
                f"x: expected a tensor of one of {', '.join(known.names())}, "
                f"got {type(x).__module__}.{type(x).__qualname__}"
            )
        name = NEUTRAL
    return known.load(name).namespace


def choose(backend: str | Backend | None, arguments: dict[str, Any]) -> Choice:
    """Choose the backend of a call by the first of argument, context, environment and tensors.

    Args:
        backend: The argument ``backend=`` of the call.
        arguments: The arguments that may hold tensors, by name, in order.

    Returns:
        The backend, loaded, with what chose it.
    """
    said = _said(backend)
    if said is not None:
        return said
    known = registry.installed()
    found: str | None = None
    for argument, leaf_path, leaf in _leaves(arguments):
        name = known.framework_of(type(leaf))
        if name is None or name == found:
            continue
        if name != NEUTRAL:
            return Choice(known.load(name), name, f"the {name} tensor {argument}{leaf_path()}")
        found = name
    return Choice(known.load(NEUTRAL), NEUTRAL, "nothing that was passed, so by default")


def _said(backend: str | Backend | None) -> Choice | None:
    if backend is not None:
        return _explicit(backend, f"backend={_spell(backend)}")
    in_use = _in_use.get()
    if in_use:
        return in_use[-1]
    name = os.environ.get(ENVIRONMENT_VARIABLE)
    if name:
        return _explicit(name, f"the environment variable {ENVIRONMENT_VARIABLE}={name}")
    return None


def _explicit(backend: str | Backend, reason: str) -> Choice:
    if isinstance(backend, Backend):
        return Choice(backend, type(backend).__name__, reason)
    if not isinstance(backend, str):
        raise TypeError(
            f"backend: expected a name or a polyrnn.Backend, got {type(backend).__qualname__}"
        )
    return Choice(registry.installed().load(backend), backend, reason)


def _spell(backend: str | Backend) -> str:
    return repr(backend) if isinstance(backend, str) else type(backend).__name__


def _leaves(arguments: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    for argument, tree in arguments.items():
        if tree is None:
            continue
        leaves, structure = nests.flatten(tree)
        for position, leaf in enumerate(leaves):
            yield argument, (lambda s=structure, p=position: nests.paths(s)[p]), leaf
