"""Fixtures for the tests of the jax backend."""

from collections.abc import Iterator

import jax
import pytest

# A second device, for tensors that lie on another one. It takes effect only before JAX runs.
jax.config.update("jax_num_cpu_devices", 2)


@pytest.fixture(autouse=True)
def default_precision() -> Iterator[None]:
    """Keep 64-bit types off, as users have them, whatever else runs in the process."""
    with jax.enable_x64(False):
        yield


class Compilations:
    """Counts what XLA has compiled since it was asked last."""

    def __init__(self) -> None:
        self._seen = 0

    def __call__(self, event: str, duration: float, **details: object) -> None:
        self._seen += event == "/jax/core/compile/backend_compile_duration"

    def since_last(self) -> int:
        """Give the number of compilations since the last question."""
        seen, self._seen = self._seen, 0
        return seen


@pytest.fixture
def compilations() -> Iterator[Compilations]:
    """Give a count of compilations, from here on."""
    counter = Compilations()
    jax.monitoring.register_event_duration_secs_listener(counter)
    yield counter
    jax.monitoring.unregister_event_duration_listener(counter)
