"""The registry of backends, which reads entry points and imports one backend at a time.

Modules that are slow to import and that few calls need are imported where they are used:
importlib.metadata alone would account for a third of the time of ``import polyrnn``.
"""

from __future__ import annotations

import os
import sys
import threading
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

import pluggy

from polyrnn import hookspecs
from polyrnn.backend import Backend
from polyrnn.backend_info import BackendInfo
from polyrnn.claims import Claims, check_modules
from polyrnn.errors import (
    BackendBrokenError,
    BackendNotInstalledError,
    UnknownBackendError,
    summary,
)
from polyrnn.forking import forget_imports_of
from polyrnn.installation import install_command, is_installed
from polyrnn.marks import constant_in_traces

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


HOME = "polyrnn"
"""The distribution whose backends take precedence over backends of the same name."""

UNNAMED = "an unnamed distribution"


class Registry:
    """The backends that a set of entry points provides.

    Args:
        entry_points: The entry points; by default, all installed ones of the group ``polyrnn``.

    Attributes:
        choices: A cache of `polyrnn.selection`: by name and reason, the key and the choice of
            each backend that was loaded by name.
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
        self._problems: dict[str, BaseException] = {}
        self._claims: Claims | None = None
        self._lock = threading.RLock()
        self._importing_thread: int | None = None
        _registries.add(self)

    def names(self) -> list[str]:
        """Return the names of all backends, without importing any module."""
        return sorted(self._entry_points)

    def imported(self) -> list[str]:
        """List the names of the backends that work and whose frameworks are imported already.

        A backend whose framework is another's serves only where it is chosen by name.
        """
        names = []
        for name in self.names():
            try:
                module = self.info(name).modules[0]
                if module in sys.modules and self.claims().owner_of_module(module) == name:
                    self.load(name)
                    names.append(name)
            except (BackendBrokenError, BackendNotInstalledError):
                continue
        return names

    def info(self, name: str) -> BackendInfo:
        """Return the description of one backend, importing its plug-in module only.

        Raises:
            UnknownBackendError: If no distribution provides a backend of that name.
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
                    info = self._describe(entry_point)
                except KeyboardInterrupt:
                    raise  # it is that of the user, and says nothing of the plug-in
                except BaseException as error:  # a plug-in may raise SystemExit
                    self._problems[name] = error
                    raise BackendBrokenError(
                        f"the backend {name!r} of {distribution_of(entry_point)} is broken: its "
                        f"plug-in {entry_point.value!r} fails with {summary(error)}"
                    ) from error
                self._infos[name] = info
                if self._problems.pop(name, None) is not None:
                    self._claims = None  # made without this backend, which works by now
            return self._infos[name]

    def _describe(self, entry_point: EntryPoint) -> BackendInfo:
        plugin = entry_point.load()
        # Each plug-in gets a manager of its own, so that one that fails to register does not
        # affect the others.
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
        check_modules(info)
        return info

    def load(self, name: str) -> Backend:
        """Return one backend, importing it and its framework the first time.

        Raises:
            UnknownBackendError: If no distribution provides a backend of that name.
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
                except KeyboardInterrupt:
                    raise
                except BaseException as error:
                    if _is_missing(info, error):
                        raise BackendNotInstalledError(_not_installed(info)) from error
                    self._problems[name] = error
                    raise BackendBrokenError(
                        f"the backend {name!r} of {self.distribution_of(name)} is broken: "
                        f"importing {info.implementation!r} fails with {summary(error)}"
                    ) from error
                self._problems.pop(name, None)
            return self._backends[name]

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the import lock, and record which thread holds it in case the process forks."""
        with self._lock:
            outer, self._importing_thread = self._importing_thread, threading.get_ident()
            try:
                yield
            finally:
                self._importing_thread = outer

    def after_fork(self) -> None:
        """Release, in a child process, the locks that a thread of its parent was holding."""
        thread = self._importing_thread
        if thread == threading.get_ident():
            # The forking thread is the importing one, and continues the import in both processes.
            return
        self._lock = threading.RLock()
        self._importing_thread = None
        if thread is not None:
            forget_imports_of(thread)

    def framework_of(self, kind: type) -> str | None:
        """Return the backend whose framework defines a type or one of its bases, or `None`."""
        claims = self._claims
        if claims is None:
            claims = self.claims()
        return claims.owner_of(kind)

    def claims(self) -> Claims:
        """Return the modules of all backends, importing their plug-ins but no framework."""
        if self._claims is None:
            infos = []
            for name in sorted(self._entry_points, key=self._precedence_of):
                try:
                    infos.append(self.info(name))
                except BackendBrokenError:
                    continue
            self._claims = Claims(infos, self._is_own)
        return self._claims

    def _is_own(self, name: str) -> bool:
        return is_own(self._entry_points[name])

    def _precedence_of(self, name: str) -> tuple[bool, str, str]:
        return _precedence(self._entry_points[name])

    def distribution_of(self, name: str) -> str:
        """Return the name and version of the distribution that provides a backend."""
        return distribution_of(self._entry_points[name])

    def shadowed(self) -> list[EntryPoint]:
        """Return the entry points that are ignored because another one has the same name."""
        return list(self._shadowed)

    def problem(self, name: str) -> BaseException | None:
        """Return the exception with which importing a backend failed, or `None`."""
        return self._problems.get(name)

    def plugin_of(self, name: str) -> str:
        """Return the module to which the entry point of a backend refers."""
        return self._entry_points[name].value


