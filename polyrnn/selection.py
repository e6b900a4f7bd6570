"""Chooses the backend of a call, and keeps the reason for the choice."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Iterator
from contextvars import ContextVar, Token
from dataclasses import dataclass
from functools import partial
from types import ModuleType, TracebackType
from typing import Any, cast

from polyrnn import claims, nests, registry
from polyrnn.backend import Backend
from polyrnn.marks import before_calls, constant_in_traces, left_alone
from polyrnn.statuses import BackendStatus, statuses

ENVIRONMENT_VARIABLE = "POLYRNN_BACKEND"

NEUTRAL = claims.NEUTRAL

DEFAULT = "default"
"""The reason for a choice that nothing made: the backend was chosen by default."""

_BY_ARGUMENT = "backend={}"
_BY_BLOCK = "polyrnn.use_backend({})"
_BY_ENVIRONMENT = f"the environment variable {ENVIRONMENT_VARIABLE}={{}}"
"""Templates of the reason for an explicit choice; the name is quoted where it is Python code."""


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Choice:
    """A backend, its name, and the reason why it was chosen.

    Args:
        backend: The backend.
        name: The name of the backend.
        said: What chose the backend, as text that fits "the backend was chosen by ...", or a
            function that returns the text.
    """

    backend: Backend
    name: str
    said: str | Callable[[], str]

    @property
    def reason(self) -> str:
        """What chose the backend, as text that fits "the backend was chosen by ..."."""
        return self.said if isinstance(self.said, str) else self.said()


class _Block:
    """A ``with`` block that `use_backend` opened."""

    __slots__ = ("choice", "is_open", "key", "token")

    def __init__(self, choice: Choice, key: str) -> None:
        self.choice = choice
        self.key = key
        self.is_open = True
        self.token: Token[tuple[_Block, ...]] | None = None


_in_use: ContextVar[tuple[_Block, ...]] = ContextVar("polyrnn_backend", default=())
"""The blocks around the code that is running, the innermost last."""


def _innermost() -> _Block | None:
    """Return the innermost block that is still open."""
    blocks = _in_use.get()
    if blocks and not blocks[-1].is_open:
        # It was closed in another context, which could not remove it from this one.
        blocks = tuple(block for block in blocks if block.is_open)
        _in_use.set(blocks)
    return blocks[-1] if blocks else None


class use_backend:  # noqa: N801 - read as a statement, like contextlib's classes
    """Choose the backend for a block of code, in this thread and this asyncio task only.

    The innermost block that is still open decides, in whatever order blocks are closed. A block
    in a generator stays open while the generator is suspended in it, and then also applies to
    the code that called the generator. A task that is started in a block keeps the choice until
    the task ends.

    One object may be entered several times, and in several threads at once.

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
        if isinstance(backend, str):
            self._key = _named(backend, _BY_BLOCK)
            self._choice = _choices[self._key]()
        else:
            self._choice = _handed_over(backend, _BY_BLOCK)
            self._key = _key(self._choice)
        # A dict used as an ordered set, because several threads may add and remove entries.
        self._blocks: dict[_Block, None] = {}

    def __enter__(self) -> Backend:
        block = _Block(self._choice, self._key)
        outer = (other for other in _in_use.get() if other.is_open)
        block.token = _in_use.set((*outer, block))
        self._blocks[block] = None
        return self._choice.backend

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        surrounding = _in_use.get()
        own = [block for block in surrounding if block in self._blocks] or list(self._blocks)
        if not own:
            return
        block = own[-1]
        self._blocks.pop(block, None)
        token, block.token = block.token, None
        try:
            if token is not None:
                _in_use.reset(token)
        except ValueError:
            # The block was entered in another context (a generator may be finalised in any
            # context), so it is marked as closed for that context as well.
            block.is_open = False
        # `reset` restores the blocks from before this one, some of which may be closed by now.
        _in_use.set(tuple(other for other in surrounding if other is not block))


