"""Checks whether the framework of a backend is installed, and finds its version.

No framework is imported. Modules that are slow to import are imported where they are used.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable
from importlib.machinery import ModuleSpec

from polyrnn.backend_info import BackendInfo


def is_installed(info: BackendInfo) -> bool:
    """Return whether the first of the modules of a backend can be found.

    A package without an ``__init__`` counts where its distribution is installed: any folder
    of that name on the path, such as one of tests, looks the same.
    """
    spec = _imported(info.modules[0]) or _found(info.modules[0])
    # A spec without an origin is that of a package without an `__init__`.
    return spec is not None and (spec.origin is not None or version(info) is not None)


def version(info: BackendInfo) -> str | None:
    """Return the version of the framework, if its distribution is installed and says it."""
    from importlib import metadata

    try:
        return metadata.version(info.distribution or info.modules[0].partition(".")[0])
    except Exception:  # it is not installed, or what is left of it has no metadata
        return None


def install_command(info: BackendInfo) -> str:
    """Return the command line that installs the framework of a backend."""
    return f'pip install "{info.install}"' if "[" in info.install else f"pip install {info.install}"


def _imported(module: str) -> ModuleSpec | None:
    found = sys.modules.get(module)
    if found is None:
        return None
    # One that was made by hand has no spec.
    return getattr(found, "__spec__", None) or ModuleSpec(module, None, origin="sys.modules")


def _found(module: str) -> ModuleSpec | None:
    root, *parts = module.split(".")
    try:
        spec = importlib.util.find_spec(root)
    except (ImportError, ValueError):
        return None
    name = root
    for part in parts:
        name = f"{name}.{part}"
        spec = _found_in(name, _locations(spec)) if spec is not None else None
    return spec


def _locations(spec: ModuleSpec) -> Iterable[str]:
    return spec.submodule_search_locations or ()


def _found_in(name: str, locations: Iterable[str]) -> ModuleSpec | None:
    """Find a submodule in the folders of its package, which `importlib.util` would import."""
    import pkgutil

    portions: list[str] = []
    for location in locations:
        finder = pkgutil.get_importer(location)
        spec = finder.find_spec(name) if finder is not None else None
        if spec is not None and spec.loader is not None:
            return spec
        if spec is not None:
            portions.extend(_locations(spec))
    if not portions:
        return None
    found = ModuleSpec(name, None, is_package=True)
    found.submodule_search_locations = portions
    return found