_registries: weakref.WeakSet[Registry] = weakref.WeakSet()


def _after_fork() -> None:
    for registry in list(_registries):
        registry.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _instantiate(reference: str) -> Backend:
    implementation = resolve_name(reference)
    if not (isinstance(implementation, type) and issubclass(implementation, Backend)):
        raise TypeError(f"expected a subclass of polyrnn.Backend, got {implementation!r}")
    backend = implementation()
    kinds = getattr(backend, "tensor_type", None)
    given: tuple[Any, ...] = kinds if isinstance(kinds, tuple) else (kinds,)
    if not given or not all(isinstance(kind, type) for kind in given):
        raise TypeError(f"tensor_type: expected a type or a tuple of types, got {kinds!r}")
    return backend


@cache
def installed() -> Registry:
    """Return the registry of the installed backends, which is created at the first call."""
    return Registry()


@constant_in_traces
def framework_of(kind: type) -> str | None:
    """Return the installed backend whose framework defines a type or one of its bases."""
    return installed().framework_of(kind)


def _precedence(entry_point: EntryPoint) -> tuple[bool, str, str]:
    return not is_own(entry_point), distribution_of(entry_point), entry_point.name


def is_own(entry_point: EntryPoint) -> bool:
    """Return whether polyrnn itself provides an entry point."""
    return distribution_of(entry_point).partition(" ")[0] == HOME


def _same_claim(one: EntryPoint, other: EntryPoint) -> bool:
    # An editable install next to a regular one lists the same entry point twice.
    return one.value == other.value and distribution_of(one) == distribution_of(other)


def distribution_of(entry_point: EntryPoint) -> str:
    """Return the name and the version of the distribution that has an entry point."""
    try:
        distribution = entry_point.dist
        name = None if distribution is None else distribution.name
        return f"{name} {distribution.version}" if distribution and name else UNNAMED
    except Exception:  # a distribution that was removed in part has no metadata any more
        return UNNAMED


def _unknown(name: str, names: list[str]) -> str:
    import difflib

    by_lower_case = {known.lower(): known for known in names}
    close = difflib.get_close_matches(name.strip().lower(), by_lower_case, n=1)
    suggestion = f"; did you mean {by_lower_case[close[0]]!r}?" if close else "."
    return f"no backend is named {name!r}{suggestion} There are: {', '.join(names)}."


def _not_installed(info: BackendInfo) -> str:
    return (
        f"the backend {info.name!r} needs {info.modules[0]}, which is not installed; "
        f"to get it: {install_command(info)}"
    )


def _is_missing(info: BackendInfo, error: BaseException) -> bool:
    """Return whether an import failed because the framework, or a package it is in, is missing."""
    module = info.modules[0]
    if isinstance(error, ModuleNotFoundError) and f"{module}.".startswith(f"{error.name}."):
        return True
    # A stray folder of the name of a framework can be imported, and has no attributes.
    return isinstance(error, ImportError | AttributeError) and not is_installed(info)
