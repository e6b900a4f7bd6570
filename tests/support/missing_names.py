"""Simulate that a framework no longer has a private name that its backend uses."""

import importlib
import pkgutil
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from polyrnn import Backend, marks, private_names
from polyrnn.private_names import PrivateNames


@contextmanager
def without(package: str, name: str | None, error: type[Exception]) -> Iterator[Any]:
    """Import the modules of a backend again while a name cannot be found.

    Args:
        package: The package of the backend, such as ``"polyrnn_torch"``.
        name: The missing name; `None` if nothing is missing.
        error: The error that looking it up raises: `ImportError` or `AttributeError`.

    Yields:
        The module of its private names.
    """
    find = pkgutil.resolve_name

    def resolve_others(wanted: str) -> Any:
        if wanted == name:
            raise error(f"{wanted} is not there")
        return find(wanted)

    kept = {each: sys.modules.pop(each) for each in _modules_of(package)}
    before_calls = list(marks.before_calls)
    try:
        with mock.patch.object(private_names, "resolve_name", resolve_others):
            yield importlib.import_module(f"{package}.internals")
    finally:
        marks.before_calls[:] = before_calls
        for each in _modules_of(package):
            del sys.modules[each]
        sys.modules.update(kept)
        for each, module in kept.items():
            parent, _, child = each.rpartition(".")
            if parent in kept:
                setattr(kept[parent], child, module)


def _modules_of(package: str) -> list[str]:
    return [each for each in sys.modules if each.partition(".")[0] == package]


def backend_of(package: str, kind: str) -> Backend:
    """Return a new backend from the modules that are currently imported.

    Args:
        package: Its package.
        kind: The name of its class.
    """
    backend: Backend = getattr(importlib.import_module(f"{package}.backend"), kind)()
    return backend


def names_of(private: PrivateNames) -> list[str]:
    """Return all private names of a backend."""
    return [name for names in private.uses.values() for name in names]


def private_uses(package: str, pattern: str) -> list[str]:
    """Return the lines of a backend outside its module of private names that match a pattern.

    Args:
        package: The package of the backend, which is imported.
        pattern: A regular expression.
    """
    folder = Path(str(sys.modules[package].__file__)).parent
    return [
        f"{path.name}:{number}: {line.strip()}"
        for path in sorted(folder.glob("*.py"))
        if path.name != "internals.py"
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if re.search(pattern, line)
    ]