@left_alone
def backends() -> tuple[BackendStatus, ...]:
    """Return the status of every backend: whether it is installed, and how to install it.

    No framework is imported.

    Returns:
        One `BackendStatus` for each backend, sorted by name. Backends whose name another
        distribution provides (state ``"shadowed"``) come last.

    Example:
        >>> import polyrnn
        >>> [status.name for status in polyrnn.backends() if status.name == "numpy"]
        ['numpy']
    """
    return statuses(registry.installed())


@left_alone
def namespace(x: Any) -> ModuleType:
    """Return the module that has the functions for a tensor, such as ``tanh``.

    A step function that takes its functions from this module runs on every backend.

    Args:
        x: A tensor of any framework that has a backend, or a Python number.

    Returns:
        ``numpy``, ``torch``, ``jax.numpy``, ``polyrnn_tensorflow.functions``, or the
        namespace of the backend that a plug-in provides. Each has ``tanh``, ``exp``,
        ``matmul``, ``where`` and ``ones_like``.

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
    return _choices[_loaded_key(name)]().backend.namespace


def choose(backend: str | Backend | None, arguments: dict[str, Any]) -> Choice:
    """Return the backend of a call.

    The first of these that is given decides: the argument ``backend=``, the innermost block of
    `use_backend`, the environment variable, the tensors that are passed. The default is numpy.

    Args:
        backend: The argument ``backend=`` of the call.
        arguments: The arguments that may hold tensors, by name, in the order in which they
            are searched.

    Returns:
        The loaded backend and the reason for the choice.
    """
    if backend is not None and not isinstance(backend, str):
        return _handed_over(backend, _BY_ARGUMENT)
    key = _explicit_key(backend)
    if key is not None:
        return _choices[key]()
    found: str | None = None
    unknown = []
    for place, leaf in _leaves(arguments):
        name = registry.framework_of(type(leaf))
        if name is None:
            if not isinstance(leaf, _NEVER_NESTS):
                unknown.append((place, leaf))
        elif name != found:
            if name != NEUTRAL:
                return _chosen_by_tensor(name, place)
            found = name
    for place, leaf in unknown:
        choice = _choice_within(place, leaf)
        if choice is not None:
            return choice
    return _choices[_loaded_key(NEUTRAL)]()


_NEVER_NESTS = (*nests.NUMBER, str, bytes)
"""Types of Python that no framework registers as nests."""


def _chosen_by_tensor(name: str, place: Callable[[], str]) -> Choice:
    # The place is computed for an error only: it is slow, and torch.compile cannot always trace it.
    backend = _choices[_loaded_key(name)]().backend
    return Choice(backend, name, lambda: f"the {name} tensor {place()}")


def _choice_within(place: Callable[[], str], leaf: Any) -> Choice | None:
    """Return the choice by a tensor within a leaf that only a framework can flatten, or None.

    Such a leaf is an instance of a class that is registered with the framework, such as a
    pytree node of JAX. It is looked into only where no tensor outside of it chooses a backend.
    """
    for taker in _imported():
        backend = _choices[_loaded_key(taker)]().backend
        try:
            leaves, structure = backend.nests.flatten(leaf)
            is_leaf = len(leaves) == 1 and leaves[0] is leaf
        except Exception:  # what fails at a value that need not be its own harms no call
            continue
        if is_leaf:
            continue
        for position, part in enumerate(leaves):
            name = registry.framework_of(type(part))
            if name not in (None, NEUTRAL):
                return _chosen_by_tensor(
                    name, partial(_place_in, place, backend, structure, position)
                )
    return None


def _place_in(place: Callable[[], str], backend: Backend, structure: Any, position: int) -> str:
    return place() + backend.nests.paths(structure)[position]


_choices: dict[str, Callable[[], Choice]] = {}
"""Weak references to choices, by the keys that `_explicit_key` and `_loaded_key` return.

