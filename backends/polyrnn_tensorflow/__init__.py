"""The plug-in that describes the tensorflow backend of polyrnn without importing tensorflow."""

from polyrnn import BackendInfo, hookimpl


@hookimpl
def polyrnn_backends() -> BackendInfo:
    """Return the description of the tensorflow backend."""
    return BackendInfo(
        name="tensorflow",
        modules=("tensorflow",),
        implementation="polyrnn_tensorflow.backend:TensorFlowBackend",
        install="polyrnn[tensorflow]",
        harness="polyrnn_tensorflow.harness:TensorFlowHarness",
    )
