"""Which backend a call runs on, and what chose it."""

import os
from collections.abc import Iterator
from contextvars import ContextVar
from functools import cache
from types import ModuleType, TracebackType
from typing import Any, NamedTuple

from polyrnn import nests, registry
from polyrnn.autograph import left_alone
from polyrnn.backend import Backend
from polyrnn.registry import BackendStatus, Registry

ENVIRONMENT_VARIABLE = "POLYRNN_BACKEND"

NEUTRAL = "numpy"
"""The backend whose tensors any other takes, and the one used when nothing else chooses."""

DEFAULT = "default"
"""What chooses a backend where nothing else does."""


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


@left_alone
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


@left_alone
def namespace(x: Any) -> ModuleType:
    """Give the module in which a step finds the functions for a tensor.

    Args:
        x: A tensor of any framework that has a backend, or a Python number.

    Returns:
        ``numpy``, ``torch``, ``jax.numpy``, ``polyrnn_tensorflow.functions``, or what
        the backend of the tensor says. All have ``tanh``, ``exp``, ``matmul``, ``where``.

    Raises:
        TypeError: If the type belongs to no framework that has a backend.

    Example:
        >>> import numpy as np
        >>> import polyrnn
        >>> polyrnn.namespace(np.ones(3)).tanh is np.tanh
        True
    """
    name = registry.framework_of(type(x))
    if name is None:
        if not nests.is_number(x):
            raise TypeError(
                f"x: expected a tensor of one of {', '.join(registry.installed().names())}, "
                f"got {type(x).__module__}.{type(x).__qualname__}"
            )
        name = NEUTRAL
    return _choices[_load(name)].backend.namespace


def choose(backend: str | Backend | None, arguments: dict[str, Any]) -> Choice:
    """Choose the backend of a call by the first of argument, context, environment and tensors.

    Args:
        backend: The argument ``backend=`` of the call.
        arguments: The arguments that may hold tensors, by name, in order.

    Returns:
        The backend, loaded, with what chose it.
    """
    if backend is not None and not isinstance(backend, str):
        return _explicit(backend, f"backend={_spell(backend)}")
    key = _say(backend)
    if key is not None:
        return _choices[key]
    found: str | None = None
    for argument, leaf_path, leaf in _leaves(arguments):
        name = registry.framework_of(type(leaf))
        if name is None or name == found:
            continue
        if name != NEUTRAL:
            loaded = _choices[_load(name)].backend
            return Choice(loaded, name, f"the {name} tensor {argument}{leaf_path()}")
        found = name
    return _choices[_load(NEUTRAL)]


_choices: dict[str, Choice] = {}
"""Every choice that was made, by the key that `_say` or `_load` answers.

torch.compile traces neither imports nor context variables. It calls these two, keeps
the key they answer, and finds the choice here, as an object that it can trace.
"""


@registry.constant_in_traces
def _say(backend: str | None) -> str | None:
    """Answer with the key of what is said outright; with `None` where nothing is."""
    if backend is not None:
        return _named(registry.installed(), backend, by_environment=False)
    in_use = _in_use.get()
    if in_use:
        return _keep(in_use[-1])
    name = os.environ.get(ENVIRONMENT_VARIABLE)
    return _named(registry.installed(), name, by_environment=True) if name else None


@cache
def _named(known: Registry, name: str, *, by_environment: bool) -> str:
    """Load a backend that is said by its name; remembered, because most calls say one.

    What is remembered holds for one registry, which is why that is an argument.
    """
    reason = _by_environment(name) if by_environment else f"backend={_spell(name)}"
    return _keep(_explicit(name, reason))


@registry.constant_in_traces
def _load(name: str) -> str:
    """Answer with the key of a backend that is not said but found."""
    backend = registry.installed().load(name)
    return _keep(Choice(backend, name, "nothing that was passed, so by default"))


def _keep(choice: Choice) -> str:
    key = f"{choice.reason} {id(choice.backend)}"
    _choices.setdefault(key, choice)
    return key


def standing_choice() -> tuple[str, str]:
    """Tell which backend a call gets that says nothing and passes no tensors, and by what.

    Nothing is imported, so the name may be that of a backend that does not work.
    """
    in_use = _in_use.get()
    if in_use:
        return in_use[-1].name, in_use[-1].reason
    name = os.environ.get(ENVIRONMENT_VARIABLE)
    if name:
        return name, _by_environment(name)
    return NEUTRAL, DEFAULT


def _by_environment(name: str) -> str:
    return f"the environment variable {ENVIRONMENT_VARIABLE}={name}"


def _explicit(backend: str | Backend, reason: str) -> Choice:
    if isinstance(backend, str):
        try:
            return Choice(registry.installed().load(backend), backend, reason)
        except (ValueError, ImportError) as error:
            error.add_note(f"The backend {backend!r} was chosen by {reason}.")
            raise
    if isinstance(backend, Backend):
        return Choice(backend, _framework(backend) or type(backend).__name__, reason)
    raise TypeError(
        f"backend: expected a name or a polyrnn.Backend, got {type(backend).__qualname__}"
    )


def _framework(backend: Backend) -> str | None:
    """Name the framework of a backend that was handed over as an object."""
    kinds = backend.tensor_type
    for kind in kinds if isinstance(kinds, tuple) else (kinds,):
        name = registry.framework_of(kind)
        if name is not None:
            return name
    return None


def _spell(backend: Any) -> str:
    return repr(backend) if isinstance(backend, str) else type(backend).__name__


def _leaves(arguments: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    for argument, tree in arguments.items():
        if tree is None:
            continue
        leaves, structure = nests.flatten(tree)
        for position, leaf in enumerate(leaves):
            yield argument, (lambda s=structure, p=position: nests.paths(s)[p]), leaf
