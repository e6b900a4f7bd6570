"""Fixtures for the tests of the jax backend."""

from collections.abc import Iterator

import jax
import pytest

# A second device, for tests of devices. It must be set before JAX starts.
jax.config.update("jax_num_cpu_devices", 2)


@pytest.fixture(autouse=True)
def default_precision() -> Iterator[None]:
    """Disable 64-bit types, which is the default of JAX."""
    with jax.enable_x64(False):
        yield


class Compilations:
    """Counts compilations by XLA."""

    def __init__(self) -> None:
        self._seen = 0

    def __call__(self, event: str, duration: float, **details: object) -> None:
        self._seen += event == "/jax/core/compile/backend_compile_duration"

    def since_last(self) -> int:
        """Return the number of compilations since the last call of this method."""
        seen, self._seen = self._seen, 0
        return seen


@pytest.fixture
def compilations() -> Iterator[Compilations]:
    """Yield a counter of compilations that starts at zero."""
    counter = Compilations()
    jax.monitoring.register_event_duration_secs_listener(counter)
    yield counter
    jax.monitoring.unregister_event_duration_listener(counter)