torch.compile can trace neither imports nor context variables. It calls these two functions
while it traces, keeps the keys as constants, and finds the choice here as an object that it can
trace. A choice is kept alive by the registry (backends chosen by name) or by a `use_backend`.
"""


@constant_in_traces
def _explicit_key(backend: str | None) -> str | None:
    """Return the key of the explicitly chosen backend, or None."""
    for function in before_calls:
        function()
    if backend is not None:
        return _named(backend, _BY_ARGUMENT)
    block = _innermost()
    if block is not None:
        return block.key
    name = os.environ.get(ENVIRONMENT_VARIABLE)
    return _named(name, _BY_ENVIRONMENT) if name else None


@constant_in_traces
def _named(name: str, way: str) -> str:
    """Return the key of a backend that was chosen by name, loading it.

    Args:
        name: The name of the backend.
        way: The template of the reason, such as `_BY_ARGUMENT`.
    """
    known = registry.installed()
    if (name, way) not in known.choices:
        reason = way.format(name if way is _BY_ENVIRONMENT else repr(name))
        try:
            choice = Choice(known.load(name), name, reason)
        except (ValueError, ImportError) as error:
            error.add_note(f"The backend {name!r} was chosen by {reason}.")
            raise
        known.choices.setdefault((name, way), (_key(choice), choice))
    return known.choices[name, way][0]


@constant_in_traces
def _loaded_key(name: str) -> str:
    """Return the key of a backend that was not chosen explicitly, loading it."""
    known = registry.installed()
    if (name, DEFAULT) not in known.choices:
        choice = Choice(known.load(name), name, DEFAULT)
        known.choices.setdefault((name, DEFAULT), (_key(choice), choice))
    return known.choices[name, DEFAULT][0]


@constant_in_traces
def _imported() -> tuple[str, ...]:
    """Return the names of the backends whose frameworks are imported, without the neutral one."""
    return tuple(name for name in registry.installed().imported() if name != NEUTRAL)


def _key(choice: Choice) -> str:
    """Add a choice to `_choices` for as long as the choice is alive, and return its key.

    The number in the key is reused once a choice is gone. So code that torch.compile compiled
    with one backend object serves the next object of the same class in the same place.
    """
    number = 0
    while True:
        key = f"{choice.reason} {number}"
        entry = weakref.ref(choice, partial(_choices.pop, key))
        if _choices.setdefault(key, cast("Callable[[], Choice]", entry)) is entry:
            return key
        number += 1


def standing_choice() -> tuple[str, str]:
    """Return the backend of a call without ``backend=`` and without tensors, and the reason.

    Nothing is imported, so the backend of that name may be missing or broken.
    """
    block = _innermost()
    if block is not None:
        return block.choice.name, block.choice.reason
    name = os.environ.get(ENVIRONMENT_VARIABLE)
    if name:
        return name, _BY_ENVIRONMENT.format(name)
    return NEUTRAL, DEFAULT


def _handed_over(backend: Any, way: str) -> Choice:
    """Return the choice of a backend that was passed as an object.

    Args:
        backend: The object.
        way: The template of the reason, such as `_BY_ARGUMENT`.
    """
    if not isinstance(backend, Backend):
        raise TypeError(
            f"backend: expected a name or a polyrnn.Backend, got {type(backend).__qualname__}"
        )
    kind = type(backend).__name__
    return Choice(backend, _framework(backend) or kind, way.format(kind))


def _framework(backend: Backend) -> str | None:
    """Return the name of the backend whose framework defines the tensors of a backend object."""
    kinds = backend.tensor_type
    for kind in kinds if isinstance(kinds, tuple) else (kinds,):
        name = registry.framework_of(kind)
        if name is not None:
            return name
    return None


def _leaves(arguments: dict[str, Any]) -> Iterator[tuple[Any, Any]]:
    for argument, tree in arguments.items():
        if tree is None:
            continue
        leaves, structure = nests.flatten_named(argument, tree)
        for position, leaf in enumerate(leaves):
            yield (lambda a=argument, s=structure, p=position: a + nests.paths(s)[p]), leaf
