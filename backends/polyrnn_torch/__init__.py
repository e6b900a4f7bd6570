"""The torch backend of polyrnn: says what it is, without importing torch."""

from polyrnn import BackendInfo, hookimpl


@hookimpl
def polyrnn_backends() -> BackendInfo:
    """Describe the torch backend."""
    return BackendInfo(
        name="torch",
        modules=("torch",),
        implementation="polyrnn_torch.backend:TorchBackend",
        install="polyrnn[torch]",
        harness="polyrnn_torch.harness:TorchHarness",
    )
