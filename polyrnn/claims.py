"""Finds the backend whose tensors a module defines."""

import sys
from collections.abc import Callable, Iterable
from typing import NamedTuple

from polyrnn.backend_info import BackendInfo

NEUTRAL = "numpy"
"""The backend whose tensors any other takes, and the one used when nothing else chooses."""


class Contested(NamedTuple):
    """A module that a backend claims but that belongs to another backend.

    Args:
        module: The name of the module.
        owner: The name of the backend that it belongs to.
    """

    module: str
    owner: str


class Claims:
    """The modules of all backends, each of which belongs to the first backend that claims it.

    A backend may claim a submodule, such as ``mlx.core``. A type belongs to the backend with the
    longest claim to its module. No other backend can claim a submodule of a module that belongs
    to one of polyrnn's own backends.

    Args:
        infos: The descriptions of the backends, in the order of precedence.
        is_own: Return whether the backend of a name is one of polyrnn's own.

    Attributes:
        contested: The claims that another backend precedes, by the name of the backend that made
            them. Tensors of these modules choose the other backend.
    """

    def __init__(self, infos: Iterable[BackendInfo], is_own: Callable[[str], bool]) -> None:
        self.contested: dict[str, list[Contested]] = {}
        self._owners: dict[str, str] = {}
        for info in infos:
            for module in info.modules:
                owner = _owner(self._owners, module)
                if owner is not None and (module in self._owners or is_own(owner)):
                    if owner != info.name:
                        found = self.contested.setdefault(info.name, [])
                        found.append(Contested(module, owner))
                    continue
                self._owners[module] = info.name
        self._found = _Found(self._owners)

    def owner_of(self, kind: type) -> str | None:
        """Return the backend whose framework defines a type or one of its bases, if any does."""
        found = self._found
        for base in kind.__mro__:
            owner = found[base.__module__]
            if owner is not None:
                return owner
        return None

    def owner_of_module(self, module: str) -> str | None:
        """Return the backend that has the types which a module defines, if any does."""
        return self._found[module]


class _Found(dict[object, str | None]):
    """The owners of modules, each found once: every leaf of every call is looked up."""

    def __init__(self, owners: dict[str, str]) -> None:
        super().__init__()
        self._owners = owners

    def __missing__(self, module: object) -> str | None:
        # Anything may be assigned to the attribute `__module__` of a class.
        owner = _owner(self._owners, module) if isinstance(module, str) else None
        return self.setdefault(module, owner)


def check_modules(info: BackendInfo) -> None:
    """Check that a plug-in claims nothing that every backend takes, or that every type is of.

    Raises:
        ValueError: If it claims NumPy, or a module of Python itself.
    """
    for module in info.modules:
        root = module.partition(".")[0]
        if root == NEUTRAL and info.name != NEUTRAL:
            reason = "belongs to the numpy backend, and its arrays are taken by every backend"
        elif root == "__main__" or root in sys.stdlib_module_names:
            reason = "belongs to Python, and other types derive from those in it"
        else:
            continue
        raise ValueError(f"modules: expected the modules of a framework; {module!r} {reason}")


def _owner(owners: dict[str, str], module: str) -> str | None:
    """Return the backend with the longest claim to a module."""
    while module:
        owner = owners.get(module)
        if owner is not None:
            return owner
        module = module.rpartition(".")[0]
    return None
