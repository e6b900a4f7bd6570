"""The jax backend of polyrnn: says what it is, without importing jax."""

from polyrnn import BackendInfo, hookimpl


@hookimpl
def polyrnn_backends() -> BackendInfo:
    """Describe the jax backend."""
    return BackendInfo(
        name="jax",
        modules=("jax", "jaxlib"),
        implementation="polyrnn_jax.backend:JaxBackend",
        install="polyrnn[jax]",
        harness="polyrnn_jax.harness:JaxHarness",
    )
