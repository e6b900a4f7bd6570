"""Which backends there are: lists entry points without importing them, loads one at a time.

What only some calls need, and takes long to import, is imported where it is needed:
importlib.metadata is a third of what ``import polyrnn`` would cost.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

import pluggy

from polyrnn import hookspecs
from polyrnn.backend import Backend, BackendInfo
from polyrnn.errors import (
    BackendBrokenError,
    BackendNotInstalledError,
    UnknownBackendError,
)
from polyrnn.marks import constant_in_traces

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

HOME = "polyrnn"
"""The distribution whose claim to a name goes before the claims of others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendStatus:
    """What is known of one backend without importing its framework.

    Args:
        name: The name of the backend.
        state: ``"installed"``; ``"missing"`` where the framework is not installed;
            ``"broken"`` where the plug-in or the framework cannot be imported;
            ``"shadowed"`` where another distribution provides the name.
        version: The version of the framework, where it is installed and says so.
        distribution: The distribution that provides the backend.
        install: The command that installs the framework.
        problem: What is wrong, in a sentence; empty where nothing is.

    Example:
        >>> import polyrnn
        >>> {status.name: status.state for status in polyrnn.backends()}["numpy"]
        'installed'
    """

    name: str
    state: Literal["installed", "missing", "broken", "shadowed"]
    version: str | None
    distribution: str
    install: str
    problem: str = ""


