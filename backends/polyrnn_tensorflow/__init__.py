"""The tensorflow backend of polyrnn: says what it is, without importing tensorflow."""

from polyrnn import BackendInfo, hookimpl


@hookimpl
def polyrnn_backends() -> BackendInfo:
    """Describe the tensorflow backend."""
    return BackendInfo(
        name="tensorflow",
        modules=("tensorflow",),
        implementation="polyrnn_tensorflow.backend:TensorFlowBackend",
        install="polyrnn[tensorflow]",
        harness="polyrnn_tensorflow.harness:TensorFlowHarness",
    )
