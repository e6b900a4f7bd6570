"""Looks up private names of a framework, any of which a later version may move or remove.

A backend that uses private names lists them in one module, ``internals``, which also says what the
backend does if a name is missing.
"""

import sys
import warnings
from collections.abc import Mapping, Sequence
from pkgutil import resolve_name
from typing import Any


class PrivateNames:
    """The private names of a framework that a backend uses, grouped by what it uses them for.

    Args:
        framework: The top-level module of the framework, which is also its name in messages.
        version: The oldest version that is known to have all of the names.
        uses: The names that each use needs, such as ``"package.module:Class.attribute"``. A use
            is a noun phrase that can begin the sentence "... needs torch 2.13".

    Example:
        >>> private = PrivateNames("numpy", "1.26", {"the meaning of life": ("numpy:answer",)})
        >>> private.find("numpy:answer") is None
        True
        >>> private.missing("the meaning of life")
        ['numpy.answer']
    """

    def __init__(self, framework: str, version: str, uses: Mapping[str, Sequence[str]]) -> None:
        self.framework = framework
        self.version = version
        self.uses = uses
        self._warned: set[str] = set()

    def find(self, name: str) -> Any:
        """Return the object that has a name, importing its module; `None` if there is none.

        Args:
            name: One of the names in `uses`.
        """
        assert any(name in names for names in self.uses.values()), name
        try:
            return resolve_name(name)
        except (ImportError, AttributeError):
            return None

    def missing(self, use: str) -> list[str]:
        """Return the names of a use that the framework does not have."""
        return [name.replace(":", ".") for name in self.uses[use] if self.find(name) is None]

    def explain(self, use: str, missing: Sequence[str]) -> str:
        """Return a sentence that says which version a use needs and which names are missing.

        Args:
            use: One of the uses.
            missing: The names that the framework does not have.
        """
        found = getattr(sys.modules[self.framework], "__version__", "as installed")
        return (
            f"{use} needs {self.framework} {self.version}: {self.framework} {found} has no "
            f"{' and no '.join(missing)}"
        )

    def warn(self, use: str, missing: Sequence[str], consequence: str) -> None:
        """Warn, once per process and use, that names are missing.

        Args:
            use: One of the uses.
            missing: The names that the framework does not have.
            consequence: A clause that says what the backend does instead, and at what cost.
        """
        if use not in self._warned:
            self._warned.add(use)
            warnings.warn(
                f"{consequence}, because {self.explain(use, missing)}", RuntimeWarning, stacklevel=2
            )
