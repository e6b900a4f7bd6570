"""A plug-in that claims the arrays of NumPy."""

from polyrnn import BackendInfo, hookimpl


@hookimpl
def polyrnn_backends() -> BackendInfo:
    """Describe a backend that would get the calls with arrays of NumPy."""
    return BackendInfo(
        name="a-numpy-too",
        modules=("numpy",),
        implementation="polyrnn_numpy_too:NoBackend",
        install="polyrnn-greedy",
    )
