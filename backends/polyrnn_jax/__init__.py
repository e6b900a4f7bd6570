"""The plug-in that describes the jax backend of polyrnn without importing jax."""

from polyrnn import BackendInfo, hookimpl


@hookimpl
def polyrnn_backends() -> BackendInfo:
    """Return the description of the jax backend."""
    return BackendInfo(
        name="jax",
        modules=("jax", "jaxlib"),
        implementation="polyrnn_jax.backend:JaxBackend",
        install="polyrnn[jax]",
        harness="polyrnn_jax.harness:JaxHarness",
    )