class Registry:
    """The backends of a set of entry points.

    Args:
        entry_points: The entry points to serve; by default, those of the group
            ``polyrnn`` that are installed.

    Attributes:
        choices: What `polyrnn.selection` keeps of the backends that were loaded by their names.
    """

    def __init__(self, entry_points: Iterable[EntryPoint] | None = None) -> None:
        if entry_points is None:
            from importlib import metadata

            entry_points = metadata.entry_points(group=hookspecs.PROJECT)
        self._entry_points: dict[str, EntryPoint] = {}
        self._shadowed: list[EntryPoint] = []
        for entry_point in sorted(entry_points, key=_precedence):
            known = self._entry_points.setdefault(entry_point.name, entry_point)
            if known is not entry_point and not _same_claim(known, entry_point):
                self._shadowed.append(entry_point)
        self.choices: dict[tuple[str, str], tuple[str, object]] = {}
        self._infos: dict[str, BackendInfo] = {}
        self._backends: dict[str, Backend] = {}
        self._problems: dict[str, Exception] = {}
        self._modules: dict[str, str] | None = None
        self._lock = threading.RLock()
        self._importing_thread: int | None = None
        _registries.add(self)

    def names(self) -> list[str]:
        """List the names of all backends, importing nothing."""
        return sorted(self._entry_points)

    def imported(self) -> list[str]:
        """List the names of the backends that work and whose frameworks are imported already."""
        names = []
        for name in self.names():
            try:
                if self.info(name).modules[0] in sys.modules:
                    self.load(name)
                    names.append(name)
            except (BackendBrokenError, BackendNotInstalledError):
                continue
        return names

    def info(self, name: str) -> BackendInfo:
        """Describe one backend, importing its plug-in module and no other.

        Raises:
            UnknownBackendError: If nothing provides the name.
            BackendBrokenError: If the plug-in cannot be imported or does not describe a backend.
        """
        info = self._infos.get(name)
        if info is not None:
            return info
        with self._alone():
            entry_point = self._entry_points.get(name)
            if entry_point is None:
                raise UnknownBackendError(_unknown(name, self.names()))
            if name not in self._infos:
                try:
                    self._infos[name] = self._describe(entry_point)
                except Exception as error:
                    self._problems[name] = error
                    raise BackendBrokenError(
                        f"the backend {name!r} of {_distribution(entry_point)} is broken: its "
                        f"plug-in {entry_point.value!r} fails with {_summary(error)}"
                    ) from error
            return self._infos[name]

    def _describe(self, entry_point: EntryPoint) -> BackendInfo:
        plugin = entry_point.load()
        # A manager for each: a plug-in that fails to register leaves nothing behind.
        manager = pluggy.PluginManager(hookspecs.PROJECT)
        manager.add_hookspecs(hookspecs)
        manager.register(plugin, name=entry_point.name)
        answers = manager.hook.polyrnn_backends()
        if len(answers) != 1 or not isinstance(answers[0], BackendInfo):
            raise TypeError(f"the hook polyrnn_backends() gave {answers!r}, not one BackendInfo")
        info: BackendInfo = answers[0]
        if info.name != entry_point.name:
            raise ValueError(
                f"the entry point is named {entry_point.name!r}, its backend {info.name!r}"
            )
        return info

    def load(self, name: str) -> Backend:
        """Import one backend and its framework, once.

        Raises:
            UnknownBackendError: If nothing provides the name.
            BackendNotInstalledError: If the framework is not installed.
            BackendBrokenError: If the import fails for any other reason.
        """
        backend = self._backends.get(name)
        if backend is not None:
            return backend
        info = self.info(name)
        with self._alone():
            if name not in self._backends:
                try:
                    self._backends[name] = _instantiate(info.implementation)
                except Exception as error:
                    if isinstance(error, ModuleNotFoundError) and error.name == info.modules[0]:
                        raise BackendNotInstalledError(_not_installed(info)) from error
                    self._problems[name] = error
                    raise BackendBrokenError(
                        f"the backend {name!r} of {_distribution(self._entry_points[name])} is "
                        f"broken: importing {info.implementation!r} fails with {_summary(error)}"
                    ) from error
                self._problems.pop(name, None)
            return self._backends[name]

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Let no other thread import, and note which one does should the process be forked."""
        with self._lock:
            outer, self._importing_thread = self._importing_thread, threading.get_ident()
            try:
                yield
            finally:
                self._importing_thread = outer

    def after_fork(self) -> None:
        """Make a child process able to import what a thread of its parent was importing."""
        thread = self._importing_thread
        if thread == threading.get_ident():
            # The import itself forked, and goes on in both processes.
            return
        self._lock = threading.RLock()
        self._importing_thread = None
        if thread is not None:
            _forget_imports_of(thread)

    def statuses(self) -> tuple[BackendStatus, ...]:
        """Describe every backend by name, importing plug-in modules but no framework."""
        statuses = [self._status(self._entry_points[name]) for name in self.names()]
        for entry_point in self._shadowed:
            rightful = _distribution(self._entry_points[entry_point.name])
            statuses.append(
                BackendStatus(
                    name=entry_point.name,
                    state="shadowed",
                    version=None,
                    distribution=_distribution(entry_point),
                    install="",
                    problem=f"the name {entry_point.name!r} belongs to {rightful}",
                )
            )
        return tuple(statuses)

    def _status(self, entry_point: EntryPoint) -> BackendStatus:
        name = entry_point.name
        try:
            info = self.info(name)
        except BackendBrokenError:
            failure = _summary(self._problems[name])
            return BackendStatus(
                name=name,
                state="broken",
                version=None,
                distribution=_distribution(entry_point),
                install="",
                problem=f"its plug-in {entry_point.value!r} fails with {failure}",
            )
        state: Literal["installed", "missing", "broken"] = "installed"
        problem = ""
        if not _is_installed(info.modules[0]):
            state, problem = "missing", f"{info.modules[0]} is not installed"
        elif name in self._problems:
            state, problem = "broken", f"importing it fails with {_summary(self._problems[name])}"
        return BackendStatus(
            name=name,
            state=state,
            version=_version(info) if state != "missing" else None,
            distribution=_distribution(entry_point),
            install=install_command(info),
            problem=problem,
        )

    def framework_of(self, kind: type) -> str | None:
        """Name the backend whose framework defines a type or one of its bases, if any does."""
        modules = self._modules
        if modules is None:
            modules = self._modules = self._root_modules()
        for base in kind.__mro__:
            name = modules.get(base.__module__.partition(".")[0])
            if name is not None:
                return name
        return None

    def _root_modules(self) -> dict[str, str]:
        modules: dict[str, str] = {}
        for name in self.names():
            try:
                info = self.info(name)
            except BackendBrokenError:
                continue
            for module in info.modules:
                modules.setdefault(module, name)
        return modules


_registries: weakref.WeakSet[Registry] = weakref.WeakSet()


def _after_fork() -> None:
    for registry in list(_registries):
        registry.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _forget_imports_of(thread: int) -> None:
    """Drop the modules that a thread which is no more was importing.

    They are then imported anew. Python itself leaves them locked, so that whoever imports
    one of them waits for a thread that does not exist. It has no public way to unlock them.
    """
    bootstrap = getattr(importlib, "_bootstrap", None)
    locks: dict[str, Callable[[], Any]] = getattr(bootstrap, "_module_locks", {})
    for name, lock in list(locks.items()):
        if getattr(lock(), "owner", None) == thread:
            del locks[name]
            sys.modules.pop(name, None)


def resolve(reference: str) -> Any:
    """Import what a string of the form ``"package.module:Name"`` refers to."""
    module, _, attribute = reference.partition(":")
    return getattr(importlib.import_module(module), attribute)


def _instantiate(reference: str) -> Backend:
    implementation = resolve(reference)
    if not (isinstance(implementation, type) and issubclass(implementation, Backend)):
        raise TypeError(f"expected a subclass of polyrnn.Backend, got {implementation!r}")
    return implementation()


@cache
def installed() -> Registry:
    """Give the registry of what is installed, made at first use and then kept."""
    return Registry()


@constant_in_traces
def framework_of(kind: type) -> str | None:
    """Name the installed backend whose framework defines a type or one of its bases."""
    return installed().framework_of(kind)


def install_command(info: BackendInfo) -> str:
    """Give the command line that installs the framework of a backend."""
    return f'pip install "{info.install}"' if "[" in info.install else f"pip install {info.install}"


def _precedence(entry_point: EntryPoint) -> tuple[bool, str]:
    distribution = _distribution(entry_point)
    return distribution.partition(" ")[0] != HOME, distribution


def _same_claim(one: EntryPoint, other: EntryPoint) -> bool:
    # An editable install beside a built one lists the same entry point twice.
    return one.value == other.value and _distribution(one) == _distribution(other)


def _distribution(entry_point: EntryPoint) -> str:
    distribution = entry_point.dist
    if distribution is None:
        return "an unnamed distribution"
    return f"{distribution.name} {distribution.version}"


def _unknown(name: str, names: list[str]) -> str:
    import difflib

    close = difflib.get_close_matches(name, names, n=1)
    suggestion = f"; did you mean {close[0]!r}?" if close else "."
    return f"no backend is named {name!r}{suggestion} There are: {', '.join(names)}."


def _not_installed(info: BackendInfo) -> str:
    return (
        f"the backend {info.name!r} needs {info.modules[0]}, which is not installed; "
        f"to get it: {install_command(info)}"
    )


def _summary(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _is_installed(module: str) -> bool:
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return False
    # A stray folder of the same name is found as a namespace package, without a loader.
    return spec is not None and spec.origin is not None


def _version(info: BackendInfo) -> str | None:
    from importlib import metadata

    try:
        return metadata.version(info.distribution or info.modules[0])
    except metadata.PackageNotFoundError:
        return None
