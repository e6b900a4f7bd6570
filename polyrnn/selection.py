"""Which backend a call runs on, and what chose it."""

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
"""What chooses a backend where nothing else does."""

_BY_ARGUMENT = "backend={}"
_BY_BLOCK = "polyrnn.use_backend({})"
_BY_ENVIRONMENT = f"the environment variable {ENVIRONMENT_VARIABLE}={{}}"
"""The ways in which a backend is said, as templates of the reason; a name is quoted in code."""

_BY_DEFAULT = "nothing that was passed, so by default"


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Choice:
    """A backend, its name, and the words that say what chose it."""

    backend: Backend
    name: str
    said: str | Callable[[], str]

    @property
    def reason(self) -> str:
        """The words that say what chose the backend; found when they are asked for."""
        return self.said if isinstance(self.said, str) else self.said()


class _Block:
    """A block of code that `use_backend` opened."""

    __slots__ = ("choice", "is_open", "key", "token")

    def __init__(self, choice: Choice, key: str) -> None:
        self.choice = choice
        self.key = key
        self.is_open = True
        self.token: Token[tuple[_Block, ...]] | None = None


_in_use: ContextVar[tuple[_Block, ...]] = ContextVar("polyrnn_backend", default=())
"""The blocks that the running code is in, the innermost last."""


def _innermost() -> _Block | None:
    """Return the innermost block that is still open."""
    blocks = _in_use.get()
    if blocks and not blocks[-1].is_open:
        # It ended in another context, which could not take it out of this one.
        blocks = tuple(block for block in blocks if block.is_open)
        _in_use.set(blocks)
    return blocks[-1] if blocks else None


class use_backend:  # noqa: N801 - read as a statement, like contextlib's classes
    """Choose the backend for a block of code, in this thread and this asyncio task only.

    Of several blocks the innermost that is still open decides, in whichever order they end. A
    block in a generator is open while the generator waits in it, for the code that called
    the generator too. A task that is started in a block keeps the choice for as long as it runs.

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
        # A dict for its order: entries are added and taken out by several threads at once.
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
            # The block was entered in another context, where it has to end as well. A generator
            # may be finalised anywhere.
            block.is_open = False
        # What `reset` brings back is what there was before, not what is still open.
        _in_use.set(tuple(other for other in surrounding if other is not block))


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
    return statuses(registry.installed())


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
    return _choices[_load(name)]().backend.namespace


def choose(backend: str | Backend | None, arguments: dict[str, Any]) -> Choice:
    """Choose the backend of a call by the first of argument, context, environment and tensors.

    Args:
        backend: The argument ``backend=`` of the call.
        arguments: The arguments that may hold tensors, by name, in order.

    Returns:
        The backend, loaded, with what chose it.
    """
    if backend is not None and not isinstance(backend, str):
        return _handed_over(backend, _BY_ARGUMENT)
    key = _say(backend)
    if key is not None:
        return _choices[key]()
    found: str | None = None
    unknown = []
    for place, leaf in _leaves(arguments):
        name = registry.framework_of(type(leaf))
        if name is None:
            if not isinstance(leaf, _NO_NESTS):
                unknown.append((place, leaf))
        elif name != found:
            if name != NEUTRAL:
                return _found(name, place)
            found = name
    for place, leaf in unknown:
        choice = _within(place, leaf)
        if choice is not None:
            return choice
    return _choices[_load(NEUTRAL)]()


_NO_NESTS = (*nests.NUMBER, str, bytes)
"""Types that no framework takes apart, among those that no framework defines."""


def _found(name: str, place: Callable[[], str]) -> Choice:
    # The place is asked for by an error only: it takes long to say, and cannot always be traced.
    backend = _choices[_load(name)]().backend
    return Choice(backend, name, lambda: f"the {name} tensor {place()}")


def _within(place: Callable[[], str], leaf: Any) -> Choice | None:
    """Choose by a tensor in a nest that only a framework can take apart, if the leaf is one.

    Its class is registered with the framework, as users of that framework do. Where other
    tensors are passed beside it, they choose, and nobody is asked.
    """
    for taker in _imported():
        backend = _choices[_load(taker)]().backend
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
                return _found(name, partial(_place_in, place, backend, structure, position))
    return None


def _place_in(place: Callable[[], str], backend: Backend, structure: Any, position: int) -> str:
    return place() + backend.nests.paths(structure)[position]


_choices: dict[str, Callable[[], Choice]] = {}
"""Weak references to the choices that somebody holds, by the keys that `_say` or `_load` answers.

torch.compile traces neither imports nor context variables. It calls these two, keeps
the key they answer, and finds the choice here, as an object that it can trace. Held is a
choice by the registry that loaded a backend by its name, and by a block of `use_backend`.
"""


@constant_in_traces
def _say(backend: str | None) -> str | None:
    """Answer with the key of what is said outright; with `None` where nothing is."""
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
    """Answer with the key of a backend that is said by its name, and the way in which it is."""
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
def _load(name: str) -> str:
    """Answer with the key of a backend that is not said but found."""
    known = registry.installed()
    if (name, _BY_DEFAULT) not in known.choices:
        choice = Choice(known.load(name), name, _BY_DEFAULT)
        known.choices.setdefault((name, _BY_DEFAULT), (_key(choice), choice))
    return known.choices[name, _BY_DEFAULT][0]


@constant_in_traces
def _imported() -> tuple[str, ...]:
    """Name the backends, but for the neutral one, whose frameworks are imported already."""
    return tuple(name for name in registry.installed().imported() if name != NEUTRAL)


def _key(choice: Choice) -> str:
    """Enter a choice among `_choices` for as long as somebody holds it.

    Numbers are given out again, so that what was compiled with one backend serves for the
    next of its class that is handed over in the same place.
    """
    number = 0
    while True:
        key = f"{choice.reason} {number}"
        entry = weakref.ref(choice, partial(_choices.pop, key))
        if _choices.setdefault(key, cast("Callable[[], Choice]", entry)) is entry:
            return key
        number += 1


def standing_choice() -> tuple[str, str]:
    """Tell which backend a call gets that says nothing and passes no tensors, and by what.

    Nothing is imported, so the name may be that of a backend that does not work.
    """
    block = _innermost()
    if block is not None:
        return block.choice.name, block.choice.reason
    name = os.environ.get(ENVIRONMENT_VARIABLE)
    if name:
        return name, _BY_ENVIRONMENT.format(name)
    return NEUTRAL, DEFAULT


def _handed_over(backend: Any, way: str) -> Choice:
    """Return the choice of a backend that is said as an object, and the way in which it is."""
    if not isinstance(backend, Backend):
        raise TypeError(
            f"backend: expected a name or a polyrnn.Backend, got {type(backend).__qualname__}"
        )
    kind = type(backend).__name__
    return Choice(backend, _framework(backend) or kind, way.format(kind))


def _framework(backend: Backend) -> str | None:
    """Name the framework of a backend that was handed over as an object."""
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
        try:
            leaves, structure = nests.flatten(tree)
        except RecursionError:
            raise nests.too_deep(argument) from None
        for position, leaf in enumerate(leaves):
            yield (lambda a=argument, s=structure, p=position: a + nests.paths(s)[p]), leaf
