"""Which backend has the tensors of which modules."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from polyrnn.backend_info import BackendInfo


class Contested(NamedTuple):
    """A claim to modules that another backend has.

    Args:
        module: The module that is claimed.
        owner: The name of the backend that has it.
    """

    module: str
    owner: str


class Claims:
    """The modules of all backends; polyrnn's own come first, then who comes first.

    A backend may claim a module within another one, such as ``mlx.core``; its tensors are those
    of the longest claim. What polyrnn's own backends claim they have with all modules within.

    Args:
        infos: The backends, those with the better claim first.
        is_own: Whether a backend of some name is polyrnn's own.

    Attributes:
        contested: The claims that came too late, by the name of the backend; its tensors do not
            choose it, but it can be chosen by its name.
    """

    def __init__(self, infos: Iterable[BackendInfo], is_own: Callable[[str], bool]) -> None:
        self.contested: dict[str, list[Contested]] = {}
        self._owners: dict[str, str] = {}
        # By the first part of the name: the owner, or `None` where longer names decide.
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
        """Return the backend with the longest claim to a module."""
        while module:
            owner = self._owners.get(module)
            if owner is not None:
                return owner
            module = module.rpartition(".")[0]
        return None

    def owner_of(self, kind: type) -> str | None:
        """Return the backend whose framework defines a type or one of its bases, if any does."""
        roots = self._roots
        for base in kind.__mro__:
            module = base.__module__
            root = module.partition(".")[0]
            if root in roots:
                owner = roots[root] or self._owner(module)
                if owner is not None:
                    return owner
        return None
