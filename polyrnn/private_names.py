"""Private names of a framework, any of which its next version may have moved.

A backend lists those that it uses in one module, which says for each what is done without it.
"""

import sys
import warnings
from collections.abc import Mapping, Sequence
from pkgutil import resolve_name
from typing import Any


class PrivateNames:
    """The private names of a framework that a backend uses, by what they are used for.

    Args:
        framework: The root module of the framework, which also is what users call it.
        version: The oldest version that is known to have all of the names.
        uses: For each use, as a noun with which a sentence can begin, the names that it takes,
            such as ``"package.module:Class.attribute"``.

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
        """Return what a name stands for, importing its module; `None` if there is no such thing.

        Args:
            name: One of the names that were listed.
        """
        assert any(name in names for names in self.uses.values()), name
        try:
            return resolve_name(name)
        except (ImportError, AttributeError):
            return None

    def missing(self, use: str) -> list[str]:
        """List those of the names of a use that the framework does not have."""
        return [name.replace(":", ".") for name in self.uses[use] if self.find(name) is None]

    def explain(self, use: str, missing: Sequence[str]) -> str:
        """Return a sentence that says which version a use needs, and what it lacks.

        Args:
            use: One of the uses.
            missing: What the framework does not have.
        """
        found = getattr(sys.modules[self.framework], "__version__", "as installed")
        return (
            f"{use} needs {self.framework} {self.version}: {self.framework} {found} has no "
            f"{' and no '.join(missing)}"
        )

    def warn(self, use: str, missing: Sequence[str], consequence: str) -> None:
        """Warn, once in the life of the process, of what is done without the names of a use.

        Args:
            use: One of the uses.
            missing: What the framework does not have.
            consequence: What is done instead, and what that costs.
        """
        if use not in self._warned:
            self._warned.add(use)
            warnings.warn(
                f"{consequence}, because {self.explain(use, missing)}", RuntimeWarning, stacklevel=2
            )
