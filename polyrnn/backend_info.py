"""What a plug-in says of its backend before anything of it is imported."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendInfo:
    """What polyrnn knows of a backend before anything of it is imported.

    Args:
        name: The name users choose it by; the entry point has the same name.
        modules: The modules in which the types of its tensors are defined, with all modules
            within: ``"torch"``, or ``"mlx.core"``. The first is the one whose absence means "not
            installed". A module that another backend has already, polyrnn's own first, is not
            given to a second: its tensors choose the first, and this one is chosen by name.
        implementation: Where the `Backend` subclass is, as ``"package.module:Class"``;
            imported when the backend is chosen for the first time.
        install: What to give to ``pip install`` to get the framework.
        distribution: The distribution that carries the framework, where its name
            is not that of the first module.
        harness: Where the conformance suite finds the ``Harness`` of the backend, as
            ``"package.module:Class"``; without one the suite uses its plain eager one.

    Raises:
        TypeError: If a field is of a wrong type or form.

    Example:
        >>> BackendInfo(
        ...     name="numpy",
        ...     modules=("numpy",),
        ...     implementation="polyrnn_numpy.backend:NumpyBackend",
        ...     install="polyrnn",
        ... ).modules
        ('numpy',)
    """

    name: str
    modules: tuple[str, ...]
    implementation: str
    install: str
    distribution: str | None = None
    harness: str | None = None

    def __post_init__(self) -> None:
        # A forgotten comma makes a string of it, whose letters would pass for modules.
        modules = self.modules if isinstance(self.modules, tuple) else ()
        if not modules or not all(map(_is_dotted_name, modules)):
            raise TypeError(f"modules: expected a tuple of names, got {self.modules!r}")
        for field in ("name", "install"):
            value = getattr(self, field)
            if not isinstance(value, str) or not value:
                raise TypeError(f"{field}: expected a string, got {value!r}")
        if not isinstance(self.distribution, str | None):
            raise TypeError(f"distribution: expected a string or None, got {self.distribution!r}")
        for field in ("implementation", "harness"):
            value = getattr(self, field)
            if field == "harness" and value is None:
                continue
            parts = value.split(":") if isinstance(value, str) else []
            if len(parts) != 2 or not all(map(_is_dotted_name, parts)):
                raise TypeError(f'{field}: expected "package.module:Class", got {value!r}')


def _is_dotted_name(value: Any) -> bool:
    return isinstance(value, str) and all(part.isidentifier() for part in value.split("."))
