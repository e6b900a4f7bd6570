"""Describes the backend for array-api-strict, without importing it."""

from polyrnn import BackendInfo, hookimpl


@hookimpl
def polyrnn_backends() -> BackendInfo:
    """Return the description of the backend."""
    return BackendInfo(
        name="array-api-strict",
        modules=("array_api_strict",),
        implementation="polyrnn_array_api_strict.backend:StrictBackend",
        install="array-api-strict",
        harness="polyrnn_array_api_strict.harness:StrictHarness",
    )
