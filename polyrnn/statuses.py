"""The status of each backend, found without importing its framework."""

from dataclasses import dataclass
from typing import Literal

from polyrnn.errors import BackendBrokenError, summary
from polyrnn.installation import install_command, is_installed, version
from polyrnn.registry import Registry, distribution_of


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
    problem = ""
    if not is_installed(info):
        state, problem = "missing", f"{info.modules[0]} is not installed"
    elif failed is not None:
        state, problem = "broken", f"importing it fails with {summary(failed)}"
    return BackendStatus(
        name=name,
        state=state,
        version=version(info) if state != "missing" else None,
        distribution=distribution,
        install=install_command(info),
        problem="; ".join(filter(None, [problem, _contested(registry, name)])),
    )


def _contested(registry: Registry, name: str) -> str:
    """Return a sentence about the modules of a backend that belong to others, or ``""``."""
    contested = registry.claims().contested.get(name, [])
    return "; ".join(
        f"the tensors of {module} choose the backend {owner!r} of "
        f"{registry.distribution_of(owner)}, and this one only by its name"
        for module, owner in contested
    )
