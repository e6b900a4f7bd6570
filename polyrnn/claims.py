"""Finds the backend whose tensors a module defines."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from polyrnn.backend_info import BackendInfo


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
        # By top-level module: the owner, or `None` where submodules have different owners.
        self._roots: dict[str, str | None] = {}
        for info in infos:
            for module in info.modules:
                owner = self._owner(module)
                if owner is not None and (module in self._owners or is_own(owner)):
                    if owner != info.name:
                        found = self.contested.setdefault(info.name, [])
                        found.append(Contested(module, owner))
                    continue
                self._owners[module] = info.name
                root = module.partition(".")[0]
                is_first = root == module and root not in self._roots
                self._roots[root] = info.name if is_first else None

    def _owner(self, module: str) -> str | None:
        """Return the backend with the longest claim to a module, or `None`."""
        while module:
            owner = self._owners.get(module)
            if owner is not None:
                return owner
            module = module.rpartition(".")[0]
        return None

    def owner_of(self, kind: type) -> str | None:
        """Return the backend whose framework defines a type or one of its bases, or `None`."""
        roots = self._roots
        for base in kind.__mro__:
            module = base.__module__
            root = module.partition(".")[0]
            if root in roots:
                owner = roots[root] or self._owner(module)
                if owner is not None:
                    return owner
        return None
