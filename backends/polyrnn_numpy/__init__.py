"""The plug-in that describes the numpy backend of polyrnn without importing numpy."""

from polyrnn import BackendInfo, hookimpl


@hookimpl
def polyrnn_backends() -> BackendInfo:
    """Return the description of the numpy backend."""
    return BackendInfo(
        name="numpy",
        modules=("numpy", "ml_dtypes"),
        implementation="polyrnn_numpy.backend:NumpyBackend",
        install="polyrnn",
        harness="polyrnn_numpy.harness:NumpyHarness",
    )
