"""Fake distributions with backends, written into a folder on the path."""

import importlib
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

from polyrnn.registry import Registry
from polyrnn.statuses import BackendStatus, statuses

FRAMEWORK = """
from wrapped import WrappedArray


class Array(WrappedArray):
    pass
"""

PLUGIN = """
from polyrnn import BackendInfo, hookimpl


@hookimpl
def polyrnn_backends():
    return BackendInfo(
        name="{name}",
        modules=("{name}",),
        implementation="polyrnn_{name}_backend:FakeBackend",
        install="polyrnn-{name}",
    )
"""

BACKEND = """
import {name}
from wrapped import WrappedBackend


class FakeBackend(WrappedBackend):
    tensor_type = {name}.Array
"""


class FakeDistributions:
    """Writes fake distributions into a folder that is on the path.

    Args:
        folder: The folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, module: str, source: str) -> None:
        """Write one module."""
        (self.folder / f"{module}.py").write_text(dedent(source))

    def distribute(self, distribution: str, version: str = "1.0", **entries: str) -> None:
        """Write the metadata of a distribution with entry points in the group of polyrnn."""
        info = self.folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
        )
        lines = [f"{name} = {value}" for name, value in entries.items()]
        (info / "entry_points.txt").write_text("\n".join(["[polyrnn]", *lines, ""]))

    def framework(
        self,
        name: str,
        *,
        framework: str | None = FRAMEWORK,
        plugin: str = PLUGIN,
        backend: str = BACKEND,
    ) -> None:
        """Write a framework, a plug-in with its backend, and the metadata of their distribution.

        Args:
            name: The name of the framework and of its backend.
            framework: The source of the framework; `None` if it is not installed.
            plugin: The source of the plug-in module; ``{name}`` is replaced by the name.
            backend: The source of the backend's module, likewise.
        """
        if framework is not None:
            self.write(name, framework)
        self.write(f"polyrnn_{name}", plugin.replace("{name}", name))
        self.write(f"polyrnn_{name}_backend", backend.replace("{name}", name))
        self.distribute(f"polyrnn-{name}", **{name: f"polyrnn_{name}"})

    def registry(self) -> Registry:
        """Return a new registry, which knows everything that is on the path now."""
        importlib.invalidate_caches()
        return Registry()

    def tensor(self, name: str, array: Any) -> Any:
        """Return a tensor of one of the frameworks."""
        return importlib.import_module(name).Array(array)

    def forget(self) -> None:
        """Remove the modules that were imported from the folder from `sys.modules`."""
        for name, module in list(sys.modules.items()):
            # A package without an `__init__` has folders only.
            origins = [getattr(module, "__file__", None), *vars(module).get("__path__", ())]
            if any(origin and Path(origin).is_relative_to(self.folder) for origin in origins):
                del sys.modules[name]


def status(registry: Registry, name: str) -> BackendStatus:
    """Return the only status of a name."""
    (found,) = (entry for entry in statuses(registry) if entry.name == name)
    return found
