"""The status of each backend, found without importing its framework."""

import sys
from dataclasses import dataclass
from importlib.machinery import PathFinder
from importlib.util import find_spec
from typing import Literal

from polyrnn.backend_info import BackendInfo
from polyrnn.errors import BackendBrokenError
from polyrnn.registry import Registry, distribution_of, install_command, summary


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendStatus:
    """The status of one backend, found without importing its framework.

    Args:
        name: The name of the backend.
        state: ``"installed"``; ``"missing"`` if the framework is not installed; ``"broken"`` if
            importing the plug-in or the framework has failed; ``"shadowed"`` if another
            distribution provides a backend of the same name.
        version: The version of the framework, or `None` if it is unknown.
        distribution: The name and version of the distribution that provides the backend.
        install: The command that installs the framework; empty if the plug-in is broken or
            shadowed.
        problem: A sentence that says what is wrong; empty if nothing is. An installed backend has
            a problem if modules that it claims belong to another backend.

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


def statuses(registry: Registry) -> tuple[BackendStatus, ...]:
    """Return the status of every backend, sorted by name, with the shadowed ones last.

    Plug-in modules are imported, but no framework.

    Args:
        registry: The registry of the backends.
    """
    found = [_status(registry, name) for name in registry.names()]
    for entry_point in registry.shadowed():
        owner = registry.distribution_of(entry_point.name)
        found.append(
            BackendStatus(
                name=entry_point.name,
                state="shadowed",
                version=None,
                distribution=distribution_of(entry_point),
                install="",
                problem=f"the name {entry_point.name!r} belongs to {owner}",
            )
        )
    return tuple(found)


def _status(registry: Registry, name: str) -> BackendStatus:
    distribution = registry.distribution_of(name)
    try:
        info = registry.info(name)
    except BackendBrokenError as error:
        failure = summary(registry.problem(name) or error)
        return BackendStatus(
            name=name,
            state="broken",
            version=None,
            distribution=distribution,
            install="",
            problem=f"its plug-in {registry.plugin_of(name)!r} fails with {failure}",
        )
    failed = registry.problem(name)
    state: Literal["installed", "missing", "broken"] = "installed"
    problem = _contested(registry, name)
    if not _is_installed(info):
        state, problem = "missing", f"{info.modules[0]} is not installed"
    elif failed is not None:
        state, problem = "broken", f"importing it fails with {summary(failed)}"
    return BackendStatus(
        name=name,
        state=state,
        version=_version(info) if state != "missing" else None,
        distribution=distribution,
        install=install_command(info),
        problem=problem,
    )


def _contested(registry: Registry, name: str) -> str:
    """Return a sentence about the modules of a backend that belong to others, or ``""``."""
    contested = registry.claims().contested.get(name, [])
    return "; ".join(
        f"the tensors of {module} choose the backend {owner!r} of "
        f"{registry.distribution_of(owner)}, and this one only by its name"
        for module, owner in contested
    )


def _is_installed(info: BackendInfo) -> bool:
    """Return whether the first module of a backend is installed, without importing it."""
    module = info.modules[0]
    if sys.modules.get(module) is not None:
        return True
    root, *rest = module.split(".")
    try:
        spec = find_spec(root)
    except (ImportError, ValueError):
        return False
    is_namespace = spec is not None and spec.origin is None
    name = root
    for part in rest:
        if spec is None or spec.submodule_search_locations is None:
            return False
        name = f"{name}.{part}"
        spec = PathFinder.find_spec(name, spec.submodule_search_locations)
    # An unrelated folder with the name of a framework is found as a namespace package as well.
    return spec is not None and (not is_namespace or bool(rest) or _version(info) is not None)


def _version(info: BackendInfo) -> str | None:
    from importlib import metadata

    try:
        return metadata.version(info.distribution or info.modules[0].partition(".")[0])
    except metadata.PackageNotFoundError:
        return None
