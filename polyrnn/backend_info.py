"""The description of a backend that a plug-in provides without importing the framework."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendInfo:
    """The description of a backend, which polyrnn reads before it imports the backend.

    Args:
        name: The name by which users choose the backend; its entry point has the same name.
        modules: The modules that define the types of the tensors, submodules included, such as
            ``"torch"`` or ``"mlx.core"``. If the first of them is missing, the framework is not
            installed. Each module belongs to one backend, and polyrnn's own come first: where
            another backend already has a module, its tensors choose that backend, and this one
            can be chosen by name only.
        implementation: The `Backend` subclass, as ``"package.module:Class"``. It is imported when
            the backend is chosen for the first time.
        install: The argument of ``pip install`` that installs the framework.
        distribution: The distribution that contains the framework, if its name differs from that
            of the first module.
        harness: The ``Harness`` with which the conformance suite runs the backend, as
            ``"package.module:Class"``. Without one the suite runs the backend eagerly.

    Raises:
        TypeError: If a field has a wrong type or form.

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
        # ("torch") without a comma is a string, whose letters would pass for names of modules.
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
