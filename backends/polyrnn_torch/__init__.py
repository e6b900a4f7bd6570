"""The plug-in that describes the torch backend of polyrnn without importing torch."""

from polyrnn import BackendInfo, hookimpl


@hookimpl
def polyrnn_backends() -> BackendInfo:
    """Return the description of the torch backend."""
    return BackendInfo(
        name="torch",
        modules=("torch",),
        implementation="polyrnn_torch.backend:TorchBackend",
        install="polyrnn[torch]",
        harness="polyrnn_torch.harness:TorchHarness",
    )
