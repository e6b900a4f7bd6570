"""The numpy backend of polyrnn: says what it is, without importing numpy."""

from polyrnn import BackendInfo, hookimpl


@hookimpl
def polyrnn_backends() -> BackendInfo:
    """Describe the numpy backend."""
    return BackendInfo(
        name="numpy",
        modules=("numpy", "ml_dtypes"),
        implementation="polyrnn_numpy.backend:NumpyBackend",
        install="polyrnn",
        harness="polyrnn_numpy.harness:NumpyHarness",
    )
