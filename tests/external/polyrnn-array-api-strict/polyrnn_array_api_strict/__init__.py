"""Tells polyrnn of array-api-strict, without importing it."""

from polyrnn import BackendInfo, hookimpl


@hookimpl
def polyrnn_backends() -> BackendInfo:
    """Describe the backend."""
    return BackendInfo(
        name="array-api-strict",
        modules=("array_api_strict",),
        implementation="polyrnn_array_api_strict.backend:StrictBackend",
        install="array-api-strict",
        harness="polyrnn_array_api_strict.harness:StrictHarness",
    )
