"""A plug-in that claims the name of a backend of polyrnn."""

from polyrnn import BackendInfo, hookimpl


@hookimpl
def polyrnn_backends() -> BackendInfo:
    """Return the description of a backend that is never used."""
    return BackendInfo(
        name="numpy",
        modules=("numpy",),
        implementation="polyrnn_taken:NoBackend",
        install="polyrnn-taken",
    )
