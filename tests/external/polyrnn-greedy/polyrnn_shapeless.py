"""A plug-in that describes itself with values of wrong types."""

from typing import Any

from polyrnn import BackendInfo, hookimpl

WRONG: Any = {"modules": (1, None), "implementation": "no colon", "install": None}


@hookimpl
def polyrnn_backends() -> BackendInfo:
    """Describe nothing."""
    return BackendInfo(name="shapeless", **WRONG)
