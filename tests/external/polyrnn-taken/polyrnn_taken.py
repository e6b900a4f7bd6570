"""Claims the name of a backend that polyrnn itself provides."""

from polyrnn import BackendInfo, hookimpl


@hookimpl
def polyrnn_backends() -> BackendInfo:
    """Describe a backend that never gets a turn."""
    return BackendInfo(
        name="numpy",
        modules=("numpy",),
        implementation="polyrnn_taken:NoBackend",
        install="polyrnn-taken",
    )
