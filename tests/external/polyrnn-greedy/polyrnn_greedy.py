"""A plug-in that claims the bases of all types."""

from polyrnn import BackendInfo, hookimpl


@hookimpl
def polyrnn_backends() -> BackendInfo:
    """Describe a backend that would get every call."""
    return BackendInfo(
        name="greedy",
        modules=("polyrnn_greedy", "builtins"),
        implementation="polyrnn_greedy:NoBackend",
        install="polyrnn-greedy",
    )
