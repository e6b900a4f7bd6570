"""A plug-in that also claims the tensors of other backends."""

from polyrnn import BackendInfo, hookimpl


@hookimpl
def polyrnn_backends() -> BackendInfo:
    """Return the description of a backend without an implementation."""
    return BackendInfo(
        name="claims",
        modules=("polyrnn_claims", "array_api_strict", "torch"),
        implementation="polyrnn_claims:NoBackend",
        install="polyrnn-claims",
    )
