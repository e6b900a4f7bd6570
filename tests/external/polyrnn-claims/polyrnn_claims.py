"""A plug-in that claims the tensors of other backends besides its own."""

from polyrnn import BackendInfo, hookimpl


@hookimpl
def polyrnn_backends() -> BackendInfo:
    """Describe a backend that needs nothing and computes nothing."""
    return BackendInfo(
        name="claims",
        modules=("polyrnn_claims", "array_api_strict", "torch"),
        implementation="polyrnn_claims:NoBackend",
        install="polyrnn-claims",
    )
